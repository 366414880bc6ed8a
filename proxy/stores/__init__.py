"""Where pools live."""
