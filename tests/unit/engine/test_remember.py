"""What a finished model remembers of its images: every class among them, embeddings with their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from colours import colour_bundle, colour_picture
from scenes import semantic

from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.engine.load import load
from photovision.engine.remember import chosen, names_of, remember_embeddings
from photovision.runtime.held_out import read_held_out
from photovision.runtime.neighbours import MAX_IMAGES, read_references

CLASSES = ("red", "green", "blue")


def _pictures(count: int) -> Dataset:
    names = [CLASSES[i % 3] for i in range(count)]
    return dataset_from_arrays([np.asarray(colour_picture(name, i)) for i, name in enumerate(names)], names, CLASSES)


def test_references_and_predictions_for_held_out_images_are_written(tmp_path: Path) -> None:
    folder = colour_bundle(tmp_path / "model")
    predicted = remember_embeddings(load(folder), _pictures(30), _pictures(12), folder, 0)
    known, held_out = read_references(folder), read_held_out(folder)
    assert known is not None
    assert held_out is not None
    assert known.labels == CLASSES * 10
    assert held_out.best.tolist() == [0, 1, 2] * 4
    assert predicted.positions is not None
    assert predicted.positions.tolist() == list(range(12))
    assert predicted.embedding is not None
    similar = known.nearest(predicted.embedding[1], 1)[0]
    assert similar.label == "green"


def test_of_many_images_every_class_is_remembered() -> None:
    blank = np.zeros((1, 1, 3), np.uint8)
    kinds = [("often",)] * (MAX_IMAGES + 500) + [("often", "rare")] * 3
    samples = tuple(Sample(str(i), blank, kind) for i, kind in enumerate(kinds))
    many = Dataset(samples, ("often", "rare"), multilabel=True)
    rows = chosen(many, 0)
    assert len(rows) == MAX_IMAGES
    assert rows.tolist()[-3:] == [MAX_IMAGES + 500 + i for i in range(3)]
    assert rows.tolist() == chosen(many, 0).tolist() != chosen(many, 1).tolist()


def test_the_classes_of_an_image_are_its_labels_else_those_of_its_pixels() -> None:
    scene = semantic(1).samples[0]
    assert names_of(scene) == ("disc", "square")
    assert names_of(Sample("a", scene.image, annotations=scene.annotations)) == ("background", "disc", "square")
    assert names_of(Sample("b", scene.image)) == ()
