"""The page: a report as one self-contained HTML file, for a phone, a desktop, light, dark and paper.

Class names and file names come from strangers: everything is escaped, and the page's own Content-Security-Policy
forbids scripts and any request to the outside, so that even a mistake here could load nothing.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from photovision.core.errors import UsageError
from photovision.core.files import write_json
from photovision.core.glossary import LEADING, heading
from photovision.core.identity import head, icon_address, template
from photovision.core.output import check_report
from photovision.core.report import Figure, Metric, Report, Table, cell_text
from photovision.core.seal import write_sealed

MAX_LARGE = 3
"""Figures that are shown large; all stand in a table with what they mean."""
MAX_BESIDE = 4
"""Pictures that have room beside the headline; more of them get the whole width below it."""


def to_html(report: Report) -> str:
    """The report as one HTML document that loads nothing from elsewhere.

    The first screen holds the title, the leading figure, the assessment, and the figures marked `first`; warnings
    follow, and everything else is folded away. Printed, nothing is.

    Example:
        >>> page = to_html(Report("evaluate", "Cats & <dogs>"))
        >>> "Cats &amp; &lt;dogs&gt;" in page
        True
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    beside, strips, later = _placed(report.figures)
    large = [_card(name, report.metrics[name]) for name in leading(report.metrics)]
    return environment.from_string(template("report.html")).render(
        report=report,
        head=Markup(head()),
        style=Markup(template("report.css")),
        icon=icon_address(),
        large=large,
        beside=[_shown(figure, Markup) for figure in beside],
        strips=[_shown(figure, Markup) for figure in strips],
        sections=[*_all_figures(report.metrics), *_sections(later, report.tables, Markup)],
        facts=list(_facts(report.provenance)),
    )


def leading(metrics: Mapping[str, Metric]) -> list[str]:
    """Names of the figures that are shown large, the headline first; what one picture shows is no figure.

    The headline is the first metric, and the difference where two models are compared; each is shown without images
    that leaked where there were such.

    Example:
        >>> leading({"accuracy_a": Metric(0.8), "accuracy_b": Metric(0.9), "accuracy_difference": Metric(0.1)})
        ['accuracy_difference', 'accuracy_a', 'accuracy_b']
    """
    names = [name for name, metric in metrics.items() if metric.n != 1]
    if not names:
        return []
    difference = f"{names[0].removesuffix('_a')}_difference"
    order = [*(name for name in (difference,) if name in names), names[0], *(n for n in LEADING if n in names), *names]
    without_leaks = [f"{name}_leak_free" if f"{name}_leak_free" in names else name for name in order]
    return list(dict.fromkeys(without_leaks))[:MAX_LARGE]


def _placed(figures: Sequence[Figure]) -> tuple[list[Figure], list[Figure], list[Figure]]:
    """Figures beside the headline (the first chart, or a few pictures), in strips below it, and folded away."""
    first = [figure for figure in figures if figure.first]
    few = [figure for figure in first[:1] if len(figure.pictures) <= MAX_BESIDE]
    beside = [figure for figure in first if figure.svg][:1] or few
    strips = [figure for figure in first if not figure.svg and figure not in beside]
    return beside, strips, [figure for figure in figures if figure not in beside and figure not in strips]


def write_report(report: Report, folder: Path) -> None:
    """Write report.html, report.json and report.md into a folder, each atomically; it is made where it is missing.

    Raises UsageError where the folder cannot be written or holds other files of these names, or the report holds a
    number that is not finite.
    """
    try:
        document = json.dumps(report.to_json(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the report '{report.title}' should hold only finite numbers and plain values: {error}"
        ) from None
    check_report(folder, report.kind)
    write_json(folder / "report.json", json.loads(document))
    write_sealed(folder / "report.md", report.to_markdown())
    write_sealed(folder / "report.html", to_html(report))


def _all_figures(metrics: Mapping[str, Metric]) -> list[dict[str, Any]]:
    """A section with every figure and what it means; none where there are no figures."""
    rows = [
        [{"kind": "text", "text": term}, _cell(metric), _cell(metric.n), _cell(meaning)]
        for name, metric in metrics.items()
        for term, meaning in (heading(name, metric),)
    ]
    note = "Ranges are 95% intervals; n is how many pictures a figure rests on."
    table = {"columns": ("figure", "value", "n", "what it means"), "rows": rows, "note": note}
    return [{"title": f"All {len(rows)} figures", "figures": [], "tables": [table]}] if len(rows) > 1 else []


def _card(name: str, metric: Metric) -> dict[str, Any]:
    difference = metric.unit == "share" and name.endswith("_difference")
    text = _figure_text(replace(metric, unit="points") if difference else metric)
    return {"label": heading(name, metric)[0], **text}


def _figure_text(metric: Metric) -> dict[str, str]:
    """A metric in the pieces that the page sets in different sizes: value, unit, interval, n."""
    sign = "+" if metric.unit == "points" and metric.value else ""
    share = metric.unit in ("share", "points")
    scale, digits = 100 if share else 1, metric.digits
    spread = ""
    if metric.low is not None and metric.high is not None:
        spread = f"{metric.low * scale:,.{digits}f} to {metric.high * scale:,.{digits}f}"
    tiny = not share and 0 < abs(metric.value) < 0.0005
    return {
        "value": f"{metric.value:.1e}" if tiny else f"{metric.value * scale:{sign},.{digits}f}",
        "unit": "%" if metric.unit == "share" else metric.unit,
        "spread": spread,
        "n": "" if metric.n is None else f"{metric.n:,}",
    }


def _sections(figures: Sequence[Figure], tables: Sequence[Table], markup: Any) -> list[dict[str, Any]]:
    """Figures and tables of the same title stand together; the order is that of the figures, then of the tables."""
    sections: dict[str, dict[str, Any]] = {}

    def section(title: str) -> dict[str, Any]:
        return sections.setdefault(title, {"title": title, "figures": [], "tables": []})

    for figure in figures:
        section(figure.title)["figures"].append(_shown(figure, markup))
    for table in tables:
        rows = [[_cell(value) for value in row] for row in table.rows]
        section(table.title)["tables"].append({"columns": table.columns, "rows": rows, "note": table.note})
    return list(sections.values())


def _shown(figure: Figure, markup: Any) -> dict[str, Any]:
    # The SVG comes from core.drawing, which escapes; it must not be escaped again.
    return {
        "title": figure.title,
        "svg": markup(figure.svg),
        "pictures": [
            {"source": _data_address(content), "size": _size(content), "lines": caption.split("\n")}
            for content, caption in figure.pictures
        ],
        "note": figure.note,
        "lead": figure.lead,
        "wide": figure.wide,
        "pair": figure.first and not figure.wide,
    }


def _size(content: bytes) -> tuple[int, int] | None:
    """Width and height, so that a page keeps its layout while it loads; None of what is no picture."""
    try:
        with Pillow.open(io.BytesIO(content)) as picture:
            return picture.size
    except (OSError, ValueError):
        return None


def _cell(value: Any) -> dict[str, Any]:
    if isinstance(value, Metric):
        return {"kind": "metric", **_figure_text(value)}
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"kind": "number" if numeric else "text", "text": cell_text(value)}


def _data_address(content: bytes) -> str:
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _facts(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as (name, text) pairs, names joined by dots."""
    facts: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            facts += _facts(value, f"{prefix}{name}.")
        else:
            text = ", ".join(str(v) for v in value) if isinstance(value, (list, tuple)) else cell_text(value)
            facts.append((f"{prefix}{name}", text))
    return facts
