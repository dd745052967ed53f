"""Features before the split: a step of the training that is kept, skipped where it does not pay, and repeatable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator
from pictures import make_picture
from PIL import Image
from safetensors.torch import save_file

from photovision.core.preprocess import Preprocess
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.engine.embed import Embedder
from photovision.engine.splits import gather
from photovision.engine.workdir import WorkDir
from photovision.models.backbones import Backbone, create

SIDE = 72


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    """A small network with weights in a file, as a pretrained one has them."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    plain = Backbone("small_resnet", "none", Preprocess((32, 32)))
    save_file({name: value.contiguous() for name, value in create(plain, 2).state_dict().items()}, path)
    return replace(plain, weights=str(path))


def pictures(count: int = 24, side: int = SIDE) -> Dataset:
    images = np.stack([np.asarray(make_picture(n % 2, side, n)) for n in range(count)])
    return dataset_from_arrays(images, [f"c{n % 2}" for n in range(count)])


def work(folder: Path) -> WorkDir:
    return WorkDir(folder / "model", {"seed": 0}, Accelerator())


def test_features_are_computed_once_and_decide_val(source: Backbone, tmp_path: Path) -> None:
    data, seen = pictures(), list[tuple[int, int]]()
    first = work(tmp_path)
    splits = gather(data, seed=0, embed=Embedder(source, first, 3600, lambda *step: seen.append(step)))
    assert seen[-1] == (24, 24)
    assert first.decisions["similarity"] == {"size": [32, 32]}
    assert np.isfinite(splits.similarity[splits.splits.val]).all()
    assert splits.component.shape == (24,)
    assert "held out as whole groups of similar pictures" in splits.splits.notes[0]
    seen.clear()
    again = gather(data, seed=0, embed=Embedder(source, work(tmp_path), 3600, lambda *step: seen.append(step)))
    assert not seen
    assert again.splits.val.tolist() == splits.splits.val.tolist()
    other = WorkDir(tmp_path / "other", {}, Accelerator(), first.decisions)
    repeated = gather(data, seed=0, embed=Embedder(source, other, 1e-9))
    assert repeated.splits.val.tolist() == splits.splits.val.tolist()


@pytest.mark.parametrize(
    ("change", "side", "budget", "reason"),
    [
        ({"weights": "none"}, SIDE, 3600, "no pretrained weights"),
        ({}, 48, 3600, "too small (48 pixels)"),
        ({}, SIDE, 20, "more than 8% of the budget"),
    ],
)
def test_where_pictures_are_not_compared_the_split_is_as_before(
    source: Backbone, tmp_path: Path, change: dict[str, str], side: int, budget: float, reason: str
) -> None:
    data = pictures(side=side)
    splits = gather(data, seed=0, embed=Embedder(replace(source, **change), work(tmp_path), budget))
    plain = gather(data, seed=0)
    for name in ("train", "val", "test"):
        assert getattr(splits.splits, name).tolist() == getattr(plain.splits, name).tolist()
    assert reason in splits.splits.notes[-1]
    assert splits.splits.notes[-1].startswith("Only near-duplicates were looked for")
    assert np.isnan(splits.similarity).all()
    assert splits.component.tolist() == list(range(24))


def test_unreadable_pictures_do_not_stop_it(source: Backbone, tmp_path: Path) -> None:
    for number in range(12):
        make_picture(number % 2, SIDE, number).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    data = Dataset(tuple(Sample(f"{n}", tmp_path / f"{n}.png", (f"c{n % 2}",)) for n in range(12)), ("c0", "c1"))
    embed = Embedder(source, work(tmp_path), 3600)
    rows = np.arange(12)
    features, _ = embed(data, rows, SIDE)
    assert features is not None
    assert np.flatnonzero(~features.any(1)).tolist() == [3]
    assert features.dtype == np.float16
    assert 3 not in gather(data, seed=0, embed=embed).splits.train


def test_small_pictures_of_more_than_8_bits_are_shown_by_their_range(source: Backbone, tmp_path: Path) -> None:
    for number in range(12):
        grey = np.asarray(make_picture(number % 2, SIDE, number).convert("L")).astype(np.uint16)
        Image.fromarray(grey * 3).save(tmp_path / f"{number}.png")
    data = Dataset(tuple(Sample(f"{n}", tmp_path / f"{n}.png", (f"c{n % 2}",)) for n in range(12)), ("c0", "c1"))
    splits = gather(data, seed=0, embed=Embedder(source, work(tmp_path), 3600))
    assert len(np.unique(splits.similarity[splits.splits.val])) > 1
