"""Planted bias: a model's real answers, groups drawn by lot, and one group's pictures made worse, or none's.

    python benchmarks/planted_bias.py MODEL DATA --split test --runs 100

In every run the pictures get a sex (2 values), a site (5 values of 40 to 5%) and an age (18 to 89, put into decades by
the audit) by lot. In planted runs one site other than the smallest is drawn, and as many of its pictures as cost it
`--drop` of its accuracy (on average) are corrupted before the model sees them, by one of the corruptions of
photovision.data.corruptions that at severity 5 cost twice as much; in null runs nothing is. A run counts as found where
the site is named, and a null run as a false alarm where anything is. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from photovision.core.types import Floats, Image
from photovision.data.augment.image import load_pixels
from photovision.data.corruptions import CORRUPTIONS, corrupt
from photovision.data.read import read_dataset
from photovision.engine.load import load
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.fairness.audit import audit_groups
from photovision.trust.metrics.statistics import wilson

SITES = {"a": 0.4, "b": 0.25, "c": 0.2, "d": 0.1, "e": 0.05}
SEVERITY = 5


def pictures(model: Recognizer, folder: Path, split: str) -> tuple[Image, np.ndarray]:
    """The split's pictures at the model's size, uint8 (N, H, W, 3), and their classes, int64 (N,)."""
    data = read_dataset(folder)
    rows = data.splits[split] if split else range(len(data))
    samples = [data.samples[row] for row in rows if data.samples[row].label in model.classes]
    images = np.stack([load_pixels(sample, model.preprocess) for sample in samples])
    return images, np.array([model.classes.index(sample.label) for sample in samples])


def asker(model: Recognizer) -> Callable[[Image], Floats]:
    """From pictures to probabilities float32 (N, C)."""

    def ask(images: Image) -> Floats:
        blocks = [np.ascontiguousarray(images[at : at + 64]) for at in range(0, len(images), 64)]
        return np.concatenate([model.session.run(block)["probs"] for block in blocks]).astype(np.float32)

    return ask


def groups_by_lot(n: int, rng: np.random.Generator) -> dict[str, list[str]]:
    """Attributes that have nothing to do with the pictures."""
    return {
        "sex": rng.choice(["f", "m"], n).tolist(),
        "site": rng.choice(list(SITES), n, p=list(SITES.values())).tolist(),
        "age": rng.integers(18, 90, n).astype(str).tolist(),
    }


def run(
    model: Recognizer, plain: Floats, worse: dict[str, Floats], truth: np.ndarray, seed: int, drop: float
) -> dict[str, object]:
    """One audit; a drop of 0 plants nothing."""
    rng = np.random.default_rng((seed, round(1000 * drop)))
    groups, probs = groups_by_lot(len(truth), rng), plain
    target = str(rng.choice(list(SITES)[:-1]))
    member = np.array(groups["site"]) == target
    if drop:
        bad = list(worse.values())[seed % len(worse)]
        cost = (plain.argmax(1) == truth)[member].mean() - (bad.argmax(1) == truth)[member].mean()
        hurt = member & (rng.random(len(truth)) < min(1.0, drop / max(cost, 1e-9)))
        probs = np.where(hurt[:, None], bad, plain)
    right = probs.argmax(1) == truth
    doubt = model.doubt
    finding = audit_groups(
        groups,
        list(groups),
        classes=model.classes,
        probs=probs,
        truth=truth,
        right=right,
        predicted=np.arange(probs.shape[1]) == probs.argmax(1)[:, None],
        sets=None if doubt is None else probs >= doubt.thresholds(),
        coverage=None if doubt is None else doubt.coverage,
    )
    lost = float((plain.argmax(1) == truth)[member].mean() - right[member].mean())
    return {"site": target, "n": int(member.sum()), "lost": round(lost, 3), "found": finding.data["fairness"]["found"]}


def main() -> None:
    """Audit, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--drop", type=float, default=0.15)
    asked = parser.parse_args()
    started, model = time.perf_counter(), load(asked.model)
    images, truth = pictures(model, asked.data, asked.split)
    ask = asker(model)
    plain, worse = ask(images), {}
    enough = float((plain.argmax(1) == truth).mean()) - 2 * asked.drop
    for name in CORRUPTIONS.names():
        probs = ask(np.stack([corrupt(image, name, SEVERITY, row) for row, image in enumerate(images)]))
        if (probs.argmax(1) == truth).mean() <= enough:
            worse[name] = probs
    if not worse:
        raise SystemExit(f"no corruption costs this model {2 * asked.drop:.0%}: ask for a smaller --drop")
    sys.stderr.write(f"{time.perf_counter() - started:.0f} s: answers\n")
    null = [run(model, plain, worse, truth, seed, 0.0) for seed in range(asked.runs)]
    planted = [run(model, plain, worse, truth, seed, asked.drop) for seed in range(asked.runs)]
    alarms = sum(bool(one["found"]) for one in null)
    hits = sum(f"site = {one['site']}" in str(one["found"]) for one in planted)
    counted = {
        name: [k, *(round(bound, 3) for bound in wilson(k, asked.runs))]
        for name, k in (("found", hits), ("false_alarms", alarms))
    }
    document = {
        "pictures": len(truth),
        "accuracy": round(float((plain.argmax(1) == truth).mean()), 4),
        "accuracy_worse": {name: round(float((p.argmax(1) == truth).mean()), 3) for name, p in worse.items()},
        "runs": asked.runs,
        "drop": asked.drop,
        "lost": round(float(np.mean([float(str(one["lost"])) for one in planted])), 3),
        "seconds": round(time.perf_counter() - started, 1),
    }
    missed = [one for one in planted if f"site = {one['site']}" not in str(one["found"])]
    told = {**document, **counted, "missed": missed, "alarms": [one for one in null if one["found"]]}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
