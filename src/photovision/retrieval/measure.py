"""Measure: from which similarity on pictures are alike, and how often verdicts are wrong on the user's own pictures.

"Nothing like it" comes with a promise: the limit is a quantile of how alike every picture is to the nearest other one
(copies apart), as in conformal prediction, so that a further picture of the same kind is rarely called unlike all
others.
Verdicts on copies are measured: some pictures are saved again, cropped, turned and so on, and searched for.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage
from photovision.core.progress import Listener, Progress
from photovision.core.types import Floats, Ints
from photovision.data.near_duplicates import near_duplicates
from photovision.retrieval.edits import EDITS, EXPECTED
from photovision.retrieval.features import decoded
from photovision.retrieval.index import Index
from photovision.retrieval.verdicts import COPIES, SAME_OBJECT, VERDICTS

CHECKED_PICTURES = 15
"""Pictures whose edits are searched for, where nothing else is asked for."""
FALSE_ALARMS = 0.02
"""Share of pictures of the same kind that may be called unlike all others."""
WRONG_OBJECTS = 0.01
"""Share of pictures whose nearest other one may be called the same object."""
TOP = 10
_SAMPLED = 2000
_AROUND = 16  # neighbours among which the nearest that is no copy is looked for
_STALE = 0.1  # share of pictures that came or went, after which all is measured again
_STAGE = "measuring verdicts"


class SimilarityLimits(NamedTuple):
    """From where on pictures are alike.

    Attributes:
        alike: least cosine of centred features.
        same_object: from this cosine on they show the same object; None where there are too few pictures to tell.
        false_alarms: what is promised of "nothing like it", a share.
        wrong_objects: share of pictures whose nearest other one is called the same object.
        n: pictures that it was measured on.
    """

    alike: float
    same_object: float | None
    false_alarms: float
    wrong_objects: float
    n: int


def measure(opened: Index, check: int, listener: Listener) -> None:
    """Measure limits and rates and keep them in the index, where it is new or has changed much."""
    store = opened.store
    ids, vectors = store.vectors()
    last = store.fact("measured") or {"last_id": -1, "count": 0, "check": -1}
    fresh = int((ids > last["last_id"]).sum())
    changed = fresh + last["count"] - (len(ids) - fresh)
    if changed <= _STALE * len(ids) and check <= last["check"]:
        return
    groups = _groups(opened)
    limits = measure_limits(opened, ids, vectors, groups)
    with store.transaction():
        store.set_fact("limits", limits._asdict())
    rates = measure_rates(opened, check, groups, listener) if check else store.fact("rates")  # of before, with their n
    with store.transaction():
        store.set_fact("rates", rates)
        store.set_fact("measured", {"last_id": int(ids.max(initial=-1)), "count": len(ids), "check": check})


def measure_limits(opened: Index, ids: Ints, vectors: Floats, groups: dict[int, int]) -> SimilarityLimits:
    """SimilarityLimits from how alike pictures are to the nearest other one; `groups` are near-duplicates, by id."""
    rows = np.random.default_rng(0).permutation(len(ids))[:_SAMPLED]
    own, likeness = ids[rows], np.asarray(vectors[rows], np.float32)
    nearest = np.sort(_nearest_other(opened, own, likeness, groups))
    n = len(nearest)
    if not n:
        return SimilarityLimits(-1.0, None, 0.0, 0.0, 0)
    low = max(1, math.floor(FALSE_ALARMS * (n + 1)))
    high = math.floor(WRONG_OBJECTS * (n + 1))
    same_object = float(nearest[-high]) if high else None
    return SimilarityLimits(float(nearest[low - 1]), same_object, low / (n + 1), high / (n + 1), n)


def measure_rates(opened: Index, check: int, groups: dict[int, int], listener: Listener) -> dict[str, Any]:
    """How often edits of some pictures are found, and get the right verdict; how often others get a wrong one."""
    files = opened.store.pictures()
    order = sorted(files, key=lambda number: files[number].content)[:check]
    copies_of = _members(groups)
    found: dict[str, Counter[str]] = {name: Counter() for name in EDITS}
    wrong, done = Counter[str](), 0
    for number in order:
        file = files[number]
        try:
            picture = decoded(opened.folder / file.file, opened.model.preprocess)
        except UnreadableImage:  # it is gone since
            continue
        own = {str(opened.folder / files[one].file) for one in copies_of[groups[number]]}
        for place, (name, edit) in enumerate(EDITS.items()):
            edited = edit(picture, np.random.default_rng([place, done]))
            found[name].update(_outcome(opened, edited, own, EXPECTED[name]))
        nearest = opened.find(opened.query_of(picture), len(own) + TOP)
        wrong.update({one.verdict for one in nearest if one.file not in own})
        done += 1
        listener(Progress(_STAGE, done, len(order)))
    missed = {
        verdict: [
            sum(found[name]["n"] - found[name]["right"] for name in EDITS if verdict in EXPECTED[name]),
            sum(found[name]["n"] for name in EDITS if verdict in EXPECTED[name]),
        ]
        for verdict in VERDICTS
        if any(verdict in right for right in EXPECTED.values())
    }
    return {
        "pictures": done,
        "edits": {name: dict(counts) for name, counts in found.items()},
        "missed": missed,
        "wrong": {verdict: [wrong[verdict], done] for verdict in (*COPIES, SAME_OBJECT)},
    }


def _outcome(opened: Index, edited: Pillow.Image, own: set[str], right: tuple[str, ...]) -> Counter[str]:
    """What a search for an edited picture found of the picture itself."""
    results = opened.find(opened.query_of(edited), TOP)
    hits = [(rank, one.verdict) for rank, one in enumerate(results) if one.file in own]
    rank, verdict = hits[0] if hits else (TOP, "")
    return Counter({"n": 1, "first": rank == 0, "in_ten": rank < TOP, "right": verdict in right})


def _nearest_other(opened: Index, ids: Ints, queries: Floats, groups: dict[int, int]) -> Floats:
    """float32 (M,): the cosine of each picture with the nearest that is no copy; those without one are left out."""
    scores, found = opened.nearest("likeness").search(queries, _AROUND)
    values = []
    for own, row, others in zip(ids.tolist(), scores, found.tolist(), strict=True):
        apart = [score for score, other in zip(row, others, strict=True) if groups.get(other, own) != groups[own]]
        values += apart[:1]
    return np.array(values, np.float32)


def _groups(opened: Index) -> dict[int, int]:
    """Id -> number of the group of near-duplicates that a picture is in."""
    ids, looks = opened.store.looks()
    return dict(zip(ids.tolist(), near_duplicates(looks, np.arange(len(ids))).tolist(), strict=True))


def _members(groups: dict[int, int]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for number, group in groups.items():
        members.setdefault(group, []).append(number)
    return members
