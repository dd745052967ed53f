"""Label Studio's results: the regions and labels of one annotator for a picture, in the terms of its JSON export.

A region may have its class in its own result ("rectanglelabels") or in another one of the same id ("rectangle" with
"labels" or "choices"). All numbers are percent of the picture. A result without a region is about the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from photovision.core.errors import DataError
from photovision.core.shapes import Shape
from photovision.data.coordinates import Size, ellipse, numbers, polygons, rotated_box, size_of
from photovision.data.formats import clean
from photovision.data.formats.labelstudio_rle import read_brush

_KINDS = {f"{kind}labels": kind for kind in ("rectangle", "polygon", "brush", "ellipse")}
_BARE = frozenset(_KINDS.values())
_NAMES = ("labels", "choices", "taxonomy")
_LEFT_OUT = {
    **dict.fromkeys(("keypoint", "keypointlabels", "vector", "vectorlabels"), "key points and lines"),
    **dict.fromkeys(("textarea", "rating", "number", "datetime", "pairwise", "ranker", "relation"), "other answers"),
    "labels": "labels of text",
}


class ResultRegion(NamedTuple):
    """Something drawn: its place among the results, its kind, its class or "", and the result."""

    place: int
    kind: str
    label: str
    result: dict[str, Any]


class AnnotationResult(NamedTuple):
    """Labels of the whole picture: the name of the question and the answers."""

    question: str
    names: list[str]


class Odd(NamedTuple):
    """A result that is left out: its place, what it is, and whether that is a mistake."""

    place: int
    why: str
    bad: bool = False


def parts_of(results: Sequence[Any]) -> tuple[list[ResultRegion], list[AnnotationResult], list[Odd]]:
    """The regions, the answers about the whole picture, and what is left out, in the order of the results."""
    drawn = {str(one.get("id")): one for one in results if _kind(one) in _BARE and one.get("id") is not None}
    labels_of = {
        str(one["id"]): _names(one)
        for one in results
        if _type(one) in _NAMES and str(one.get("id")) in drawn and _type(drawn[str(one["id"])]) in _BARE
    }
    regions: list[ResultRegion] = []
    answers: list[AnnotationResult] = []
    odd: list[Odd] = []
    for place, one in enumerate(results):
        kind, type_, id = _kind(one), _type(one), str(one.get("id")) if isinstance(one, dict) else ""
        if kind in _BARE:
            names = _names(one) or labels_of.get(id, [])
            regions.append(ResultRegion(place, kind, names[0] if names else "", one))
            odd += [Odd(place, "second labels of an object")] if len(names) > 1 else []
        elif type_ in _NAMES and id in drawn:
            odd += [] if id in labels_of else [Odd(place, "answers about single objects")]
        elif type_ in ("choices", "taxonomy"):
            answers.append(AnnotationResult(str(one.get("from_name") or type_), _names(one)))
        elif type_ in _LEFT_OUT:
            odd.append(Odd(place, _LEFT_OUT[type_]))
        else:
            odd.append(Odd(place, f"'{type_:.40}' is neither rectangle nor polygon nor brush nor ellipse", True))
    return regions, answers, odd


def _type(one: Any) -> str:
    return str(one.get("type", "")) if isinstance(one, dict) else ""


def _kind(one: Any) -> str:
    type_ = _type(one)
    return _KINDS.get(type_, type_)


def _names(one: dict[str, Any]) -> list[str]:
    """The labels of a result; those of a taxonomy are paths, joined by "/"."""
    value = one.get("value")
    found = value.get(_type(one)) if isinstance(value, dict) else None
    found = [found] if isinstance(found, str) else found
    if not isinstance(found, list):
        return []
    paths = ["/".join(map(str, name)) if isinstance(name, list) else name for name in found]
    return [clean(str(name)) for name in paths if isinstance(name, str | int | float) and clean(str(name))]


def declared_size(one: Any) -> Size | None:
    """(H, W) of the picture that a result was drawn on, as it says."""
    return size_of(one.get("original_height"), one.get("original_width")) if isinstance(one, dict) else None


def region_shape(region: ResultRegion, size: Size) -> tuple[list[float] | None, Shape | None]:
    """A box x1, y1, x2, y2 or an outline in pixels of a picture of (H, W); raises DataError where it is neither."""
    value = region.result.get("value")
    if not isinstance(value, dict):
        raise DataError(f"expected a value with '{region.kind}labels'")
    height, width = size
    if region.kind == "brush":
        return None, read_brush(value.get("rle"), size)
    if region.kind == "polygon":
        points = value.get("points")
        flat = [v for point in points for v in (numbers(point, 2) or [])] if isinstance(points, list) else []
        if not flat or len(flat) != 2 * len(points or ()):
            raise DataError("points should be a list of finite [x, y] in percent")
        return None, polygons([[v * (height if i % 2 else width) / 100 for i, v in enumerate(flat)]])
    sides = ("x", "y", "radiusX", "radiusY") if region.kind == "ellipse" else ("x", "y", "width", "height")
    found = numbers([value.get(name) for name in sides], 4)
    turned = numbers([value.get("rotation", 0)], 1)
    if found is None or turned is None:
        raise DataError(f"a {region.kind} should have finite {', '.join(sides)} in percent")
    x, y, across, down = (v * (height if i % 2 else width) / 100 for i, v in enumerate(found))
    if region.kind == "ellipse":
        return None, ellipse((x, y), (across, down), turned[0])
    box = [x, y, x + across, y + down]
    return (None, rotated_box(box, turned[0], (x, y))) if turned[0] else (box, None)  # about its upper left corner
