"""A click in the middle of an object, and a box around it: how much the mask overlaps the true one.

    python benchmarks/clicks.py DATA [--every 5] [--objects 4]

DATA has masks of objects, or YOLO's boxes with masks of COCO's classes beside them (an object is then what has its
class in its box, where no other box of that class overlaps it). Objects below 0.5% of the picture are left out where
boxes are used, below 50 pixels elsewhere. Intervals resample pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from photovision.core.image import decode, to_array
from photovision.core.overlap import overlap
from photovision.core.regions import Bools, Detections, Segmentation
from photovision.data.read import read_dataset
from photovision.tasks.cut.prompted_segmenter import Cutter
from photovision.trust.metrics.statistics import bootstrap_sums

Box = tuple[float, float, float, float]
UNUSED = frozenset((12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91))
"""Numbers of COCO's 91 that no class of the 80 has."""
NUMBERS = [number for number in range(1, 91) if number not in UNUSED]


def objects_apart(data: Path) -> Iterator[tuple[Path, list[tuple[Bools, Box]]]]:
    """Pictures with the mask and the box of every object, from masks of objects."""
    for sample in read_dataset(data).samples:
        if not isinstance(sample.annotations, Detections) or not isinstance(sample.image, Path):
            continue
        size = to_array(decode(sample.image)).shape[:2]
        found = [(mask, _box(mask)) for mask in sample.annotations.bitmaps((size[0], size[1])) if mask.sum() >= 50]
        yield sample.image, found


def objects_of_boxes(data: Path) -> Iterator[tuple[Path, list[tuple[Bools, Box]]]]:
    """The same from boxes and the classes of pixels."""
    masks = {Path(str(s.image)).stem: s.annotations for s in read_dataset(data, format="masks").samples}
    for sample in read_dataset(data, format="yolo").samples:
        regions = masks.get(Path(str(sample.image)).stem)
        boxes = sample.annotations
        if not isinstance(regions, Segmentation) or not isinstance(boxes, Detections):
            continue
        assert isinstance(sample.image, Path)
        values = np.array([int(name) for name in regions.classes] + [0])
        drawn = values[np.minimum(regions.labels, len(values) - 1)]
        yield sample.image, _alone(drawn, boxes)


def _alone(drawn: np.ndarray, boxes: Detections) -> list[tuple[Bools, Box]]:
    same = boxes.labels[:, None] == boxes.labels[None]
    crossing = (overlap(boxes.boxes, boxes.boxes) > 0) & same
    found = []
    for row in np.flatnonzero(crossing.sum(1) == 1).tolist():
        height, width = drawn.shape
        x1, y1, x2, y2 = np.clip(boxes.boxes[row], 0, [width, height, width, height]).tolist()
        inside = np.zeros(drawn.shape, dtype=bool)
        where = slice(int(y1), int(np.ceil(y2))), slice(int(x1), int(np.ceil(x2)))
        inside[where] = drawn[where] == NUMBERS[int(boxes.labels[row])]
        if inside.mean() >= 0.005 and inside[where].mean() >= 0.2:
            found.append((inside, (x1, y1, x2, y2)))
    return found


def _box(mask: Bools) -> Box:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _middle(mask: Bools) -> np.ndarray:
    """float32 (1, 2): the place that is farthest from the outline."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), mask.shape)
    return np.array([[column + 0.5, row + 0.5]], dtype=np.float32)


def _iou(one: Bools, other: Bools) -> float:
    return float((one & other).sum() / max(int((one | other).sum()), 1))


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="every how many pictures are used")
    parser.add_argument("--objects", type=int, default=1000, help="objects of a picture at most, drawn by lot")
    given = parser.parse_args()
    boxed = (given.data / "labels").is_dir() and (given.data / "masks").is_dir()
    cutter, rng = Cutter.open(), np.random.default_rng(0)
    rows, looks = [], []
    for number, (file, found) in enumerate(objects_of_boxes(given.data) if boxed else objects_apart(given.data)):
        if number % given.every or not found:
            continue
        began = time.process_time()
        embedding = cutter.embed(to_array(decode(file)))
        looks.append(time.process_time() - began)
        chosen = [found[i] for i in rng.permutation(len(found))[: given.objects].tolist()]
        clicks = [_iou(cutter.cut(embedding, _middle(mask), np.ones(1, bool)).mask, mask) for mask, _ in chosen]
        none = np.zeros((0, 2), dtype=np.float32), np.zeros(0, dtype=bool)
        boxes = [_iou(cutter.cut(embedding, *none, box).mask, mask) for mask, box in chosen]
        rows.append([len(chosen), sum(clicks), sum(boxes)])
    table = np.array(rows, dtype=np.float64)
    means = bootstrap_sums(
        table, {"click": lambda sums: sums[:, 1] / sums[:, 0], "box": lambda sums: sums[:, 2] / sums[:, 0]}
    )
    told: dict[str, Any] = {"pictures": len(rows), "objects": int(table[:, 0].sum()), "engine": cutter.session.engine}
    told |= {"precision": cutter.session.precision, "seconds_of_processor_a_look": float(np.median(looks))}
    told |= {f"mean_iou_{name}": value._asdict() for name, value in means.items()}
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
