"""Shelf: products counted on shelves, empty slots, and what changed between visits."""
