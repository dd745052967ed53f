"""What a classifier keeps of its validation pictures comes back, within its bounds, or is refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photovision.core.errors import ModelError
from photovision.runtime.validation import (
    MAX_IMAGES,
    VALIDATION_FILE,
    ValidationOutputs,
    read_validation,
    write_validation,
)


def some(n: int, classes: int = 4) -> ValidationOutputs:
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(n, 8)).astype(np.float32)
    return ValidationOutputs(
        rng.normal(0, 5, (n, classes)).astype(np.float32),
        rng.integers(classes, size=n),
        embedding / np.linalg.norm(embedding, axis=1, keepdims=True),
        np.arange(n) // 3 + 7,
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    kept = some(50)
    write_validation(kept, tmp_path)
    found = read_validation(tmp_path, 4)
    assert found is not None
    assert np.allclose(found.logits, kept.logits, rtol=2e-3, atol=1e-3)
    assert found.truth.tolist() == kept.truth.tolist()
    assert np.allclose(found.embedding, kept.embedding, atol=1e-3)
    assert np.array_equal(found.component, kept.component - 7)
    assert read_validation(tmp_path / "nothing", 4) is None


def test_similarity_and_distance_are_kept_where_they_are_given(tmp_path: Path) -> None:
    similarity, distance = np.linspace(0, 1, 50, dtype=np.float32), np.arange(50, dtype=np.float32)
    write_validation(replace(some(50), similarity=similarity, distance=distance), tmp_path)
    found = read_validation(tmp_path, 4)
    assert found is not None
    assert found.at(np.array([3, 7])).distance.tolist() == [3, 7]  # type: ignore[union-attr]
    assert np.array_equal(found.similarity, similarity)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="one finite number each"):
        replace(some(50), distance=distance[:49])


def test_it_stays_small(tmp_path: Path) -> None:
    write_validation(some(1500), tmp_path)
    found = read_validation(tmp_path, 4)
    assert found is not None
    assert len(found) == MAX_IMAGES
    write_validation(some(300, 20_000), tmp_path)
    assert (tmp_path / VALIDATION_FILE).stat().st_size < 2_200_000


@pytest.mark.parametrize("damage", ["bytes", "classes", "truth", "nan", "rows"])
def test_a_damaged_file_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    write_validation(some(20), tmp_path)
    arrays = {
        "logits": np.zeros((20, 4), np.float16),
        "truth": np.zeros(20, np.int32),
        "embedding": np.zeros((20, 8), np.float16),
        "component": np.zeros(20, np.int32),
    }
    if damage == "bytes":
        (tmp_path / VALIDATION_FILE).write_bytes(b"something else")
    else:
        changed = {
            "classes": {"logits": np.zeros((20, 3), np.float16)},
            "truth": {"truth": np.full(20, 4, np.int32)},
            "nan": {"logits": np.full((20, 4), np.nan, np.float16)},
            "rows": {"component": np.zeros(19, np.int32)},
        }
        save_file({**arrays, **changed[damage]}, tmp_path / VALIDATION_FILE)
    with pytest.raises(ModelError, match="damaged") as caught:
        read_validation(tmp_path, 4)
    assert "\n" not in str(caught.value)
