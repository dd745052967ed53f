"""What a bundle was made for decides what one gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from colours import colour_bundle
from spotter import spotter_bundle

from photovision.core.errors import UsageError
from photovision.engine.load import load
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.detect.detector import Detector


def test_a_bundle_opens_as_what_it_is(tmp_path: Path) -> None:
    assert isinstance(load(colour_bundle(tmp_path / "colours")), Recognizer)
    detector = load(spotter_bundle(tmp_path / "spotter"), threshold=0.25, engine="onnxruntime")
    assert isinstance(detector, Detector)
    assert detector.thresholds.tolist() == [0.25, 0.25]
    assert detector.session.engine == "onnxruntime"


def test_choices_that_a_model_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"A detector does not accept 'coverage' \(--coverage\); valid options: threshold"
    ):
        load(spotter_bundle(tmp_path / "spotter"), coverage=0.9)
