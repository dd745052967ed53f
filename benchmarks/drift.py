"""Drift: how often it is found where there is none, and how often where it was planted.

    python benchmarks/drift.py MODEL DATA FOLDER_OF_IDX_FILES --windows 200 --planted 50

The model is of Fashion-MNIST's classes, trained on DATA, a part of the data set. Windows are drawn from the published
test pictures that are not in DATA. "drawn anew" takes the reference from these, too, each time another one, and so
holds the method against its promise; "bundle" takes the held-out answers that the model carries, as in use, always the
same. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fashion import GARMENTS, read_idx
from sklearn.datasets import load_digits

from photovision.core.image import decode, to_array
from photovision.core.types import Image
from photovision.data.corruptions import corrupt
from photovision.data.read import dataset_from_arrays, read_dataset
from photovision.engine.load import load
from photovision.runtime.held_out import MAX_IMAGES, HeldOut, read_held_out
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.drift import Drift, compare
from photovision.trust.metrics.statistics import proportion

SIZES = (100, 300, 1000)
FALSE_ALARMS = 0.05


def answers(model: Recognizer, images: list[Image]) -> HeldOut:
    """What the model says of pictures."""
    names = [GARMENTS[0]] * len(images)  # the truth plays no part
    said = model.respond(dataset_from_arrays(images, names, GARMENTS), embeddings=True)
    return HeldOut.of(said.probs, said.novelty, said.embeddings)


def darker(light: float) -> Callable[[Image], Image]:
    """Pictures taken with less light, without noise."""
    return lambda image: (image * light).astype(np.uint8)


def planted(images: list[Image], share: float) -> dict[str, list[Image]]:
    """Pictures after changes; `share` of the pool is changed by each, so that this stays quick."""
    some = images[: int(len(images) * share)]
    found = {f"darker, {light:.0%} of the light": [darker(light)(i) for i in some] for light in (0.9, 0.7, 0.5)}
    for name in ("night", "defocus-blur", "noise"):
        for severity in (1, 3, 5):
            changed = [corrupt(image, name, severity, seed) for seed, image in enumerate(some)]
            found[f"{name}, severity {severity}"] = changed
    return found


def digits() -> list[Image]:
    """Handwritten digits: a class that the model does not know."""
    drawn = (np.asarray(load_digits().images) * (255 / 16)).astype(np.uint8)
    large = drawn.repeat(3, 1).repeat(3, 2)
    return [np.repeat(np.pad(picture, 2)[..., None], 3, 2) for picture in large]


def joined(a: HeldOut, b: HeldOut) -> HeldOut:
    """The pictures of both, those of `a` first."""
    assert a.novelty is not None
    assert b.novelty is not None
    assert a.embedding is not None
    assert b.embedding is not None
    return HeldOut(
        np.concatenate([a.best, b.best]),
        np.concatenate([a.prob, b.prob]),
        np.concatenate([a.novelty, b.novelty]),
        np.concatenate([a.embedding, b.embedding]),
    )


def rate(found: list[Drift]) -> dict[str, object]:
    """The share of windows in which anything, and each thing, was found, with 95% intervals."""
    names = [one.name for one in found[0].comparisons]
    counted = {"any": sum(bool(one.changed) for one in found)}
    counted |= {name: sum(name in {c.name for c in one.changed} for one in found) for name in names}
    return {name: [round(value, 3) for value in proportion(count, len(found))] for name, count in counted.items()}


def drawn(pool: HeldOut, n: int, rng: np.random.Generator, weights: np.ndarray | None = None) -> HeldOut:
    """A window of n different pictures."""
    return pool.take(rng.choice(len(pool), n, replace=False, p=weights))


def null_rates(pool: HeldOut, reference: HeldOut, limit: float, windows: int, n: int) -> dict[str, object]:
    """How often something is found in windows of the pool, against a fixed reference and against new ones."""
    rng = np.random.default_rng(0)
    fixed = [
        compare(drawn(pool, n, rng), reference, limit=limit, false_alarms=FALSE_ALARMS, seed=i) for i in range(windows)
    ]
    anew = []
    for seed in range(windows):
        rows = rng.permutation(len(pool))[: n + MAX_IMAGES]
        anew.append(
            compare(pool.take(rows[:n]), pool.take(rows[n:]), limit=limit, false_alarms=FALSE_ALARMS, seed=seed)
        )
    return {"n": n, "windows": windows, "drawn anew": rate(anew), "bundle": rate(fixed)}


def detection(
    changed: dict[str, HeldOut], pool: HeldOut, reference: HeldOut, limit: float, truth: np.ndarray, windows: int
) -> dict[str, object]:
    """How often planted changes are found, by the size of the window."""
    rng = np.random.default_rng(1)
    strange = changed.pop("digits")
    table: dict[str, object] = {}

    def look(name: str, window: Callable[[int], HeldOut]) -> None:
        table[name] = {
            n: rate(
                [compare(window(n), reference, limit=limit, false_alarms=FALSE_ALARMS, seed=i) for i in range(windows)]
            )
            for n in SIZES
        }

    for name, side in changed.items():
        look(name, lambda n, side=side: drawn(side, n, rng))  # type: ignore[misc]
    for share in (0.02, 0.05, 0.1):
        name = f"new class (digits), {share:.0%} of the pictures"
        look(name, lambda n, s=share: joined(drawn(pool, n - round(s * n), rng), drawn(strange, round(s * n), rng)))  # type: ignore[misc]
    for factor in (1.5, 2, 3):
        weights = np.where(truth == 0, factor, 1.0)
        weights = weights / weights.sum()
        look(f"one class {factor:g} times as often", lambda n, w=weights: drawn(pool, n, rng, w))  # type: ignore[misc]
    return table


def unseen(data: Path, folder: Path) -> tuple[list[Image], np.ndarray]:
    """The published test pictures that are not in `data`, and their classes."""
    known = {to_array(decode(sample.image))[..., 0].tobytes() for sample in read_dataset(data).samples}  # type: ignore[arg-type]
    grey = read_idx(folder / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    kept = [row for row, picture in enumerate(grey) if picture.tobytes() not in known]
    return [np.repeat(grey[row][..., None], 3, 2) for row in kept], labels[kept]


def main() -> None:
    """Measure both rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--planted", type=int, default=50)
    parser.add_argument("--share", type=float, default=0.3, help="Of the test pictures, to be changed.")
    asked = parser.parse_args()
    began = time.monotonic()
    model, reference = load(asked.model), read_held_out(asked.model)
    if reference is None or model.doubt is None:
        raise SystemExit("this model was made without held-out answers: train it again")
    limit = model.doubt.limit
    images, labels = unseen(asked.data, asked.folder)
    pool = answers(model, images)
    changed = {name: answers(model, some) for name, some in planted(images, asked.share).items()}
    changed["digits"] = answers(model, digits())
    found = {
        "false alarms asked": FALSE_ALARMS,
        "null": null_rates(pool, reference, limit, asked.windows, 500),
        "found (share of windows, with intervals)": detection(changed, pool, reference, limit, labels, asked.planted),
        "windows for each planted change": asked.planted,
    }
    found["seconds"] = round(time.monotonic() - began, 1)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
