"""Pictures of people are learned from by a generator only where a register covers everybody in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faces_of import astronaut, london, needs_weights
from PIL import Image
from skimage import data

import photovision as pv
from photovision.data.read import dataset_from_arrays
from photovision.faces.consent import people_agreed
from photovision.faces.register import FaceStore

pytestmark = needs_weights


def test_pictures_without_people_pass_and_one_face_among_many_does() -> None:
    plain = [np.asarray(getattr(data, name)(), np.uint8) for name in ("chelsea", "coffee", "rocket")] * 10
    assert people_agreed(dataset_from_arrays([*plain, astronaut()], ["a"] * 31), {}) == ""


def test_pictures_of_people_are_refused_before_anything_is_learned(tmp_path: Path) -> None:
    people = dataset_from_arrays([astronaut()] * 8, ["a", "b"] * 4)
    with pytest.raises(pv.UsageError, match=r"8 of 8 pictures show a face.*--register"):
        pv.train(people, tmp_path / "model", task="generate", minutes=0.5, listener=pv.silent)
    assert not (tmp_path / "model").exists()


def test_a_register_covers_those_who_are_in_it(tmp_path: Path, shared_data: Path) -> None:
    people = london(shared_data, 3)
    names = list(people)
    with FaceStore(tmp_path / "store", key=tmp_path / "key", create=True) as store:
        for name in names[:2]:
            store.enroll(name, people[name][:1], purpose="a test", basis="consent", until="2099-01-01")
    key = pytest.MonkeyPatch()
    key.setenv("PHOTOVISION_FACES_KEY", str(tmp_path / "key"))
    try:
        known = [np.asarray(Image.open(people[name][1]).convert("RGB")) for name in names]
        covered, given = dataset_from_arrays(known[:2], ["a", "b"]), {"register": tmp_path / "store"}
        assert people_agreed(covered, given) == ""
        with pytest.raises(pv.UsageError, match="shows 1 face of nobody in"):
            people_agreed(dataset_from_arrays(known, ["a", "b", "a"]), given)
    finally:
        key.undo()
