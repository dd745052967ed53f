"""Segmentation: the class of every pixel, and which pixels are one object."""
