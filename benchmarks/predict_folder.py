"""The whole path of prediction on a folder of JPEGs: against a timm + DataLoader script with the same weights.

    python benchmarks/predict_folder.py FOLDER [--pictures 256]

Both start with everything loaded; decoding, network and softmax are timed. Top-1 agreement is of the same network on
the two paths' own pixels: both squash the whole picture, ours in one fused resize after reduced decoding.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from rounds import seconds
from torch import nn
from torchvision import transforms

from photovision.core.image import SUFFIXES
from photovision.core.preprocess import Preprocess
from photovision.models.backbones import load_tensors, read_weights
from photovision.models.export import Decider, export_graph
from photovision.models.weights import locate
from photovision.runtime.session import ANSWER, open_session
from photovision.runtime.stream import loader, stream

BILINEAR = transforms.InterpolationMode.BILINEAR


def network(name: str) -> nn.Module:
    """A network with 1,000 classes, pretrained where offline weights exist."""
    torch.manual_seed(0)
    built: nn.Module = timm.create_model(name, num_classes=1000).eval()
    carrier = name.removeprefix("tf_")
    if carrier == "efficientnet_lite0" and locate(carrier):
        load_tensors(built, read_weights(carrier), carrier)
    return built


class Peer:
    """What a user of timm writes: ImageFolder-like data set, DataLoader, torch in evaluation mode."""

    def __init__(self, built: nn.Module, files: list[Path], preprocess: Preprocess) -> None:
        self.network, self.files = built, files
        self.transform = transforms.Compose(
            [
                transforms.Resize(preprocess.size, BILINEAR),
                transforms.ToTensor(),
                transforms.Normalize(preprocess.mean, preprocess.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.files[index]) as picture:
            tensor: torch.Tensor = self.transform(picture.convert("RGB"))
        return tensor

    @torch.inference_mode()
    def probs(self) -> np.ndarray:
        """Probabilities of all files."""
        loaded: Any = torch.utils.data.DataLoader(self, batch_size=32, num_workers=2)  # type: ignore[arg-type]
        return np.concatenate([self.network(batch).softmax(1).numpy() for batch in loaded])


def compare(name: str, files: list[Path], folder: Path) -> dict[str, float | str]:
    """The ratio of throughputs, and the agreement, for one architecture."""
    preprocess, built = Preprocess((224, 224)), network(name)
    decider = Decider(built, preprocess, 1.0, False)
    export_graph(decider, preprocess.size, decider.outputs, folder / name)
    session = open_session(folder / name, outputs=ANSWER)
    said: dict[str, np.ndarray] = {}
    peer = Peer(built, files, preprocess)

    def by_us() -> None:
        said["ours"] = np.stack([answer.outputs["probs"] for answer in stream(files, loader(preprocess), session)])

    def by_peer() -> None:
        said["peer"] = peer.probs()

    times = seconds({"peer": by_peer, "ours": by_us}, 3)
    agreement = float((said["ours"].argmax(1) == said["peer"].argmax(1)).mean())
    return {
        "ratio": times["peer"] / times["ours"],
        "pictures_per_second": len(files) / times["ours"],
        "peer_pictures_per_second": len(files) / times["peer"],
        "agreement": agreement,
        "precision": session.precision,
    }


def main() -> None:
    """Print the figures for both architectures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=256)
    asked = parser.parse_args()
    found = (path for path in sorted(asked.folder.rglob("*")) if path.suffix.lower() in SUFFIXES)
    files = list(itertools.islice(found, asked.pictures))
    with tempfile.TemporaryDirectory() as folder:
        results = {name: compare(name, files, Path(folder)) for name in ("tf_efficientnet_lite0", "resnet50")}
    sys.stdout.write(json.dumps({"pictures": len(files), **results}) + "\n")


if __name__ == "__main__":
    main()
