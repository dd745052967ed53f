"""What a detector finds on a shelf is recognised by a catalogue of pictures, where the truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from contract.tiny import save, shapes
from PIL import Image

import photovision as pv
from photovision.recipes.products.page import report
from photovision.recipes.products.products import identify
from photovision.recipes.shelf.visits import AlignedView
from photovision.retrieval.index import Index

MODEL = Path(__file__).parents[2] / "contract" / "bundles_0_1" / "classify" / "model"
KINDS, SEED = ("disc", "square"), 92


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of pictures of discs and squares, a folder each, made by a model that knows them."""
    top = tmp_path_factory.mktemp("catalogue")
    for number in range(24):
        kind = number % 2
        save(shapes(number, (32, 32), 1, (kind,))[0], top / "pictures" / KINDS[kind] / f"{number}.png")
    pv.index(top / "pictures", top / "index", model=MODEL, check=0).close()
    return top / "index"


def view_of(folder: Path, boxes: list[tuple[int, ...]], picture: np.ndarray) -> AlignedView:
    """A shelf with "things", which is all that the detector knows."""
    Image.fromarray(picture).save(folder / "shelf.png")
    numbers = np.zeros(len(boxes), np.int64)
    found = pv.Detections(np.array(boxes, np.float32), numbers, ("thing",), np.full(len(boxes), 0.9, np.float32))
    return AlignedView("shelf", str(folder / "shelf.png"), picture.shape[:2], found, np.ones(len(boxes), bool))


def test_objects_get_the_names_of_their_products(catalogue: Path, tmp_path: Path) -> None:
    picture, things = shapes(SEED, (64, 144), 3)
    view = view_of(tmp_path, [box for _, box in things], picture)
    with Index(catalogue) as opened:
        shelf = identify(opened, view)
    assert [one.product for one in shelf.products] == [name for name, _ in things]
    assert {one.label for one in shelf.products} == {"thing"}
    made = report([shelf], [], "catalogue", "detector")
    assert made.summary == ("3 objects in 1 picture: 3 of 2 products, 0 not in the catalogue.",)
    document = json.loads(json.dumps(made.to_json()))
    assert document["pictures"][0]["counts"] == dict(shelf.counts)
    assert len(made.figures) == 1


def test_a_box_too_small_to_see_anything_in_is_not_searched_for(catalogue: Path, tmp_path: Path) -> None:
    view = view_of(tmp_path, [(5, 5, 8, 9)], shapes(SEED, (64, 144), 3)[0])
    with Index(catalogue) as opened:
        (one,) = identify(opened, view).products
    assert one.product is None
    assert one.results == ()
