"""What a GPU gives, beside timm's own recipe and the measured bf16 peak of the same run; at most 8 minutes.

    python benchmarks/gpu.py [--cifar FOLDER] [--minutes 8] [--tiny]

Measured are training throughput of ResNet-50 and EfficientNet-Lite0 at 224 pixels, with pictures that lie in memory and
with JPEGs that are decoded; a step of a detector and of a segmenter; inference at batch 1 and 256; parity of the
runtime with torch in f32; and with --cifar (a folder that `photovision train` reads) CIFAR-10's accuracy over time.
`--tiny` shrinks all of it, so that the script can be tried on a processor; its figures mean nothing then. One JSON
line a part, so that what a run had no time for is missing and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from accelerate import Accelerator
from PIL import Image
from timm.data import create_transform
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from torch import nn
from torchvision.datasets import ImageFolder

from photovision.core.progress import Progress
from photovision.core.system import cores
from photovision.core.types import Sample
from photovision.data.augment.image import Augment
from photovision.engine.train import train
from photovision.learn.feed import Feed, PictureFeed, SmallPictureFeed
from photovision.learn.loop import RunContext, fit
from photovision.learn.plan import Plan
from photovision.learn.step_time import step_seconds
from photovision.models.backbones import Backbone, choose, count_macs, create
from photovision.models.detector import DetectorNetwork
from photovision.models.export import Normalise, export_graph
from photovision.models.segmenter import SegmenterNetwork
from photovision.runtime.session import Session, open_session
from photovision.tasks.classify.objective import ClassifyObjective
from photovision.tasks.detect.objective import DetectObjective
from photovision.tasks.segment.objective import SegmentObjective

CLASSES = 100
NETWORKS = ("resnet50", "tf_efficientnet_lite0")


@dataclass(frozen=True)
class Scale:
    """How large everything is: as on a GPU, or so small that a processor tries every line in a minute."""

    side: int
    batch: int
    steps: int
    large: int
    matrix: int
    files: int


WHOLE, TINY = Scale(224, 256, 40, 256, 8192, 4096), Scale(64, 4, 3, 8, 256, 16)


def say(part: str, **figures: Any) -> None:
    sys.stdout.write(json.dumps({"part": part, **figures}) + "\n")
    sys.stdout.flush()


def wait() -> None:
    """Until the device has done what it was asked to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def quickest(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the quickest of some rounds, after one that is not counted."""
    times = []
    for _ in range(rounds + 1):
        wait()
        started = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def peak(scale: Scale, device: torch.device) -> float:
    """bf16 operations a second of a product of large matrices, which no network can exceed."""
    side = scale.matrix
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / quickest(lambda: a @ b)


class Marks:
    """A listener of the loop that notes when a step was told of; the device is waited for at the marks alone."""

    def __init__(self, first: int, last: int) -> None:
        self.wanted, self.at = (first, last), dict[int, float]()

    def __call__(self, progress: Progress) -> None:
        if progress.done in self.wanted and progress.done not in self.at:
            wait()
            self.at[progress.done] = time.perf_counter()

    def rate(self, batch: int) -> float:
        """Pictures a second between the first and the last mark."""
        (a, began), (b, ended) = sorted(self.at.items())
        return batch * (b - a) / (ended - began)


def ours(source: Backbone, feed: Feed, scale: Scale, accelerator: Accelerator, compiled: bool) -> float:
    """Pictures a second that the one training loop learns from."""
    steps, warm = len(feed.targets) // scale.batch, max(1, scale.steps // 4)
    plan = Plan(1, batch_size=scale.batch, optimiser="sgd", lr=0.1, train_norm=True, precision="bf16", compile=compiled)
    marks = Marks(warm, steps)
    few = SmallPictureFeed(np.zeros((2, scale.side, scale.side, 3), np.uint8), feed.targets[:2], Augment())
    prepare, setting = Normalise(source.preprocess).to(accelerator.device), RunContext(accelerator, marks)
    fit(create(source, CLASSES), ClassifyObjective(), plan, feed, few, prepare, setting)
    return marks.rate(scale.batch)


def theirs(name: str, batches: Iterator[tuple[torch.Tensor, torch.Tensor]], scale: Scale, compiled: bool) -> float:
    """Pictures a second of timm's train.py recipe: SGD with momentum, label smoothing, bf16, channels last."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = timm.create_model(name, num_classes=CLASSES).to(device, memory_format=torch.channels_last)
    optimiser = create_optimizer_v2(network, opt="sgd", lr=0.1, weight_decay=2e-5, momentum=0.9)
    model, loss_of = torch.compile(network) if compiled else network, LabelSmoothingCrossEntropy(0.1)
    warm = max(1, scale.steps // 4)
    done, began = 0, 0.0
    for inputs, targets in batches:
        inputs = inputs.to(device, non_blocking=True, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of(model(inputs), targets.to(device, non_blocking=True))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        done += 1
        if done == warm:
            wait()
            began = time.perf_counter()
    wait()
    return scale.batch * (done - warm) / (time.perf_counter() - began)


def truths(count: int) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]


def training(name: str, scale: Scale, accelerator: Accelerator, most: float) -> None:
    """Learning from pictures that lie in memory, plain and compiled."""
    source = sized(name, scale.side)
    count = scale.batch * scale.steps
    pixels = np.random.default_rng(0).integers(0, 256, (min(count, 1024), scale.side, scale.side, 3), np.uint8)
    feed = SmallPictureFeed(np.resize(pixels, (count, *pixels.shape[1:])), truths(count), Augment(flip=False))
    inputs = torch.rand(scale.batch, 3, scale.side, scale.side, device=accelerator.device)
    targets = torch.arange(scale.batch, device=accelerator.device) % CLASSES
    macs = count_macs(create(source, CLASSES), source.preprocess.size)
    for compiled in (False, True) if accelerator.device.type == "cuda" else (False,):
        rates = {
            "photovision": ours(source, feed, scale, accelerator, compiled),
            "timm": theirs(name, ((inputs, targets) for _ in range(scale.steps)), scale, compiled),
        }
        say(
            f"train {name}",
            compiled=compiled,
            pictures_per_second=rates,
            ratio=rates["photovision"] / rates["timm"],
            share_of_peak={one: 6 * macs * rate / most for one, rate in rates.items()},
        )


def decoded(name: str, scale: Scale, accelerator: Accelerator) -> None:
    """Learning from JPEGs of 500 x 375 pixels, decoded and cropped at random by both."""
    source = sized(name, scale.side)
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder), scale.files)
        count = scale.batch * max(4, min(scale.steps, 4 * scale.files // scale.batch))
        samples = [Sample(str(row), files[row % len(files)]) for row in range(count)]
        feed = PictureFeed(samples, truths(count), source.preprocess, Augment(), cores())
        mine = ours(source, feed, scale, accelerator, False)
        pictures = ImageFolder(folder, create_transform(scale.side, is_training=True, color_jitter=None))
        loader = torch.utils.data.DataLoader(
            torch.utils.data.Subset(pictures, [row % len(files) for row in range(count)]),
            batch_size=scale.batch,
            num_workers=cores(),
            pin_memory=accelerator.device.type == "cuda",
            drop_last=True,
        )
        rates = {"photovision": mine, "timm": theirs(name, iter(loader), scale, False)}
    say(f"train {name}, decoded", pictures_per_second=rates, ratio=rates["photovision"] / rates["timm"])


def photographs(folder: Path, count: int) -> list[Path]:
    """JPEGs with the amount of detail of photographs: shapes of many sizes, and noise."""
    rng, files = np.random.default_rng(0), []
    (folder / "all").mkdir()
    for number in range(count):
        layers = [rng.normal(0, 30, (side, side + side // 3, 3)) for side in (4, 12, 40, 120)]
        fields = [Image.fromarray(np.uint8(np.clip(one + 128, 0, 255))).resize((500, 375)) for one in layers]
        pixels = sum(np.asarray(field, np.float32) for field in fields) / len(fields)
        files.append(folder / "all" / f"{number}.jpg")
        Image.fromarray(np.uint8(pixels)).save(files[-1], quality=90)
    return files


def sized(name: str, side: int) -> Backbone:
    return choose(name, "none", side)


def steps(scale: Scale, device: torch.device) -> None:
    """One step of a detector and of a segmenter, forward, loss and backward."""
    source, batch = sized("resnet50", 2 * scale.side), max(2, scale.batch // 8)
    size = source.preprocess.size
    inputs = torch.rand(batch, 3, *size, device=device).contiguous(memory_format=torch.channels_last)
    box = torch.tensor([1.0, 8, 8, size[1] / 2, size[0] / 2], device=device)
    planes = torch.zeros(batch, *size, 1, dtype=torch.uint8, device=device)
    parts: dict[str, tuple[Any, nn.Module, torch.Tensor]] = {
        "detector": (DetectObjective(20, size), DetectorNetwork(source, 20), box.repeat(batch, 8, 1)),
        "segmenter": (SegmentObjective(20), SegmenterNetwork(source, 20, False), planes),
    }
    for name, (task, network, targets) in parts.items():
        network = network.to(device)
        found = {
            kind: batch / step_seconds(task, network, {"inputs": inputs, "targets": targets}, kind)
            for kind in ("f32", "bf16")
        }
        say(f"step of a {name}", backbone="resnet50", side=size[0], batch=batch, pictures_per_second=found)


class Answer(nn.Module):
    """A network behind its normalisation, as a bundle's graph has it: uint8 images (N, H, W, 3) -> logits."""

    def __init__(self, source: Backbone) -> None:
        super().__init__()
        self.ready, self.network = Normalise(source.preprocess), create(source, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.network(self.ready(images))
        return found


def inference(name: str, scale: Scale, device: torch.device) -> None:
    """Pictures a second of the fast runtime and of torch at batch 1 and at a large batch, and how far they differ."""
    source = sized(name, scale.side)
    network = Answer(source).eval()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        graph = Path(folder) / "model.onnx"
        export_graph(network, source.preprocess.size, ("logits",), graph)
        sessions = {kind: open_session(graph, precision=kind) for kind in usable(graph)}
        moved = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for count in (1, scale.large):
            pixels = np.random.default_rng(0).integers(0, 256, (count, scale.side, scale.side, 3), np.uint8)
            say(f"inference {name}", batch=count, **answered(sessions, moved, pixels, device))


def answered(
    sessions: Mapping[Any, Session], network: nn.Module, pixels: np.ndarray, device: torch.device
) -> dict[str, Any]:
    """How many pictures a second everybody answers, and the largest difference of a logit between both in f32."""
    given, rates = torch.from_numpy(pixels).to(device), {}
    for kind, session in sessions.items():
        rates[f"{session.engine} {kind}"] = len(pixels) / quickest(lambda one=session: one.run(pixels))  # type: ignore[misc]
    for kind in ("f32", "bf16"):
        with torch.autocast(device.type, torch.bfloat16, enabled=kind == "bf16"):
            rates[f"torch {kind}"] = len(pixels) / quickest(lambda: network(given))
    apart = np.abs(sessions["f32"].run(pixels)["logits"] - network(given).float().cpu().numpy()).max()
    return {"pictures_per_second": rates, "largest_difference": float(apart)}


def usable(graph: Path) -> tuple[Any, ...]:
    """The arithmetics that the runtime of this machine has."""
    return ("f32",) if open_session(graph).engine == "onnxruntime" else ("f32", "bf16")


def cifar(folder: Path, minutes: float) -> None:
    """CIFAR-10 from random weights through the product's own command, in the minutes that are left."""
    with tempfile.TemporaryDirectory() as place:
        model = train(folder, Path(place) / "model", minutes=minutes, weights="none")
        say("cifar-10", minutes=minutes, metrics={"accuracy": model.info["metrics"]["accuracy"]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    scale, ends = TINY if given.tiny else WHOLE, time.monotonic() + 60 * given.minutes
    accelerator = Accelerator()
    device = accelerator.device
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    most = peak(scale, device)
    say("machine", device=chip, cores=os.cpu_count(), torch=torch.__version__, bf16_peak_tflops=most / 1e12)
    networks = NETWORKS[1:] if given.tiny else NETWORKS
    parts: list[Callable[[], None]] = [
        *(lambda n=name: training(n, scale, accelerator, most) for name in networks),
        *(lambda n=name: inference(n, scale, device) for name in networks),
        lambda: steps(scale, device),
        *(lambda n=name: decoded(n, scale, accelerator) for name in networks),
    ]
    for measure in parts:
        if time.monotonic() > ends - 20:
            say("stopped", why=f"{given.minutes:g} minutes are over: give more --minutes")
            return
        measure()
    left = (ends - time.monotonic()) / 60
    if given.cifar is not None and left > 0.5:
        cifar(given.cifar, left)


if __name__ == "__main__":
    main()
