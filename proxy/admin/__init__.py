"""The admin listener: health, metrics, state."""
