"""Report: what was measured, with its evidence, as one value that JSON, Markdown and the HTML page are made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeVar

from photovision.core.errors import DataError, UsageError


@dataclass(frozen=True)
class Metric:
    """A number with its evidence.

    Attributes:
        value: the estimate.
        low, high: bounds of its 95% interval; None where none can be given.
        n: how many pictures it rests on.
        unit: "share" (0 to 1, shown in percent), "points" (a difference of shares), "s", "ms", "MB", "" ...
        title, hint: its heading and what it means, of a metric whose name means something else in other tasks; "" takes
            those of `core.page`.

    Example:
        >>> print(Metric(0.9, 0.85, 0.94, 200, "share"))
        90.0% (85.0 to 94.0, n = 200)
        >>> print(Metric(23469.6, unit="pictures/s"))
        23,470 pictures/s
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = "share"
    title: str = field(default="", compare=False, repr=False)
    hint: str = field(default="", compare=False, repr=False)

    @property
    def digits(self) -> int:
        """Decimal places to show it with: one in percent, else fewer the larger it is."""
        if self.unit in ("share", "points"):
            return 1
        return 0 if abs(self.value) >= 1000 else 1 if abs(self.value) >= 100 else 3

    def __str__(self) -> str:
        shown = {"share": (100, 1, "%"), "points": (100, 1, " points")}
        scale, digits, unit = shown.get(self.unit, (1, self.digits, f" {self.unit}".rstrip()))
        evidence = []
        if self.low is not None and self.high is not None:
            evidence.append(f"{self.low * scale:,.{digits}f} to {self.high * scale:,.{digits}f}")
        if self.n is not None:
            evidence.append(f"n = {self.n:,}")
        return f"{self.value * scale:,.{digits}f}{unit}" + (f" ({', '.join(evidence)})" if evidence else "")

    def to_json(self) -> dict[str, Any]:
        """`{"value", "low", "high", "n", "unit"}`, and "title" and "hint" of a metric that has them."""
        named = {"title": self.title, "hint": self.hint} if self.title else {}
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "unit": self.unit, **named}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Metric:
        """Read what `to_json` wrote; raises DataError for what it never writes."""
        if not isinstance(value, Mapping) or not isinstance(value.get("unit", "share"), str):
            raise DataError(f"a figure should be an object with a value and a unit, got {value!r:.100}")
        number, low, high, n = (value.get(name) for name in ("value", "low", "high", "n"))
        if number is None or not all(isinstance(part, int | float | None) for part in (number, low, high, n)):
            raise DataError(f"a figure should have a number as its value, low, high and n, got {value!r:.200}")
        title, hint = (str(value.get(name, "")) for name in ("title", "hint"))
        return cls(number, low, high, n, value.get("unit", "share"), title, hint)


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; a cell is text, a number, a Metric or None."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise UsageError(f"table '{self.title}' has {len(self.columns)} columns, but a row of {len(row)} cells")


RIGHT, WRONG = "✓ ", "✗ "
"""What the caption of a picture begins with where the prediction is right or wrong."""


@dataclass(frozen=True)
class Figure:
    """A drawing: an inline SVG document, or pictures with captions.

    Attributes:
        title: heading.
        svg: an `<svg>` element as text, or "".
        pictures: (JPEG or PNG bytes, caption) pairs, shown as a grid.
        note: a sentence below it, saying how to read it.
        lead: whether the first picture is shown large with the others small beside it, two such figures side by side
            where there is room; captions are then for those who cannot see the pictures.
        wide: whether pictures are shown as wide as a column of text, in their own proportions.
        first: whether it belongs on the first screen: one chart, and pictures; all else is folded away below. A
            caption that begins with `RIGHT` or `WRONG` is marked so.
    """

    title: str
    svg: str = ""
    pictures: tuple[tuple[bytes, str], ...] = ()
    note: str = ""
    lead: bool = False
    wide: bool = False
    first: bool = False


Level = Literal["good", "care", "bad"]
"""How a report turns out, by which it is coloured."""


@dataclass(frozen=True)
class Assessment:
    """What the figures of a report come to, in one sentence.

    Attributes:
        level: how it turns out.
        label: in a few words, such as "Fit for use on its own".
        text: for what, and why, in a sentence or two.
    """

    level: Level
    label: str
    text: str

    def __str__(self) -> str:
        return f"{self.label}. {self.text}"


@dataclass(frozen=True)
class Finding:
    """What one check found out: a part of a report, with the fields that `Report` has.

    Attributes:
        summary, metrics, tables, figures, warnings, assessment: as in `Report`.
        data: JSON-ready results for machines.
    """

    summary: tuple[str, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    warnings: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    assessment: Assessment | None = None

    def including(self, *findings: Finding) -> Finding:
        """This finding with further ones added at its end."""
        return _including(self, findings)


_Part = TypeVar("_Part", "Finding", "Report")


@dataclass(frozen=True)
class Report:
    """Everything that was found out in one piece of work.

    Attributes:
        kind: what was done: "train", "evaluate", "compare", "check", "audit", "explain", "optimize", "drift"...
        title: heading of the page.
        summary: sentences for a reader who reads nothing else, most important first.
        metrics: name -> Metric, in the order to be shown.
        tables, figures: in the order to be shown.
        warnings: what a careful reader must know before trusting the numbers.
        provenance: JSON-ready facts: versions, hardware, seed, data fingerprint, licences, times.
        data: further JSON-ready results for machines, merged into the JSON document.
        assessment: what the figures come to; None where nothing is judged.
    """

    kind: str
    title: str
    summary: tuple[str, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    warnings: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    assessment: Assessment | None = None

    def including(self, *findings: Finding) -> Report:
        """This report with what further checks found added at its end."""
        return _including(self, findings)

    def to_json(self) -> dict[str, Any]:
        """The report without its drawings, JSON-ready."""
        return {
            "kind": self.kind,
            "title": self.title,
            **({"assessment": asdict(self.assessment)} if self.assessment else {}),
            "summary": list(self.summary),
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
            "tables": [
                {"title": t.title, "columns": list(t.columns), "rows": [[_plain(c) for c in row] for row in t.rows]}
                for t in self.tables
            ],
            "warnings": list(self.warnings),
            "provenance": dict(self.provenance),
            **self.data,
        }

    def to_markdown(self) -> str:
        """The report without its drawings, as Markdown."""
        lines = [f"# {_harmless(self.title)}", ""]
        lines += (
            [f"**{_harmless(self.assessment.label)}.** {_harmless(self.assessment.text)}", ""]
            if self.assessment
            else []
        )
        lines += [*(_harmless(sentence) for sentence in self.summary), ""]
        if self.warnings:
            lines += ["## Warnings", "", *(f"- {_harmless(warning)}" for warning in self.warnings), ""]
        if self.metrics:
            lines += ["## Figures", "", *_markdown_rows(("metric", "value"), list(self.metrics.items())), ""]
        for table in self.tables:
            lines += [f"## {_harmless(table.title)}", "", *_markdown_rows(table.columns, table.rows), ""]
            lines += [_harmless(table.note), ""] if table.note else []
        if self.provenance:
            lines += ["## Provenance", "", "```json", json.dumps(self.provenance, indent=2, default=str), "```", ""]
        return "\n".join(lines)

    def to_pandas(self) -> Any:
        """The metrics as a `pandas.DataFrame`: name, value, low, high, n, unit; raises MissingExtra without pandas."""
        from photovision.core.data_frame import data_frame

        found = list(self.metrics.values())
        fields = {name: [getattr(metric, name) for metric in found] for name in ("value", "low", "high", "n", "unit")}
        return data_frame({"metric": list(self.metrics), **fields})

    def _repr_html_(self) -> str:
        """The whole page in a frame of its own, for notebooks."""
        from html import escape

        from photovision.core.page import to_html

        return f'<iframe srcdoc="{escape(to_html(self))}" style="width:100%;height:80vh;border:0" sandbox></iframe>'


def cell_text(cell: Any) -> str:
    """A table cell as people read it."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.3g}" if abs(cell) < 1000 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)


def _including(first: _Part, findings: Sequence[Finding]) -> _Part:
    every: tuple[Report | Finding, ...] = (first, *findings)
    return replace(
        first,
        summary=tuple(sentence for one in every for sentence in one.summary),
        metrics={name: metric for one in every for name, metric in one.metrics.items()},
        tables=[table for one in every for table in one.tables],
        figures=[figure for one in every for figure in one.figures],
        warnings=[warning for one in every for warning in one.warnings],
        data={name: value for one in every for name, value in one.data.items()},
        assessment=next((one.assessment for one in reversed(every) if one.assessment), None),
    )


def _harmless(text: str) -> str:
    """Class and file names come from strangers, and Markdown passes HTML through."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _plain(cell: Any) -> Any:
    return cell.to_json() if isinstance(cell, Metric) else cell


def _markdown_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(_harmless(cell_text(c)).replace("|", "\\|").replace("\n", " ") for c in cells) + " |"

    return [line(columns), "|" + " --- |" * len(columns), *(line(row) for row in rows)]
