"""Private training: an ordinary model that keeps and shows nothing of the pictures it learned from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import timm
import torch
from agent import discs_and_squares
from safetensors.torch import save_file

import photovision as pv
from photovision.app.cli import run
from photovision.core.errors import DataError, UsageError
from photovision.tasks.classify.private_data import private_split

NETWORK = "test_resnet"
COUNT = 300


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a tiny network that stands for one trained on public pictures."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(timm.create_model(NETWORK).state_dict(), file)
    return file


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs and squares with a table that says whose they are: ten people, of whom each has both."""
    folder = discs_and_squares(tmp_path_factory.mktemp("data"), COUNT)
    (folder / "disc" / "broken.png").write_bytes(b"not a picture")  # as if it were blank
    rows = [
        (file.relative_to(folder).as_posix(), file.parent.name, f"patient {number // 2 % 50}")
        for number, file in enumerate(sorted(folder.rglob("*.png"), key=lambda one: one.name))
    ]
    with (folder / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "label", "patient"), *rows])
    return folder


@pytest.fixture(scope="module")
def model(data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> pv.Recognizer:
    output = tmp_path_factory.mktemp("private") / "model"
    options = {"private": 20.0}
    return pv.train(
        data / "people.csv",
        output,
        backbone=NETWORK,
        weights=str(weights),
        size=32,
        options=options,
        listener=pv.silent,
    )


def test_it_learns_and_says_what_it_promises(model: pv.Recognizer) -> None:
    private = model.info["private"]
    assert private["epsilon"] == 20
    assert private["delta"] == 1e-5
    assert private["units"] == private["pictures"] == model.info["data"]["counts"]["train"]
    assert sum(model.info["data"]["counts"].values()) == COUNT + 1  # also the picture that cannot be read
    assert model.info["metrics"]["accuracy"]["value"] > 0.8
    report = (model.bundle.path / "report.md").read_text()
    for words in (
        "epsilon 20",
        "Pictures are protected, not people",
        "by clipping",
        "by noise",
        "paid for",
        "not protected",
    ):
        assert words in report
    assert "Differentially private" in (model.bundle.path / "README.md").read_text()


def test_nothing_of_a_training_picture_is_in_the_bundle(model: pv.Recognizer, data: Path) -> None:
    files = model.bundle.files()
    assert not {"references.safetensors", "training_images.safetensors", "heldout.safetensors"} & files.keys()
    assert not {"doubt.safetensors", "validation.safetensors"} & files.keys()
    content = b"".join(files.values())
    dataset = pv.read_dataset(data / "people.csv")
    train = private_split(dataset, None, 0).train
    assert len(train) > 200
    for row in train:
        sample = dataset.samples[row]
        assert sample.id.encode() not in content
        assert Path(sample.id).name.encode() not in content
    assert b"patient 1" not in content
    assert b"broken.png" not in content
    assert b"image/jpeg" not in files["report.html"]
    assert model.info["data"]["train_per_class"] == {}
    assert "fingerprint" not in model.info["data"]


def test_the_bundle_works_everywhere(model: pv.Recognizer, data: Path, tmp_path: Path) -> None:
    picture = data / "disc" / "000.png"
    assert model.predict(picture).label == "disc"
    assert run(["predict", str(model.bundle.path), str(picture)]) == 0
    assert run(["info", str(model.bundle.path)]) == 0
    network = timm.create_model(NETWORK, num_classes=2)
    from safetensors.torch import load_file

    network.load_state_dict(load_file(model.bundle.path / "model.safetensors"))
    report = pv.evaluate(model, data, listener=pv.silent)
    assert report.metrics["accuracy"].value > 0.8
    with pytest.raises(pv.PhotovisionError, match="trained privately"):
        pv.estimate(model, data, listener=pv.silent)


def test_attacks_find_no_more_than_epsilon_allows(
    model: pv.Recognizer, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", str(model.bundle.path), str(data / "people.csv"), "--privacy", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.3 < found["metrics"]["membership_auroc"]["value"] < 0.75
    assert not found["warnings"]
    assert found["canaries"]["at_least"] < 20
    assert any("promised 20" in sentence for sentence in found["summary"])


def test_nobodys_pictures_move_another_from_train_to_test(data: Path) -> None:
    dataset = pv.read_dataset(data / "people.csv")
    whole = private_split(dataset, "patient", 0)
    keep = [row for row, sample in enumerate(dataset.samples) if sample.groups["patient"] != "patient 7"]
    fewer = private_split(dataset.subset(keep), "patient", 0)
    assert {dataset.samples[row].id for row in whole.test} - {dataset.samples[keep[row]].id for row in fewer.test} <= {
        sample.id for sample in dataset.samples if sample.groups["patient"] == "patient 7"
    }
    people = [dataset.samples[row].groups["patient"] for row in whole.train]
    assert not set(people) & {dataset.samples[row].groups["patient"] for row in whole.test}
    assert whole.count == len(set(people))


def test_people_in_both_published_splits_are_refused(data: Path) -> None:
    dataset = pv.read_dataset(data / "people.csv")
    from dataclasses import replace

    mixed = replace(dataset, splits={"train": tuple(range(200)), "test": tuple(range(200, 300))})
    with pytest.raises(DataError, match="are in train and in test"):
        private_split(mixed, "patient", 0)
    assert len(private_split(mixed, None, 0).test) == 100
    with pytest.raises(UsageError, match="have no 'person'"):
        private_split(dataset, "person", 0)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--private", "8", "--fair-by", "patient"], "fair-by"),
        (["--private", "8", "--epochs", "3"], "epochs"),
        (["--private", "8", "--robust", "blur"], "robust"),
        (["--private", "8", "--flip", "on"], "flip"),
        (["--private", "8", "--weights", "none"], "public network"),
        (["--private", "8", "--delta", "0.1"], "delta should be below"),
        (["--private", "0"], "epsilon should be"),
        (["--private", "-1"], "epsilon should be"),
        (["--private", "8", "--per", "person"], "have no 'person'"),
        (["--private", "8", "--task", "detect"], "does not accept 'private'"),
        (["--delta", "0.001"], "give --private"),
        (["--per", "patient"], "give --private"),
    ],
    ids=lambda value: "-".join(value).replace("--", "") if isinstance(value, list) else None,
)
def test_what_would_cost_privacy_or_makes_no_sense_is_refused(
    data: Path, tmp_path: Path, flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", str(data / "people.csv"), "-o", str(tmp_path / "m"), "--quiet", *flags]) == 2
    assert words in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "m").exists()
