"""Smaller and faster: torch in eager mode against the session, in float32, bf16 and 8 bits, at batch 32.

    python benchmarks/optimize.py [--rounds 5] [--bundle MODEL --data DATA]

Networks have random weights where speed alone counts, and are calibrated on structured pictures; all are timed in turn
within one run, and medians are told. With a bundle and its data, `optimize --int8` is applied to it, and
the change of accuracy on test pictures is told.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from photovision.core.preprocess import Preprocess
from photovision.core.system import provenance
from photovision.data.read import read_dataset
from photovision.engine.load import load
from photovision.engine.optimize.optimize import OptimizeConfig, aligned, optimize_on
from photovision.engine.optimize.quantize_graph import SETTINGS, compressor, quantize_graph
from photovision.engine.splits import gather
from photovision.models.export import Decider, export_graph
from photovision.runtime.session import ANSWER, Session, open_session

BATCH, SIDE = 32, 224
NETWORKS = {"resnet50": (15.0, 9.0), "tf_efficientnet_lite0": (8.0, 8.0)}
"""Architecture -> least speed-up over torch in 8 bits and in bf16."""
WARM = 4


def pictures(count: int) -> np.ndarray:
    """Coarse coloured patches under grain: uint8 (N, 224, 224, 3)."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 14, 14, 3)).repeat(SIDE // 14, 1).repeat(SIDE // 14, 2)
    return np.clip(coarse + rng.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(name: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Pictures a second of one architecture in every arithmetic, and the ratios to torch."""
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=1000).eval()
    decider = Decider(network, Preprocess((SIDE, SIDE)), 1.0, False).eval()
    whole, small = folder / f"{name}.onnx", folder / f"{name}-int8.onnx"
    export_graph(decider, (SIDE, SIDE), decider.outputs, whole)
    quantize_graph(compressor(), whole, pictures(64), SETTINGS[0], small)
    batch = pictures(BATCH)
    normalised = decider.normalise(torch.from_numpy(batch)).contiguous()
    sessions: dict[str, Session] = {
        "f32": open_session(whole, precision="f32", outputs=ANSWER),
        "bf16": open_session(whole, precision="bf16", outputs=ANSWER),
        "int8": open_session(small, precision="f32", outputs=ANSWER),
    }
    for session in sessions.values():
        for _ in range(WARM):
            session.run(batch)
    took: dict[str, list[float]] = {"torch": [], **{kind: [] for kind in sessions}}
    with torch.inference_mode():
        network(normalised)
        for _ in range(rounds):
            took["torch"].append(seconds(lambda: network(normalised)))
            for kind, session in sessions.items():
                took[kind] += [seconds(lambda run=session.run: run(batch)) for _ in range(3)]  # type: ignore[misc]
    speed = {kind: BATCH / float(np.median(values)) for kind, values in took.items()}
    ratios = {kind: round(speed[kind] / speed["torch"], 2) for kind in sessions}
    int8, bf16 = NETWORKS[name]
    return {
        "network": name,
        "pictures_per_second": {kind: round(value, 1) for kind, value in speed.items()},
        "times_torch": ratios,
        "asked": {"int8": int8, "bf16": bf16},
        "reached": {"int8": ratios["int8"] >= int8, "bf16": ratios["bf16"] >= bf16},
    }


def judged(bundle: Path, data: Path, folder: Path) -> dict[str, Any]:
    """What `optimize --int8` does to a trained model, whatever it loses."""
    model = load(bundle)
    dataset = aligned(read_dataset(data), model)
    material = gather(dataset, seed=int(model.info["training"]["seed"]))
    report = optimize_on(model, material, folder / "small", ["int8"], OptimizeConfig(max_drop=1.0))
    kept = ("accuracy", "accuracy_change", "ece", "agreement", "speedup", "graph_size")
    return {
        "backbone": model.info["backbone"]["name"],
        "setting": load(folder / "small").info["quantized"]["name"],
        **{name: report.metrics[name].to_json() for name in kept},
    }


def main() -> None:
    """Print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--bundle", type=Path, action="append", default=[])
    parser.add_argument("--data", type=Path, action="append", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        speed = [compare(name, folder, given.rounds) for name in given.networks]
        loss = [judged(bundle, data, folder) for bundle, data in zip(given.bundle, given.data, strict=True)]
    json.dump({"threads": torch.get_num_threads(), "speed": speed, "loss": loss, **provenance()}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
