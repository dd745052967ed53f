"""What `photovision check` found in a data set, kept in the user's cache, as marks on its pictures."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.system import cache_folder
from photovision.data.dataset import Dataset

KINDS: Mapping[str, str] = {
    "unreadable": "cannot be read",
    "conflict": "copy with another label",
    "suspect": "label probably wrong",
    "leaked": "copy in another split",
    "outlier": "unlike all others",
    "outside": "box outside the picture",
    "nothing": "box without area",
    "twice": "box there twice",
    "unlabelled copy": "box missing in a copy",
    "noted": "odd annotation",
    "copy": "occurs more than once",
}
"""Kinds of problems, the gravest first -> what they are called."""

FAULTY: Mapping[str, str] = {
    "outside": "reaches outside the picture",
    "nothing": "has no area",
    "twice": "is there twice",
    "unlabelled copy": "is missing",
}
"""What `photovision.data.check.boxes` calls its faults -> what the page says of one."""

PROBLEMS = "problems"
"""Any of them."""


@dataclass(frozen=True)
class Mark:
    """Something that was found about one picture.

    Attributes:
        kind: one of `KINDS`.
        text: one sentence.
        weight: 0 to 1, how grave among those of its kind.
        others: ids of pictures that it is about, too.
        suggested: the class that its label should rather be.
    """

    kind: str
    text: str
    weight: float = 0.0
    others: tuple[str, ...] = ()
    suggested: str | None = None


@dataclass(frozen=True, eq=False)
class CheckResults:
    """What was found in one data set.

    Attributes:
        when: seconds since 1970, or None where it was not examined.
        labels: whether labels were examined, too.
        current: whether the pictures are still those that were examined.
        marks: position -> what was found, the gravest first.
        sessions: position -> the number of its capture session, as it was found.
        sessions_by: where these come from, in words.
    """

    when: float | None = None
    labels: bool = False
    current: bool = True
    marks: Mapping[int, Sequence[Mark]] = field(default_factory=dict)
    sessions: Mapping[int, int] = field(default_factory=dict)
    sessions_by: str = ""

    def of(self, kind: str) -> list[int]:
        """Positions of the pictures with marks of a kind."""
        return [p for p, marks in self.marks.items() if kind == PROBLEMS or any(m.kind == kind for m in marks)]

    def suggested(self, position: int) -> str | None:
        """The class that a picture should rather have, if its label is suspected."""
        return next((mark.suggested for mark in self.marks.get(position, ()) if mark.suggested), None)

    def rank(self, count: int) -> np.ndarray:
        """float64 (count,): the smaller, the sooner a picture should be looked at; infinite for those without marks."""
        rank = np.full(count, np.inf)
        order = {kind: number for number, kind in enumerate(KINDS)}
        for position, marks in self.marks.items():
            rank[position] = min(order[mark.kind] - 0.9 * mark.weight for mark in marks)
        return rank

    def summary(self) -> dict[str, Any]:
        """For the page."""
        counts = Counter(kind for marks in self.marks.values() for kind in {mark.kind for mark in marks})
        return {
            "when": self.when,
            "labels": self.labels,
            "current": self.current,
            "pictures": len(self.marks),
            "kinds": {kind: counts[kind] for kind in KINDS if counts[kind]},
        }


NOTHING = CheckResults()


def folder_of(source: Path) -> Path:
    """Where the findings about a data set are kept; the same for the same path."""
    key = hashlib.sha256(str(source.resolve()).encode("utf-8", "replace")).hexdigest()[:16]
    return cache_folder() / "checks" / key


def read_examined(dataset: Dataset, source: Path) -> CheckResults:
    """What was found in the data set at `source` when it was last examined; `NOTHING` where it never was."""
    file = folder_of(source) / "report.json"
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        when = file.stat().st_mtime
        targets = {sample.id: sample.target for sample in dataset.samples}
        found = list(_found(report, targets))
        sessions = report.get("found_sessions") or []
        number = {str(name): n for n, names in enumerate(sessions) if len(sessions) > 1 for name in names}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # never examined, or by another version
        return NOTHING
    position = {name: number for number, name in enumerate(targets)}
    marks: dict[int, list[Mark]] = defaultdict(list)
    for name, mark in found:
        if name in position:
            marks[position[name]].append(mark)
    order = list(KINDS)
    for several in marks.values():
        several.sort(key=lambda mark: order.index(mark.kind))
    current = report.get("pictures", 0) + _left_out(report) == len(dataset) and when <= time.time()
    of_sessions = {position[name]: n for name, n in number.items() if name in position}
    by = str((report.get("sessions") or {}).get("by", "")).removesuffix(", corrected by hand")
    return CheckResults(when, bool(report.get("label_errors")), current, marks, of_sessions, by)


def _left_out(report: Mapping[str, Any]) -> int:
    """Pictures that had been left out by hand when the data were examined."""
    return sum(problem["kind"] == "by hand" for problem in report.get("problems", ()))


def _found(report: Mapping[str, Any], targets: Mapping[str, Any]) -> Iterator[tuple[str, Mark]]:
    for problem in report["problems"]:
        if problem["kind"] == "unreadable":
            yield problem["id"], Mark("unreadable", f"It {problem['message']}.", 1.0)
    leaked = set(report["leaked"])
    for group in report["duplicate_groups"]:
        kind = "conflict" if len({targets.get(name) for name in group} - {None}) > 1 else "copy"
        for name in group:
            others = tuple(other for other in group if other != name)
            number = f"{len(others):,} other {'picture' if len(others) == 1 else 'pictures'}"
            what = ", with another label" if kind == "conflict" else ""
            yield name, Mark(kind, f"It shows the same as {number}{what}.", 0.0, others[:12])
            if name in leaked:
                yield name, Mark("leaked", "It shows the same as a picture of another split.", 0.0, others[:12])
    for one in (report.get("label_errors") or {}).get("suspects", ()):
        sure = f"{one['confidence']:.0%}"
        text = f"Its label is “{one['label']}”, but it looks like “{one['suggested']}” ({sure} sure)."
        yield one["id"], Mark("suspect", text, float(one["chance_wrong"]), (), one["suggested"])
    for fault in report.get("faulty") or ():
        yield fault["id"], Mark(fault["kind"], f"An object {FAULTY[fault['kind']]}: {fault['message']}.", 0.5)
    for note in report.get("notes") or ():
        if note["kind"] not in ("video", "no label file"):
            yield note["id"], Mark("noted", f"{note['kind'].capitalize()}: {note['message']}.")
    for one in report.get("outliers") or ():
        yield one["id"], Mark("outlier", "It resembles nothing else in the data.", min(1.0, one["score"] / 100))
