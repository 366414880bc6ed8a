"""The Kubernetes API: what its requests mean, and pods that tell the truth on their way through (design.md §2.9)."""
