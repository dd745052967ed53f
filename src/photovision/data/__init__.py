"""Floor 1: datasets: reading, checking, splitting, augmenting and loading pictures. No torch."""
