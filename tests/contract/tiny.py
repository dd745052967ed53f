"""The tasks, each with a tiny data set and a tiny model: a new task is one more row of TASKS.

Nothing here reaches into the package: data sets are written as files of formats that everybody knows, models are
bundles.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

OLD = Path(__file__).parent / "bundles_0_1"
NETWORK = "contract_net"
"""A residual network of some twenty thousand parameters, which `register` makes known to timm."""
SMALLEST = "contract_net_smallest"
"""One of seven thousand."""
COLOURS = (225, 130, 60), (60, 130, 225)
Shape = tuple[str, tuple[int, int, int, int]]


@dataclass(frozen=True)
class Task:
    """One row: all that the contract needs to know of a task.

    Attributes:
        name: as in bundle.json.
        model: (folder) -> a bundle that is made there in milliseconds; it learned from `data(folder, learned, 0)`.
        data: (folder, number of pictures, seed) -> a labelled data set on disk.
        learned: pictures of the model's training.
        new: how many other pictures every verb needs.
        picture: (seed) -> a picture of the kind, uint8 (H, W, 3).
        training: options of a training of seconds.
        lead: the leading metric.
        value: (prediction in Python, size (H, W)) -> what the command prints of it, without the file's name.
        obeys: options of OPTIONS that make sense, for all doors that have them, or "door:option" for one.
        command: which command predicts.
        refuses: verb -> a word of the sentence that refuses it.
    """

    name: str
    model: Callable[[Path], Path]
    data: Callable[[Path, int, int], Path]
    learned: int
    new: int
    picture: Callable[[int], np.ndarray]
    training: Mapping[str, Any]
    lead: str
    value: Callable[[Any, tuple[int, int]], dict[str, Any]]
    obeys: frozenset[str]
    command: str = "predict"
    refuses: Mapping[str, str] = field(default_factory=dict)


def register() -> None:
    """Let timm know the tiny networks."""
    import timm
    from timm.models import resnet

    def known(name: str, channels: tuple[int, ...]) -> None:
        def build(pretrained: bool = False, **options: Any) -> Any:
            shape = {"block": [resnet.BasicBlock] * 4, "layers": (1, 1, 1, 1), "channels": channels}
            return resnet._create_resnet("test_resnet", pretrained, stem_width=8, **shape, **options)

        build.__module__, build.__name__ = __name__, name
        if not timm.is_model(name):
            timm.models.register_model(build)

    known(NETWORK, (8, 8, 16, 16))
    known(SMALLEST, (4, 4, 8, 8))


def shapes(
    seed: int, size: tuple[int, int], count: int = 1, kinds: tuple[int, ...] = (0, 1)
) -> tuple[np.ndarray, list[Shape]]:
    """Up to three bright discs (kind 0) and squares (1) on a grainy, shaded ground, and where they are."""
    rng = np.random.default_rng(seed)
    height, width = size
    ground = rng.uniform(40, 110, 3) + np.linspace(-25, 25, width)[None, :, None] * rng.uniform(-1, 1)
    ground = ground + np.linspace(-25, 25, height)[:, None, None] * rng.uniform(-1, 1)
    picture = Image.fromarray(np.clip(ground + rng.normal(0, 9, (height, width, 1)), 0, 255).astype(np.uint8))
    draw, found = ImageDraw.Draw(picture), []
    for column in rng.permutation(3)[:count]:
        side = int(rng.uniform(0.2, 0.3) * width) if count > 1 else int(rng.uniform(0.4, 0.6) * width)
        room = width // 3 if count > 1 else width
        left = int((column * room if count > 1 else 0) + rng.uniform(0, max(1, room - side)))
        top = int(rng.uniform(0, height - side))
        kind, box = int(rng.choice(kinds)), (left, top, left + side, top + side)
        colour = tuple((np.array(COLOURS[kind]) + rng.integers(-25, 25, 3)).tolist())
        (draw.ellipse if kind == 0 else draw.rectangle)((*box[:2], box[2] - 1, box[3] - 1), fill=colour)
        found.append((("disc", "square")[kind], box))
    return np.asarray(picture), found


def save(picture: np.ndarray, path: Path) -> None:
    """As PNG, in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def _of_kind(seed: int) -> np.ndarray:
    return shapes(seed, (32, 32), 1, (seed % 2,))[0]


def _boxed(seed: int) -> tuple[np.ndarray, list[Shape]]:
    return shapes(seed, (64, 96), 1 + seed % 3 if seed % 3 else 2)


def _classes(folder: Path, count: int, seed: int) -> Path:
    for number in range(count):
        kind = ("disc", "square")[number % 2]
        save(_of_kind(2 * (seed * 1000 + number) + number % 2), folder / kind / f"{number:03d}.png")
    return folder


def _boxes(folder: Path, count: int, seed: int) -> Path:
    """COCO: pictures beside an annotations.json."""
    names, images, annotations = ("disc", "square"), [], []
    for number in range(count):
        picture, found = _boxed(seed * 1000 + number)
        save(picture, folder / f"{number:03d}.png")
        images.append(
            {"id": number, "file_name": f"{number:03d}.png", "height": picture.shape[0], "width": picture.shape[1]}
        )
        for kind, (x1, y1, x2, y2) in found:
            box = [x1, y1, x2 - x1, y2 - y1]
            place = {"image_id": number, "category_id": names.index(kind), "bbox": box, "area": box[2] * box[3]}
            annotations.append({"id": len(annotations) + 1, "iscrowd": 0, **place})
    categories = [{"id": place, "name": name} for place, name in enumerate(names)]
    told = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def _masks(folder: Path, count: int, seed: int) -> Path:
    """images/, masks/ of class numbers, and classes.txt."""
    for number in range(count):
        picture, found = shapes(seed * 1000 + number, (64, 64), 1 + number % 2)
        mask = Image.new("L", (64, 64))
        for kind, (x1, y1, x2, y2) in found:
            place, draw = (x1, y1, x2 - 1, y2 - 1), ImageDraw.Draw(mask)
            (draw.ellipse if kind == "disc" else draw.rectangle)(place, fill=1 if kind == "disc" else 2)
        save(picture, folder / "images" / f"{number:03d}.png")
        save(np.asarray(mask), folder / "masks" / f"{number:03d}.png")
    (folder / "classes.txt").write_text("background\ndisc\nsquare\n", encoding="utf-8")
    return folder


def _good(seed: int, hole: bool = False) -> tuple[np.ndarray, tuple[int, int, int, int] | None]:
    """A striped board, with a dark hole where one is asked for, and where that is."""
    rng = np.random.default_rng(seed)
    stripes = 120 + 40 * np.sin(np.arange(64) / 3 + rng.uniform(0, 0.5))
    board = np.clip(stripes[None, :, None] + rng.normal(0, 4, (64, 64, 1)) + np.array([10, 0, -10]), 0, 255)
    picture = Image.fromarray(board.astype(np.uint8))
    if not hole:
        return np.asarray(picture), None
    left, top = (int(value) for value in rng.integers(8, 40, 2))
    place = (left, top, left + 16, top + 16)
    ImageDraw.Draw(picture).ellipse(place, fill=(20, 20, 30))
    return np.asarray(picture), place


def _defects(folder: Path, count: int, seed: int) -> Path:
    """As MVTec AD lays it out: train/good, test/good, test/hole, ground_truth/hole."""
    for number in range(count):
        split, kind = ("train", "good") if number % 5 < 3 else ("test", ("good", "hole")[number % 5 - 3])
        picture, place = _good(seed * 1000 + number, kind == "hole")
        save(picture, folder / split / kind / f"{number:03d}.png")
        if place is not None:
            mask = Image.new("L", (64, 64))
            ImageDraw.Draw(mask).ellipse(place, fill=255)
            save(np.asarray(mask), folder / "ground_truth" / kind / f"{number:03d}_mask.png")
    return folder


def _trained(task: str, learned: int, training: Mapping[str, Any]) -> Callable[[Path], Path]:
    """A model that is trained here, of a task that learns in seconds."""

    def model(folder: Path) -> Path:
        import photovision as pv

        pv.train(TASKS[task].data(folder.parent / "learned", learned, 0), folder, **training)
        return folder

    return model


def _old(name: str) -> Callable[[Path], Path]:
    return lambda folder: Path(shutil.copytree(OLD / name / "model", folder))


def _areas(found: Any, size: tuple[int, int]) -> dict[str, Any]:
    counts = np.bincount(found.labels.ravel(), minlength=len(found.classes)) / found.labels.size
    return {
        "size": list(size),
        "areas": {n: round(float(s), 6) for n, s in zip(found.classes, counts, strict=True) if s},
    }


def arrays(found: Any) -> list[np.ndarray]:
    """The numbers of a prediction, whatever its kind."""
    values = [
        np.asarray(getattr(found, name))
        for name in ("probs", "boxes", "scores", "labels", "heat", "score", "vector")
        if hasattr(found, name)
    ]
    return [value for value in values if value.dtype.kind in "fiu"]


TINY = {"backbone": NETWORK, "weights": "none"}
BANK = {**TINY, "size": 64}
METRIC = {**TINY, "task": "embed", "size": 32, "epochs": 1}
TASKS = {
    task.name: task
    for task in (
        Task(
            name="anomaly",
            model=_trained("anomaly", 80, BANK),
            data=_defects,
            learned=80,
            new=60,
            picture=lambda seed: _good(seed, seed % 2 == 1)[0],
            training=BANK,
            lead="auroc",
            value=lambda found, size: found.json_fields(size),
            obeys=frozenset({"false_alarms"}),
            refuses={
                "optimize": "anomaly detector",
                "estimate": "evaluate",
                "adapt": "classifier",
                "update": "classifier",
            },
        ),
        Task(
            name="classify",
            model=_old("classify"),
            data=_classes,
            learned=160,
            new=50,
            picture=_of_kind,
            training={**TINY, "size": 32, "epochs": 1},
            lead="accuracy",
            value=lambda found, size: found.to_json(),
            obeys=frozenset({"coverage", "false_alarms", "top", "unknown", "robust", "fair_by"}),
            refuses={"estimate": "train it again", "adapt": "train or calibrate it again"},
        ),
        Task(
            name="detect",
            model=_old("detect"),
            data=_boxes,
            learned=140,
            new=34,
            picture=lambda seed: _boxed(seed)[0],
            training={**TINY, "size": 96, "epochs": 1},
            lead="map",
            value=lambda found, size: {"size": list(size), "boxes": found.to_json()},
            obeys=frozenset({"threshold", "tile", "boxes"}),
            command="detect",
            refuses={"estimate": "estimate", "adapt": "--labelled", "update": "classifier"},
        ),
        Task(
            name="embed",
            model=_trained("embed", 160, METRIC),
            data=_classes,
            learned=160,
            new=50,
            picture=_of_kind,
            training=METRIC,
            lead="recall_at_1",
            value=lambda found, size: found.json_fields(size),
            obeys=frozenset({"top"}),
            refuses={
                "estimate": "at least 30",
                "explain": "embedding model",
                "calibrate": "embedding model",
                "optimize": "embedding model",
                "adapt": "embedding model",
                "update": "embedding model",
            },
        ),
        Task(
            name="segment",
            model=_old("segment"),
            data=_masks,
            learned=140,
            new=16,
            picture=lambda seed: shapes(seed, (64, 64), 1 + seed % 2)[0],
            training={**TINY, "size": 64, "epochs": 1},
            lead="miou",
            value=_areas,
            obeys=frozenset({"masks", "tile", "boxes"}),
            refuses={"calibrate": "segmenter", "estimate": "estimate", "adapt": "at least 30", "update": "classifier"},
        ),
    )
}
