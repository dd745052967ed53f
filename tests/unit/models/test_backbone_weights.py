"""Weights of other people's networks: brought in, found by name, refused where they are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import networks
import pytest
import torch
from safetensors.torch import load_file, save_file

from photovision.app.cli import run
from photovision.core.errors import ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models import weights_store as store
from photovision.models.backbones import choose, create
from photovision.models.export import embed
from photovision.models.frozen_features import _FeatureGraph, default_cut, upper_of
from photovision.models.import_weights import import_weights
from photovision.models.weights_folder import RECORD, read_weights_folder
from photovision.models.weights_table import rows


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", networks.TINY)
def test_a_folder_gives_its_network_its_features_and_its_upper_part(tmp_path: Path, name: str) -> None:
    folder = networks.timm_folder(tmp_path / name, name, classes=4)
    source = choose(str(folder), "auto", None)
    side = networks.TINY[name][2]
    assert source.preprocess.size == (side, side)
    assert source.preprocess.mean == (0.5, 0.5, 0.5)
    network = create(source, 3).eval()
    given = load_file(folder / "model.safetensors")
    own = network.state_dict()
    body = [key for key in own if "head" not in key]
    assert body
    assert all(torch.equal(own[key], given[key]) for key in body)
    cut = default_cut(network, source.preprocess.size)
    assert (cut is None) == (name == "swin")
    if cut is None:
        return
    graph = _FeatureGraph(network, source.preprocess, cut).eval()
    pixels = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        features, maps, *_ = graph(pixels)
        assert tuple(maps.shape[1:]) == cut.shape
        assert torch.allclose(features, embed(network, graph.normalise(pixels)), atol=1e-5)
        upper, whole = upper_of(network, cut, 0.2).eval()(maps), network(graph.normalise(pixels))
    assert torch.allclose(upper, whole, atol=1e-5)


@pytest.mark.parametrize(("name", "side"), [("vit", 96), ("dinov2", 84), ("dinov3", 96), ("siglip", 48), ("swin", 112)])
def test_weights_are_used_at_other_sizes(tmp_path: Path, name: str, side: int) -> None:
    source = choose(str(networks.timm_folder(tmp_path / name, name)), "auto", side)
    network = create(source, 2).eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, side, side)).shape == (1, 2)


def test_a_size_that_cuts_patches_is_refused(tmp_path: Path) -> None:
    folder = networks.timm_folder(tmp_path / "dinov2", "dinov2")
    with pytest.raises(UsageError, match="multiple of 14 pixels, got 90: choose --size 84 or 98"):
        create(choose(str(folder), "auto", 90), 2)


def test_weights_for_large_inputs_are_shown_small_ones_unless_a_size_is_asked_for(tmp_path: Path) -> None:
    cfg = {"input_size": [3, 518, 518]}
    args = {**networks.TINY["dinov2"][1]}
    folder = networks.timm_folder(tmp_path / "dinov2", "dinov2", pretrained_cfg=cfg, model_args=args)
    assert choose(str(folder), "auto", None).preprocess.size == (224, 224)
    assert choose(str(folder), "auto", 518).preprocess.size == (518, 518)


def test_imported_weights_are_found_by_their_name_and_checked(tmp_path: Path, cache: Path) -> None:
    folder = networks.timm_folder(tmp_path / "mine", "vit", classes=4)
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n", encoding="utf-8")
    found = import_weights(folder, "leaves-vit")
    assert found.folder == cache / "weights" / "leaves-vit"
    source = choose("leaves-vit", "auto", None)
    assert (source.backbone, source.weights, source.licence) == ("vit_tiny_patch16_224", "leaves-vit", "cc-by-nc-4.0")
    assert choose(None, "leaves-vit", None) == source
    entry = next(entry for entry in source.ledger() if entry.part == "weights")
    assert (entry.commercial, entry.note) == (False, "no commercial use")
    row = next(row for row in rows() if row.name == "leaves-vit")
    assert row.available
    assert row.parameters == pytest.approx(0.1)
    assert row.licence_note == "no commercial use"
    assert import_weights(folder, "leaves-vit") == found  # the same ones again
    other = networks.timm_folder(tmp_path / "other", "siglip")
    with pytest.raises(UsageError, match="other weights are called 'leaves-vit' already"):
        import_weights(other, "leaves-vit")
    weights = load_file(found.file)
    save_file({**weights, "norm.bias": weights["norm.bias"] + 1}, found.file)
    with pytest.raises(ModelError, match="not the file that was imported"):
        choose("leaves-vit", "auto", None)


def test_a_file_alone_is_imported_by_its_architecture(tmp_path: Path) -> None:
    import timm

    network = timm.create_model("test_resnet", num_classes=5)
    file = tmp_path / "test_resnet.mine.safetensors"
    save_file(network.state_dict(), file)
    found = import_weights(file)
    assert (found.name, found.architecture, found.outputs) == ("test_resnet.mine", "test_resnet", 5)
    assert create(choose("test_resnet.mine", "auto", None), 2) is not None
    file.rename(tmp_path / "weights.safetensors")
    with pytest.raises(UsageError, match="tells no architecture of timm: name it with --architecture"):
        import_weights(tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match="do not fit test_vit"):
        import_weights(tmp_path / "weights.safetensors", "x", "test_vit")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architecture": "no_such_network"}, "should name an architecture of timm"),
        ({"architecture": None, "model_type": "dinov2"}, "got 'dinov2': fetch the repository of the owner 'timm'"),
        ({"model_args": {"depth": 100_000}}, "has arguments that no network"),
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "has arguments that no network"),
        ({"model_args": {"pretrained": True}}, "has arguments that no network"),
        ({"model_args": {"depth": 150, "embed_dim": 4096, "num_heads": 2}}, "too small for a network"),
        ({"model_args": {"embed_dim": 48, "depth": 3, "num_heads": 2, "img_size": 64}}, "do not fit"),
        ({"num_classes": -1}, "num_classes"),
        ({"pretrained_cfg": {"input_size": [1, 64, 64]}}, "three colours"),
        ({"pretrained_cfg": {"mean": [float("nan"), 0, 0]}}, "three colours"),
    ],
)
def test_folders_that_are_not_what_they_should_be_are_refused(
    tmp_path: Path, config: dict[str, object], message: str
) -> None:
    folder = networks.timm_folder(tmp_path / "bad", "vit", **config)
    with pytest.raises(ModelError, match=message):
        import_weights(folder)
    assert not store.kept()


def test_pickles_and_damaged_files_are_refused(tmp_path: Path) -> None:
    folder = networks.timm_folder(tmp_path / "bad", "vit")
    (folder / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match=r"damaged|too small|do not fit"):
        import_weights(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"one safetensors file only \(pytorch_model.bin would run code"):
        import_weights(folder)
    with pytest.raises(ModelError, match=r"should be a \.safetensors file"):
        import_weights(folder / "pytorch_model.bin")


def test_random_weights_of_a_folder_are_nobodys(tmp_path: Path) -> None:
    source = choose(str(networks.timm_folder(tmp_path / "vit", "vit")), "none", None)
    assert source.weights == "none"
    assert source.args["embed_dim"] == 32
    assert [entry.part for entry in source.ledger()] == ["code", "code", "training data"]


def test_a_name_cannot_lead_out_of_the_cache(tmp_path: Path) -> None:
    folder = networks.timm_folder(tmp_path / "vit", "vit")
    for name in ("../x", "a/../../x", "a b", ""):
        with pytest.raises(UsageError, match="a name of weights should have"):
            store.keep(read_weights_folder(folder), name, 1, 1)


def test_a_record_is_json_that_people_can_read(tmp_path: Path) -> None:
    found = import_weights(networks.timm_folder(tmp_path / "vit", "vit"))
    record = json.loads((found.folder / RECORD).read_text(encoding="utf-8"))
    assert record["architecture"] == "vit_tiny_patch16_224"
    assert record["sha256"] == found.sha256
    assert record["parameters"] > 10_000
    assert Preprocess(tuple(record["size"])).size == (64, 64)


def test_networks_with_feature_levels_detect_and_segment_others_are_refused(tmp_path: Path) -> None:
    from photovision.models.detector import DetectorNetwork
    from photovision.models.segmenter import SegmenterNetwork

    pictures = torch.rand(1, 3, 64, 64)
    source = choose(str(networks.timm_folder(tmp_path / "convnext", "convnext", classes=4)), "auto", 64)
    with torch.no_grad():
        assert DetectorNetwork(source, 2).eval()(pictures).shape[2] == 6
        assert SegmenterNetwork(source, 2, instances=False).eval()(pictures).shape == (1, 2, 32, 32)
    for name in ("vit", "dinov3"):
        one = choose(str(networks.timm_folder(tmp_path / name, name)), "auto", 64)
        with pytest.raises(UsageError, match="no maps of three resolutions"):
            DetectorNetwork(one, 2)
        with pytest.raises(UsageError, match="no maps of several resolutions"):
            SegmenterNetwork(one, 2, instances=False)


def test_the_command_line_imports_and_lists(tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = networks.timm_folder(tmp_path / "ours", "convnext", classes=3)
    assert run(["weights", "import", str(folder), "--name", "ours-2"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(cache / "weights" / "ours-2")
    assert "--backbone ours-2" in err
    assert run(["weights", "list"]) == 0
    listed = capsys.readouterr().out
    assert "ours-2" in listed
    assert "top-1 82.9%" in listed
    assert "cc-by-nc-4.0: no commercial use" in listed
    assert run(["weights", "list", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["ours-2"]["available"]
    assert entries["dfine-s"]["source"] == "D-FINE's README"
    assert run(["weights", "get", "resnet5000"]) == 2
    assert "did you mean resnet50" in capsys.readouterr().err
    assert run(["weights", "import", str(folder), "-o", str(tmp_path / "model")]) == 2
    assert "--output is for detectors" in capsys.readouterr().err
