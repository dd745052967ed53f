"""Vectors in cells find nearly what an exact search finds, from files, too, and with others that came later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from photovision.core.errors import ModelError
from photovision.retrieval.engine import NOTHING, Layered, approximate, exact, read_nearest, recall, write_nearest


def rows(count: int, seed: int) -> np.ndarray:
    """float32 (count, 32) of norm 1, in clusters, as features of photographs are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(60, 32))
    found = centres[rng.integers(60, size=count)] + 0.5 * rng.normal(size=(count, 32))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def test_cells_recall_nearly_all_and_can_be_kept_in_files(tmp_path: Path) -> None:
    vectors, ids = rows(4000, 1), np.arange(4000) * 3 + 1
    cells = approximate(ids, vectors)
    assert recall(cells, vectors) > 0.9
    assert recall(exact(ids, vectors), vectors) == 1
    write_nearest(cells, tmp_path / "copies")
    again = read_nearest(tmp_path / "copies")
    queries = rows(20, 2)
    assert np.array_equal(again.search(queries, 5)[1], cells.search(queries, 5)[1])
    later = Layered(again, exact(np.array([77_777]), queries[:1]))
    assert later.search(queries[:1], 3)[1][0, 0] == 77_777
    (tmp_path / "copies.faiss").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot be read"):
        read_nearest(tmp_path / "copies")


def test_few_vectors_give_few_results() -> None:
    few = exact(np.array([5, 9]), rows(2, 1))
    assert few.search(rows(1, 1), 10)[1].shape == (1, 2)
    none = exact(np.empty(0, np.int64), rows(0, 1))
    assert none.search(rows(1, 1), 10)[1].tolist() == [[NOTHING]]


def test_a_search_leaves_the_threads_of_others_as_they_were() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert exact(np.arange(50), rows(50, 1)).search(rows(50, 1)[:3], 1)[1][:, 0].tolist() == [0, 1, 2]
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
