"""Metrics with intervals, calibration, prediction sets and paired tests."""
