"""Crop: leaves, weeds and plants counted by plot and day."""
