"""Fairness: groups and their intersections, compared with intervals and corrected for many comparisons."""
