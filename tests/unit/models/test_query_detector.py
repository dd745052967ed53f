"""Detectors with queries: what a folder of one must be, what is built from it, and its graph."""

from __future__ import annotations

import importlib.util
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from boxed import boxed_samples
from queries import SIDE, TINY, tiny, tiny_folder

from photovision.core.errors import LicenceError, MissingExtra, ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.data.augment.box import UNJUDGED
from photovision.engine.load import load
from photovision.models.assign import NOTHING
from photovision.models.backbones import choose
from photovision.models.checkpoint_folder import FILES, read_folder
from photovision.models.checkpoints import CHECKPOINTS, available, describe, is_checkpoint
from photovision.models.export import Normalise
from photovision.models.import_checkpoint import adopt
from photovision.models.query_detector import QueryDetector, query_source
from photovision.models.weights import require_commercial
from photovision.runtime.session import open_session

pytest.importorskip("transformers", reason="needs the extra transformers")
FAMILIES = tuple(TINY)
SQUARE = (SIDE, SIDE)


def pictures(count: int) -> np.ndarray:
    return np.stack([Preprocess(SQUARE).apply(np.asarray(sample.image)) for sample in boxed_samples(count)])


def edited(folder: Path, change: Callable[[dict[str, Any]], object], file: str = FILES[0]) -> Path:
    told = json.loads((folder / file).read_text())
    change(told)
    (folder / file).write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_boxes_and_logits_of_every_query_and_a_loss_that_reaches_all_of_it(family: str) -> None:
    torch.manual_seed(0)
    network = QueryDetector(tiny(family), SQUARE, ("a", "b", "c"))
    inputs = torch.rand(2, 3, *SQUARE)
    found = network.eval()(inputs)
    assert found.shape == (2, TINY[family]["num_queries"], 7)
    again, pooled = network.read(inputs)
    assert torch.equal(again, found)
    assert pooled.shape == (2, 32)  # of the coarsest map that the queries look at
    assert bool((found[..., 2:4] >= found[..., :2]).all())
    truth = torch.full((2, 3, 5), float(NOTHING))
    truth[0, 0], truth[0, 1] = torch.tensor([1.0, 5, 5, 30, 40]), torch.tensor([float(UNJUDGED), 0, 0, 9, 9])
    loss = network.train()(inputs, truth)
    loss.backward()
    below, above = network.steps()
    assert float(loss.detach()) > 0
    for part in (below, above):
        assert sum(float(p.grad.abs().sum()) for _, p in part if p.grad is not None) > 0
    assert len(below) + len(above) == len(list(network.parameters()))
    assert (
        float(network(inputs, torch.full((2, 3, 5), float(NOTHING))).detach()) > 0
    )  # pictures without objects teach, too


def test_the_truth_reaches_the_loss_as_shares_of_the_input() -> None:
    network = QueryDetector(tiny("d_fine", (64, 96)), (64, 96), ("a", "b"))
    rows = torch.tensor([[[1.0, 24, 16, 72, 48], [UNJUDGED, 0, 0, 9, 9], [NOTHING, 0, 0, 0, 0]]])
    (labels,) = network._labels(rows)
    assert labels["class_labels"].tolist() == [1]
    torch.testing.assert_close(labels["boxes"], torch.tensor([[0.5, 0.5, 0.5, 0.5]]))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_becomes_a_model_that_finds_the_same_without_training(family: str, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "theirs", family, ("cat", "dog"))
    model = load(adopt(read_folder(folder), tmp_path / "model"), threshold=0.0)
    assert model.classes == ("cat", "dog")
    assert {entry["licence"] for entry in model.info["licences"]} == {"apache-2.0", "unknown"}
    images = pictures(2)
    network = QueryDetector(read_folder(folder), SQUARE).eval()
    with torch.no_grad():
        expected = network(Normalise(model.preprocess)(torch.from_numpy(images))).numpy()
    for engine in ("openvino", "onnxruntime"):
        got = open_session(model.bundle.graph, engine=engine, precision="f32").run(images)
        rows = np.concatenate([got["boxes"] / SIDE, got["scores"]], axis=2)
        wanted = np.concatenate([expected[..., :4] / SIDE, 1 / (1 + np.exp(-expected[..., 4:]))], axis=2)
        nearest = np.abs(wanted[:, :, None] - rows[:, None]).max(3).min(2)  # equal scores may change their order
        assert nearest.max() < 1e-3
    assert len(model.predict(np.asarray(boxed_samples(1)[0].image))) > 0


def test_gaps_in_coco_numbers_are_no_classes(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "theirs", "rf_detr", ("person", "car", "dog"))
    edited(folder, lambda told: told.update(id2label={"0": "N/A", "1": "car", "2": "dog"}))
    found = read_folder(folder)
    assert (found.classes, found.columns, found.outputs) == (("car", "dog"), (1, 2), 3)
    inputs = torch.rand(1, 3, *SQUARE)
    whole = QueryDetector(found, SQUARE, ("x", "car", "dog")).eval()(inputs)
    torch.testing.assert_close(QueryDetector(found, SQUARE).eval()(inputs), whole[..., [0, 1, 2, 3, 5, 6]])


def test_a_vision_transformer_fits_another_input(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "theirs", "rf_detr")
    found = read_folder(folder)
    larger = QueryDetector(found, (96, 96), ("a",)).eval()
    assert larger(torch.rand(1, 3, 96, 96)).shape == (1, 20, 5)
    larger.save(tmp_path / "own", Preprocess((96, 96)))
    again = QueryDetector(read_folder(tmp_path / "own"), (96, 96)).eval()
    inputs = torch.rand(1, 3, 96, 96)
    torch.testing.assert_close(again(inputs), larger(inputs))
    for size in ((64, 96), (72, 72)):
        with pytest.raises(UsageError, match="a square, each side a multiple of 16"):
            QueryDetector(found, size)
    with pytest.raises(UsageError, match="a multiple of 32"):
        QueryDetector(tiny("d_fine"), (70, 64), ("a",))


def test_names_lead_to_published_weights_and_their_absence_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "socket", _refuse)
    assert {one.family for one in CHECKPOINTS.values()} == set(FAMILIES)
    with pytest.raises(UsageError, match=r"weights get dfine-s.*ustc-community/dfine-small-coco") as told:
        describe("dfine-s")
    assert "\n" not in str(told.value)
    source = query_source("rf-detr-nano", "none")
    assert (source.weights, source.preprocess.size, source.found.block) == ("none", (384, 384), 32)
    require_commercial(source.ledger())
    with pytest.raises(UsageError, match="should be auto, hub or none"):
        describe("dfine-s", "weights.pth")


def test_the_cache_of_the_hub_serves_without_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo, commit = tmp_path / "models--ustc-community--dfine-nano-coco", "0" * 40
    tiny_folder(repo / "snapshots" / commit, "d_fine", ("person", "car"))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "socket", _refuse)
    source = query_source("dfine-n")
    assert (source.weights, source.backbone, source.found.classes) == ("hub", "dfine-n", ("person", "car"))
    assert source.describe()["repo"] == "ustc-community/dfine-nano-coco"
    assert source.describe()["revision"] == commit
    require_commercial(source.ledger())
    assert available("dfine-n")
    assert not available("dfine-s")


@pytest.mark.parametrize(
    "name", ["rf-detr-xlarge", "rf-detr-2xlarge", "rfdetr-xl", "RF-DETR-2XL", "Roboflow/rf-detr-xxlarge"]
)
def test_weights_under_a_licence_that_is_not_free_are_refused_by_name(name: str) -> None:
    with pytest.raises(LicenceError, match="Platform Model License"):
        is_checkpoint(name)


def test_a_detector_is_no_backbone_of_a_classifier() -> None:
    with pytest.raises(UsageError, match="dfine-n is a whole detector"):
        choose("dfine-n", "auto", None)


def test_without_the_library_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    hidden = lambda name, *rest: None if name == "transformers" else find(name, *rest)  # noqa: E731
    monkeypatch.setattr("photovision.models.checkpoints.find_spec", hidden)
    with pytest.raises(MissingExtra, match=r"install 'transformers>=5.24'"):
        describe("dfine-n")


def test_nothing_reaches_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_folder(tmp_path / "theirs", "d_fine")
    monkeypatch.setattr(socket, "socket", _refuse)
    monkeypatch.setattr(socket, "create_connection", _refuse)
    monkeypatch.setattr(socket, "getaddrinfo", _refuse)
    QueryDetector(read_folder(folder), SQUARE).save(tmp_path / "own", Preprocess(SQUARE))


def _refuse(*args: object, **kwargs: object) -> object:
    raise AssertionError("something reached for the network")


def _deep(told: dict[str, Any]) -> None:
    told["up"] = [[[[[[[[[[[[1]]]]]]]]]]]]


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "should hold a model of the type": lambda told: told.update(model_type=["yolos"]),
    "backbone of the type hgnet_v2": lambda told: told["backbone_config"].update(model_type="timm_backbone"),
    "others would have to be fetched": lambda told: told.update(use_timm_backbone=True),
    "numbers or lists": lambda told: told.update(d_model=10**9),
    "that no such network": lambda told: told.update(decoder_layers=5_000),
    "lists that no": _deep,
    "name the classes": lambda told: told.update(id2label={"0": "a", "2": "b"}),
    "name its classes": lambda told: told.update(id2label=[]),
    "different name": lambda told: told.update(id2label={"0": "a", "1": "a"}),
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_description_that_is_not_one_is_told_in_a_line(reason: str, tmp_path: Path) -> None:
    folder = edited(tiny_folder(tmp_path / "theirs", "d_fine"), HOSTILE[reason])
    with pytest.raises(ModelError, match=reason) as told:
        read_folder(folder)
    assert "\n" not in str(told.value)


def test_what_only_building_finds_out_is_told_in_a_line_too(tmp_path: Path) -> None:
    changes: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
        ("cannot be built", lambda told: told.update(activation_function="os.system")),
        ("cannot be built", lambda told: told.update(d_model="wide")),
        ("weights, which none of its family has", lambda told: told.update(encoder_ffn_dim=20_000, encoder_layers=200)),
        ("do not fit their description", lambda told: told.update(encoder_ffn_dim=52)),
    ]
    for number, (reason, change) in enumerate(changes):
        folder = edited(tiny_folder(tmp_path / str(number), "d_fine"), change)
        with pytest.raises(ModelError, match=reason) as told:
            QueryDetector(read_folder(folder), SQUARE)
        assert "\n" not in str(told.value)


def test_weights_are_one_safetensors_file_and_nothing_else(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "theirs", "d_fine")
    whole = (folder / FILES[2]).read_bytes()
    (folder / FILES[2]).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be built"):
        QueryDetector(read_folder(folder), SQUARE)
    (folder / FILES[2]).rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickles"):
        read_folder(folder)
    (folder / FILES[0]).write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        read_folder(folder)
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        read_folder(tmp_path)


def test_the_preprocessing_of_a_folder_is_taken_over(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "theirs", "d_fine")
    theirs = {"do_normalize": False, "image_mean": [9, 9, 9], "rescale_factor": 1 / 510, "resample": 3}
    (folder / FILES[1]).write_text(json.dumps({**theirs, "size": {"height": 96, "width": 128}}))
    preprocess = read_folder(folder).preprocess
    assert preprocess == Preprocess((96, 128), interpolation="bicubic", mean=(0, 0, 0), std=(2, 2, 2))
    (folder / FILES[1]).unlink()
    assert read_folder(folder).preprocess == Preprocess((640, 640), mean=(0, 0, 0), std=(1, 1, 1))
    (folder / FILES[1]).write_text(json.dumps({"image_mean": "grey"}))
    with pytest.raises(ModelError, match="three colours"):
        read_folder(folder)


def test_a_licence_is_what_the_folder_states(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "dfine-s", "d_fine")
    with pytest.raises(LicenceError, match="unknown"):
        require_commercial(query_source(str(folder)).ledger())
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nA detector.\n")
    require_commercial(query_source(str(folder)).ledger())
    (folder / "README.md").write_text("---\ntags: x\n---\nlicense: apache-2.0\n")
    assert read_folder(folder).licence == "unknown"
