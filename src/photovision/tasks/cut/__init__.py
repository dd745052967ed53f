"""Interactive segmentation: the mask of the object at clicked points or in a box."""
