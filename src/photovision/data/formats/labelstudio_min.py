"""Label Studio's JSON-MIN: one flat object for each annotation of a picture, made into the task of a whole export.

    {"image": "/data/upload/1/x.jpg", "patient": "7", "id": 1, "choice": "sick", "annotator": 2, "annotation_id": 5}
    {"image": "y.jpg", "id": 2, "label": [{"x": 1.5, "y": 2, "width": 9, "height": 9, "rectanglelabels": ["cell"]}]}

The fields of the data come first, then "id", then the answers, then facts about the annotation. Of several objects of
one picture, one for each annotator, the first counts.
"""

from __future__ import annotations

from typing import Any

_FACTS = frozenset(
    ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "annotation_created_by")
)
_CHOICES = ("choice", "choices", "class", "label", "labels", "category", "sentiment")
"""What people call the question where the order of the fields does not tell."""


def whole_task(value: Any) -> Any:
    """The task as the whole export has it; what is no object is given back as it is."""
    if not isinstance(value, dict):
        return value
    keys = list(value)
    after = keys.index("id") + 1 if "id" in keys else len(keys)
    results: list[dict[str, Any]] = []
    data: dict[str, Any] = {}
    for place, key in enumerate(keys):
        one = value[key]
        if key == "id" or key in _FACTS:
            continue
        found = _results(key, one, place >= after or key in _CHOICES)
        if found:
            results += found
        else:
            data[key] = one
    return {"id": value.get("id"), "data": data, "annotations": [{"result": results}]}


def _results(key: str, one: Any, answer: bool) -> list[dict[str, Any]]:
    """The results that a field stands for; none where it belongs to the data."""
    if isinstance(one, dict) and isinstance(one.get("choices"), list):
        return [{"type": "choices", "from_name": key, "value": {"choices": one["choices"]}}]
    if isinstance(one, list) and any(isinstance(region, dict) for region in one):
        return [{**region, "type": _type(region), "value": region} for region in one if isinstance(region, dict)]
    if not answer or key in ("image", "img", "picture"):
        return []
    if isinstance(one, str):
        return [{"type": "choices", "from_name": key, "value": {"choices": [one]}}]
    if isinstance(one, list) and one and all(isinstance(path, list | str) for path in one):
        return [{"type": "taxonomy", "from_name": key, "value": {"taxonomy": one}}]
    return [{"type": "number", "from_name": key}] if isinstance(one, int | float) else []


def _type(region: dict[str, Any]) -> str:
    return next((key for key in region if key.endswith("labels")), str(region.get("type", "")))
