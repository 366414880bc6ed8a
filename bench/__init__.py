"""Headgate measured beside HAProxy, nginx and Envoy on the machine at hand: ``python -m bench --help``."""
