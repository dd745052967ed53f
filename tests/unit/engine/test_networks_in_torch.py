"""What needs a detector's or a segmenter's network in torch: its exports, and maps by gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from boxed import boxed_samples
from safetensors.torch import save_file
from torch import nn

from photovision.core.errors import ModelError
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.engine.export import export
from photovision.engine.load import load
from photovision.models.backbones import Backbone
from photovision.models.detector import BoxDecider, DetectorNetwork
from photovision.models.export import export_graph
from photovision.models.load_network import trained_detector
from photovision.models.segmenter import PixelDecider, SegmenterNetwork
from photovision.runtime.bundle import read_bundle
from photovision.tasks.detect.network import network as detect_network
from photovision.trust.explain import TARGET_EXPLAINERS
from photovision.trust.explain.target import BoxTarget, TargetScorer

pytestmark = pytest.mark.slow
SIZE = (64, 96)
PREPROCESS = Preprocess(SIZE)


def write(folder: Path, task: str, network: nn.Module, decider: Any, **more: Any) -> Path:
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    export_graph(decider, SIZE, decider.outputs, folder / "model.onnx")
    info = {
        "format": "photovision", "version": 1, "task": task, "classes": ["circle", "square"], "training": {},
        "preprocess": PREPROCESS.to_json(), "backbone": {"name": "test_resnet"}, "licences": [], **more,
    }  # fmt: skip
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("places")
    torch.manual_seed(0)
    detector, segmenter = (
        kind(Backbone("test_resnet", "none", PREPROCESS), 2) for kind in (DetectorNetwork, partial_segmenter)
    )
    slope, shift = [1.5, 2.0], [4.0, 5.0]
    return {
        "detect": write(
            root / "d", "detect", detector, BoxDecider(detector, PREPROCESS, slope, shift), thresholds=[0.1, 0.1],
            calibration={"slope": slope, "shift": shift},
        ),
        "segment": write(
            root / "s", "segment", segmenter, PixelDecider(segmenter, PREPROCESS, 1.25), temperature=1.25
        ),
    }  # fmt: skip


def partial_segmenter(source: Backbone, classes: int) -> SegmenterNetwork:
    return SegmenterNetwork(source, classes, False)


def pictures(count: int = 4) -> Image:
    return np.stack([PREPROCESS.apply(np.asarray(sample.image)) for sample in boxed_samples(count)])


@pytest.mark.parametrize("task", ["detect", "segment"])
@pytest.mark.parametrize("target", ["torchscript", "exported-program"])
def test_torch_gets_the_same_boxes_and_masks(task: str, target: str, models: dict[str, Path], tmp_path: Path) -> None:
    done = export(load(models[task]), target, tmp_path / "out", pictures())
    assert done.agreement > 0.999
    assert done.max_abs_prob_difference < 1e-3
    assert "README.md" in done.files


def test_the_network_is_the_graphs(models: dict[str, Path]) -> None:
    bundle = read_bundle(models["detect"])
    with torch.no_grad():
        boxes, scores = detect_network(bundle)(torch.from_numpy(pictures()))
    got = load(models["detect"]).session.run(pictures())
    assert np.abs(np.sort(scores.numpy().max(2)) - np.sort(got["scores"].max(2))).max() < 0.02
    assert boxes.shape == got["boxes"].shape
    info = {**bundle.info, "calibration": {"slope": [1.0], "shift": [0.0, 0.0]}}
    with pytest.raises(ModelError, match="has no calibration"):
        detect_network(type(bundle)(bundle.path, info))


def test_gradients_point_at_what_the_box_reacts_to(models: dict[str, Path]) -> None:
    """A far corner of the picture cannot change a box of a place that does not see it; its gradient is 0 there."""
    bundle = read_bundle(models["detect"])
    viewer, image = TargetScorer(bundle, precision="f32"), pictures(1)[0]
    network = trained_detector(bundle)
    with torch.no_grad():
        found = network(torch.from_numpy(PREPROCESS.normalise(image)[None]))[0].numpy()
    aims = [BoxTarget(np.float32(found[row, :4]), 0) for row in (0, 40)]
    heat = TARGET_EXPLAINERS.load("hirescam").heatmaps(viewer, image, aims)
    assert heat.shape == (2, *SIZE)
    assert np.isfinite(heat).all()
    assert (heat >= -1e-6).all()
    assert (np.ptp(heat, axis=(1, 2)) > 0).all()
    twin = TARGET_EXPLAINERS.load("hirescam").heatmaps(viewer.shuffled(1), image, aims)
    assert not np.allclose(heat, twin)
