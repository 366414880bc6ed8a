"""``tls: auto``: a local authority, what it signs for listeners of this process, and its renewal."""
