"""Adoption: the preparation of somebody else's network is found, or asked for; what is not known of it is stated."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign import BYTE, IMAGENET, OLD, ZERO, disguised
from onnx import helper, numpy_helper
from PIL import Image, ImageDraw

import photovision as pv
from photovision.core.errors import DataError, ModelError, UsageError
from photovision.engine.adopt_text import doubts
from photovision.engine.recognise_layout import ForeignModel, decide, halves
from photovision.models.foreign_graph import read_foreign
from photovision.models.preparation import StatedPreparation

CLASSES = "disc", "square"


def drawn(folder: Path, count: int = 96) -> Path:
    """Discs and squares of the kind that the old bundles learned from, a folder per class."""
    rng = np.random.default_rng(7)
    for number in range(count):
        kind = number % 2
        ground = np.clip(rng.uniform(40, 110, 3) + rng.normal(0, 9, (32, 32, 1)), 0, 255).astype(np.uint8)
        picture = Image.fromarray(ground)
        side = int(rng.uniform(13, 19))
        left, top = (int(value) for value in rng.uniform(0, 32 - side, 2))
        colour = tuple(
            int(value) for value in np.array([(225, 130, 60), (60, 130, 225)][kind]) + rng.integers(-25, 25, 3)
        )
        draw = ImageDraw.Draw(picture)
        (draw.rectangle if kind else draw.ellipse)((left, top, left + side - 1, top + side - 1), fill=colour)
        (folder / CLASSES[kind]).mkdir(parents=True, exist_ok=True)
        picture.save(folder / CLASSES[kind] / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pv.Dataset:
    return pv.read_dataset(drawn(tmp_path_factory.mktemp("adopt") / "data"))


@pytest.fixture(scope="module")
def adopted(data: pv.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A network that wants BGR from 0 to 255, last, one picture at a time."""
    folder = tmp_path_factory.mktemp("adopted")
    graph = disguised(folder / "theirs.onnx", mean=ZERO, std=BYTE, channels="bgr", last=True, batch=1)
    return pv.adopt(graph, folder / "model", classes=CLASSES, data=data)


def test_the_preparation_is_found_on_labelled_pictures(adopted: Any) -> None:
    assert adopted.info["adoption"]["channels"] == "bgr"
    assert adopted.preprocess.mean == ZERO
    assert adopted.preprocess.std == pytest.approx(BYTE)
    assert adopted.info["metrics"]["accuracy"]["value"] > 0.9


def test_its_predictions_are_those_of_the_network_that_was_disguised(adopted: Any, data: pv.Dataset) -> None:
    own = pv.load(OLD / "classify" / "model")
    pictures = [sample.image for sample in data.samples[:12]]
    logits = [[next(model.with_outputs([one]))[1]["logits"] for one in pictures] for model in (own, adopted)]
    assert np.abs(np.array(logits[0]) - np.array(logits[1])).max() < 0.05


def test_what_is_not_known_heads_its_report_and_card(adopted: Any) -> None:
    report, card = ((adopted.bundle.path / name).read_text() for name in ("report.md", "README.md"))
    first = report.split("\n\n")[1].splitlines()[0]
    assert "Fit with care" in first  # however good the figures are
    assert "training pictures of this adopted model are unknown" in first
    assert "any picture may have been one" in card
    assert "licence is unknown" in card.lower()
    assert adopted.info["accuracy_by_similarity"]["missing"]
    sheet = (adopted.bundle.path / "DATASHEET.md").read_text()
    assert "was adopted with" in sheet
    assert "training 2" not in sheet


def test_it_is_calibrated_and_has_sets_novelty_and_an_embedding(adopted: Any, data: pv.Dataset) -> None:
    assert adopted.info["adoption"]["calibrated"]
    answer = adopted.predict(data.samples[0].image)
    assert answer.prediction_set
    assert adopted.session.run(np.zeros((2, 32, 32, 3), np.uint8))["embedding"].shape[0] == 2


def test_pictures_of_the_half_that_fitted_it_do_not_judge_it_again(adopted: Any, data: pv.Dataset) -> None:
    report = pv.evaluate(adopted, data)
    assert report.provenance["data"]["pictures"] <= len(data) // 2 + 2
    assert "its adoption" in report.summary[-1].replace("the model's", "its")
    assert "not known" in report.summary[-1]


def test_one_picture_says_nothing_about_the_scale_so_it_is_asked_for(data: pv.Dataset, tmp_path: Path) -> None:
    graph = disguised(tmp_path / "theirs.onnx", mean=(0.5,) * 3, std=(0.5,) * 3)
    with pytest.raises(UsageError, match="--range"):
        pv.adopt(graph, tmp_path / "model", classes=CLASSES, data=data.subset(range(10)))
    assert not (tmp_path / "model").exists()


def test_what_is_stated_is_obeyed_and_rivals_are_named(data: pv.Dataset, tmp_path: Path) -> None:
    graph = disguised(tmp_path / "theirs.onnx", mean=(0.5,) * 3, std=(0.5,) * 3)
    given = StatedPreparation(channels="rgb", range="-1-1", fit="squash")
    model = pv.adopt(graph, tmp_path / "model", classes=CLASSES, data=data, given=given)
    assert model.info["adoption"]["preparation"].startswith("RGB, -1 to 1")


def test_without_pictures_the_preparation_must_be_stated(tmp_path: Path) -> None:
    graph = disguised(tmp_path / "theirs.onnx", mean=IMAGENET[0], std=IMAGENET[1])
    with pytest.raises(UsageError, match="--data"):
        pv.adopt(graph, tmp_path / "model", classes=CLASSES)
    given = StatedPreparation(channels="rgb", mean=IMAGENET[0], std=IMAGENET[1])
    model = pv.adopt(graph, tmp_path / "model", classes=CLASSES, given=given, licence="mit")
    card = (tmp_path / "model" / "README.md").read_text()
    assert not model.info["adoption"]["calibrated"]
    assert "not calibrated" in card
    assert "licence is unknown" not in card.lower()
    assert model.doubt is None


@pytest.mark.parametrize("kind", ["Softmax", "Sigmoid"])
def test_probabilities_are_told_from_logits(kind: str, data: pv.Dataset, tmp_path: Path) -> None:
    tail = [helper.make_node(kind, ["old/logits"], ["probabilities"])]
    graph = disguised(tmp_path / "theirs.onnx", tail=tail, shapes={"probabilities": ["N", 2]})
    given = StatedPreparation(channels="rgb", range="0-1", fit="squash")
    model = pv.adopt(graph, tmp_path / "model", classes=CLASSES, data=data, given=given)
    assert model.info["adoption"]["layout"] == kind.lower()
    assert not model.multilabel  # the data has one class a picture
    assert model.info["metrics"]["accuracy"]["value"] > 0.9


def test_a_graph_that_takes_bytes_prepares_them_itself(data: pv.Dataset, tmp_path: Path) -> None:
    model = pv.adopt(OLD / "classify" / "model" / "model.onnx", tmp_path / "model", classes=CLASSES, data=data)
    assert model.info["adoption"]["preparation"].startswith("RGB, 0 to 255")
    assert model.info["metrics"]["accuracy"]["value"] > 0.9


@pytest.mark.parametrize("right", [True, False])
def test_what_an_origin_states_is_kept_unless_another_is_better(right: bool, data: pv.Dataset, tmp_path: Path) -> None:
    graph = read_foreign(disguised(tmp_path / "theirs.onnx", mean=ZERO, std=BYTE, channels="bgr"))
    stated = pv.Preprocess((32, 32), mean=ZERO, std=BYTE if right else (1.0, 1.0, 1.0))
    graph = replace(graph, stated=stated, channels="bgr" if right else "rgb")
    meaning = decide(ForeignModel(graph, CLASSES, StatedPreparation()), halves(data, 0))
    assert (meaning.preparation.channels, meaning.preparation.normalisation) == ("bgr", "0 to 255")
    warnings = doubts(meaning)
    assert warnings == [] if right else "states another preparation" in warnings[0]


def test_classes_in_another_order_are_noticed(data: pv.Dataset, tmp_path: Path) -> None:
    graph = disguised(tmp_path / "theirs.onnx")
    given = StatedPreparation(channels="rgb", range="0-1", fit="squash")
    model = pv.adopt(graph, tmp_path / "model", classes=CLASSES[::-1], data=data, given=given)
    assert any("other order" in warning for warning in model.info["warnings"])


def _external(path: Path) -> Path:
    model = onnx.load(disguised(path))
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    path.write_bytes(model.SerializeToString())
    return path


def _renamed(name: str) -> Callable[[Path], Path]:
    def made(path: Path) -> Path:
        return Path(shutil.copy(disguised(path), path.with_name(name)))

    return made


def _garbage(path: Path) -> Path:
    path.write_bytes(b"\x80\x04\x95not a graph")
    return path


def _two_inputs(path: Path) -> Path:
    model = onnx.load(disguised(path))
    model.graph.input.append(helper.make_tensor_value_info("sizes", onnx.TensorProto.INT64, [1, 2]))
    onnx.save(model, str(path))
    return path


def _grey(path: Path) -> Path:
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, 8, 8])
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 1, 8, 8])
    node = helper.make_node("Mul", ["x", "k"], ["y"])
    graph = helper.make_graph([node], "g", [value], [out], [numpy_helper.from_array(np.ones(1, np.float32), "k")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (_external, "other files"),
        (_renamed("theirs.pt"), "ONNX"),
        (_renamed("theirs.pkl"), "code"),
        (_garbage, "not a whole ONNX"),
        (_two_inputs, "2 inputs"),
        (_grey, "take pictures"),
    ],
    ids=["external weights", "pt", "pickle", "garbage", "two inputs", "grey"],
)
def test_files_that_are_no_networks_for_pictures_are_refused(
    made: Callable[[Path], Path], word: str, tmp_path: Path
) -> None:
    with pytest.raises((ModelError, UsageError), match=word) as caught:
        pv.adopt(made(tmp_path / "theirs.onnx"), tmp_path / "model", classes=CLASSES)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"disc\ndisc\n", "different name"), (b"\xff\xfe\x00", "UTF-8"), (b"a\n" * 30_000, "1 to 20,000"), (b"", "1 to")],
    ids=["twice", "binary", "many", "empty"],
)
def test_lists_of_classes_are_checked(content: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(DataError, match=word):
        pv.adopt(disguised(tmp_path / "t.onnx"), tmp_path / "model", classes=tmp_path / "names.txt")


def test_a_number_of_classes_that_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="3 classes"):
        pv.adopt(disguised(tmp_path / "t.onnx"), tmp_path / "model", classes=("a", "b", "c"))
