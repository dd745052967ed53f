"""Networks: cut in two, quick to train, exported as they are, and loaded only from what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from torch import nn

from photovision.core.errors import ExportError, LicenceError, ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models import export, weights
from photovision.models.backbones import Backbone, choose, count_macs, create, load_tensors, read_weights
from photovision.models.depthwise import frozen_depthwise, is_depthwise
from photovision.models.frozen_features import cut_points, default_cut, upper_of
from photovision.runtime.session import Engine


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "mobilenetv2_100", "regnetx_002"])
def test_both_halves_of_a_cut_network_are_the_whole(name: str) -> None:
    network = timm.create_model(name, num_classes=5).eval()
    cut = default_cut(network, (64, 64))
    assert cut is not None
    picture, steps = torch.rand(2, 3, 64, 64), dict(network.named_modules())
    with torch.no_grad():
        maps = picture
        for step in cut.lower:
            maps = steps[step](maps)
        assert tuple(maps.shape[1:]) == cut.shape
        assert torch.allclose(upper_of(network, cut, 0.2).eval()(maps), network(picture), rtol=1e-3, atol=1e-4)


def test_a_transformer_of_windows_is_not_cut() -> None:
    network = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=56, embed_dim=8, depths=(1, 1), num_heads=(1, 2)
    )
    assert cut_points(network, (56, 56)) == []


@pytest.mark.parametrize(("stride", "size", "kernel"), [(1, 9, 3), (1, 8, 5), (2, 9, 3), (2, 8, 5), (2, 7, 3)])
@pytest.mark.parametrize("same", [False, True])
def test_quick_depthwise_gradient_is_the_gradient(stride: int, size: int, kernel: int, same: bool) -> None:
    from timm.layers import create_conv2d

    padding = "same" if same else ""
    conv = create_conv2d(4, 4, kernel, stride=stride, depthwise=True, padding=padding, bias=True)
    assert is_depthwise(conv)
    holder, x = nn.Sequential(conv), torch.randn(2, 4, size, size, requires_grad=True)
    expected = holder(x)
    direction = torch.randn_like(expected)
    expected.backward(direction)
    gradient, x.grad = x.grad, None
    with frozen_depthwise(holder):
        got = holder(x)
        got.backward(direction)
        assert not conv.weight.requires_grad
    assert torch.allclose(got, expected, atol=1e-6)
    assert x.grad is not None
    assert gradient is not None
    assert torch.allclose(x.grad, gradient, atol=1e-5)
    assert holder[0] is conv
    assert conv.weight.requires_grad


def test_macs_of_a_known_layer() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    assert count_macs(network, (10, 10)) == 10 * 10 * 8 * 3 * 9 + 16


def _decider(temperature: float = 2.0, multilabel: bool = False) -> export.Decider:
    torch.manual_seed(0)
    network = create(Backbone("small_resnet", "none", Preprocess((24, 24))), 3)
    return export.Decider(network, Preprocess((24, 24)), temperature, multilabel)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Exported graphs of `_decider`, for one label and for several."""
    folder = tmp_path_factory.mktemp("graphs")
    found = {multilabel: folder / f"{multilabel}.onnx" for multilabel in (False, True)}
    for multilabel, path in found.items():
        decider = _decider(multilabel=multilabel)
        export.export_graph(decider, (24, 24), decider.outputs, path)
    return found


def test_exported_graph_names_no_folder_of_the_machine(graphs: dict[bool, Path]) -> None:
    assert str(Path(torch.__file__).parent).encode() not in graphs[False].read_bytes()


@pytest.mark.parametrize("multilabel", [False, True])
def test_exported_graph_decides_like_the_network(graphs: dict[bool, Path], multilabel: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (37, 24, 24, 3), dtype=np.uint8)
    parity = export.check_parity(_decider(multilabel=multilabel), graphs[multilabel], images)
    assert parity.max_abs_prob_difference < 1e-5
    for engine in ("openvino", "onnxruntime"):
        outputs = export.open_session(graphs[multilabel], engine=engine, precision="f32").run(images)
        assert np.allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, atol=1e-5)
        expected = 1 / (1 + np.exp(-outputs["logits"] / 2)) if multilabel else None
        if expected is None:
            powers = np.exp(outputs["logits"] / 2)
            expected = powers / powers.sum(1, keepdims=True)
        assert np.allclose(outputs["probs"], expected, atol=1e-4)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_only_wanted_outputs_are_computed(graphs: dict[bool, Path], engine: Engine) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    whole = export.open_session(graphs[False], engine=engine, precision="f32").run(images)
    wanted = ("probs", "maps", "absent")
    few = export.open_session(graphs[False], engine=engine, precision="f32", outputs=wanted).run(images)
    assert set(whole) == {"probs", "logits", "embedding", "maps"}
    assert set(few) == {"probs", "maps"}
    for name, values in few.items():
        assert np.allclose(values, whole[name], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "grid"), [("test_resnet", 3), ("test_vit", 6), ("test_convnext", 3), ("test_efficientnet", 3)]
)
def test_the_last_feature_maps_keep_their_places(name: str, grid: int) -> None:
    torch.manual_seed(0)
    network = create(Backbone(name, "none", Preprocess((96, 96))), 3).eval()
    with torch.no_grad():
        raw = network.forward_features(torch.rand(2, 3, 96, 96))  # type: ignore[operator]
    maps = export.feature_maps(network, raw)
    assert maps is not None
    assert maps.shape[0] == 2
    assert maps.shape[2:] == (grid, grid)


def test_export_fails_loudly_where_the_graph_disagrees(graphs: dict[bool, Path]) -> None:
    decider = _decider()
    with torch.no_grad():
        export.classifier(decider.network).bias[0] += 0.5
    with pytest.raises(ExportError, match="does not decide like the network"):
        export.check_parity(decider, graphs[False], np.zeros((4, 24, 24, 3), np.uint8))


def test_graph_normalises_as_the_preprocessing_says() -> None:
    preprocess = Preprocess((8, 8), mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    inside = export.Normalise(preprocess)(torch.from_numpy(images)).numpy()
    assert np.allclose(inside, np.stack([preprocess.normalise(image) for image in images]), atol=1e-5)


def test_weights_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    assert weights.locate("mobilenet_v2") is None
    place = tmp_path / "weights" / "mobilenet_v2-b0353104.pth"
    place.parent.mkdir()
    place.write_bytes(b"something else")
    with pytest.raises(ModelError, match="not the file it should be"):
        weights.locate("mobilenet_v2")


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("the pickle was run",))

    torch.save(Hostile(), tmp_path / "hostile.pth")
    with pytest.raises(ModelError, match="plain tensors"):
        read_weights(str(tmp_path / "hostile.pth"))


def test_weights_of_another_network_are_refused() -> None:
    small, other = (timm.create_model(name, num_classes=2) for name in ("resnet18", "mobilenetv2_100"))
    with pytest.raises(ModelError, match="fit the network neither"):
        load_tensors(small, other.state_dict(), "mobilenet")


def test_converted_weights_load_by_order() -> None:
    network, other = (timm.create_model("resnet18", num_classes=n) for n in (4, 1000))
    renamed = {f"layer_{i}": value for i, value in enumerate(other.state_dict().values())}
    load_tensors(network, renamed, "renamed")
    assert torch.equal(network.layer4[1].conv2.weight, other.layer4[1].conv2.weight)


def test_licences_for_commercial_use() -> None:
    weights.require_commercial(weights.ledger("tf_efficientnet_lite0", "efficientnet_lite0"))
    weights.require_commercial(weights.ledger("resnet18", "none"))
    for source, licence in (("mine", "cc-by-nc-4.0"), ("mine", "unknown"), ("/some/file.safetensors", None)):
        with pytest.raises(LicenceError, match="--commercial refuses"):
            weights.require_commercial(weights.ledger("convnext_tiny", source, licence))


@pytest.mark.parametrize(
    ("backbone", "chosen", "message"),
    [
        ("resnet999", "none", "no weights are called 'resnet999', and timm has no such architecture"),
        ("resnet18", "efficientnet_lite0", "fit tf_efficientnet_lite0, not resnet18"),
        ("resnet18", "hub", "add --allow-download"),
        (None, "nosuchweights", "should be auto, none, hub"),
        ("resnet18", "auto", r"resnet18.a1_in1k \(47 MB, apache-2.0\) are not on this machine: run .* get resnet18"),
        ("resnet1800", "auto", "no weights are called 'resnet1800'.*did you mean resnet18"),
        ("resnet50.a9_in1k", "auto", r"did you mean resnet50\."),
        ("convnextv2_nano", "auto", "cc-by-nc-4.0, no commercial use"),
        ("mixer_s16_224", "auto", "publishes no weights for mixer_s16_224"),
        ("hf-hub:owner/name", "auto", "get hf-hub:owner/name"),
    ],
)
def test_mistaken_choices_say_what_to_do(backbone: str | None, chosen: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose(backbone, chosen, None)


def test_relu6_is_written_as_a_clip_and_the_network_keeps_its_own(tmp_path: Path) -> None:
    preprocess = Preprocess((32, 32))
    network = create(Backbone("mobilenetv2_100", "none", preprocess), 3)
    decider = export.Decider(network, preprocess, 1.0, False)
    before = [layer for layer in network.modules() if isinstance(layer, nn.ReLU6)]
    export.export_graph(decider, preprocess.size, decider.outputs, tmp_path / "model.onnx")
    assert [layer for layer in network.modules() if isinstance(layer, nn.ReLU6)] == before
    nodes = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert nodes.count("Clip") == len(before) + 1  # one keeps the norm of the embedding from being 0
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    assert export.check_parity(decider, tmp_path / "model.onnx", pictures).max_abs_prob_difference < 1e-3
