"""Every family of networks that people bring: trained from a folder, predicts, explains, exports, evaluates."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np
import pytest
from PIL import Image

import photovision as pv
from photovision.models.load_network import trained_network


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs and squares of two colours on grainy grounds, 24 of each."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    rows, columns = np.mgrid[0:80, 0:80]
    for number in range(48):
        picture = rng.normal(90, 12, (80, 80, 3))
        top, left, side = *rng.integers(5, 40, 2), int(rng.integers(20, 34))
        disc = (rows - top - side / 2) ** 2 + (columns - left - side / 2) ** 2 < side**2 / 4
        square = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
        kind, inside, colour = (("disc", disc, (220, 120, 60)), ("square", square, (60, 120, 220)))[number % 2]
        picture[inside] = colour
        place = folder / kind / f"{number:02d}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(place)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.TINY)
def test_a_family_works_in_every_stage_and_verb(name: str, data: Path, tmp_path: Path) -> None:
    folder = networks.timm_folder(tmp_path / name, name)
    model = pv.train(str(data), str(tmp_path / "model"), minutes=0.5, epochs=2, backbone=str(folder))
    info = model.info
    stages = {rung["name"] for rung in info["rungs"]}
    assert {"handcrafted", "frozen"} <= stages
    assert ("fine-tuned" in stages) == (name != "swin")
    assert info["backbone"]["weights"] == name
    assert info["parity"]["max_abs_prob_difference"] < 1e-3
    picture = next((data / "disc").glob("*.png"))
    assert model.predict(picture).label in ("disc", "square")
    assert trained_network(model.bundle) is not None
    for method in ("occlusion", "gradcam", *(("rollout",) if name in ("vit", "dinov2", "dinov3", "siglip") else ())):
        report = pv.explain(model, [picture], methods=(method,))
        assert report.metrics or report.summary
    for target in ("onnx", "timm"):
        pv.export(model, target, tmp_path / target)
    report = pv.evaluate(model, pv.read_dataset(str(data)))
    assert report.metrics["accuracy"].n is not None
