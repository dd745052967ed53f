"""Answers by models: what pictures show, and what is found in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from photovision.app.agents.answer import ToolAnswer, fitted, quoted
from photovision.app.agents.desk import Desk
from photovision.app.agents.jobs import Report
from photovision.app.agents.picture_root import RootPicture
from photovision.app.agents.picturing import shown
from photovision.core.errors import UsageError
from photovision.core.suggest import did_you_mean

_LABELS = 15  # that are counted in an answer
_SET = 5  # classes of a prediction set that a row names
_LINE = 120
Row = dict[str, Any]
_SURE: Mapping[str, Callable[[Row], Any] | None] = {
    "name": None,
    "least_sure": lambda row: row["sure"],
    "most_sure": lambda row: -row["sure"],
}


def classify(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """Labels of pictures, counted over all of them, and rows of those that were asked for."""
    pictures = desk.asked(arguments)
    name, model = desk.model(arguments.get("model"), _labels, "a classifier")
    label = arguments.get("label")
    if label is not None and label not in model.bundle.classes:
        near = did_you_mean(label, model.bundle.classes)
        raise UsageError(f"{name} has no class '{quoted(label)}'{near}: describe lists its classes")

    def work(report: Report) -> ToolAnswer:
        results = list(desk.results(name, model, pictures, report))
        values = [result.to_json() for result in results]
        rows = [(_row(picture, value), picture) for picture, value in zip(pictures, values, strict=True)]
        read = [row for row, _ in rows if "error" not in row]
        counts = Counter(row["label"] for row in read).most_common()
        wanted = [one for one in rows if _wanted(one[0], arguments["only"], label)]
        order = _SURE[arguments["order"]]
        if order is not None:
            wanted = sorted((one for one in wanted if "sure" in one[0]), key=lambda one: order(one[0]))
        fields = {
            "model": name,
            "pictures": len(pictures),
            "unreadable": len(rows) - len(read),
            "unknown": sum(row.get("unknown", False) for row in read),
            "unsure": sum("set" in row for row in read),
            "labels": [f"{quoted(one)}: {count}" for one, count in counts[:_LABELS]],
            "matching": len(wanted),
        }
        return _page(fields, wanted, arguments)

    return desk.work(work, report)


def detect(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """What is found in pictures: a line for each, or a row for everything that was found."""
    pictures = desk.asked(arguments)
    name, model = desk.model(arguments.get("model"), _finds, "a detector, segmenter or anomaly detector")
    lines = model.bundle.row.part("lines", "detect")(model, 1)

    def work(report: Report) -> ToolAnswer:
        rows: list[tuple[Row, RootPicture]] = []
        failed = 0
        found: dict[str, int] = {}
        for picture, result in zip(pictures, desk.results(name, model, pictures, report), strict=True):
            if result.value is None:
                failed += 1
                rows.append(({**picture.shown, "error": quoted(result.to_json()["error"])}, picture))
                continue
            cells = [dict(zip(lines.columns, row, strict=True)) for row in lines.rows(result.value, result.size)]
            found[picture.id] = len(cells)
            if arguments["details"]:
                rows += [
                    ({"id": picture.id, **{key: quoted(str(one)) for key, one in row.items()}}, picture)
                    for row in cells
                ]
            else:
                line = " ".join(lines.text("", result.value).split())
                rows.append(({**picture.shown, "found": quoted(line[:_LINE])}, picture))
        if arguments["order"] == "most_found":
            rows.sort(key=lambda one: -found.get(one[1].id, 0))
        return _page({"model": name, "pictures": len(pictures), "unreadable": failed}, rows, arguments)

    return desk.work(work, report)


def _page(
    fields: Mapping[str, Any], rows: Sequence[tuple[Row, RootPicture]], arguments: Mapping[str, Any]
) -> ToolAnswer:
    """The rows that were asked for, as far as they fit, and the pictures of the first of them."""
    offset = arguments["offset"]
    listed = [row for row, _ in rows[offset : offset + arguments["limit"]]]
    found = fitted(fields, listed, offset)
    count = len(found.fields["rows"])
    left = max(0, len(rows) - offset - count)
    more = {"next_offset": offset + count} if left else {}
    images = [picture for _, picture in rows[offset : offset + count]]
    return ToolAnswer({**found.fields, "left": left, **more}, shown(images, arguments["show"]))


def _row(picture: RootPicture, value: Mapping[str, Any]) -> Row:
    if "error" in value:
        return {**picture.shown, "error": quoted(value["error"])}
    if value.get("known") is False:
        return {**picture.shown, "label": "unknown", "unknown": True, "sure": 0.0}
    label = ", ".join(value["labels"]) or "no class" if "labels" in value else value["label"]
    row: Row = {**picture.shown, "label": quoted(label), "sure": round(value.get("confidence") or value["prob"], 3)}
    possible = value.get("set") or ()
    return row | ({"set": [quoted(one) for one in possible[:_SET]]} if len(possible) > 1 else {})


def _wanted(row: Row, only: str, label: str | None) -> bool:
    if label is not None and row.get("label") != quoted(label):
        return False
    if only == "all":
        return True
    if "error" in row:
        return False
    kinds = {"known": "unknown" not in row, "unknown": "unknown" in row, "unsure": "set" in row}
    return kinds[only]


def _labels(bundle: Any) -> bool:
    return bool(bundle.row.annotation_type == "labels") and bool(bundle.row.has("calibrate"))


def _finds(bundle: Any) -> bool:
    return bool(bundle.row.annotation_type != "labels") and bool(bundle.row.has("lines"))
