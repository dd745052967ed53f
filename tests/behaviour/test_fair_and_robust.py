"""Fair and robust training, the whole way: planted bias is found and mended, and nothing is claimed without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from photovision.app.cli import run as command
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.formats.table import write
from photovision.data.read import read_dataset
from photovision.engine.train import run, train
from photovision.engine.train_config import TrainConfig
from photovision.models import weights
from photovision.tasks.classify.recognizer import Recognizer


def tinted(n: int, lies: float, seed: int = 0) -> Dataset:
    """Grainy pictures a little brighter above or below, the former red and the latter blue.

    For the share `lies` of the pictures the tint is that of the other class.
    """
    rng, samples = np.random.default_rng(seed), []
    for i in range(n):
        kind, lie = i % 2, rng.random() < lies
        picture = rng.normal(100, 30, (16, 16, 3))
        picture[8 * kind : 8 * kind + 8] += 3
        picture[..., 0 if kind ^ lie else 2] += 40
        pixels = np.clip(picture, 0, 255).astype(np.uint8)
        tint = {"tint": "red" if kind ^ lie else "blue"}
        samples.append(Sample(f"{i:04d}", pixels, (("above", "below")[kind],), tint))
    return Dataset(tuple(samples), ("above", "below"))


def written(dataset: Dataset, folder: Path) -> Path:
    """A folder with these pictures and their table."""
    write(dataset, folder / "data")
    return folder / "data"


def rungs(model: Recognizer, kind: str) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    return {rung["name"]: rung for rung in model.info["variants"][kind]["rungs"]}


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    output = tmp_path_factory.mktemp("models") / "fair"
    return train(tinted(1600, 0.05), output, weights="none", epochs=4, fair_by="tint")


@pytest.mark.slow
def test_planted_bias_is_mended_and_the_report_shows_it(fair: Recognizer) -> None:
    found = rungs(fair, "fair")
    assert list(found) == ["from scratch", "group-balanced", "reweighted", "GroupDRO"]
    plain = found["from scratch"]["test"]["worst_group"]["value"]
    assert plain < 0.65
    for name in ("group-balanced", "reweighted", "GroupDRO"):
        assert found[name]["test"]["worst_group"]["value"] > plain + 0.15, name
    assert fair.info["chosen"] == fair.info["variants"]["fair"]["kept"] != "from scratch"
    assert fair.info["metrics"]["accuracy"]["value"] > 0.85


@pytest.mark.slow
def test_the_same_training_again_gives_the_same_variant(fair: Recognizer, tmp_path: Path) -> None:
    again = run(tinted(1600, 0.05), tmp_path / "again", TrainConfig.replaying(fair.info))
    first, second = (load_file(model.bundle.path / "model.safetensors") for model in (fair, again))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert again.info["variants"] == fair.info["variants"]


@pytest.mark.slow
def test_killed_within_group_dro_it_ends_the_same(tmp_path: Path) -> None:
    data = written(tinted(300, 0.1), tmp_path)
    script = tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from photovision.data.read import read_dataset
        from photovision.learn import loop
        from photovision.engine.train import train
        loop.CHECKPOINT_SECONDS = 0.0
        data, output, kill_at = sys.argv[1:]
        def listen(progress):
            if progress.stage == "GroupDRO" and progress.done == int(kill_at):
                os.kill(os.getpid(), signal.SIGKILL)
        train(data, output, weights="none", epochs=2, fair_by="tint", listener=listen)
        """)
    )

    def start(output: str, kill_at: int) -> int:
        arguments = [sys.executable, str(script), str(data), str(tmp_path / output), str(kill_at)]
        return subprocess.run(arguments, env={**os.environ}, timeout=300).returncode

    assert start("whole", -1) == 0
    assert start("killed", 9) == -signal.SIGKILL
    assert (tmp_path / ".killed.work" / "checkpoint-GroupDRO.pt").is_file()
    assert start("killed", -1) == 0
    whole, killed = (json.loads((tmp_path / name / "bundle.json").read_text()) for name in ("whole", "killed"))
    assert whole["variants"]["fair"]["rungs"] == killed["variants"]["fair"]["rungs"]


@pytest.mark.slow
def test_without_bias_no_gain_is_claimed(tmp_path: Path) -> None:
    """The tint says nothing about the class here."""
    data = tinted(500, 0.5, seed=1)
    model = train(data, tmp_path / "model", weights="none", epochs=4, fair_by="tint")
    found = model.info["variants"]["fair"]
    kept = next(rung for rung in found["rungs"] if rung["name"] == found["kept"])
    assert kept["gain"] is None or kept["gain"]["worst_group"]["low"] <= 0


@pytest.mark.slow
def test_robust_training_bears_what_it_has_seen(tmp_path: Path) -> None:
    data = tinted(900, 0.5, seed=2)
    model = train(data, tmp_path / "model", weights="none", epochs=8, robust=("noise", "contrast"))
    found = rungs(model, "robust")
    plain, robust = (found[name]["test"]["corrupted"]["value"] for name in ("from scratch", "robust"))
    assert robust > plain
    assert model.info["variants"]["robust"]["corruptions"] == ["noise", "contrast"]


@pytest.mark.slow
@pytest.mark.skipif(weights.locate("efficientnet_lite0") is None, reason="the offline weights are not installed")
def test_stored_views_serve_fair_and_robust_variants(tmp_path: Path) -> None:
    """On a pretrained network all variants are learned from stored views, first the robust, then the fair ones."""
    data = tinted(200, 0.2)
    decisions = {"flip": True, "views": 2, "plan-whole-network": {"epochs": 0, "precision": "f32"}}
    decisions["plan-fine-tuned"] = {"epochs": 2, "precision": "f32"}
    options = TrainConfig(size=64, decisions=decisions, fair_by="tint", robust=("noise", "augmix"))
    model = run(data, tmp_path / "model", options)
    names = [rung["name"] for rung in model.info["rungs"]]
    assert names[:3] == ["handcrafted", "frozen", "fine-tuned"]
    assert names[3:5] == ["robust", "AugMix"]
    assert "reweighted" in names[5:]  # on the linear head, were that the best, the only fair one
    assert "half of the varied views corrupted" in model.info["rungs"][3]["note"]
    assert set(model.info["variants"]) == {"robust", "fair"}


def test_unknown_names_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = written(tinted(24, 0.5), tmp_path)
    for flags, said in (
        (["--fair-by", "sex"], "no picture has the attribute 'sex' to be fair by: known are tint"),
        (["--robust", "wether"], "no condition, family of them or place is called 'wether'; did you mean weather"),
    ):
        assert command(["train", str(data), "-o", str(tmp_path / "model"), *flags]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert said in err.splitlines()[-1]
        assert "Traceback" not in err
    assert not (tmp_path / "model").exists()


def test_tables_carry_the_attribute(tmp_path: Path) -> None:
    data = read_dataset(written(tinted(6, 0.5), tmp_path))
    assert {sample.groups["tint"] for sample in data.samples} <= {"red", "blue"}
