"""Checks: what should be known about a data set before training."""
