"""How often is a wrong preparation of pictures noticed? A trained classifier, exported as if it wanted each of several
preparations, is adopted with few labelled pictures.

    python benchmarks/adopt.py MODEL DATA [--pictures 40 100 200] [--repeats 1]

MODEL is a classifier of ours, DATA labelled pictures that it did not learn from. In front of its graph stands the
inverse of a preparation, so that only this one is right. Of each adoption the outcome is counted: found, asked for (the
pictures could not decide), or wrong. Half of the pictures find the preparation, the others would judge.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

import photovision as pv
from photovision.core.errors import UsageError
from photovision.engine.recognise_layout import ForeignModel, decide, halves
from photovision.models.foreign_graph import read_foreign
from photovision.models.preparation import NORMALISATIONS, Preparation, StatedPreparation


def disguised(graph: Path, preparation: Preparation, path: Path) -> Path:
    """The graph of one of our classifiers, which takes float pictures (N, 3, H, W) prepared in some way."""
    own = compose.add_prefix(onnx.load(graph), "own/")
    height, width = (side.dim_value for side in own.graph.input[0].type.tensor_type.shape.dim[1:3])
    order = slice(None, None, -1) if preparation.channels == "bgr" else slice(None)
    mean, std = (np.array(values)[order] for values in (preparation.preprocess.mean, preparation.preprocess.std))
    constants = {"front/std": 255 * std, "front/mean": 255 * mean + 0.5, "front/low": 0.0, "front/high": 255.0}
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["front/1"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["front/1", "front/std"], ["front/2"]),
        helper.make_node("Add", ["front/2", "front/mean"], ["front/3"]),
        helper.make_node("Clip", ["front/3", "front/low", "front/high"], ["front/4"]),
        helper.make_node("Gather", ["front/4", "front/order"], ["front/5"], axis=3),
        helper.make_node("Cast", ["front/5"], [own.graph.input[0].name], to=TensorProto.UINT8),
    ]
    stored = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    stored.append(numpy_helper.from_array(np.array([0, 1, 2])[order], "front/order"))
    made = helper.make_graph(
        [*nodes, *own.graph.node],
        "disguised",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 3, height, width])],
        [one for one in own.graph.output if one.name == "own/logits"],
        [*own.graph.initializer, *stored],
    )
    onnx.save(helper.make_model(made, opset_imports=own.opset_import, ir_version=own.ir_version), str(path))
    return path


def main() -> None:
    """Adopt with every preparation and number of pictures, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, nargs="+", default=[40, 100, 200])
    parser.add_argument("--repeats", type=int, default=1)
    chosen = parser.parse_args()
    model, dataset = pv.load(chosen.model), pv.read_dataset(chosen.data)
    known = [
        Preparation(pv.Preprocess(model.preprocess.size, mean=mean, std=std), channels)
        for mean, std in NORMALISATIONS.values()
        for channels in ("rgb", "bgr")
    ]
    print("pictures  preparations  found  asked  wrong  seconds")
    for count in chosen.pictures:
        outcome, started = {"found": 0, "asked": 0, "wrong": 0}, time.monotonic()
        for number, preparation in enumerate(known * chosen.repeats):
            rows = np.random.default_rng(number).permutation(len(dataset))[:count]
            kind, detail = _adopted(model, dataset.subset(np.sort(rows)), preparation)
            outcome[kind] += 1
            if kind == "wrong":
                print(f"  wrong: wanted {preparation}, took {detail}")
        seconds = (time.monotonic() - started) / len(known * chosen.repeats)
        print(
            f"{count:8d}  {len(known * chosen.repeats):12d}  {outcome['found']:5d}  {outcome['asked']:5d}"
            f"  {outcome['wrong']:5d}  {seconds:7.1f}"
        )


def _adopted(model: pv.Recognizer, dataset: pv.Dataset, wanted: Preparation) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        graph = read_foreign(disguised(model.bundle.graph, wanted, Path(folder) / "theirs.onnx"))
        try:
            found = decide(ForeignModel(graph, model.classes, StatedPreparation()), halves(dataset, 0)).preparation
        except UsageError as error:
            return "asked", str(error)
    same = found.channels == wanted.channels and found.normalisation == wanted.normalisation
    return ("found" if same else "wrong"), str(found)


if __name__ == "__main__":
    main()
