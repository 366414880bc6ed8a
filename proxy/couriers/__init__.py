"""Who carries progress to those who watch over the callers."""
