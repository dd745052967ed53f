"""Darknet's flat files are read in its order, and refused where they do not fit."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from spotter import scene
from torch import nn

from photovision.core.errors import ModelError, UsageError
from photovision.models import pretrained as kit
from photovision.models import weights as zoo
from photovision.models.yolov4_tiny import ANCHORS, HEADER, Places, YoloV4Tiny, load_darknet
from photovision.runtime.bundle import read_bundle
from photovision.tasks.detect.detector import Detector

NUMBERS = 6_062_814
"""Floats of yolov4-tiny with 80 classes."""


def flat(values: np.ndarray) -> bytes:
    return bytes(HEADER) + values.astype("<f4").tobytes()


def written(network: nn.Module) -> bytes:
    """The network's numbers as darknet writes them."""
    found: list[np.ndarray] = []
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            found[-1:-1] = [
                np.asarray(v.detach()) for v in (layer.bias, layer.weight, layer.running_mean, layer.running_var)
            ]
        else:
            found += [np.asarray(v.detach()).ravel() for v in (layer.bias, layer.weight) if v is not None]
    return flat(np.concatenate(found))


def test_offsets_come_before_scales_before_filters() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2, eps=1e-6), nn.Conv2d(2, 1, 1))
    # beta, gamma, mean, variance, filters; then bias, filters
    load_darknet(network, flat(np.array([1, 2, 3, 4, 5, 6, 4, 9, 7, 8, 10, 20, 30])))
    x = 11.0
    hidden = [3 * (7 * x - 5) / 2 + 1, 4 * (8 * x - 6) / 3 + 2]
    got = network.eval()(torch.full((1, 1, 1, 1), x)).item()
    assert got == pytest.approx(10 + 20 * hidden[0] + 30 * hidden[1], rel=1e-5)


@pytest.mark.parametrize("content", [b"", bytes(HEADER + 3), flat(np.zeros(12)), flat(np.full(13, np.nan))])
def test_files_that_do_not_fit_are_refused(content: bytes) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    with pytest.raises(ModelError, match="copy"):
        load_darknet(network, content)


def test_places_are_decoded_as_the_paper_says() -> None:
    places = Places((64, 96), 32, (3, 4, 5))
    raw = torch.zeros(1, 3 * 7, 2, 3)
    raw[0, 7 : 7 + 7, 1, 2] = torch.tensor([0.0, 1.0, 0.5, -0.5, 2.0, 1.0, -1.0])  # anchor 4, row 1, column 2
    boxes, scores = places(raw)
    assert boxes.shape == (1, 18, 4)
    assert scores.shape == (1, 18, 2)
    row = 6 + 3 + 2
    sigmoid = 1 / (1 + np.exp(-np.array([0.0, 1.0, 2.0, 1.0, -1.0])))
    x, y = 32 * (2 + 1.05 * sigmoid[0] - 0.025), 32 * (1 + 1.05 * sigmoid[1] - 0.025)
    w, h = ANCHORS[4][0] * np.exp(0.5), ANCHORS[4][1] * np.exp(-0.5)
    np.testing.assert_allclose(boxes[0, row], [x - w / 2, y - h / 2, x + w / 2, y + h / 2], rtol=1e-5)
    np.testing.assert_allclose(scores[0, row], sigmoid[2] * sigmoid[3:], rtol=1e-5)
    assert scores[0].sum(1)[0] == pytest.approx(0.5)


def test_the_network_has_the_numbers_of_the_published_file() -> None:
    with torch.device("meta"):
        network = YoloV4Tiny((416, 416))
    floats = sum(p.numel() for p in network.parameters())
    floats += sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert floats == NUMBERS


def test_a_detector_that_is_not_here_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="run 'photovision weights get yolov4-tiny' once"):
        kit.ready()
    with pytest.raises(UsageError, match="no ready model is called 'yolov9'; did you mean yolov4-tiny"):
        kit.ready("yolov9")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "yolov4-tiny.weights").write_bytes(flat(np.zeros(NUMBERS)))
    with pytest.raises(ModelError, match="is not the file it should be: expected SHA-256"):
        kit.ready()


def test_classes_of_coco(shared_data: Path) -> None:
    lines = (shared_data / "coco-sample" / "names.yaml").read_text().splitlines()
    names = [line.split(": ", 1)[1].strip() for line in lines if line.startswith("  ") and ": " in line]
    assert kit.COCO.split(", ") == names


@pytest.mark.slow
def test_a_bundle_is_made_once_from_flat_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = written(YoloV4Tiny((416, 416)))
    carrier = replace(zoo.DETECTORS["yolov4-tiny"], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(zoo.DETECTORS, "yolov4-tiny", carrier)
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "yolov4-tiny.weights").write_bytes(content)
    folder = kit.ready()
    made = (folder / "model.onnx").stat().st_mtime_ns
    bundle = read_bundle(kit.ready())
    assert (folder / "model.onnx").stat().st_mtime_ns == made
    assert len(bundle.classes) == 80
    assert bundle.info["parity"]["max_abs_score_difference"] <= kit.TOLERANCE
    assert {entry["licence"] for entry in bundle.info["licences"]} == {"apache-2.0", "public-domain", "custom"}
    found = Detector(bundle, threshold=0.0).predict(scene((100, 300), []))
    assert len(found) == 300
