"""Attacks on what a model learned from: memberships of pictures, and canaries."""
