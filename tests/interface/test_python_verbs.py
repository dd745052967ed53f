"""Every verb from Python, with every kind of model and of data: right figures, or one sentence that says what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clicker import clicker_bundle
from colours import add_doubt, colour_bundle
from painter import painter_bundle
from scenes import make_scene, objects
from spots import NAMES, spot_bundle, spot_picture
from spotter import spotter_bundle, squares

import photovision as pv
from photovision.core.regions import Detections, Segmentation
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.trust.explain import drise

MODELS: dict[str, Callable[[Path], Path]] = {
    "classifier": spot_bundle,
    "multi-label": lambda folder: spot_bundle(folder, multilabel=True),
    "detector": spotter_bundle,
    "segmenter": painter_bundle,
    "objects": lambda folder: painter_bundle(folder, instances=True, tile=(24, 24)),
    "cutter": clicker_bundle,
}
PICTURE = spot_picture(0, 1, 1)


def data_sets(broken: Path) -> dict[str, Dataset]:
    """Usual data of every task, and odd ones."""
    spots = Dataset(
        tuple(Sample(f"{i}.png", spot_picture(i % 3, i % 4, i % 3, i), (NAMES[i % 3],)) for i in range(12)), NAMES
    )
    boxes, names, painted = squares(12), ("background", "thing"), []
    for number in range(6):
        image, labels = make_scene(seed=number)
        masks = Segmentation((labels == 1).astype(np.int32), names)
        painted.append(Sample(f"{number}.png", image, ("thing",), annotations=masks))
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), boxes.classes)

    def every(data: Dataset, **changes: Any) -> Dataset:
        return replace(data, samples=tuple(replace(sample, **changes) for sample in data.samples))

    return {
        "classes": spots,
        "boxes": boxes,
        "masks": Dataset(tuple(painted), names, multilabel=True, annotation_type="masks"),
        "objects": objects(6),
        "other order": replace(spots, classes=NAMES[::-1]),
        "more classes": replace(spots, classes=("zebra", *NAMES)),
        "strange classes": Dataset(tuple(replace(one, target=("zebra",)) for one in spots.samples), ("zebra", "yak")),
        "one class": spots.subset([0, 3, 6]),
        "nothing": spots.subset([]),
        "no labels": every(spots, target=None),
        "no boxes": every(boxes, target=(), annotations=none),
        "unreadable": every(spots, image=broken),
        "unreadable boxes": every(boxes, image=broken),
    }


WORKS = {
    ("classifier", "classes"): "accuracy",
    ("classifier", "other order"): "accuracy",
    ("classifier", "more classes"): "accuracy",
    ("classifier", "one class"): "accuracy",
    ("multi-label", "classes"): "map",
    ("multi-label", "boxes"): "map",
    ("detector", "boxes"): "map",
    ("segmenter", "masks"): "miou",
    ("segmenter", "objects"): "miou",
    ("objects", "masks"): "miou",
    ("objects", "objects"): "miou",
}
VERBS: dict[str, Callable[[Any, Dataset, Path], Any]] = {
    "evaluate": lambda model, data, out: pv.evaluate(model, data),
    "compare": lambda model, data, out: pv.compare(model, model, data),
    "audit": lambda model, data, out: pv.audit(model, data, minutes=0.02, only=["groups"]),
    "calibrate": lambda model, data, out: pv.calibrate(model, data, out),
    "optimize": lambda model, data, out: pv.optimize(model, data, out, ["bf16"]),
    "features": lambda model, data, out: pv.features(model, data),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_works_or_says_why_not(verb: str, kind: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    model = pv.load(MODELS[kind](tmp_path / "model"))
    for name, data in data_sets(broken).items():
        lead = WORKS.get((kind, name))
        report, reason = _asked(verb, model, data, tmp_path / "out")
        if report is None:
            assert verb not in ("evaluate", "compare") or lead is None, (name, reason)
            assert len(reason) > 30
            assert "\n" not in reason
            assert not (tmp_path / "out").exists()
            continue
        if verb == "evaluate" and lead is not None:
            assert report.metrics[lead].n == len(data)
        assert all(np.isfinite(metric.value) for metric in report.metrics.values()), name


def _asked(verb: str, model: Any, data: Dataset, out: Path) -> tuple[Any, str]:
    """What a verb gives, or why it does not."""
    try:
        return VERBS[verb](model, data, out), ""
    except pv.PhotovisionError as error:
        return None, str(error)


@pytest.mark.filterwarnings("ignore:explain_boxes is now explain:DeprecationWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_pictures_are_explained_or_it_is_said_what_explains_them(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drise, "MASKS", 16)
    model = pv.load(MODELS[kind](tmp_path / "model"))
    classifies, places = kind in ("classifier", "multi-label"), kind in ("detector", "segmenter", "objects")
    for works, call in (
        (classifies or places, lambda: pv.explain(model, [PICTURE], tests=False)),
        (classifies or places, lambda: pv.attribute(model, PICTURE)),
        (places, lambda: pv.explain_boxes(model, PICTURE, tests=False)),
        (classifies or places, lambda: pv.export(model, "onnx", tmp_path / "exported")),
    ):
        if works:
            assert call() is not None
            continue
        with pytest.raises(pv.PhotovisionError, match=r"is not available for|does not accept|cannot be exported"):
            call()


def test_models_and_data_are_given_as_paths_or_as_values(tmp_path: Path) -> None:
    from PIL import Image

    folder = spot_bundle(tmp_path / "model")
    images = np.stack([spot_picture(i % 3, i % 4, 1, i) for i in range(9)])
    labels = [NAMES[i % 3] for i in range(9)]
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "data" / label / f"{number}.png")
    ways = [
        pv.evaluate(folder, tmp_path / "data"),
        pv.evaluate(str(folder), str(tmp_path / "data")),
        pv.evaluate(pv.load(folder), pv.read_dataset(tmp_path / "data")),
        pv.evaluate(folder, images, labels),
        pv.evaluate(folder, list(images), np.arange(9) % 3),
    ]
    assert all(way.metrics["accuracy"] == ways[0].metrics["accuracy"] for way in ways)
    with pytest.raises(pv.UsageError, match="need their labels beside them"):
        pv.evaluate(folder, images)
    with pytest.raises(pv.UsageError, match="has its own labels"):
        pv.evaluate(folder, tmp_path / "data", labels)


def test_pictures_of_something_else_are_for_models_with_a_gate(tmp_path: Path) -> None:
    others = Dataset((Sample("x", PICTURE, ("x",)),), ("x",))
    gated = pv.load(add_doubt(colour_bundle(tmp_path / "gated")))
    data = Dataset((Sample("r", np.full((40, 40, 3), (200, 30, 30), np.uint8), ("red",)),), ("red",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "novelty_auroc" in pv.evaluate(gated, data, unknown=others).metrics
    with pytest.raises(pv.UsageError, match="'unknown' should be a Dataset"):
        pv.evaluate(gated, data, unknown=str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(pv.UsageError, match="made without novelty detection"):
        pv.evaluate(MODELS["classifier"](tmp_path / "classifier"), data, unknown=others)
    for kind in ("detector", "segmenter"):
        with pytest.raises(pv.UsageError, match=f"A {kind} does not accept 'unknown'"):
            pv.evaluate(MODELS[kind](tmp_path / kind), data, unknown=others)
