"""The folder in which the pages' code blocks run: small data sets and ready models, made in a second.

    PYTHONPATH=src:tests:tests/contract python tests/docs/world.py

trains the models below `models/` again, which takes a minute; the others are those of the contract. CONTRIBUTING.md
("Pages") lists what is there.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import clips
import numpy as np
import tiny
from pictures import make_folder, make_picture
from PIL import Image, ImageDraw
from spotter import COLOURS, scene, spotter_bundle

HERE = Path(__file__).parent
FLOWERS, LEAVES = ("daisy", "rose", "tulip"), ("blight", "healthy", "rust")
CELLS, WEEDS = {"disc": "red", "square": "white"}, {"disc": "crop", "square": "weed", "background": "soil"}
TRAINING: Mapping[str, Any] = {"backbone": tiny.NETWORK, "weights": "none", "size": 32, "epochs": 2}


def build(folder: Path) -> Path:
    """Write everything into a folder, and return it."""
    _classified(folder)
    _boxed(folder)
    _masks(folder)
    _anomalies(folder)
    _shop(folder)
    for model in (HERE / "models").iterdir():
        shutil.copytree(model, folder / model.name)
    for name, model in (("old-model", "flowers-model"), ("cookies-model", "parts-model"), ("old-parts", "parts-model")):
        shutil.copytree(folder / model, folder / name)
    return folder


def _classified(folder: Path) -> None:
    for name, classes, picture in (("flowers", FLOWERS, "rose.jpg"), ("leaves", LEAVES, "leaf.jpg")):
        make_folder(folder / name, classes, 20, seed=1)
        make_folder(folder / f"other-{name}", classes, 10, seed=2)
        make_picture(1, seed=7).resize((320, 320)).save(folder / picture)
    days = (f"field-2024/2024-06-{day:02d}/A1" for day in (1, 8, 15))
    for seed, name in enumerate(("holiday", "new-leaves", "new", *days), 3):
        (folder / name).mkdir(parents=True)
        for number in range(36):
            make_picture(number % 3, seed=seed * 1000 + number).save(folder / name / f"{number:03d}.jpg", quality=92)
    make_folder(folder / "street", ("street",), 12, seed=6)  # pictures of something else
    for file in sorted((folder / "street" / "street").iterdir()):
        make_picture(4, seed=int(file.stem)).save(folder / "street" / file.name)
    shutil.copytree(folder / "street", folder / "street-pictures")
    shutil.rmtree(folder / "street" / "street")
    make_picture(0, seed=9).resize((480, 320)).save(folder / "photo.jpg")
    files = sorted(folder.glob("flowers/*/*.png")) + sorted(folder.glob("other-flowers/*/*.png"))
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("file_name", "label", "camera", "season", "group"))
        for number, file in enumerate(files):
            row = (f"north-{number % 2}", ("spring", "summer")[number % 3 > 0], f"plant-{number // 2}")
            rows.writerow((file.relative_to(folder).as_posix(), file.parent.name, *row))


def _anomalies(folder: Path) -> None:
    tiny.TASKS["anomaly"].data(folder / "parts", 60, 0)
    shutil.copytree(folder / "parts", folder / "cookies")
    for name, split in (("new-images", "train"), ("line-3", "test")):
        shutil.copytree(folder / "parts" / split / "good", folder / name)
    Image.fromarray(tiny.TASKS["anomaly"].picture(1)).save(folder / "cookie.jpg")


def _boxed(folder: Path) -> None:
    data = tiny.TASKS["detect"].data(folder / "cells", 34, 1) / "annotations.json"
    data.write_text(_renamed(data.read_text(encoding="utf-8"), CELLS), encoding="utf-8")
    _old("detect", folder / "cells-model", CELLS)
    shutil.copytree(folder / "cells", folder / "boxes")
    Image.fromarray(tiny.TASKS["detect"].picture(5)).save(folder / "smear.jpg")
    ways = [(0, lambda i: (10 + 3 * i, 40)), (1, lambda i: (110 - 2 * i, 60))]
    clips.write(folder / "street.mp4", clips.moving(ways, 30))


def _masks(folder: Path) -> None:
    names = tiny.TASKS["segment"].data(folder / "weeds", 16, 1) / "classes.txt"
    names.write_text(_renamed(names.read_text(encoding="utf-8"), WEEDS, quote=""), encoding="utf-8")
    _old("segment", folder / "weed-model", WEEDS)


def _old(task: str, model: Path, names: Mapping[str, str]) -> None:
    shutil.copytree(tiny.OLD / task / "model", model)
    info = model / "bundle.json"
    info.write_text(_renamed(info.read_text(encoding="utf-8"), names), encoding="utf-8")


def _renamed(text: str, names: Mapping[str, str], quote: str = '"') -> str:
    for old, new in names.items():
        text = text.replace(f"{quote}{old}{quote}", f"{quote}{new}{quote}")
    return text


def _shop(folder: Path) -> None:
    """Pictures of three visits to a shelf, a film of a basket, and detectors of coloured squares."""
    size, red, green = (128, 128), ("red", (16, 16, 32, 32)), ("green", (64, 16, 80, 32))
    for name, things in (("full", [red, green]), ("yesterday", [red, green]), ("today", [red])):
        (folder / name).mkdir()
        Image.fromarray(_shelf(things)).save(folder / name / "aisle-3.png")
    (folder / "shop.mp4").mkdir()  # a folder of frames is a film, too
    for i, x in enumerate([16] * 30 + [16 * step for step in range(1, 7) for _ in range(6)] + [96] * 10):
        Image.fromarray(scene(size, [("red", (x, 48, x + 16, 64))], i)).save(folder / "shop.mp4" / f"{i:03d}.png")
    for name in ("shelf-model", "shop-model"):
        spotter_bundle(folder / name)
    rows = "name,class,count,x1,y1,x2,y2,picture", "upper left,red,1,0.1,0.1,0.3,0.3,aisle-3", "all,green,2,0,0,1,1,"
    (folder / "slots.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _shelf(things: Sequence[tuple[str, tuple[int, int, int, int]]]) -> Any:
    """A shelf of 512 pixels with corners enough to lay two pictures of it over each other."""
    rng = np.random.default_rng(0)
    picture = Image.new("RGB", (512, 512), (120, 120, 120))
    draw = ImageDraw.Draw(picture)
    for x, y, width, height, grey in rng.integers((0, 0, 8, 8, 60), (512, 512, 60, 60, 180), (150, 5)):
        draw.rectangle((x, y, x + width, y + height), fill=(grey, grey, grey))
    for name, (x1, y1, x2, y2) in things:
        draw.rectangle((4 * x1, 4 * y1, 4 * x2 - 1, 4 * y2 - 1), fill=COLOURS[name])
    return np.asarray(picture)


def train_models(folder: Path) -> None:
    """Train the models of tests/docs/models from pictures that are written into a folder."""
    import photovision as pv

    tiny.register()
    for name, classes in (("flowers-model", FLOWERS), ("leaf-model", LEAVES)):
        data = make_folder(folder / name, classes, 150, seed=8)
        pv.train(data, HERE / "models" / name, listener=pv.silent, **TRAINING)
    parts = tiny.TASKS["anomaly"].data(folder / "parts", 60, 0)
    pv.train(parts, HERE / "models" / "parts-model", listener=pv.silent, **tiny.BANK)
    for report in (HERE / "models").glob("*/report.html"):  # no page needs them; each repeats the style sheet
        report.unlink()


if __name__ == "__main__":
    import tempfile

    shutil.rmtree(HERE / "models", ignore_errors=True)
    (HERE / "models").mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        train_models(Path(scratch))
