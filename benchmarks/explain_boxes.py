"""Do maps of boxes or regions hold, lie where the things are, fail where nothing was learned? How long do they take?

    python benchmarks/explain_boxes.py MODEL PICTURES [--pictures 30] [--boxes 3] [--method drise]

Of the most probable boxes of pictures that are spread evenly over a folder: how often a map stands its tests, with a
Wilson interval; how often one of the model with shuffled weights does, and a smooth map of pure chance, both judged by
the model's own answers; how much of the heat lies in the thing, beside the thing's share of the picture; seconds a
picture with and without tests. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.image import decode, to_array
from photovision.core.report import Metric
from photovision.core.window import to_view, whole
from photovision.data.image_paths import find_pictures
from photovision.engine.explain import explained
from photovision.engine.load import load
from photovision.models.pretrained import bundle_at
from photovision.tasks.detect.detector import Detector
from photovision.trust.explain import TARGET_EXPLAINERS
from photovision.trust.explain.explained_model import resized
from photovision.trust.explain.faithfulness import FaithfulnessTest, trials
from photovision.trust.explain.regions import ExplainedRegion
from photovision.trust.explain.request import ExplainRequest
from photovision.trust.explain.target import BoxTarget, TargetHeatmap, TargetScorer
from photovision.trust.metrics.statistics import wilson


def held(found: list[FaithfulnessTest]) -> dict[str, Any]:
    """How often tests say that a map may be trusted."""
    k = sum(trial.verdict == "holds" for trial in found)
    told = Metric(k / len(found), *wilson(k, len(found)), len(found)).to_json() if found else {}
    return {**told, "untestable": sum(trial.verdict == "untestable" for trial in found)}


def planted(
    model: Detector, places: list[ExplainedRegion], image: np.ndarray, seed: int
) -> tuple[list[FaithfulnessTest], list[FaithfulnessTest]]:
    """Trials of maps of the shuffled model, and of chance, for the boxes of one picture."""
    viewer = TargetScorer(model.bundle, model.session.engine, model.session.precision)
    seen, size = model.preprocess.apply(image), model.preprocess.size
    boxes = to_view([p.box for p in places], whole(image.shape[:2]), size).astype(np.float32)
    aims = [BoxTarget(box, model.classes.index(p.label)) for box, p in zip(boxes, places, strict=True)]
    strange = TARGET_EXPLAINERS.load("drise").heatmaps(viewer.shuffled(seed + 2), seen, aims)
    chance = resized(np.random.default_rng(seed).normal(size=(len(aims), 4, 4)).astype(np.float32), size)
    both = trials(
        TargetHeatmap(viewer, aims), seen, [*range(len(aims))] * 2, np.concatenate([strange, chance]), seed=seed
    )
    return both[: len(aims)], both[len(aims) :]


def main() -> None:
    """Explain, and tell what the tests say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("--pictures", type=int, default=30)
    parser.add_argument("--boxes", type=int, default=3)
    parser.add_argument("--method", default="drise")
    asked = parser.parse_args()
    model, files = load(bundle_at(asked.model)), list(find_pictures([asked.folder]))
    files = [files[int(row)] for row in np.unique(np.linspace(0, len(files) - 1, asked.pictures).astype(int))]
    request = ExplainRequest((asked.method,), boxes=asked.boxes)
    explained(model, files[0], request)  # compiles the graphs
    places: list[ExplainedRegion] = []
    strange, chance, seconds = (
        list[FaithfulnessTest](),
        list[FaithfulnessTest](),
        {True: list[float](), False: list[float]()},
    )
    for number, file in enumerate(files):
        for tests in (False, True):
            began = time.perf_counter()
            found = explained(model, file, replace(request, tests=tests, seed=number))
            if found.places:
                seconds[tests].append(time.perf_counter() - began)
        places += found.places
        if found.places and isinstance(model, Detector) and model.preprocess.fit == "squash":
            more = planted(model, list(found.places), to_array(decode(Path(file))), number)
            strange, chance = strange + more[0], chance + more[1]
    result = {
        "pictures": len(files),
        "boxes": len(places),
        "method": asked.method,
        "may_be_trusted": held([place.trial for place in places if place.trial]),
        "shuffled_weights": held(strange),
        "chance": held(chance),
        "heat_inside": float(np.mean([place.pointing.heat for place in places])),
        "area_inside": float(np.mean([place.pointing.area for place in places])),
        "seconds_a_picture": {"tested": float(np.median(seconds[True])), "untested": float(np.median(seconds[False]))},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
