"""Floor 2: bundles and the fast runtime that decides with them. No torch."""
