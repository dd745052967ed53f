"""More false alarms than promised turn a fit detector into one that needs care."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import photovision as pv

MODEL = Path(__file__).parents[3] / "docs" / "models" / "parts-model"


def test_an_assessment_names_false_alarms_beyond_the_promise(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, top in (("good", 128), ("hole", 256)):
        (tmp_path / kind).mkdir()
        for number in range(4):
            noise = rng.integers(0, top, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / kind / f"{number}.png")
    report = pv.evaluate(MODEL, tmp_path)
    assert report.metrics["false_alarms"].value == 1.0
    assert report.assessment is not None
    assert report.assessment.level != "good"
    assert "100.0% of good images are called anomalous; 5.0% was promised" in report.assessment.text
