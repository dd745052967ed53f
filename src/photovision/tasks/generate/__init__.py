"""Generation: new images from what was learned of a folder, by rectified flow."""
