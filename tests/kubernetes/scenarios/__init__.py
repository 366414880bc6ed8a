"""What real clients do, each in an environment of its own: programs that print one JSON document. Not tests."""
