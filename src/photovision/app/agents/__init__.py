"""Models for agents, over the Model Context Protocol; read-only unless a file for suggestions is given."""
