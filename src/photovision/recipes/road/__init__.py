"""Road."""
