"""A model behind HTTP: the service, its record of predictions, and what that record says."""
