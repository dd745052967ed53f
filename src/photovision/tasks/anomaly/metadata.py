"""What an exported anomaly detector says of its outputs."""

from __future__ import annotations

from photovision.engine.export_metadata import OutputMetadata
from photovision.tasks.anomaly.detector import AnomalyDetector


def anomaly_metadata(model: AnomalyDetector) -> OutputMetadata:
    """The threshold with its promise, and how scores and heatmaps are read."""
    promised = model.promised()
    facts = {
        "false_alarms": promised.false_alarms,
        "threshold": promised.threshold,
        "unsure": promised.unsure,
        "heat_limit": model.heat_limit,
        "good_images": promised.n,
    }
    lines = [
        f"- `score`: float32 (N,), higher for more anomalous. An image is anomalous from {promised.threshold:.6g} on,"
        f" which promises at most {promised.false_alarms:.3g} false alarms (n = {promised.n}), and unsure from"
        f" {promised.unsure:.6g} on.",
        "- `heatmap`: float32 (N, h, w) over the whole image, the distance to good patches; places are hot from"
        f" {model.heat_limit:.6g} on. Enlarge it bilinearly to the image.",
    ]
    return OutputMetadata(facts, lines)
