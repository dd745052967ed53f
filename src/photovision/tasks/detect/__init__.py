"""Object detection: boxes with classes and scores."""
