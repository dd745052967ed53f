"""Robustness: corruptions, shortcuts, and slices of the data on which a model fails."""
