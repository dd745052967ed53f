"""What notebooks show: pictures with their answers, names that are harmless."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from photovision.core.notebook import Html, bar, table
from photovision.core.preprocess import Preprocess
from photovision.core.regions import Detections, Mask, Segmentation
from photovision.core.shapes import Rle
from photovision.core.types import Attribution, Classes, Image, Sample
from photovision.data.dataset import Dataset
from photovision.tasks.anomaly.heatmap import HotRegion
from photovision.tasks.anomaly.prediction import Anomaly

HOSTILE = "<script>alert(1)</script>\x1b[2J"
PICTURE = np.full((60, 90, 3), (40, 90, 160), np.uint8)
BOXES = Detections(np.float32([[10, 10, 50, 40]]), np.array([0]), (HOSTILE,), np.float32([0.75]))
MAP = np.zeros((60, 90), np.int32)
MAP[:, 45:] = 1
ANSWERS = {
    "Classes": Classes(np.float32([0.9, 0.1]), (HOSTILE, "dog")),
    "Classes, unknown": Classes(np.float32([0.9, 0.1]), (HOSTILE, "dog"), known=False),
    "Classes, none true": Classes(np.float32([0.1, 0.1]), (HOSTILE, "dog"), multilabel=True),
    "Detections": BOXES,
    "Segmentation": Segmentation(MAP, (HOSTILE, "road")),
    "Mask": Mask(MAP == 1, 0.9),
    "Anomaly": Anomaly(3.0, 0.01, "anomalous", np.full((6, 9), 2, np.float32), (HotRegion((0, 0, 9, 9), 2.0, 0.1),)),
    "Attribution": Attribution(np.float32([[0, 0], [0, 1]]), HOSTILE, "cam", preprocess=Preprocess((32, 32), "crop")),
}


def pictures(html: str) -> list[Image]:
    """The pictures in a piece of HTML."""
    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", html)
    return [np.asarray(Pillow.open(io.BytesIO(base64.b64decode(one)))) for one in found]


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_shown_beside_its_picture(kind: str) -> None:
    answer = ANSWERS[kind]
    alone, both = answer._repr_html_(), answer.with_picture(PICTURE)._repr_html_()
    assert "<script" not in both
    assert "\x1b" not in both
    assert pictures(alone) == []
    (shown,) = pictures(both)
    assert shown.shape[0] / shown.shape[1] == pytest.approx(60 / 90, abs=0.02)
    assert alone in both


@pytest.mark.parametrize("kind", ["Detections", "Segmentation", "Mask", "Anomaly", "Attribution"])
def test_what_lies_in_places_is_drawn_over_the_picture(kind: str) -> None:
    answer = ANSWERS[kind]
    drawn = answer.drawn(PICTURE, 90).astype(int)
    assert np.abs(drawn - PICTURE).max() > 40
    assert (PICTURE == (40, 90, 160)).all()


def test_a_picture_that_is_gone_leaves_the_answer(tmp_path: Path) -> None:
    answer = ANSWERS["Classes"]
    assert answer.with_picture(tmp_path / "gone.png")._repr_html_() == answer._repr_html_()


def test_a_picture_is_no_part_of_what_programs_get() -> None:
    answer = ANSWERS["Classes"].with_picture(PICTURE)
    assert answer.to_json() == ANSWERS["Classes"].to_json()
    assert "picture" not in repr(answer)


def test_tables_and_bars() -> None:
    assert table(("a", "b"), [("<", 1)]).count("&lt;") == 1
    assert "width:100.0%" in bar(7)
    assert str(Html("<b>x</b>")) == Html("<b>x</b>")._repr_html_()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Four pictures of two classes, one of them unreadable, with an attribute."""
    Pillow.fromarray(PICTURE).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    samples = (
        Sample(HOSTILE, tmp_path / "a.png", (HOSTILE,), {"camera": "A"}),
        Sample("b", tmp_path / "b.png", ("dog",)),
        Sample("c", PICTURE, (HOSTILE,)),
        Sample("d", PICTURE, None),
    )
    return Dataset(samples, (HOSTILE, "dog"), {"train": (0, 1), "test": (2,)})


def test_a_data_set_is_a_grid_of_pictures(dataset: Dataset) -> None:
    html = dataset._repr_html_()
    assert "<script" not in html
    assert len(pictures(html)) == 3
    assert "cannot be read" in html
    assert "4 pictures, 2 classes" in html
    assert len(pictures(dataset.show(1)._repr_html_())) == 1
    assert repr(dataset).startswith("Dataset(4 pictures, 2 classes: ")
    assert "\x1b" not in repr(dataset)


def test_a_data_set_is_a_sequence(dataset: Dataset) -> None:
    assert dataset[1].id == "b"
    assert dataset[-1].id == "d"
    assert [sample.id for sample in dataset[1:3]] == ["b", "c"]
    assert [sample.id for sample in dataset] == [HOSTILE, "b", "c", "d"]
    with pytest.raises(IndexError):
        dataset[4]


def test_a_sample_shows_its_annotations(dataset: Dataset) -> None:
    mask = Rle.of(MAP == 1)
    objects = Detections(BOXES.boxes, BOXES.labels, BOXES.classes, masks=(mask,))
    (plain,) = pictures(Sample("x", PICTURE, ("dog",))._repr_html_())
    html = Sample("x", PICTURE, ("dog",), {"camera": "<A>"}, objects)._repr_html_()
    (drawn,) = pictures(html)
    assert "&lt;A&gt;" in html
    assert drawn.shape[1] > plain.shape[1]
    assert "dog" in html
    assert "cannot be read" in dataset[1]._repr_html_()


def test_a_data_set_as_a_data_frame(dataset: Dataset) -> None:
    frame = dataset.to_pandas()
    assert list(frame.columns) == ["id", "file", "split", "label", "camera"]
    assert frame["split"].tolist()[:3] == ["train", "train", "test"]
    assert frame["label"].isna().tolist() == [False, False, False, True]
    boxes = Dataset((Sample("x", PICTURE, ("dog",), annotations=BOXES),), (HOSTILE, "dog"), annotation_type="boxes")
    assert boxes.to_pandas()["objects"].tolist() == [1]
    assert boxes.to_pandas()["labels"].tolist() == [("dog",)]
