"""Anomaly detection: what good pictures look like, learned from good pictures alone, and what departs from it."""
