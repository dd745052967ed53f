"""Floor 6: what can be recognised, and the whole way from a folder to a proved Recognizer."""
