"""A folder as the local page works on: pictures of colours, a model of them, and one that mixes two of them up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from colours import colour_bundle, colour_folder, colour_picture

from photovision.data.read import dataset_from_arrays, read_dataset
from photovision.engine.load import load
from photovision.tasks.classify.fit_novelty import remember

NAMES = ("red", "green", "blue")


def make_workspace(folder: Path, per_class: int = 20) -> Path:
    """`folder`/pictures, `folder`/good, which has doubt and remembers these pictures, and `folder`/muddled."""
    data = read_dataset(colour_folder(folder / "pictures", NAMES, per_class))
    pictures = [np.asarray(colour_picture(name, 2000 + i)) for i in range(60) for name in NAMES]
    good = colour_bundle(folder / "good")
    info = json.loads((good / "bundle.json").read_text(encoding="utf-8"))
    info["doubt"] = remember(load(good), data, dataset_from_arrays(pictures, list(NAMES) * 60, NAMES), good, 0)
    info["metrics"] = {"accuracy": {"value": 0.95, "low": 0.9, "high": 0.98, "n": 200, "unit": "share"}}
    (good / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    colour_bundle(folder / "muddled", called=("red", "blue", "green"))
    return folder
