"""A small real model for tests of the command line: it tells colours apart, and is made in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from photovision.core.preprocess import Preprocess
from photovision.data.dataset import Dataset

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 210), "grey": (120, 120, 120)}


def colour_picture(name: str, seed: int = 0, size: int = 40) -> Image.Image:
    """A grainy square in about that colour."""
    rng = np.random.default_rng((seed, len(name)))
    values = np.array(COLOURS[name]) + rng.normal(0, 15, (size, size, 3)) + rng.normal(0, 10, 3)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def colour_folder(root: Path, names: Sequence[str] = ("red", "green", "blue"), per_class: int = 4) -> Path:
    """PNG pictures in `root`/colour."""
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            colour_picture(name, number).save(root / name / f"{number}.png")
    return root


def colour_bundle(
    folder: Path,
    names: Sequence[str] = ("red", "green", "blue"),
    *,
    called: Sequence[str] = (),
    multilabel: bool = False,
) -> Path:
    """A bundle whose network compares a picture's mean colour with those of `names`, which it calls `called`."""
    folder.mkdir(parents=True)
    colours = np.array([COLOURS[name] for name in names], np.float32) / 255
    onnx.save(_graph(colours, multilabel), folder / "model.onnx")
    info: dict[str, Any] = {
        "format": "photovision",
        "version": 1,
        "task": "classify",
        "multilabel": multilabel,
        "classes": list(called or names),
        "preprocess": Preprocess((16, 16)).to_json(),
        "backbone": {"name": "mean_colour", "weights": "none", "params": 12, "macs": 9},
        "temperature": 1.0,
        "thresholds": [0.5] * len(names) if multilabel else None,
        "chosen": "handmade",
        "rungs": [],
        "training": {"seed": 0, "seconds": 0.0},
        "data": {"fingerprint": "0" * 16, "counts": {"train": 0, "val": 0, "test": 0}},
        "licences": [{"part": "code", "name": "test", "licence": "apache-2.0", "commercial": True, "note": ""}],
        "metrics": {},
    }
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def _graph(colours: np.ndarray, multilabel: bool) -> onnx.ModelProto:
    # Nearest colour: -|x - c|^2 differs between classes only by 2 x.c - |c|^2.
    weights, bias = 20 * colours.T, -10 * (colours**2).sum(1)
    if multilabel:
        bias = bias - 4
    constants = {"weights": weights, "bias": bias, "scale": np.float32(1 / 255)}
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["shares"]),
        helper.make_node("ReduceMean", ["shares"], ["embedding"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["embedding", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probs"])
        if multilabel
        else helper.make_node("Softmax", ["logits"], ["probs"]),
    ]
    count = len(colours)
    graph = helper.make_graph(
        nodes,
        "mean_colour",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 16, 16, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", wide])
            for name, wide in (("probs", count), ("logits", count), ("embedding", 3))
        ],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def add_doubt(folder: Path, names: Sequence[str] = ("red", "green", "blue")) -> Path:
    """Give a colour bundle prediction sets, a gate and references, learned from pictures of these colours."""
    from photovision.data.read import dataset_from_arrays
    from photovision.engine.load import load
    from photovision.tasks.classify.fit_novelty import remember

    def some(first: int, count: int) -> Dataset:
        pictures = [np.asarray(colour_picture(name, first + i)) for i in range(count) for name in names]
        return dataset_from_arrays(pictures, list(names) * count, names)

    file = folder / "bundle.json"
    info = json.loads(file.read_text(encoding="utf-8"))
    info["doubt"] = remember(load(folder), some(1000, 60), some(2000, 60), folder, 0)
    file.write_text(json.dumps(info), encoding="utf-8")
    return folder
