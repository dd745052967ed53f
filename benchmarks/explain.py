"""Are the maps that explain a model by default better than chance, and do they fail for a model that learned nothing?

    python benchmarks/explain.py MODEL DATA [--pictures 200] [--method NAME]

Of the correctly classified pictures of the published test split of DATA (else val, else all), spread evenly: how often
the map beats the mean of 19 random orders by insertion, by deletion and by both, with Wilson intervals, and how often
its test says that it may be trusted; the same for maps of the model with shuffled weights, and for smooth maps of pure
chance, both judged by the model's own answers, as any map of that picture would be. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Image, Ints
from photovision.data.read import read_dataset
from photovision.engine.holdout import hold_out
from photovision.engine.load import load
from photovision.tasks.classify.explain import subject_of
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.explain import EXPLAINERS
from photovision.trust.explain.default_method import choose
from photovision.trust.explain.explained_model import resized
from photovision.trust.explain.faithfulness import ALIKE, TWINS, FaithfulnessTest, likeness, trials
from photovision.trust.metrics.statistics import wilson


def correct_pictures(model: Recognizer, data: Path, most: int) -> tuple[Image, Ints]:
    """Pictures that the model names correctly, uint8 (N, H, W, 3), and their classes, int64 (N,)."""
    part = hold_out(read_dataset(data), [model]).dataset
    probs = model.respond(part).probs
    known = {name: number for number, name in enumerate(model.classes)}
    truth = np.array([known[sample.label] for sample in part.samples])
    right = np.flatnonzero(np.isfinite(probs).all(1) & (probs.argmax(1) == truth))
    chosen = right[np.linspace(0, len(right) - 1, min(most, len(right))).round().astype(int)]
    images = [part.samples[int(row)].image for row in chosen]
    seen = [model.preprocess.load(i) if isinstance(i, Path) else model.preprocess.apply(i) for i in images]
    return np.stack(seen), truth[chosen].astype(np.int64)


def shares(found: list[FaithfulnessTest]) -> dict[str, Any]:
    """How often maps beat random orders, and what their tests say."""

    def share(k: int) -> dict[str, Any]:
        return Metric(k / len(found), *wilson(k, len(found)), len(found)).to_json()

    both = sum(trial.beats_insertion and trial.beats_deletion for trial in found)
    return {
        "insertion": share(sum(trial.beats_insertion for trial in found)),
        "deletion": share(sum(trial.beats_deletion for trial in found)),
        "both": share(both),
        "may_be_trusted": share(sum(trial.verdict == "holds" for trial in found)),
        "untestable": share(sum(trial.verdict == "untestable" for trial in found)),
        "areas": np.mean([trial.areas for trial in found], axis=0).round(3).tolist(),
        "random_areas": np.mean([trial.random_areas for trial in found], axis=0).round(3).tolist(),
    }


def main() -> None:
    """Judge the maps of the model and of one with shuffled weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--method")
    asked = parser.parse_args()
    model = load(asked.model)
    images, classes = correct_pictures(model, asked.data, asked.pictures)
    subject = subject_of(model)
    choice = choose(subject)
    explainer = EXPLAINERS.load(asked.method or choice.name)
    explainer.heatmaps(subject, images[:1], classes[:1])
    began = time.perf_counter()
    heat = explainer.heatmaps(subject, images, classes)
    seconds = (time.perf_counter() - began) / len(images)
    alike = likeness(explainer, [subject.shuffled(seed) for seed in range(1, TWINS + 1)], images, classes, heat)
    strange = explainer.heatmaps(subject.shuffled(TWINS + 1), images, classes)
    chance = resized(np.random.default_rng(0).normal(size=(len(images), 4, 4)).astype(np.float32), subject.size)
    found: list[list[FaithfulnessTest]] = []
    for row, (image, target) in enumerate(zip(images, classes, strict=True)):
        maps = np.stack([heat[row], strange[row], chance[row]])
        found.append(trials(subject, image, int(target), maps, alike=[float(alike[row]), None, None], seed=row))
    result = {
        "method": explainer.name,
        "default": choice.name,
        "seconds_a_map": round(seconds, 4),
        "maps": shares([own for own, _, _ in found]),
        "shuffled_weights": shares([other for _, other, _ in found]),
        "chance": shares([nothing for _, _, nothing in found]),
        "correlation_with_shuffled": {
            "mean": round(float(alike.mean()), 3),
            "largest": round(float(alike.max()), 3),
            "too_alike": int((alike >= ALIKE).sum()),
        },
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
