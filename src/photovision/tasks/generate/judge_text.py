"""The report of a generator: sentences, pictures and a verdict on copying."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.phrases import count
from photovision.core.report import Assessment, Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg
from photovision.tasks.generate.grid import grid

if TYPE_CHECKING:
    from photovision.tasks.generate.generator import Generator
    from photovision.tasks.generate.judge import Judged

MAX_COPIES = 0.01
"""Share of samples that may be as near to a training image as one held-out image in a thousand is."""
_LEAST_RECALL = 0.5
TITLES = {
    "precision": ("Precision", "share of samples that lie among real images"),
    "recall": ("Recall", "share of real images that lie among samples: low where samples show little variety"),
    "frechet_distance": ("Frechet distance", "of samples from held-out images, in the features of the named network"),
    "frechet_distance_floor": ("Frechet distance, floor", "of training images from held-out ones: none can do better"),
    "kernel_distance": ("Kernel distance", "of samples from held-out images, unbiased"),
    "kernel_distance_floor": ("Kernel distance, floor", "of training images from held-out ones"),
    "class_agreement": ("Class agreement", "share of samples in which another classifier sees the class asked for"),
    "copies": ("Copies", "share of samples nearer to a training image than 99.9% of held-out images are"),
}


def report_of(model: Generator, found: Judged, decisions: Mapping[str, Any]) -> Report:
    """The report of a training."""
    from dataclasses import replace

    metrics = {
        name: replace(metric, title=TITLES[name][0], hint=TITLES[name][1]) for name, metric in found.metrics.items()
    }
    return Report(
        "train",
        "A generator",
        _summary(model, found),
        metrics=metrics,
        figures=_figures(model, found),
        warnings=tuple(_warnings(model, found)),
        tables=(_table(metrics),),
        assessment=assessment(found.metrics),
        provenance=provenance(),
        data={"task": model.task, "classes": list(model.classes)},
    )


def assessment(metrics: Mapping[str, Metric]) -> Assessment:
    """The verdict: copies first, variety second."""
    copied, recall = metrics["copies"], metrics["recall"]
    if (copied.low or 0.0) > MAX_COPIES:
        return Assessment(
            "bad",
            "Samples are copies",
            f"{percent(copied.value)} of the samples are training images, learned by heart: do not call them new, and"
            " do not publish them where the training images may not be. Train on more pictures, or for less time.",
        )
    if recall.value < _LEAST_RECALL:
        return Assessment(
            "care",
            "Samples show little variety",
            f"{percent(recall.value)} of real images lie among the samples: train for longer, or on more pictures.",
        )
    return Assessment("good", "New images", f"At most {percent(copied.high or 0.0)} of the samples are copies.")


def _summary(model: Generator, found: Judged) -> tuple[str, ...]:
    metrics, n = found.metrics, len(found.samples)
    features = (model.info.get("generation") or {}).get("features", "a pretrained network")
    distance, floor = metrics["frechet_distance"], metrics["frechet_distance_floor"]
    sentences = [
        f"{count(n, 'sample')} beside {count(distance.n or 0, 'held-out image')}: precision"
        f" {percent(metrics['precision'].value)}, recall {percent(metrics['recall'].value)}.",
        f"Frechet distance {distance.value:.2f} (95% interval {distance.low:.2f} to {distance.high:.2f}) in the"
        f" features of {features}; training images are {floor.value:.2f} from held-out ones, and nothing can do"
        " better. It is not FID: compare it only with figures of the same features and number of images.",
    ]
    if found.probe is not None and "class_agreement" in metrics:
        sentences.append(
            f"A linear probe that names {percent(found.probe.value)} of held-out images correctly sees the class asked"
            f" for in {percent(metrics['class_agreement'].value)} of the samples."
        )
    copied = int(found.copied.sum())
    sentences.append(
        f"{count(copied, 'sample')} of {n:,} {'is' if copied == 1 else 'are'} nearer to a training image than 99.9% of"
        " held-out images are."
    )
    return tuple(sentences)


def _warnings(model: Generator, found: Judged) -> list[str]:
    said = []
    if len(found.samples) < 200:
        said.append(f"Only {len(found.samples)} samples were judged for lack of time: give more --minutes.")
    if (found.metrics["frechet_distance"].n or 0) < 200:
        said.append("Fewer than 200 held-out images: distances say little, and copies are hard to tell.")
    return said


def _figures(model: Generator, found: Judged) -> tuple[Figure, ...]:
    shown = found.samples.images[:64]
    scale = max(1, 96 // shown.shape[1])
    whole = Figure(
        "Samples",
        pictures=((jpeg(grid(shown, scale)), f"{len(shown)} samples, none of them chosen"),),
        wide=True,
        first=True,
    )
    pairs = []
    for row, beside in zip(found.closest.tolist(), found.beside, strict=True):
        pair = np.stack([found.samples.images[row], beside])
        mark = "a copy" if found.copied[row] else "no copy"
        pairs.append((jpeg(grid(pair, max(1, 128 // pair.shape[1]))), f"sample, nearest training image: {mark}"))
    nearest = Figure(
        "The samples nearest to training images",
        pictures=tuple(pairs),
        note="Left the sample, right the training image that it is nearest to.",
    )
    return whole, nearest


def _table(metrics: Mapping[str, Metric]) -> Table:
    rows = [(metric.title, metric, metric.hint) for metric in metrics.values()]
    return Table("How good samples are", ("figure", "value", "meaning"), tuple(rows), "")
