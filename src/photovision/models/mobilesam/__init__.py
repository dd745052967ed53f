"""MobileSAM: a small network that encodes an image, and one that answers prompts (Zhang et al. 2023)."""
