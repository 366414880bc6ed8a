"""Headgate's Kubernetes route with a real cluster behind it and real clients before it."""
