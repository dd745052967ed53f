"""A model for notebooks: its card in short, from what its bundle says."""

from __future__ import annotations

from photovision.core.errors import DataError
from photovision.core.glossary import heading
from photovision.core.notebook import paragraph, table, text
from photovision.core.phrases import count
from photovision.core.report import Metric
from photovision.runtime.bundle import Bundle

CLASSES, FIGURES, WARNINGS = 12, 6, 3
"""How many of each are shown."""


def short_card(bundle: Bundle) -> str:
    """Name, classes, the leading figures with their intervals, and the first warnings, as HTML."""
    info, row = bundle.info, bundle.row
    named = [text(name) for name in bundle.classes[:CLASSES]]
    more = f" and {len(bundle.classes) - CLASSES:,} more" if len(bundle.classes) > CLASSES else ""
    number = count(len(bundle.classes), "class", "classes")
    backbone = (info.get("backbone") or {}).get("name")
    network = f", {backbone}" if backbone else ""
    warned = "".join(f"<li>{text(one)}</li>" for one in (info.get("warnings") or ())[:WARNINGS])
    return "".join(
        (
            paragraph(f"{bundle.path.resolve().name}: {row.text.a_noun} of {number}{network}", strong=True),
            f"<p style='margin:0 0 6px'>{', '.join(named)}{more}</p>",
            table(("measured on test pictures", "", "95% interval", "n"), rows) if (rows := _figures(bundle)) else "",
            f"<ul style='margin:6px 0'>{warned}</ul>" if warned else "",
        )
    )


def _figures(bundle: Bundle) -> list[tuple[str, str, str, str]]:
    """Title, value, interval and number of the leading figures."""
    rows = []
    for name, value in (bundle.info.get("metrics") or {}).items():
        try:
            metric = Metric.from_json(value)
        except DataError:
            continue
        if metric.low is None and metric.unit != "share":
            continue
        value_text, _, evidence = str(metric).partition(" (")
        interval = evidence.rstrip(")").partition(", n = ")[0] if metric.low is not None else ""
        n = "" if metric.n is None else f"{metric.n:,}"
        rows.append((heading(name, metric)[0], value_text, interval, n))
    return rows[:FIGURES]
