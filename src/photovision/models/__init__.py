"""Floor 3: networks, their weights and licences, and their export."""
