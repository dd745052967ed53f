"""Components: pictures that are alike, joined in chains, and how alike a picture is to the nearest of others.

Pictures come in capture sessions: a shelf, a walk, a slide, a patient, a day. A split at random leaves a neighbour of
every held-out picture in train, and tells how well the neighbours were memorised. Connected components of the graph
"at least this alike" (single linkage, Sneath, "The application of computers to taxonomy", 1957) are held out whole
instead. Which degree of similarity divides sessions is not known and differs between data and places of use, so several
degrees are mixed.

How alike two pictures are is the cosine of their centred features, -1 to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from photovision.core.types import Floats, Ints

AnyFloats = npt.NDArray[np.floating[Any]]
"""Of any precision: features of many pictures are kept in half of it."""

DEGREES = (0.70, 0.75, 0.80, 0.85)
"""Similarities above which pictures belong to one component, from large components to small ones."""
_TILE = 2048
_MIX = np.uint64(0x9E3779B97F4A7C15)  # spreads the bits of a draw (Knuth's multiplicative hashing)


def centred(features: AnyFloats) -> npt.NDArray[np.float16]:
    """Features with their mean taken away, scaled to length 1.

    Args:
        features: float16 or float32 (N, D).

    Returns:
        float16 (N, D), half the memory of float32; rows of length 0 stay 0.
    """
    rows = np.empty(features.shape, np.float16)
    mean = features.mean(0, dtype=np.float64).astype(np.float32) if len(features) else np.float32(0)
    for start in range(0, len(features), _TILE):
        part = features[start : start + _TILE].astype(np.float32) - mean
        rows[start : start + _TILE] = part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
    return rows


def nearest_similarity(rows: AnyFloats, others: AnyFloats) -> Floats:
    """How alike each picture is to the nearest of others.

    Args:
        rows: float (N, D), of `centred`.
        others: float (M, D).

    Returns:
        float32 (N,), -1 to 1; NaN where there are no others.
    """
    best = np.full(len(rows), -np.inf if len(others) else np.nan, np.float32)
    for start in range(0, len(rows), _TILE):
        own = rows[start : start + _TILE].astype(np.float32)
        for other in range(0, len(others), _TILE):
            found = (own @ others[other : other + _TILE].astype(np.float32).T).max(1)
            np.maximum(best[start : start + _TILE], found, out=best[start : start + _TILE])
    return best


def components(rows: AnyFloats, degrees: tuple[float, ...] = DEGREES) -> Ints:
    """The connected components of pictures that are at least so alike.

    Args:
        rows: float (N, D), of `centred`.
        degrees: T similarities.

    Returns:
        int64 (T, N): equal numbers are one component. Memory is bounded: that of a few tiles of 2,048 x 2,048 pairs.
    """
    count = len(rows)
    labels = np.tile(np.arange(count), (len(degrees), 1))
    for start in range(0, count, _TILE):
        own = rows[start : start + _TILE].astype(np.float32)
        for other in range(start, count, _TILE):
            alike = own @ rows[other : other + _TILE].astype(np.float32).T
            left, right = np.nonzero(alike >= min(degrees))
            found = alike[left, right]
            for label, degree in zip(labels, degrees, strict=True):
                one, two = label[left + start], label[right + other]
                new = (found >= degree) & (one != two)  # in dense data most are joined already
                if new.any():
                    label[:] = joined(count, one[new], two[new])[label]
    return labels


def joined(count: int, one: Ints, other: Ints) -> Ints:
    """int64 (count,): numbers of the connected components of a graph with an edge from each of `one` to `other`."""
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
    found: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return found


def mixed_components(rows: AnyFloats, codes: Ints, units: Ints, draws: Ints) -> Ints:
    """Components within each class, at several degrees of similarity, of which whole ones can be held out.

    Every component of the lowest degree is drawn a degree, and falls into its components of that degree. One that
    holds more than half of its class falls into those of the next higher degree, and at last into units. A picture of
    another component is then less alike than the degree, if it is of the same class.

    Args:
        rows: float (N, D), of `centred`.
        codes: int64 (N,), the class of every picture; all 0 where pictures have several.
        units: int64 (N,), equal for pictures that must stay together whatever they look like.
        draws: int64 (N,), random numbers that belong to the pictures, 0 or more.

    Returns:
        int64 (N,): equal numbers are one component, and pictures of a unit are in one.
    """
    blocks = np.empty(len(rows), np.int64)
    for code in np.unique(codes):
        members = np.flatnonzero(codes == code)
        # Numbers of several degrees and classes never meet: each is below N times the number of degrees, and one more.
        blocks[members] = members[0] + len(rows) * _levels(rows[members], draws[members])
    return merged(blocks, units)


def merged(one: Ints, other: Ints) -> Ints:
    """int64 (N,): equal numbers where either of two divisions of N pictures, also in chains, has equal numbers."""
    _, left = np.unique(one, return_inverse=True)
    _, right = np.unique(other, return_inverse=True)
    first = left.max(initial=-1) + 1
    return joined(first + right.max(initial=-1) + 1, left.ravel(), first + right.ravel())[left.ravel()]


def _levels(rows: AnyFloats, draws: Ints) -> Ints:
    """int64 (N,) below N * 5: the component of every picture of a class, at the degree that was drawn and fits."""
    count = len(rows)
    labels = np.concatenate([components(rows), np.arange(count)[None]])
    largest = max(1, count // 2)
    level = mixed(_least(labels[0], draws)) % len(DEGREES)
    for degree, label in enumerate(labels[:-1]):
        sizes = np.bincount(label, minlength=count)
        level[(level == degree) & (sizes[label] > largest)] = degree + 1
    found: Ints = level * count + labels[level, np.arange(count)]
    return found


def _least(labels: Ints, draws: Ints) -> Ints:
    """int64 (N,): the least draw of the component that a picture is in, which does not depend on its number."""
    least = np.full(labels.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, labels, draws)
    found: Ints = least[labels]
    return found


def mixed(draws: Ints) -> Ints:
    """int64: other random numbers, 0 or more, that hold nothing of the order of the given ones."""
    return ((draws.astype(np.uint64) * _MIX) >> np.uint64(1)).astype(np.int64)
