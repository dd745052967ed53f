"""References: the nearest training pictures are the nearest, and a damaged file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from photovision.core.errors import ModelError
from photovision.runtime.neighbours import REFERENCES_FILE, NeighbourIndex, read_references, write_references


def some(count: int = 50, width: int = 8) -> NeighbourIndex:
    points = np.random.default_rng(0).normal(size=(count, width))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return NeighbourIndex(points.astype(np.float16), tuple(f"{i}.jpg" for i in range(count)), ("a", "b") * (count // 2))


def test_a_picture_is_nearest_to_itself() -> None:
    known = some()
    for row in (0, 7, 49):
        first, second = known.nearest(known.embeddings[row].astype(np.float32), 2)
        assert first.id == f"{row}.jpg"
        assert first.label == known.labels[row]
        assert first.similarity == pytest.approx(1, abs=2e-3)
        assert second.similarity <= first.similarity


def test_more_neighbours_than_there_are_gives_all() -> None:
    assert len(some(4).nearest(np.ones(8, np.float32), 10)) == 4


def test_written_and_read_again_they_are_the_same(tmp_path: Path) -> None:
    known = some()
    write_references(known, tmp_path)
    again = read_references(tmp_path)
    assert again is not None
    assert np.array_equal(again.embeddings, known.embeddings)
    assert (again.ids, again.labels) == (known.ids, known.labels)


def test_nothing_there_is_none_and_damage_is_said(tmp_path: Path) -> None:
    assert read_references(tmp_path) is None
    (tmp_path / REFERENCES_FILE).write_bytes(b"something else")
    with pytest.raises(ModelError, match="damaged"):
        read_references(tmp_path)


def test_names_and_embeddings_must_fit() -> None:
    with pytest.raises(ModelError, match="as many names"):
        NeighbourIndex(np.zeros((3, 2), np.float16), ("a",), ("x",))
