"""Evidence: what was measured of a model, at the end of its training and in audits, sorted by what it speaks of.

Figures are found by their names and tables by their titles, so that what a new check finds has its place without
being known here; what fits nowhere is shown with the overall figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photovision.core.glossary import heading
from photovision.core.markdown import harmless, table
from photovision.core.report import Metric, Table
from photovision.engine.card_text import card_text_of

TOPICS: Mapping[str, tuple[str, ...]] = {
    "conditions": ("corruption", "corrupted", "clean accuracy", "condition", "robust", "severity"),
    "doubt": (
        "coverage",
        "set size",
        "prediction set",
        "novel",
        "alarm",
        "unknown",
        "something else",
        "selective",
        "aurc",
        "d ece",
        "la ece",
        "scores against truth",
    ),
    "people": ("rater", "kappa", "krippendorff", "agreement of pairs", "human"),
    "shortcuts": ("shortcut", "marker", "masked", "background", "border", "watermark"),
    "explanations": ("insertion", "deletion", "explan", "attribution", "saliency"),
    "labels": ("label", "suspect", "suspicious annotation", "duplicate", "outlier", "clean", "wrong"),
    "groups": ("group", "fair", "intersection", "slice", "represent", "parity", "equal"),
}
"""Topic -> words of the names of its figures and of the titles of its tables; the first that fits counts."""

_LARGEST_REPORT = 64 * 2**20
_NAMING = ("picture", "file", "id", "example")
_ELSEWHERE = ("The ladder", "Licences", "Files left out of the training")


@dataclass(frozen=True, eq=False)
class MetricSource:
    """Where figures come from.

    Attributes:
        name: how people call it.
        summary, metrics, tables, warnings: as in a report.
    """

    name: str
    summary: Sequence[str]
    metrics: Mapping[str, Metric]
    tables: Sequence[Table]
    warnings: Sequence[str]


@dataclass(frozen=True, eq=False)
class Evidence:
    """All sources of figures on one model, the training first."""

    sources: Sequence[MetricSource]

    @classmethod
    def gather(cls, info: Mapping[str, Any], audit: Mapping[str, Any] | None) -> Evidence:
        """From the contents of bundle.json and, where there is one, the JSON of an audit's report."""
        brought = card_text_of(info).more
        own = {name: Metric.from_json(value) for name, value in (info.get("metrics") or {}).items()}
        warnings = (*(info.get("warnings") or ()), *brought.warnings)
        training = MetricSource("training", brought.summary, {**own, **brought.metrics}, brought.tables, warnings)
        later = {"recalibrated": "calibration elsewhere", "adapted": "adaptation elsewhere"}
        renewed = []
        for entry, name in later.items():
            stored = (info.get(entry) or {}).get("metrics") or {}
            figures = {name: Metric.from_json(value) for name, value in stored.items()}
            renewed += [MetricSource(name, (), figures, (), ())] if figures else []
        return cls([training, *renewed, *([] if audit is None else [_audit(audit)])])

    def metrics(self, topic: str) -> list[tuple[str, Metric, str]]:
        """(name, figure, source) of a topic; "" is what belongs to none."""
        found: list[tuple[str, Metric, str]] = []
        for one in self.sources:
            fit = ((name, m) for name, m in one.metrics.items() if topic_of(name.replace("_", " ")) == topic)
            known = {entry[:2] for entry in found}  # an audit of the training's own test pictures repeats its figures
            found += [(*entry, one.name) for entry in fit if entry not in known]
        return found

    def tables(self, topic: str) -> list[Table]:
        """Tables of a topic, without those that name single pictures: file names can tell of persons."""
        every = [one for source in self.sources for one in source.tables if one.title not in _ELSEWHERE]
        return [one for one in every if topic_of(one.title) == topic and not names_pictures(one)]

    def has(self, topic: str) -> bool:
        """Whether anything was measured."""
        return bool(self.metrics(topic) or self.tables(topic))

    def lines(self, topic: str) -> list[str]:
        """Figures and tables of a topic as lines of Markdown; none where nothing was measured."""
        lines = figures(self.metrics(topic))
        for one in self.tables(topic):
            lines += ["", f"**{harmless(one.title)}**", "", *table(one.columns, one.rows)]
        return lines


def report_of(folder: Path) -> Mapping[str, Any] | None:
    """The JSON of the report that the card in a bundle's folder was made of: an audit's, else that of its making.

    None where there is none, or none that can be read: a bundle may come from a stranger.
    """
    for name in ("audit.json", "report.json"):
        file = folder / name
        if not file.is_file() or file.stat().st_size > _LARGEST_REPORT:
            continue
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            _audit(found)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        return found  # type: ignore[no-any-return]
    return None


def topic_of(words: str) -> str:
    """The topic of a figure's name or a table's title.

    Example:
        >>> topic_of("Prediction sets"), topic_of("worst group accuracy"), topic_of("accuracy")
        ('doubt', 'groups', '')
    """
    lower = words.casefold()
    fits = (topic for topic, marks in TOPICS.items() if any(mark in lower for mark in marks))
    own = ("class by class", "by class", "by size")
    by = "groups" if lower not in own and (lower.startswith("by ") or " by " in lower) else ""
    return next(fits, by)


def figures(metrics: Sequence[tuple[str, Metric, str]]) -> list[str]:
    """A table of figures in the words of the report; where all are of one source it is not named in each row."""
    rows = []
    for name, metric, source in metrics:
        title, hint = heading(name, metric)
        rows.append((title, metric, hint, source))
    if not rows:
        return []
    several = len({row[3] for row in rows}) > 1
    columns = ("figure", "value (95% interval)", "what it is", "measured in")
    return table(columns[: 4 if several else 3], [row[: 4 if several else 3] for row in rows])


def names_pictures(one: Table) -> bool:
    """Whether a table's cells name single pictures."""
    return any(column.casefold() in _NAMING for column in one.columns)


def _audit(audit: Mapping[str, Any]) -> MetricSource:
    tables = [
        Table(str(one["title"]), tuple(map(str, one["columns"])), tuple(map(tuple, one["rows"])))
        for one in audit.get("tables") or ()
    ]
    metrics = {name: Metric.from_json(value) for name, value in (audit.get("metrics") or {}).items()}
    kind = str(audit.get("kind") or "audit")
    name = "training" if kind == "train" else kind
    return MetricSource(name, tuple(audit.get("summary") or ()), metrics, tables, tuple(audit.get("warnings") or ()))
