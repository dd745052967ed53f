"""info: what is this model?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from photovision.app.cli.options import Json, Model

if TYPE_CHECKING:
    from photovision.runtime.bundle import Bundle

_ANSWERS = {
    "detect": "boxes with classes",
    "segment": "a class for every pixel",
    "cut": "the mask of what is clicked",
}


def info(model: Model, as_json: Json = False) -> None:
    """Show what a model is, what it learnt from, how good it is, and its licences."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.core.report import Metric
    from photovision.models.pretrained import bundle_at
    from photovision.runtime.bundle import read_bundle

    bundle = read_bundle(bundle_at(model))
    told = bundle.info
    if as_json:
        print_json(told)
        return
    classes, backbone, data = bundle.classes, told.get("backbone") or {}, told.get("data") or {}
    counts = data.get("counts") or {}
    names = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    params = backbone.get("params")
    rows = [
        ("classes", f"{len(classes)} ({names})"),
        ("answers", _answers(bundle)),
        *_OF_TASKS.get(bundle.task, _nothing)(told),
        ("network", f"{backbone['name']}, weights {backbone.get('weights')}" if backbone.get("name") else None),
        ("parameters", f"{params:,}" if isinstance(params, int) else None),
        ("rung", told.get("chosen")),
        ("input", " x ".join(map(str, bundle.preprocess.size)) + " pixels"),
        ("pictures", ", ".join(f"{count:,} {name}" for name, count in counts.items())),
        ("data", data.get("fingerprint") or data.get("source")),
        *((name.replace("_", " "), str(Metric.from_json(m))) for name, m in (told.get("metrics") or {}).items()),
        *((f"licence, {entry['part']}", f"{entry['name']}: {entry['licence']}") for entry in told["licences"]),
    ]
    print_rows([(name, str(value)) for name, value in rows if value])


def _answers(bundle: Bundle) -> str:
    if bundle.task == "segment" and bundle.info.get("instances"):
        return "a class for every pixel, and objects apart"
    return _ANSWERS.get(bundle.task) or ("any number of classes" if bundle.multilabel else "one class")


def _detector(told: dict[str, Any]) -> list[tuple[str, str]]:
    limits = sorted(set(told["thresholds"]))
    least = f"{limits[0]:.2f}" if len(limits) == 1 else f"{limits[0]:.2f} to {limits[-1]:.2f}, by class"
    iou = told.get("iou")
    overlap = [] if iou is None else [("overlap", f"boxes of a class overlap by at most {100 * iou:.0f} %")]
    return [("least score", least), *overlap]


def _segmenter(told: dict[str, Any]) -> list[tuple[str, str]]:
    tile, least = told.get("tile"), told.get("least_area")
    seen = f"windows of {' x '.join(map(str, tile))} pixels" if isinstance(tile, list) else "whole pictures"
    smallest = [("smallest object", f"{least} pixels")] if told.get("instances") and least else []
    return [("looks at", seen), *smallest]


def _nothing(told: dict[str, Any]) -> list[tuple[str, str]]:
    return []


_OF_TASKS = {"detect": _detector, "segment": _segmenter}
