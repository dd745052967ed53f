"""Exemplars: stored features of labelled pictures, by which a classifier grows without its old pictures.

The network below the last layer stays as it is in all versions of a model, so its embeddings stay true, and a version
is a linear layer with the exemplars that it learned from and those that were held out. Kept are numbers, never pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.types import Floats, Ints

MAX_EXEMPLARS = 20_000
"""Exemplars of each kind that a version keeps at most: 50 MB for embeddings of 1,280 numbers."""


@dataclass(frozen=True, eq=False)
class Exemplars:
    """N labelled pictures as the frozen network sees them.

    Attributes:
        embedding: float16 (N, D), of unit norm.
        label: int64 (N,), class indices.
        ids: N sample ids.
        groups: attribute -> N values, "" where a picture has none.
    """

    embedding: np.ndarray
    label: Ints
    ids: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(self.label), len(self.ids), *(len(values) for values in self.groups.values())}
        if self.embedding.ndim != 2 or lengths != {len(self.embedding)}:
            raise ModelError("stored features should have as many labels, names and groups as embeddings")
        if not np.isfinite(self.embedding).all() or (len(self.label) and self.label.min() < 0):
            raise ModelError("stored features should be finite, and their labels class indices")

    def __len__(self) -> int:
        return len(self.label)

    @property
    def features(self) -> Floats:
        """float32 (N, D)."""
        return np.asarray(self.embedding, np.float32)

    def at(self, rows: Ints) -> Exemplars:
        """Some of them, by position."""
        groups = {name: tuple(values[int(row)] for row in rows) for name, values in self.groups.items()}
        ids = tuple(self.ids[int(row)] for row in rows)
        return Exemplars(self.embedding[rows], self.label[rows], ids, groups)

    def joined(self, more: Exemplars) -> Exemplars:
        """These and then those; attributes that only one of them has are empty for the others."""
        groups = {
            name: (*self.groups.get(name, ("",) * len(self)), *more.groups.get(name, ("",) * len(more)))
            for name in sorted({*self.groups, *more.groups})
        }
        embedding = np.concatenate([self.embedding, more.embedding])
        return Exemplars(embedding, np.concatenate([self.label, more.label]), (*self.ids, *more.ids), groups)

    def bounded(self, most: int, seed: int) -> Exemplars:
        """At most so many, drawn class after class, so that rare classes stay."""
        if len(self) <= most:
            return self
        order = np.random.default_rng(seed).permutation(len(self))
        turn = np.empty(len(self), np.int64)
        for number in np.unique(self.label):
            own = order[self.label[order] == number]
            turn[own] = np.arange(len(own))  # how many of its class come before it
        return self.at(np.sort(order[np.argsort(turn[order], kind="stable")[:most]]))


@dataclass(frozen=True, eq=False)
class HeadVersion:
    """One version of a growing classifier: its last layer, and what it keeps.

    Attributes:
        classes: C names.
        learned: exemplars that it learned from; held: held-out ones of new data that earlier versions brought.
        weight: float32 (C, D); None for the first version, whose own graph answers.
        bias: float32 (C,); None likewise.
        temperature: of the probabilities.
    """

    classes: tuple[str, ...]
    learned: Exemplars
    held: Exemplars
    weight: Floats | None = None
    bias: Floats | None = None
    temperature: float = 1.0

    def logits(self, exemplars: Exemplars) -> Floats:
        """float32 (N, C); only of a version with a layer of its own."""
        assert self.weight is not None
        assert self.bias is not None
        return np.asarray(exemplars.features @ self.weight.T + self.bias, np.float32)

    def bounded(self, seed: int, most: int = MAX_EXEMPLARS) -> HeadVersion:
        """With no more exemplars than are kept."""
        return replace(self, learned=self.learned.bounded(most, seed), held=self.held.bounded(most, seed))


def write_version(version: HeadVersion, file: Path) -> None:
    """Write a version that has a layer of its own into a file."""
    from safetensors.numpy import save_file

    assert version.weight is not None
    assert version.bias is not None
    arrays = {
        "weight": version.weight,
        "bias": version.bias,
        "temperature": np.array([version.temperature], np.float32),
    }
    arrays |= _arrays("learned", version.learned) | _arrays("held", version.held)
    texts = {
        "classes": json.dumps(version.classes),
        **_texts("learned", version.learned),
        **_texts("held", version.held),
    }
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, file, metadata=texts)


def read_version(file: Path) -> HeadVersion:
    """Read what `write_version` wrote; raises ModelError for a missing or damaged file."""
    arrays, texts = _read(file)
    try:
        classes = tuple(str(name) for name in json.loads(texts["classes"]))
        weight, bias = (np.asarray(arrays[name], np.float32) for name in ("weight", "bias"))
        learned, held = (_exemplars(name, arrays, texts) for name in ("learned", "held"))
        return HeadVersion(classes, learned, held, weight, bias, float(arrays["temperature"][0]))
    except (KeyError, ValueError, TypeError, IndexError, ModelError) as error:
        raise ModelError(f"{file} is damaged ({error}): copy the folder of versions again") from None


def write_golden(golden: Exemplars, logits: Floats, file: Path) -> None:
    """Write a golden set, and the logits float32 (N, C) that the first version gives."""
    from safetensors.numpy import save_file

    save_file(
        {**_arrays("golden", golden), "logits": logits.astype(np.float32)}, file, metadata=_texts("golden", golden)
    )


def read_golden(file: Path) -> tuple[Exemplars, Floats]:
    """Read what `write_golden` wrote; raises ModelError for a missing or damaged file."""
    arrays, texts = _read(file)
    try:
        golden, logits = _exemplars("golden", arrays, texts), np.asarray(arrays["logits"], np.float32)
        if logits.ndim != 2 or len(logits) != len(golden):
            raise ModelError("it should have as many logits as pictures")
        return golden, logits
    except (KeyError, ValueError, TypeError, ModelError) as error:
        raise ModelError(f"{file} is damaged ({error}): copy the folder of versions again") from None


def _arrays(name: str, part: Exemplars) -> dict[str, np.ndarray]:
    return {f"{name}_embedding": part.embedding.astype(np.float16), f"{name}_label": part.label.astype(np.int64)}


def _texts(name: str, part: Exemplars) -> dict[str, str]:
    return {f"{name}_ids": json.dumps(part.ids), f"{name}_groups": json.dumps(dict(part.groups))}


def _exemplars(name: str, arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> Exemplars:
    ids = _names(json.loads(texts[f"{name}_ids"]))
    groups = {str(key): _names(values) for key, values in json.loads(texts[f"{name}_groups"]).items()}
    label = np.asarray(arrays[f"{name}_label"], np.int64)
    return Exemplars(np.asarray(arrays[f"{name}_embedding"], np.float16), label, ids, groups)


def _names(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _read(file: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as content:
            return {name: content.get_tensor(name) for name in content.keys()}, dict(content.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{file} is missing or damaged ({error}): copy the folder of versions again") from None
