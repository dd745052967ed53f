"""Fine-tuning as an engineer writes it with timm and PyTorch.

    python benchmarks/peers/timm_finetune.py DATA --seconds 100 --size 128 -o answers.csv

DATA has train/ and test/ with a folder for each class. Writes the file, the true class and a probability for each class
of every test picture. Needs timm, torchvision and the package in weights.py.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from pathlib import Path

import timm
import torch
from timm.data import create_transform
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from weights import MEAN, STD, start_from_imagenet

BATCH, WORKERS, PEAK = 32, 2, 1e-3


def train(data: Path, seconds: float, size: int) -> tuple[torch.nn.Module, list[str], float]:
    """The network, its classes, and the epochs that it saw; the rate falls to zero with the time that is left."""
    started = time.perf_counter()
    transform = create_transform((3, size, size), is_training=True, mean=MEAN, std=STD, interpolation="bicubic")
    dataset = ImageFolder(data / "train", transform)
    loader = DataLoader(
        dataset, BATCH, shuffle=True, drop_last=True, num_workers=WORKERS, persistent_workers=True, prefetch_factor=4
    )
    model = timm.create_model("tf_efficientnet_lite0", num_classes=len(dataset.classes), drop_rate=0.2)
    start_from_imagenet(model)
    model = model.to(memory_format=torch.channels_last)  # convolutions on a CPU are quicker so
    optimizer = torch.optim.AdamW(model.parameters(), PEAK, weight_decay=0.05)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    model.train()
    steps = 0
    while True:
        for images, labels in loader:
            spent = (time.perf_counter() - started) / seconds
            if spent >= 1:
                return model, dataset.classes, steps / len(loader)
            for group in optimizer.param_groups:
                group["lr"] = PEAK * min(1, steps / 10) * (1 + math.cos(math.pi * spent)) / 2
            loss = loss_of(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1


@torch.inference_mode()
def answer(model: torch.nn.Module, data: Path, size: int, output: Path) -> None:
    """Write what the network answers to the test pictures."""
    transform = create_transform((3, size, size), mean=MEAN, std=STD, interpolation="bicubic", crop_pct=0.875)
    dataset = ImageFolder(data / "test", transform)
    model.eval()
    probs = torch.cat([model(images).softmax(1) for images, _ in DataLoader(dataset, BATCH, num_workers=WORKERS)])
    with output.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "truth", *dataset.classes])
        for (path, label), row in zip(dataset.samples, probs.tolist(), strict=True):
            rows.writerow([path, dataset.classes[label], *row])


def main() -> None:
    """Train for the time that is given, and write the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("-o", "--output", type=Path, default=Path("answers.csv"))
    asked = parser.parse_args()
    model, classes, epochs = train(asked.data, asked.seconds, asked.size)
    answer(model, asked.data, asked.size, asked.output)
    print(f"{len(classes)} classes, {epochs:.1f} epochs")


if __name__ == "__main__":
    main()
