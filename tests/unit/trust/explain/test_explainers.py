"""Every explainer on a convolutional network, a ConvNeXt and a vision transformer, and what each of them promises."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import make_picture
from safetensors.torch import save_file
from spots import spot_box, spot_bundle, spot_picture
from torch import nn

from photovision.core.errors import MissingExtra, ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.backbones import Backbone, create
from photovision.models.export import Decider, export_graph
from photovision.runtime.bundle import read_bundle
from photovision.trust.explain import EXPLAINERS
from photovision.trust.explain.default_method import choose
from photovision.trust.explain.explained_model import ExplainedModel, blurred, resized
from photovision.trust.explain.gradient import GRADCAM, HIRESCAM, INTEGRATED_GRADIENTS
from photovision.trust.explain.rollout import ROLLOUT

SIDE, CLASSES = 64, 3
NETWORKS = ("test_resnet", "test_convnext", "test_vit")
REFUSED = {("cam", "test_convnext"), ("cam", "test_vit"), ("rollout", "test_resnet"), ("rollout", "test_convnext")}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExplainedModel]:
    """A subject a network, with random weights."""
    return {
        name: ExplainedModel(read_bundle(bundle(tmp_path_factory.mktemp(name), name)), precision="f32")
        for name in NETWORKS
    }


def bundle(folder: Path, name: str) -> Path:
    preprocess = Preprocess((SIDE, SIDE))
    torch.manual_seed(0)
    network = create(Backbone(name, "none", preprocess), CLASSES)
    decider = Decider(network, preprocess, 1.0, False)
    export_graph(decider, preprocess.size, decider.outputs, folder / "model.onnx")
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / "model.safetensors")
    info = {
        "format": "photovision", "version": 1, "task": "classify", "multilabel": False, "classes": ["a", "b", "c"],
        "preprocess": preprocess.to_json(), "backbone": {"name": name}, "temperature": 1.0, "thresholds": None,
        "training": {}, "licences": [],
    }  # fmt: skip
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def pictures(count: int = 2) -> np.ndarray:
    return np.stack([np.asarray(make_picture(kind, SIDE, seed=kind)) for kind in range(count)])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", EXPLAINERS.names())
def test_contract(name: str, network: str, subjects: dict[str, ExplainedModel]) -> None:
    explainer, subject, images = EXPLAINERS.load(name), subjects[network], pictures()
    assert explainer.name == name
    classes = np.array([1, 2])
    if (name, network) in REFUSED:
        with pytest.raises(UsageError, match="choose"):
            explainer.heatmaps(subject, images, classes)
        return
    found = explainer.heatmaps(subject, images, classes)
    assert found.shape == (2, SIDE, SIDE)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (np.ptp(found, axis=(1, 2)) > 0).all(), "a flat map explains nothing"
    alone = explainer.heatmaps(subject, images[1:], classes[1:])
    np.testing.assert_allclose(alone[0], found[1], rtol=1e-2, atol=1e-3 * np.abs(found[1]).max())
    other = explainer.heatmaps(subject, images, np.array([0, 0]))
    assert explainer.of_class is not np.allclose(other, found)


def test_class_activation_is_what_gradients_give_where_the_last_layer_is_linear(
    subjects: dict[str, ExplainedModel],
) -> None:
    subject, images, classes = subjects["test_resnet"], pictures(), np.array([0, 2])
    cam, hires, grad = (EXPLAINERS.load(n).heatmaps(subject, images, classes) for n in ("cam", "hirescam", "gradcam"))
    places = np.prod(subject.grid)
    np.testing.assert_allclose(cam, hires * places, atol=1e-3 * np.abs(cam).max())
    maps = np.einsum("nk,nkhw->nhw", subject.layer.weights[classes], subject.maps(images))  # type: ignore[union-attr]
    np.testing.assert_allclose(
        grad, resized(np.maximum(maps, 0) / places, subject.size), atol=1e-3 * np.abs(grad).max()
    )


def test_class_activation_adds_up_to_the_logit(subjects: dict[str, ExplainedModel]) -> None:
    subject, images = subjects["test_resnet"], pictures()
    weights, bias = subject.layer  # type: ignore[misc]
    summed = np.einsum("ck,nkhw->nc", weights, subject.maps(images)) / np.prod(subject.grid) + bias
    with torch.no_grad():
        pixels = np.stack([subject.bundle.preprocess.normalise(image) for image in images])
        logits = subject.network(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(summed, logits, atol=1e-3)


def test_grad_cam_agrees_with_captum_on_convolutions(subjects: dict[str, ExplainedModel]) -> None:
    from captum.attr import LayerGradCam

    subject, images, classes = subjects["test_resnet"], pictures(), np.array([1, 0])
    pixels = np.stack([subject.bundle.preprocess.normalise(image) for image in images])
    layer = subject.network.layer4
    peer = LayerGradCam(subject.network, layer).attribute(
        torch.from_numpy(pixels).requires_grad_(), target=torch.from_numpy(classes), relu_attributions=True
    )
    expected = resized(peer.detach()[:, 0].numpy(), subject.size)
    np.testing.assert_allclose(GRADCAM.heatmaps(subject, images, classes), expected, atol=1e-5 + 1e-3 * expected.max())


def test_integrated_gradients_add_up_to_what_the_picture_adds(subjects: dict[str, ExplainedModel]) -> None:
    subject, images, classes = subjects["test_vit"], pictures(), np.array([0, 1])
    found = INTEGRATED_GRADIENTS.heatmaps(subject, images, classes).sum((1, 2))
    values = []
    for part in (images, blurred(images)):
        pixels = np.stack([subject.bundle.preprocess.normalise(image) for image in part])
        with torch.no_grad():
            values.append(subject.network(torch.from_numpy(pixels)).numpy()[[0, 1], classes])
    added = values[0] - values[1]
    # Smoothing at the border and 32 points in place of an integral cost a little.
    np.testing.assert_allclose(found, added, rtol=0.1, atol=0.1 * np.abs(added).max())


def test_attention_that_flows_adds_up_to_one(subjects: dict[str, ExplainedModel]) -> None:
    found = ROLLOUT.heatmaps(subjects["test_vit"], pictures(), np.array([0, 0]))
    assert (found > 0).all()
    coarse = found.reshape(2, 4, 16, 4, 16).mean((2, 4)).sum((1, 2))  # the 16 places; the class token keeps the rest
    assert (coarse < 1).all()
    assert (coarse > 0.1).all()


@pytest.mark.parametrize("network", ["test_resnet", "test_vit"])
def test_hooks_are_released_and_nothing_stays(network: str, subjects: dict[str, ExplainedModel]) -> None:
    subject, images, classes = subjects[network], pictures(1), np.array([0])
    explainers = [GRADCAM, HIRESCAM, INTEGRATED_GRADIENTS] + ([ROLLOUT] if network == "test_vit" else [])
    before = None
    for call in range(28):
        explainers[call % len(explainers)].heatmaps(subject, images, classes)
        if call == 11:
            before = live_tensors()
    assert live_tensors() == before
    assert not hooks(subject.network)
    assert all(p.grad is None for p in subject.network.parameters())


@pytest.mark.parametrize("explainer", [GRADCAM, HIRESCAM, ROLLOUT], ids=lambda e: e.name)
def test_hooks_are_released_after_an_error(explainer: Any, subjects: dict[str, ExplainedModel]) -> None:
    subject = subjects["test_vit"]
    fused = [block.attn.fused_attn for block in subject.network.blocks]
    whole, subject.network.norm = subject.network.norm, Broken()
    try:
        with pytest.raises(RuntimeError, match="broken"):
            explainer.heatmaps(subject, pictures(1), np.array([0]))
    finally:
        subject.network.norm = whole
    assert not hooks(subject.network)
    assert [block.attn.fused_attn for block in subject.network.blocks] == fused


@pytest.mark.slow
def test_memory_is_flat_over_a_thousand_calls(subjects: dict[str, ExplainedModel]) -> None:
    subject, images, classes = subjects["test_vit"], pictures(1), np.array([0])
    explainers = [EXPLAINERS.load(n) for n in ("gradcam", "hirescam", "rollout", "eigencam", "integrated-gradients")]
    held = []
    for call in range(1000):
        explainers[call % len(explainers)].heatmaps(subject, images, classes)
        if call % 250 == 249:
            gc.collect()
            held.append(resident_megabytes())
    assert held[-1] - held[0] < 30, held


def test_shuffled_weights_are_the_same_values_elsewhere(subjects: dict[str, ExplainedModel]) -> None:
    subject = subjects["test_resnet"]
    twin = subject.shuffled(1)
    own, theirs = (dict(s.network.named_parameters())["fc.weight"] for s in (subject, twin))
    assert torch.equal(own.sort().values.flatten().sort().values, theirs.flatten().sort().values)
    assert not torch.equal(own, theirs)
    images = pictures()
    assert not np.allclose(subject.probs(images), twin.probs(images), atol=1e-3)
    assert np.isfinite(twin.probs(images)).all()
    np.testing.assert_array_equal(twin.probs(images), subject.shuffled(1).probs(images))
    assert twin.layer is not None


def test_maps_find_the_spot(tmp_path: Path) -> None:
    subject = ExplainedModel(read_bundle(spot_bundle(tmp_path / "m")))
    images = np.stack([spot_picture(0, 0, 2, 1, (2, 3)), spot_picture(2, 3, 1, 2, (1, 1))])
    for name in ("cam", "occlusion", "rise"):
        found = EXPLAINERS.load(name).heatmaps(subject, images, np.array([0, 2]))
        for heat, place in zip(found, ((0, 2), (3, 1)), strict=True):
            assert heat[spot_box(*place)].mean() > np.quantile(heat, 0.9), name


def test_the_default_is_exact_or_occlusion(tmp_path: Path, subjects: dict[str, ExplainedModel]) -> None:
    fine = choose(ExplainedModel(read_bundle(spot_bundle(tmp_path / "a"))))
    assert fine.name == "cam"
    assert "8 x 8" in fine.reason
    for options in ({"exact": False}, {"maps": False}):
        other = choose(ExplainedModel(read_bundle(spot_bundle(tmp_path / str(options), **options))))
        assert other.name == "occlusion"
    coarse = choose(subjects["test_resnet"])  # 2 x 2 places
    assert coarse.name == "occlusion"
    assert "too coarse" in coarse.reason
    assert choose(subjects["test_vit"]).name == "occlusion"


def test_log_odds_tell_apart_what_probabilities_round_to_one(tmp_path: Path) -> None:
    subject = ExplainedModel(read_bundle(spot_bundle(tmp_path / "m")))
    image = spot_picture(0, 1, 2)
    odds = subject.log_odds(np.stack([image, image]), np.array([0, 1]))
    probs = subject.probs(image[None])[0]
    np.testing.assert_allclose(odds, np.log(probs[:2] / (1 - probs[:2])), atol=1e-2)
    several = ExplainedModel(read_bundle(spot_bundle(tmp_path / "s", multilabel=True)))
    p = several.probs(image[None])[0]
    np.testing.assert_allclose(several.log_odds(image[None], np.array([0])), np.log(p[0] / (1 - p[0])), atol=1e-2)


def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subjects: dict[str, ExplainedModel]
) -> None:
    bare = ExplainedModel(read_bundle(spot_bundle(tmp_path / "m", maps=False)))
    images, classes = spot_picture(0, 1, 1)[None], np.array([0])
    with pytest.raises(UsageError, match="choose occlusion"):
        EXPLAINERS.load("cam").heatmaps(bare, images, classes)
    with pytest.raises(UsageError, match="gives no feature maps"):
        EXPLAINERS.load("eigencam").heatmaps(bare, images, classes)
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        GRADCAM.heatmaps(bare, images, classes)
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(MissingExtra, match=r"install 'captum>=0.8'"):
        INTEGRATED_GRADIENTS.heatmaps(subjects["test_vit"], pictures(1), classes)


class Broken(nn.Module):
    """A layer that always fails."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("broken")


def hooks(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if any(getattr(module, kind) for kind in HOOKS)]


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(value), torch.Tensor) for value in gc.get_objects())


def resident_megabytes() -> float:
    import resource

    pages = Path("/proc/self/statm")
    if not pages.is_file():
        pytest.skip("needs /proc to tell how much memory is held")
    return int(pages.read_text().split()[1]) * resource.getpagesize() / 2**20
