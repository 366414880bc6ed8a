"""The scenarios at their full size: minutes, not seconds, and figures to look at. ``python -m tests.heavy``."""
