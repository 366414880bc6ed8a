"""What an operator wrote, checked and compiled: YAML -> schema -> compile -> an immutable PolicySet. Pure."""
