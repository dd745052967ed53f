"""Groups: from attributes of pictures to the groups that are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from photovision.core.errors import UsageError

MANY = 8
"""Numbers with more different values than this are binned."""

_STEPS = (1, 2, 5)


@dataclass(frozen=True, eq=False)
class Group:
    """Pictures that share a value of one attribute, or of several.

    Attributes:
        parts: (attribute, value) pairs.
        member: bool (N,), which pictures belong to it.
        known: bool (N,), of which pictures all its attributes are known; the others it is compared with are among
        these.
    """

    parts: tuple[tuple[str, str], ...]
    member: np.ndarray
    known: np.ndarray

    @property
    def name(self) -> str:
        """'sex = female, age = 20 to 29'."""
        return ", ".join(f"{attribute} = {value}" for attribute, value in self.parts)

    @property
    def n(self) -> int:
        """How many pictures belong to it."""
        return int(self.member.sum())


@dataclass(frozen=True, eq=False)
class Attribute:
    """An attribute as it is judged.

    Attributes:
        name: what it is called.
        labels: one a picture, "" where unknown.
        values: the labels that occur, numbers in their order.
        label: from a value as it stands in a table to its label; a value is its own label unless it was binned.
        binned: whether numbers were put into bins.
    """

    name: str
    labels: np.ndarray
    values: tuple[str, ...]
    label: Callable[[str], str]
    binned: bool


def read_attribute(name: str, values: Sequence[str]) -> Attribute:
    """An attribute from one value a picture; numbers with more than 8 different values are put into bins.

    Bins are round (20 to 29, 30 to 39), or quintiles where round ones would put more than half into one bin.

    Example:
        >>> read_attribute("age", [str(age) for age in range(18, 70)]).values
        ('10 to 19', '20 to 29', '30 to 39', '40 to 49', '50 to 59', '60 to 69')
    """
    given = [value.strip() for value in values]
    numbers = [number for value in given if value and (number := _number(value)) is not None]
    known = sum(bool(value) for value in given)
    if len(set(numbers)) > MANY and len(numbers) >= 0.95 * known:
        label, order = _bins(np.array(numbers))
        labels = np.array([label(value) for value in given])
        used = set(labels.tolist())
        return Attribute(name, labels, tuple(bin for bin in order if bin in used), label, True)
    labels = np.array(given)
    used = {value for value in given if value}
    return Attribute(name, labels, tuple(sorted(used, key=_by_number)), str.strip, False)


def make_groups(attributes: Sequence[Attribute]) -> list[Group]:
    """Every value of every attribute, then every pair of attributes, then all together; only groups that occur.

    Groups that hold the same pictures as an earlier one, or all pictures whose attributes are known, are left out.

    Example:
        >>> found = make_groups([read_attribute("sex", ["f", "f", "m", "m"]), read_attribute("site", list("abab"))])
        >>> [group.name for group in found][:5]
        ['sex = f', 'sex = m', 'site = a', 'site = b', 'sex = f, site = a']
    """
    sizes = sorted({1, 2, len(attributes)} & set(range(1, len(attributes) + 1)))
    found: list[Group] = []
    seen: set[bytes] = set()
    for size in sizes:
        for chosen in combinations(attributes, size):
            known = np.logical_and.reduce([attribute.labels != "" for attribute in chosen])
            for parts in _occurring(chosen, known):
                member = known.copy()
                for attribute, (_, value) in zip(chosen, parts, strict=True):
                    member &= attribute.labels == value
                key = np.packbits(member).tobytes()
                if key not in seen and member.sum() < known.sum():
                    seen.add(key)
                    found.append(Group(parts, member, known))
    return found


def read_attributes(groups: Mapping[str, Sequence[str]], by: Sequence[str], n: int) -> list[Attribute]:
    """The attributes asked for; raises UsageError where one does not exist or does not have n values."""
    for name in by:
        if name not in groups:
            there = ", ".join(sorted(groups)) or "none"
            raise UsageError(f"the pictures have no attribute '{name}'; they have: {there}")
        if len(groups[name]) != n:
            raise UsageError(f"attribute '{name}' should have one value a picture, {n}, got {len(groups[name])}")
    return [read_attribute(name, groups[name]) for name in dict.fromkeys(by)]


def _occurring(chosen: Sequence[Attribute], known: np.ndarray) -> list[tuple[tuple[str, str], ...]]:
    there = set(zip(*(attribute.labels[known].tolist() for attribute in chosen), strict=True))
    rank = [{value: i for i, value in enumerate(attribute.values)} for attribute in chosen]
    ordered = sorted(there, key=lambda values: [rank[i][value] for i, value in enumerate(values)])
    return [tuple(zip([a.name for a in chosen], values, strict=True)) for values in ordered]


def _bins(numbers: np.ndarray) -> tuple[Callable[[str], str], list[str]]:
    """From a value to its bin's label, and all labels in rising order."""
    edges = _round_edges(numbers)
    counts, _ = np.histogram(numbers, edges)
    if counts.max() > 0.5 * len(numbers):
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, 6)))
    whole = bool((numbers == np.round(numbers)).all())
    if whole:
        edges = np.unique(np.ceil(edges))
    shown = edges.copy()  # what lies beyond belongs to the outer bins
    shown[0], shown[-1] = min(edges[0], numbers.min()), max(edges[-1], numbers.max() + whole)
    names = [_bin_name(a, b, whole) for a, b in pairwise(shown)]

    def label(value: str) -> str:
        number = _number(value)
        if number is None:
            return ""
        return names[int(np.clip(np.searchsorted(edges, number, side="right") - 1, 0, len(names) - 1))]

    return label, names


def _round_edges(numbers: np.ndarray) -> np.ndarray:
    low, high = np.quantile(numbers, [0.01, 0.99])
    power = 10.0 ** np.floor(np.log10(max(high - low, 1e-12) / MANY))
    step = next(s * power for s in (*_STEPS, 10) if (high - low) / (s * power) <= MANY)
    return np.asarray(np.arange(np.floor(low / step), np.floor(high / step) + 2) * step)


def _bin_name(low: float, high: float, whole: bool) -> str:
    if whole:
        return f"{low:.0f}" if high - low <= 1 else f"{low:.0f} to {high - 1:.0f}"
    return f"{low:.4g} to {high:.4g}"


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _by_number(value: str) -> tuple[float, str]:
    number = _number(value)
    return (np.inf if number is None else number, value)
