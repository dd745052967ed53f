"""Smaller, faster, elsewhere: what is done to a finished model, with the loss measured."""
