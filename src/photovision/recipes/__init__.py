"""Recipes: short ways from the parts of this house to one use; see docs/recipes."""
