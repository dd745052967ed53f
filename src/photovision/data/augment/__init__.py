"""Augmentation: new views of an image, and of its boxes and masks, each determined by a seed."""
