"""Floor 5: proof: metrics with intervals, calibration, the handcrafted baseline."""
