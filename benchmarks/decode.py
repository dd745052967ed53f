"""Decoding and preprocessing one JPEG to a normalised 224-pixel tensor, one core: against PIL + torchvision.transforms.

    python benchmarks/decode.py

The picture is a photograph that comes with scikit-image, enlarged or reduced to the size in question.
"""

from __future__ import annotations

import io
import json
import sys

import skimage.data
import torch
from PIL import Image
from rounds import seconds
from torchvision import transforms

from photovision.core.preprocess import Preprocess

REPEATS = {(3000, 2000): 8, (500, 375): 60}


def jpeg(size: tuple[int, int]) -> bytes:
    """A photograph of (W, H) as a JPEG of quality 90."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def main() -> None:
    """Print the ratio for each size."""
    torch.set_num_threads(1)
    peer = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    ours = Preprocess((224, 224), "crop", 0.875)
    found = {}
    for size, repeats in REPEATS.items():
        content = jpeg(size)

        def by_peer(content: bytes = content, repeats: int = repeats) -> None:
            for _ in range(repeats):
                peer(Image.open(io.BytesIO(content)).convert("RGB"))

        def by_us(content: bytes = content, repeats: int = repeats) -> None:
            for _ in range(repeats):
                ours.normalise(ours.load(content))

        times = seconds({"torchvision": by_peer, "photovision": by_us}, 7)
        found[f"{size[0]}x{size[1]}"] = {
            "ratio": times["torchvision"] / times["photovision"],
            "ms": {name: 1000 * value / repeats for name, value in times.items()},
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
