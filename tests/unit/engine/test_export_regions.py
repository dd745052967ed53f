"""Exports of detectors and segmenters answer alike, and say what is to be done with what they give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from painter import painter_bundle
from PIL import Image
from spotter import COLOURS, scene, spotter_bundle

from photovision.app.cli import run
from photovision.core.errors import ExportError, ModelError, UsageError
from photovision.core.types import Image as Pixels
from photovision.engine.export import export
from photovision.engine.load import load
from photovision.runtime.session import open_session
from photovision.tasks.detect.parity import parity as detect_parity
from photovision.tasks.segment.parity import parity as segment_parity


def scenes(count: int = 6) -> Pixels:
    cells = np.random.default_rng(0).integers(0, 8, (count, 2)) * 16
    return np.stack(
        [scene((128, 128), [("red", (x, y, x + 16, y + 16))], n) for n, (x, y) in enumerate(cells.tolist())]
    )


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_a_detector_for_other_programs_finds_the_same_boxes(tmp_path: Path, target: str) -> None:
    model = load(spotter_bundle(tmp_path / "model", iou=0.4))
    done = export(model, target, tmp_path / "out", scenes())
    assert (done.agreement, done.of, done.pictures, done.generated) == (1.0, "6 boxes", 6, False)
    assert done.max_abs_prob_difference < 0.02
    told = (tmp_path / "out" / "README.md").read_text()
    for needed in ("uint8 RGB (N, 128, 128, 3)", "`boxes`", "`scores`", "more than 0.4", *COLOURS):
        assert needed in told
    if target == "onnx":
        props = {entry.key: entry.value for entry in onnx.load(tmp_path / "out" / "model.onnx").metadata_props}
        assert props["task"] == "detect"
        assert json.loads(props["calibration"]) == {"thresholds": [0.5, 0.5], "iou": 0.4}


def test_a_segmenter_for_other_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        image = np.zeros((32, 32, 3), np.uint8)
        image[number * 4 : 20] = (255, 0, 128)
        Image.fromarray(image).save(folder / f"{number}.png")
    model = painter_bundle(tmp_path / "model", instances=True, tile=(48, 64))
    arguments = ["export", str(model), "--to", "openvino", "-o", str(tmp_path / "out"), "--data", str(folder)]
    assert run(arguments) == 0
    assert "100.0% of pixels in 3 real pictures" in capsys.readouterr().out
    told = (tmp_path / "out" / "README.md").read_text()
    assert "tiles of 48 x 64 pixels" in told
    assert "`depth`" in told


def test_another_answer_is_not_written(tmp_path: Path) -> None:
    """A graph that is changed on its way out: boxes that moved, and places of another class."""
    model = load(spotter_bundle(tmp_path / "model"))
    session = open_session(model.bundle.graph, precision="f32")
    right = [session.run(scenes())]
    moved = [{**right[0], "boxes": right[0]["boxes"] + 2}]
    assert detect_parity(model, right, right).enough
    assert not detect_parity(model, right, moved).enough
    probs = np.full((1, 2, 8, 8), 0.5, np.float32)
    other = probs.copy()
    other[0, :, :2] = [[[0.4]], [[0.6]]]
    segmenter = load(painter_bundle(tmp_path / "segmenter"))
    assert segment_parity(segmenter, [{"classes": probs}], [{"classes": probs}]).enough
    assert not segment_parity(segmenter, [{"classes": probs}], [{"classes": other}]).enough


def test_what_is_written_is_what_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from photovision.engine import export_targets as targets

    def wrong(model: object, folder: Path, compress: bool) -> object:
        bundle = spotter_bundle(folder / "x")
        graph = onnx.load(bundle / "model.onnx")
        (bias,) = [value for value in graph.graph.initializer if value.name == "bias"]
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - np.float32(3), "bias"))
        onnx.save(graph, folder / "model.onnx")
        return open_session(folder / "model.onnx").run

    monkeypatch.setattr(targets, "to_onnx", wrong)
    with pytest.raises(ExportError, match="the onnx export disagrees with the model: the largest score difference"):
        export(load(spotter_bundle(tmp_path / "model")), "onnx", tmp_path / "out", scenes())
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    detector = load(spotter_bundle(tmp_path / "d"))
    with pytest.raises(UsageError, match="'export --to timm' is not available for a detector: it needs a classifier"):
        export(detector, "timm", tmp_path / "out")
    with pytest.raises(ModelError, match="no network with its weights for torch: choose onnx or openvino"):
        export(detector, "torchscript", tmp_path / "out")
    assert not (tmp_path / "out").exists()
