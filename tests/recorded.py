"""Tiny models that keep a record of a training on some data, as a real training leaves it."""

from __future__ import annotations

import json
from pathlib import Path

from photovision.data.dataset import Dataset
from photovision.engine.splits import Embed, TrainingSplits, gather


def recorded(bundle: Path, dataset: Dataset, seed: int = 0, embed: Embed | None = None) -> TrainingSplits:
    """Let a bundle say that it was trained on a data set, split by a seed; gives who learned, chose and judged."""
    material = gather(dataset, seed=seed, embed=embed)
    material.remember(bundle)
    info = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    info |= {"data": material.describe(), "training": {**info.get("training", {}), "seed": seed}}
    (bundle / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return material
