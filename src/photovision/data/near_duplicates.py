"""Pictures that show the same thing: exact copies, and near-duplicates by a perceptual hash.

The hash is the sign pattern, about their median, of the 255 lowest frequencies of a 32 x 32 grey version (a DCT hash
after Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010, with four times its bits),
together with the colours of a 4 x 4 grid, so that a recoloured product counts as another product. Saving again as JPEG,
resizing and a slight change of brightness alter up to about 12 bits; different pictures of one leaf, face or garment
differ in 30 and more. Turned, mirrored or cut pictures are not found.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core.types import Ints

Words = npt.NDArray[np.uint64]

MAX_BITS = 16
"""Pictures whose hashes differ in more of the 255 bits are different pictures."""
MAX_COLOUR = 12
"""Largest difference of R - G or B - G, in steps of 2 of 255, in any cell of the grid."""
MAX_STRETCH = 1.05
"""Largest ratio of the two pictures' aspect ratios."""
MAX_CONTRAST = 1.25
"""Largest ratio of the two pictures' contrasts; a grey bag is not the white bag of the same make."""
MIN_DETAIL = 80
"""Pictures with fewer frequencies that stand out from rounding are too plain for a hash to tell them apart."""

_SIDE, _KEPT, _GRID = 32, 16, 4
_ANGLES = np.pi / _SIDE * np.outer(np.arange(_KEPT), np.arange(_SIDE) + 0.5)
_NORMS = np.where(np.arange(_KEPT) == 0, 1, math.sqrt(2)) / math.sqrt(_SIDE)
_WAVES = (np.cos(_ANGLES) * _NORMS[:, None]).astype(np.float32)
"""float32 (16, 32): the lowest rows of the orthonormal discrete cosine transform (type 2)."""
_AUDIBLE = 1.0  # grey levels (orthonormal DCT); rounding alone gives about 0.3
_BANDS, _BAND_BITS = 12, 21
_NEIGHBOURS = 24
_MET = 256  # pictures of a crowded band that another picture is compared with
_PART = 1 << 18  # pairs that are looked at at once
_NEAR_BITS, _PLAIN = 32, 16  # for pairs that are compared pixel by pixel
_POPCOUNT = np.array([bin(value).count("1") for value in range(1 << 16)], dtype=np.uint8)


class Signature(NamedTuple):
    """What is kept of a picture's looks.

    Attributes:
        hash: uint64 (4,), 255 bits and a 0.
        colour: int8 (32,), (R - G) / 2 and (B - G) / 2 in a 4 x 4 grid.
        detail: how many of the 255 frequencies stand out, 0 to 255.
        brightness: mean grey level, 0 to 255.
        contrast: standard deviation of the grey levels that these frequencies make up.
    """

    hash: Words
    colour: npt.NDArray[np.int8]
    detail: int
    brightness: float
    contrast: float


def signature(picture: Pillow.Image) -> Signature:
    """The looks of an RGB picture of any size.

    Example:
        >>> signature(Pillow.new("RGB", (40, 30), "white")).detail
        0
    """
    small = picture.resize((_SIDE, _SIDE), Pillow.Resampling.BILINEAR)
    grey = np.asarray(small.convert("L"), dtype=np.float32)
    spectrum = (_WAVES @ grey @ _WAVES.T).ravel()
    # The mean says nothing about what is shown, so its place in the pattern is left empty.
    waves = spectrum[1:]
    median = np.partition(waves, len(waves) // 2)[len(waves) // 2]
    bits = np.append(waves > median, False)
    cells = np.asarray(small.reduce(_SIDE // _GRID), dtype=np.int16)
    colour = (cells[..., ::2] - cells[..., 1:2]) // 2
    return Signature(
        np.packbits(bits).view(np.uint64),
        np.clip(colour, -127, 127).astype(np.int8).ravel(),
        int(np.count_nonzero(np.abs(waves) > _AUDIBLE)),
        float(spectrum[0]) / _SIDE,
        math.sqrt(waves @ waves) / _SIDE,
    )


class Looks(NamedTuple):
    """Signatures of N pictures, one array a field, and what else tells pictures apart.

    Attributes:
        digest: uint64 (N,), equal for files of equal content.
        hash: uint64 (N, 4).
        colour: int8 (N, 32).
        detail: uint8 (N,).
        contrast: float32 (N,).
        stretch: float64 (N,), width / height.
    """

    digest: Words
    hash: Words
    colour: npt.NDArray[np.int8]
    detail: npt.NDArray[np.uint8]
    contrast: npt.NDArray[np.float32]
    stretch: npt.NDArray[np.float64]


def near_duplicates(looks: Looks, positions: Ints) -> Ints:
    """Number the groups of pictures that show the same.

    Every member of a group was compared with the group's middle one, so look-alikes do not chain together. Plain
    pictures (below MIN_DETAIL) only join their exact copies. The groups do not depend on the order of the pictures.

    Args:
        looks: the N pictures.
        positions: int64 (M,), ascending, of the pictures to compare; the others are left alone.

    Returns:
        int64 (N,): the position of each group's first picture; a picture without duplicates has its own position.

    Example:
        >>> plain = np.zeros((3, 32), np.int8), np.zeros(3, np.uint8), np.ones(3, np.float32), np.ones(3)
        >>> near_duplicates(Looks(np.array([7, 5, 7], np.uint64), np.ones((3, 4), np.uint64), *plain), np.arange(3))
        array([0, 1, 0])
    """
    # In the order of their digests the pictures are always the same list, whatever order they came in.
    _, firsts, inverse = np.unique(looks.digest[positions], return_index=True, return_inverse=True)
    firsts = positions[firsts]
    detailed = np.flatnonzero(looks.detail[firsts] >= MIN_DETAIL)
    chosen = firsts[detailed]
    left, right = _candidates(looks.hash[chosen])
    same = _alike(looks, chosen[left], chosen[right])
    leaders = np.arange(len(firsts))
    leaders[detailed] = detailed[_stars(len(detailed), left[same], right[same])]
    _, first_of, number = np.unique(leaders[inverse.ravel()], return_index=True, return_inverse=True)
    groups = np.arange(len(looks.digest))
    groups[positions] = positions[first_of[number.ravel()]]
    return groups


def near_pairs(looks: Looks) -> tuple[Ints, Ints]:
    """Pairs (left < right) of N pictures whose hashes are near, whatever their colours, shapes and contrasts.

    They are worth a closer look, and no more: a grey copy is among them, and so is the white bag beside the black one.
    """
    detailed = np.flatnonzero(looks.detail >= _PLAIN)
    left, right = _candidates(looks.hash[detailed])
    left, right = detailed[left], detailed[right]
    near = np.empty(len(left), dtype=bool)
    for start in range(0, len(left), _PART):
        part = slice(start, start + _PART)
        near[part] = _bits(looks.hash[left[part]], looks.hash[right[part]]) <= _NEAR_BITS
    return left[near], right[near]


def _candidates(hashes: Words) -> tuple[Ints, Ints]:
    """Pairs (left < right) whose hashes agree in at least one of the bands, without comparing all with all.

    A crowded band (thousands of plain T-shirts) is not searched whole: each of its members meets its neighbours and the
    crowd's first member.
    """
    count = len(hashes)
    found = np.empty(0, np.int64)
    octets = hashes.view(np.uint8).reshape(count, 32)
    for band in range(_BANDS):
        keys = _keys(octets, band)
        order = np.argsort(keys, kind="stable").astype(np.int64)
        ranked = keys[order]
        pairs = [found]
        for step in range(1, _NEIGHBOURS + 1):
            hits = np.flatnonzero(ranked[step:] == ranked[:-step])
            if not len(hits):
                break
            pairs.append(_packed(order[hits], order[hits + step], count))
        starts = np.searchsorted(ranked, ranked)
        far = np.flatnonzero(np.arange(count) - starts > _NEIGHBOURS)
        pairs.append(_packed(order[starts[far]], order[far], count))
        found = np.unique(np.concatenate(pairs))
    left, right = np.divmod(found, max(count, 1))
    return left, right


def _keys(octets: npt.NDArray[np.uint8], band: int) -> npt.NDArray[np.uint32]:
    """uint32 (N,): the bits of one band of N hashes, uint8 (N, 32)."""
    keys = np.zeros(len(octets), dtype=np.uint32)
    for bit in range(band, _BANDS * _BAND_BITS, _BANDS):  # every twelfth: each band has low and high frequencies
        keys = (keys << 1 | (octets[:, bit // 8] >> (7 - bit % 8)) & 1).astype(np.uint32)
    return keys


def resembling(looks: Looks, others: Looks) -> npt.NDArray[np.bool_]:
    """bool (N,): which of N pictures are exact copies or near-duplicates of any of M other pictures.

    Plain pictures (below MIN_DETAIL) only resemble their exact copies.
    """
    found = np.isin(looks.digest, others.digest)
    own = np.flatnonzero(~found & (looks.detail >= MIN_DETAIL))
    known = np.flatnonzero(others.detail >= MIN_DETAIL)
    if not len(own) or not len(known):
        return found
    parts = (np.concatenate([getattr(looks, name)[own], getattr(others, name)[known]]) for name in Looks._fields)
    both = Looks(*parts)
    octets, same = both.hash.view(np.uint8).reshape(-1, 32), np.zeros(len(own), dtype=bool)
    for band in range(_BANDS):
        keys = _keys(octets, band)
        order = np.argsort(keys[len(own) :], kind="stable").astype(np.int64) + len(own)
        start = np.searchsorted(keys[order], keys[: len(own)])
        stop = np.searchsorted(keys[order], keys[: len(own)], side="right")
        for step in range(_MET):
            rows = np.flatnonzero(~same & (start + step < stop)).astype(np.int64)
            if not len(rows):
                break
            same[rows] = _alike(both, rows, order[start[rows] + step])
    found[own] = same
    return found


def _packed(one: Ints, other: Ints, count: int) -> Ints:
    packed: Ints = np.minimum(one, other) * count + np.maximum(one, other)
    return packed


def _alike(looks: Looks, left: Ints, right: Ints) -> npt.NDArray[np.bool_]:
    """Which of the pairs show the same picture."""
    alike = np.empty(len(left), dtype=bool)
    for start in range(0, len(left), _PART):
        a, b = left[start : start + _PART], right[start : start + _PART]
        near = _bits(looks.hash[a], looks.hash[b]) <= MAX_BITS
        a, b = a[near], b[near]  # few are near, and only these are looked at further
        colour = np.abs(looks.colour[a].astype(np.int16) - looks.colour[b]).max(axis=1, initial=0) <= MAX_COLOUR
        shape = _within(looks.stretch[a] / looks.stretch[b], MAX_STRETCH)
        near[near] = colour & shape & _within(looks.contrast[a] / looks.contrast[b], MAX_CONTRAST)
        alike[start : start + _PART] = near
    return alike


def _bits(one: Words, other: Words) -> Ints:
    """int64 (N,): in how many bits hashes, (N, 4), differ."""
    return np.asarray(_POPCOUNT[(one ^ other).view(np.uint16)].sum(axis=1), np.int64)


def _within(ratio: np.ndarray, limit: float) -> npt.NDArray[np.bool_]:
    within: npt.NDArray[np.bool_] = np.maximum(ratio, 1 / ratio) <= limit
    return within


def _stars(count: int, left: Ints, right: Ints) -> Ints:
    """The leader of each of `count` items: those with most neighbours lead, and take their own neighbours only."""
    leaders = np.arange(count)
    if not len(left):
        return leaders
    ends, others = np.concatenate([left, right]), np.concatenate([right, left])
    order = np.lexsort((others, ends))
    ends, others = ends[order], others[order]
    items, starts, degrees = np.unique(ends, return_index=True, return_counts=True)
    free = np.ones(count, dtype=bool)
    for place in np.lexsort((items, -degrees)):
        leader = items[place]
        if free[leader]:
            around = others[starts[place] : starts[place] + degrees[place]]
            taken = around[free[around]]
            leaders[taken] = leader
            free[taken] = False
            free[leader] = False
    return leaders
