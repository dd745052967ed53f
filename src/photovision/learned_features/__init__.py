"""Learned features: what a network has learned, stage by stage, as pictures and figures."""
