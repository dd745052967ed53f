"""Metric learning: an embedding in which pictures of one class are near each other, to search by."""
