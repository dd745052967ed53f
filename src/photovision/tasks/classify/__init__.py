"""Classification: one label for each image, or any number of labels."""
