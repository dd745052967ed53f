"""The ready detector: frames a second of films from file to boxes, average precision on COCO pictures, parity.

    python benchmarks/detector.py VIDEO... [--coco DATA] [--rounds 3] [--opencv PYTHON --cfg yolov4-tiny.cfg]

A film is decoded by PyAV, its frames are resized, go through the network and non-maximum suppression; tracking is not
part of it. Average precision is by COCO's protocol, areas being those of boxes. Parity holds our graph against OpenCV's
own reading of darknet's files (its last version that can is 4): PYTHON is an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from rounds import seconds

from photovision.core.types import Image
from photovision.data.read import read_dataset
from photovision.engine.evaluate import evaluate_on
from photovision.models.pretrained import DETECTOR, ready
from photovision.models.weights import locate
from photovision.runtime.bundle import read_bundle
from photovision.runtime.session import open_session
from photovision.tasks.detect.detector import Detector

PEER = """
import sys, cv2, numpy as np
cfg, weights, given, out = sys.argv[1:]
network = cv2.dnn.readNetFromDarknet(cfg, weights)
names, found = network.getUnconnectedOutLayersNames(), []
for picture in np.load(given):
    network.setInput(cv2.dnn.blobFromImage(picture, 1 / 255, picture.shape[1::-1], swapRB=False))
    found.append(np.concatenate(network.forward(names)))
np.save(out, np.stack(found))
"""


def frames(video: Path) -> Iterator[Image]:
    """The frames of a film, uint8 RGB (H, W, 3)."""
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def speed(detector: Detector, video: Path, rounds: int) -> dict[str, Any]:
    """Frames a second from file to boxes, and of decoding alone; medians over rounds that take turns."""
    count = sum(1 for _ in frames(video))
    boxes = [0]

    def whole() -> None:
        boxes[0] = sum(len(seen.value or ()) for seen in detector.results(frames(video)))

    took = seconds({"whole": whole, "decoding": lambda: sum(1 for _ in frames(video))}, rounds)
    rates = {name: count / value for name, value in took.items()}
    return {"video": video.name, "frames": count, "boxes": boxes[0], "frames_per_second": rates}


def parity(python: str, cfg: Path, files: list[Path]) -> dict[str, Any]:
    """Largest differences between our graph and OpenCV's reading of the original files, on real pictures."""
    bundle, weights = read_bundle(ready()), locate(DETECTOR)
    pictures = np.stack([bundle.preprocess.load(file) for file in files])
    with tempfile.TemporaryDirectory() as folder:
        given, out = (str(Path(folder) / name) for name in ("in.npy", "out.npy"))
        np.save(given, pictures)
        subprocess.run([python, "-c", PEER, str(cfg), str(weights), given, out], check=True)
        theirs = np.load(out)
    result: dict[str, Any] = {"pictures": len(files)}
    for precision in ("f32", "bf16"):
        session = open_session(bundle.graph, precision=precision, outputs=bundle.row.outputs)
        parts = [session.run(pictures[start : start + 8]) for start in range(0, len(pictures), 8)]
        boxes, scores = (
            _by_cell(np.concatenate([part[name] for part in parts]), bundle.preprocess.size)
            for name in bundle.row.outputs
        )
        centre, side = theirs[..., :2], theirs[..., 2:4]
        placed = np.concatenate([centre - side / 2, centre + side / 2], -1) * (bundle.preprocess.size[::-1] * 2)
        told = theirs[..., 5:] > 0  # OpenCV sets scores below a limit of its own to 0
        seen = scores.max(-1) > 0.1
        result[precision] = {
            "largest_score_difference": float(np.abs(scores - theirs[..., 5:])[told].max()),
            "largest_corner_difference_px": float(np.abs(boxes - placed)[seen].max()),
            "scores_compared": int(told.sum()),
        }
    return result


def _by_cell(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """From our order (scale, anchor, cell) to OpenCV's (scale, cell, anchor)."""
    parts, start = [], 0
    for stride in (32, 16):
        cells = size[0] * size[1] // stride**2
        part = values[:, start : start + 3 * cells].reshape(len(values), 3, cells, -1)
        parts.append(part.transpose(0, 2, 1, 3).reshape(len(values), 3 * cells, -1))
        start += 3 * cells
    return np.concatenate(parts, axis=1)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--coco", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--opencv")
    parser.add_argument("--cfg", type=Path)
    chosen = parser.parse_args()
    detector = Detector(read_bundle(ready()))
    found: dict[str, Any] = {"detector": DETECTOR}
    if chosen.videos:
        found["speed"] = [speed(detector, video, chosen.rounds) for video in chosen.videos]
        found["engine"] = f"{detector.session.engine} {detector.session.precision}"
    if chosen.coco:
        data = read_dataset(chosen.coco)
        report = evaluate_on(detector, data)
        found["coco"] = {name: metric.to_json() for name, metric in report.metrics.items()}
        if chosen.opencv and chosen.cfg:
            files = [sample.image for sample in data.samples if isinstance(sample.image, Path)]
            found["parity"] = parity(chosen.opencv, chosen.cfg, files)
    json.dump(found, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
