"""The recipe for shelves against known truth.

    python benchmarks/retail.py counts MODEL DATA [--tile SIDE]   expected counts against labels (test pictures of DATA)
    python benchmarks/retail.py align DATA                        unrelated pictures, and other views of the same one
    python benchmarks/retail.py visits DATA                       an object painted over: what changed, which slots

DATA is a folder with boxes in any format; of COCO's classes for `visits`, which takes the ready detector: an object
that it shows is painted over with its surroundings, and the picture is then seen from another place, in other light and
with noise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from skimage.transform import ProjectiveTransform, warp

from photovision.core.errors import DataError
from photovision.core.image import decode, to_array
from photovision.core.overlap import overlap
from photovision.data.read import read_dataset
from photovision.models.pretrained import bundle_at, ready
from photovision.recipes.shelf.align import align
from photovision.recipes.shelf.shelf import Looker, visit
from photovision.trust.metrics.statistics import bootstrap, wilson

Picture = np.ndarray


def share(k: int, n: int) -> str:
    """k of n with its Wilson interval."""
    low, high = wilson(k, n)
    return f"{k}/{n} = {k / n:.3f} ({low:.3f} to {high:.3f})" if n else "0/0"


def samples(folder: Path) -> list[Any]:
    """The test pictures of a data set that has its own split, else all, with boxes."""
    data = read_dataset(folder)
    rows = (data.splits or {}).get("test", range(len(data.samples)))
    return [data.samples[row] for row in rows]


def counts(model: Path, folder: Path, tile: tuple[int, int] | None) -> dict[str, Any]:
    """Relative errors of counts by boxes and by expectation, and how often the interval holds the truth."""
    looker, errors, expected, held, bias = Looker(bundle_at(model), tile=tile), [], [], [], []
    for sample in samples(folder):
        (view,), _ = looker.views([str(sample.image)])
        truth = sample.annotations
        for name in looker.classes:
            true = sum(n == name for n in truth.names)
            found = visit_counts(view, view.found.classes.index(name))
            if true:
                errors.append(abs(found.boxes - true) / true)
                expected.append(abs(found.expected - true) / true)
                held.append(found.low <= true <= found.high)
                bias.append(found.expected - true)
    mean = {
        name: bootstrap(lambda v: float(v.mean()), [np.array(values)])
        for name, values in (("boxes", errors), ("expected", expected), ("bias", bias))
    }
    return {
        "counts": len(errors),
        **{k: [round(x, 4) for x in v] for k, v in mean.items()},
        "held": share(sum(held), len(held)),
    }


def visit_counts(view: Any, label: int) -> Any:
    """The count of one class in one view."""
    from photovision.recipes.shelf.counts import count

    rows = view.found.labels == label
    return count(view.found.scores[rows], int(view.shown[rows].sum()))


def other_view(picture: Picture, rng: np.random.Generator, strength: float) -> tuple[Picture, np.ndarray]:
    """The picture from another place, in other light, and the homography from the old pixels to the new ones."""
    high, wide = picture.shape[:2]
    turn, scale = np.deg2rad(rng.uniform(-6, 6) * strength), 1 + rng.uniform(-0.12, 0.12) * strength
    centre = np.array([[1, 0, -wide / 2], [0, 1, -high / 2], [0, 0, 1]])
    shift = rng.uniform(-0.08, 0.08, 2) * strength * (wide, high)
    tilt = rng.uniform(-0.1, 0.1, 2) * strength / (wide, high)
    turned = [
        [scale * np.cos(turn), -scale * np.sin(turn), shift[0]],
        [scale * np.sin(turn), scale * np.cos(turn), shift[1]],
    ]
    matrix = np.linalg.inv(centre) @ np.array([*turned, [*tilt, 1]]) @ centre
    moved = warp(picture, ProjectiveTransform(matrix).inverse, output_shape=(high, wide), mode="edge")
    lit = moved * 255 * rng.uniform(0.7, 1.2) + rng.normal(0, 4, moved.shape)
    return np.clip(lit, 0, 255).astype(np.uint8), matrix


def alignments(folder: Path, most: int) -> dict[str, Any]:
    """How many unrelated pairs are accepted, and how far off those of the same scene are."""
    pictures = [to_array(decode(sample.image)) for sample in samples(folder)]
    rng = np.random.default_rng(0)
    pairs = list(itertools.combinations(range(len(pictures)), 2))
    some = [pairs[i] for i in rng.permutation(len(pairs))[:most]]
    told: dict[str, Any] = {
        "unrelated accepted": share(sum(_aligned(pictures[a], pictures[b]) is not None for a, b in some), len(some))
    }
    for strength in (0.5, 1.0, 2.0):
        off = []
        for picture in pictures[:most]:
            moved, matrix = other_view(picture, rng, strength)
            found = _aligned(picture, moved)
            if found is not None:
                high, wide = picture.shape[:2]
                points = np.array([[x * wide, y * high] for x in (0.25, 0.75) for y in (0.25, 0.75)])
                away = ProjectiveTransform(found.matrix)(points) - ProjectiveTransform(matrix)(points)
                off.append(float(np.hypot(*away.T).max() / max(high, wide)))
        told[f"strength {strength}"] = {
            "aligned": share(len(off), min(most, len(pictures))),
            "off by, share of the longer side, median and worst": [round(float(np.median(off)), 5), round(max(off), 5)],
        }
    return told


def _aligned(one: Picture, other: Picture) -> Any:
    try:
        return align(one, other)
    except DataError:
        return None


def painted_over(picture: Picture, box: np.ndarray, rng: np.random.Generator) -> Picture:
    """The picture without what is in a box: its borders drawn across it, with grain."""
    x1, y1, x2, y2 = np.clip(
        np.rint(box + np.array([-4, -4, 4, 4])), 0, [picture.shape[1] - 1, picture.shape[0] - 1] * 2
    ).astype(int)
    page = picture.astype(np.float64)
    u, v = (np.linspace(0, 1, n)[:, None] for n in (x2 - x1 + 1, y2 - y1 + 1))
    left, right = page[y1 : y2 + 1, x1][:, None], page[y1 : y2 + 1, x2][:, None]
    top, bottom = page[y1, x1 : x2 + 1][None], page[y2, x1 : x2 + 1][None]
    across = left * (1 - u[None]) + right * u[None]
    down = top * (1 - v[:, None]) + bottom * v[:, None]
    page[y1 : y2 + 1, x1 : x2 + 1] = (across + down) / 2 + rng.normal(0, 5, across.shape)
    return np.clip(page, 0, 255).astype(np.uint8)


def alone(looker: Looker, sample: Any) -> np.ndarray | None:
    """The box of the surest object that is shown, is true, takes 0.3 to 15% of the picture, and hides no other."""
    (view,), _ = looker.views([str(sample.image)])
    truth, found = sample.annotations, view.found
    if found.scores is None:
        return None
    for row in np.argsort(-found.scores):
        box = found.boxes[row]
        area = float((box[2:] - box[:2]).prod()) / (view.size[0] * view.size[1])
        near = overlap(box[None], truth.boxes)[0] if len(truth) else np.zeros(0)
        same = [name == found.names[row] for name in truth.names]
        inside = overlap(truth.boxes, box[None], "first")[:, 0] if len(truth) else np.zeros(0)
        if (
            view.shown[row]
            and 0.003 < area < 0.15
            and near.max(initial=0) >= 0.5
            and same[int(near.argmax())]
            and (inside > 0.2).sum() == 1
        ):
            return np.asarray(box)
    return None


def visits(folder: Path, most: int, strength: float = 0.5) -> dict[str, Any]:
    """Changes and slots after an object was painted over, and where nothing changed."""
    looker, rng = Looker(ready()), np.random.default_rng(1)
    hits = {"vanished": 0, "appeared": 0, "empty": 0}
    seen: list[tuple[float, bool]] = []
    false, quiet, untouched, alarms, n, refused = 0, 0, 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as top:
        old, new, same = Path(top) / "old.png", Path(top) / "new.png", Path(top) / "same.png"
        for sample in samples(folder):
            box = alone(looker, sample)
            if box is None or n >= most:
                continue
            picture = to_array(decode(sample.image))
            Pillow.fromarray(picture).save(old)
            moved, matrix = other_view(painted_over(picture, box, rng), rng, strength)
            Pillow.fromarray(moved).save(new)
            Pillow.fromarray(other_view(picture, rng, strength)[0]).save(same)
            corners = ProjectiveTransform(matrix)(box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2))
            truth = np.concatenate([corners.min(0), corners.max(0)]).astype(np.float32)
            forth, back = (
                visit(looker, [str(a)], before=[str(b)], reference=[str(b)]).shelves[0]
                for a, b in ((new, old), (old, new))
            )
            still = visit(looker, [str(same)], before=[str(old)], reference=[str(old)]).shelves[0]
            if forth.changes is None or back.changes is None or still.changes is None:
                refused += 1
                continue
            n += 1
            for shelf, kind, place in ((forth, "vanished", truth), (back, "appeared", box)):
                for change in shelf.changes or ():
                    at = change.before if kind == "vanished" else change.now
                    right = change.kind == kind and at is not None and overlap(at[None], place[None])[0, 0] >= 0.4
                    seen.append((change.confidence, bool(right)))
                    hits[kind] += right and change.sure
                    false += change.sure and not right
            quiet += sum(change.sure for change in still.changes)
            for slot in forth.slots:
                mine = overlap(slot.box[None], truth[None])[0, 0] >= 0.6
                hits["empty"] += mine and slot.alarm
                untouched += not mine
                alarms += slot.alarm and not mine
            untouched += len(still.slots)
            alarms += sum(slot.alarm for slot in still.slots)
    return {
        "pictures": n,
        "not aligned": refused,
        **{kind: share(k, n) for kind, k in hits.items()},
        "other changes told, a pair": round(false / (2 * n), 2),
        "changes told where nothing changed, a pair": round(quiet / n, 2),
        "alarms in untouched slots": share(alarms, untouched),
        "right by confidence": {
            f"{low}-{low + 0.2:.1f}": share(
                sum(r for c, r in seen if low <= c < low + 0.2), sum(low <= c < low + 0.2 for c, _ in seen)
            )
            for low in (0.2, 0.4, 0.6, 0.8)
        },
    }


def main() -> None:
    """Print one part as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("counts", "align", "visits"))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--most", type=int, default=1000, help="pictures for `visits`, pairs for `align`")
    asked = parser.parse_args()
    if asked.part == "counts":
        found = counts(asked.paths[0], asked.paths[1], None if asked.tile is None else (asked.tile, asked.tile))
    elif asked.part == "align":
        found = alignments(asked.paths[0], asked.most)
    else:
        found = visits(asked.paths[0], asked.most)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
