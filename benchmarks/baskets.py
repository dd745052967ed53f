"""The recipe for baskets against known truth: moves told, and moves that happened.

    python benchmarks/baskets.py DATA [--clips 30] [--seed 0]     things carried from zone to zone
    python benchmarks/baskets.py bottle-detection.mp4             bottles lifted out of the picture and put back

DATA is a folder with boxes of COCO's classes: things that the ready detector knows again are cut out of its pictures
and carried over a brick wall, each with a person, cut out, too, who walks along and hides it for a part of the way in
half of the cases. The clip of bottles (sample-videos, CC BY 4.0) was counted by hand, see `tracking.py`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image as Pillow

from photovision.core.image import decode, to_array
from photovision.core.overlap import overlap
from photovision.core.regions import Detections
from photovision.core.types import Image
from photovision.data.read import read_dataset
from photovision.models.pretrained import ready
from photovision.recipes.basket.basket import BasketRequest, Move, watch_basket
from photovision.runtime.bundle import read_bundle
from photovision.tasks.detect.detector import Detector
from photovision.trust.metrics.statistics import wilson
from photovision.video.watch import LOW

SIZE = (360, 640)
HIGH = 110  # pixels, of a thing
RATE = 25.0
ZONES = {
    "shelf": ((0.0, 0.0), (0.36, 0.0), (0.36, 1.0), (0.0, 1.0)),
    "basket": ((0.64, 0.0), (1.0, 0.0), (1.0, 1.0), (0.64, 1.0)),
}
# Of the clip of bottles: below its middle they stand, above it they are carried out and in. Frames by hand.
BOTTLES = {"shelf": ((0, 150), (640, 150), (640, 360), (0, 360)), "basket": ((0, 0), (640, 0), (640, 130), (0, 130))}
LIFTED = ((205, 215), (520, 535), (520, 535), (945, 958))
PUT_BACK = ((335, 360), (655, 680), (815, 835), (1035, 1065))


@dataclass(frozen=True)
class Happened:
    """A move that happened, and the seconds between which it did."""

    kind: str
    label: str
    span: tuple[float, float]


def cut_out(folder: Path, detector: Detector) -> tuple[list[tuple[str, Image]], list[Image]]:
    """Things that the detector knows again on the wall, with their classes, and persons."""
    things, persons = [], []
    for sample in read_dataset(folder).samples:
        picture = to_array(decode(sample.image)) if isinstance(sample.image, Path) else sample.image
        truth = cast("Detections", sample.annotations)
        for name, (x1, y1, x2, y2) in zip(truth.names, np.rint(truth.boxes).astype(int).tolist(), strict=True):
            part, aspect = picture[max(y1, 0) : y2, max(x1, 0) : x2], (y2 - y1) / max(1, x2 - x1)
            if min(part.shape[:2]) < 50:
                continue
            if name == "person" and 1.8 < aspect < 3.5:
                persons.append(_high(part, 300))
            elif name != "person" and 0.6 < aspect < 2.5:
                thing = _high(part, HIGH)
                places = [_paste(_wall(), thing, (x, 180)) for x in (110, 320, 530)]
                seen = cast("list[Detections]", detector.predict(places))
                if all(_knows(found, name, x, thing) for found, x in zip(seen, (110, 320, 530), strict=True)):
                    things.append((name, thing))
    return things, persons


def _knows(found: Detections, name: str, x: int, thing: Image) -> bool:
    box = np.array([[x - thing.shape[1] / 2, 180 - HIGH / 2, x + thing.shape[1] / 2, 180 + HIGH / 2]], np.float32)
    rows = [i for i, n in enumerate(found.names) if n == name]
    return bool(rows) and float(overlap(found.boxes[rows], box).max()) > 0.4


def _high(part: Image, high: int) -> Image:
    wide = max(8, round(part.shape[1] * high / part.shape[0]))
    return np.asarray(Pillow.fromarray(part).resize((wide, high), Pillow.Resampling.LANCZOS))


def _wall() -> Image:
    from skimage import data

    grey = Pillow.fromarray(data.brick()).resize(SIZE[::-1], Pillow.Resampling.BILINEAR)
    return np.repeat(np.asarray(grey)[..., None], 3, axis=2)


def _paste(page: Image, thing: Image, middle: tuple[float, float]) -> Image:
    page, (high, wide) = page.copy(), thing.shape[:2]
    left, top = round(middle[0] - wide / 2), round(middle[1] - high / 2)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + wide, SIZE[1]), min(top + high, SIZE[0])
    if x2 > x1 and y2 > y1:
        page[y1:y2, x1:x2] = thing[y1 - top : y2 - top, x1 - left : x2 - left]
    return page


def clip(folder: Path, things: Sequence[tuple[str, Image]], persons: Sequence[Image], seed: int) -> list[Happened]:
    """Write the frames of a clip with one to three things; what happens in it."""
    rng = np.random.default_rng(seed)
    chosen = [things[i] for i in rng.permutation(len(things))[: rng.integers(1, 4)]]
    rows = (60 + 120 * rng.permutation(3)).tolist()
    stops: list[list[tuple[int, float]]] = [[(0, 110.0)] for _ in chosen]
    walks: list[tuple[int, int, float, float, bool, Image]] = []  # start, end, from, to, hides, person
    now, truth = 40, []
    for _ in range(int(rng.integers(1, 4))):
        which, took = int(rng.integers(len(chosen))), int(rng.integers(22, 45))
        start, at = now, stops[which][-1][1]
        to = 530.0 if at < 320 else 110.0
        stops[which] += [(start, at), (start + took, to)]
        walks.append((start, start + took, at, to, bool(rng.random() < 0.5), persons[int(rng.integers(len(persons)))]))
        span = (start / RATE, (start + took) / RATE)
        truth.append(Happened("taken" if to > at else "returned", chosen[which][0], span))
        now += took + int(rng.integers(30, 50))
    for i in range(now + 10):
        page = _wall()
        for (_, thing), row, ways in zip(chosen, rows, stops, strict=False):
            times, xs = zip(*ways, strict=True)
            page = _paste(page, thing, (float(np.interp(i, times, xs)), float(row)))
        for start, end, at, to, hides, person in walks:
            if start - 15 <= i <= end + 15:
                x = float(np.interp(i, (start, end), (at, to)))
                # Who hides it passes in front of it on the way; who does not walks beside it.
                side = np.interp(i, (start - 15, start, end, end + 15), (150, 100, -100 if hides else 100, 170))
                page = _paste(page, person, (x + float(side), 210.0))
        grain = np.random.default_rng((seed, i)).normal(0, 4, page.shape)
        noisy = np.clip(page + grain, 0, 255).astype(np.uint8)
        Pillow.fromarray(noisy).save(folder / f"{i:04d}.jpg", quality=95)
    return truth


def right(told: Sequence[Move], truth: Sequence[Happened], slack: float = 0.8) -> list[bool]:
    """For every move that was told, whether it happened: kind, class and time, every true one once.

    What is told as gone is right where it was taken.
    """
    left, found = list(truth), []
    for move in told:
        kind = "taken" if move.kind == "gone" else move.kind
        near = [t for t in left if (t.kind, t.label) == (kind, move.label)]
        fits = [t for t in near if t.span[0] - slack <= move.time <= t.span[1] + slack]
        found.append(bool(fits))
        if fits:
            left.remove(fits[0])
    return found


def share(k: int, n: int) -> str:
    """k of n with its Wilson interval."""
    low, high = wilson(k, n)
    return f"{k}/{n} = {k / n:.3f} ({low:.3f} to {high:.3f})" if n else "0/0"


def figures(told: Sequence[Sequence[Move]], truth: Sequence[Sequence[Happened]], limit: float) -> dict[str, Any]:
    """Precision and recall of all moves, of those that are not left to a person, and by confidence."""
    hits = [right(moves, true) for moves, true in zip(told, truth, strict=True)]
    pairs = [(move, hit) for moves, row in zip(told, hits, strict=True) for move, hit in zip(moves, row, strict=True)]
    sure, number = [hit for move, hit in pairs if move.confidence >= limit], sum(map(len, truth))
    bands = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.01))
    return {
        "true moves": number,
        "precision, all": share(sum(hit for _, hit in pairs), len(pairs)),
        "recall, all": share(sum(hit for _, hit in pairs), number),
        "precision, not in review": share(sum(sure), len(sure)),
        "recall, not in review": share(sum(sure), number),
        "in review": share(len(pairs) - len(sure), len(pairs)),
        "right by confidence": {
            f"{low}-{min(high, 1.0)}": share(
                sum(h for m, h in pairs if low <= m.confidence < high),
                sum(low <= m.confidence < high for m, _ in pairs),
            )
            for low, high in bands
        },
        "wrong": [
            f"{m.kind} {m.label} {m.time:.1f} s {m.confidence:.2f} {'; '.join(m.doubts)}" for m, h in pairs if not h
        ],
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="keep the frames of the first clip here")
    asked = parser.parse_args()
    bundle = read_bundle(ready())
    detector, high = Detector(bundle, threshold=LOW), float(np.median(Detector(bundle).thresholds))

    def detect(images: Sequence[Image]) -> list[Detections]:
        return cast("list[Detections]", detector.predict(list(images)))

    if asked.data.is_file():
        found = watch_basket(asked.data, detect, BasketRequest(BOTTLES, ("bottle",), high))
        rate = 30.0
        truth = [Happened("taken", "bottle", (a / rate, b / rate)) for a, b in LIFTED]
        truth += [Happened("returned", "bottle", (a / rate, b / rate)) for a, b in PUT_BACK]
        print(json.dumps(figures([found.moves], [truth], 0.5), indent=2))
        return
    things, persons = cut_out(asked.data, Detector(bundle))
    told, truths = [], []
    for number in range(asked.clips):
        with tempfile.TemporaryDirectory() as top:
            folder = asked.keep if asked.keep and not number else Path(top)
            folder.mkdir(parents=True, exist_ok=True)
            truths.append(clip(folder, things, persons, asked.seed + number))
            names = tuple({name for name, _ in things})
            told.append(watch_basket(folder, detect, BasketRequest(ZONES, names, high)).moves)
    kinds = {"things": sorted(name for name, _ in things), "persons": len(persons), "clips": asked.clips}
    print(json.dumps({**kinds, **figures(told, truths, 0.5)}, indent=2))


if __name__ == "__main__":
    main()
