"""One request's journey, start to finish."""
