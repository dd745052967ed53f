"""Unlabelled pictures are sorted into piles that a person names, and the next ones to label are suggested."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import photovision as pv
from photovision.app.cli import run
from photovision.core.errors import DataError, UsageError
from photovision.data.read import read_dataset
from photovision.retrieval.piles import find_piles, group, label_piles
from photovision.retrieval.suggest import suggest

MODEL = Path(__file__).parents[2] / "contract" / "bundles_0_1" / "classify" / "model"
COLOURS = {"red": (200, 30, 30), "blue": (30, 40, 200)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `pictures` of noisy red and blue ones, an index of it, and a table `some.csv` of labels of a few."""
    top = tmp_path_factory.mktemp("piles")
    rng, rows = np.random.default_rng(0), []
    (top / "pictures").mkdir()
    for name, colour in COLOURS.items():
        for number in range(15):
            noise = rng.integers(-30, 30, (48, 48, 3))
            picture = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Pillow.fromarray(picture).save(top / "pictures" / f"{name}-{number}.png")
            rows.append((f"{name}-{number}.png", name, "random" if number % 2 else "uncertainty"))
    with (top / "some.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "label", "chosen_by"), *rows[:10], *rows[15:25]])
    pv.index(top / "pictures", top / "index", model=MODEL, check=0).close()
    return top


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_piles_are_of_one_kind_and_the_largest_comes_first() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(3, 0.1, (12, 4)), rng.normal(-3, 0.1, (8, 4))]).astype(np.float32)
    found = find_piles([f"{number}.jpg" for number in range(20)], rows, 2)
    assert found.pile.tolist() == [0] * 12 + [1] * 8
    assert found.sure.all()
    assert np.all(np.diff(found.distance[found.members(0)]) >= 0)


def test_a_picture_between_two_piles_is_not_sure() -> None:
    rng = np.random.default_rng(0)
    sides = np.concatenate([rng.normal(3, 0.1, (20, 4)), rng.normal(-3, 0.1, (20, 4)), np.zeros((1, 4))])
    found = find_piles([str(number) for number in range(41)], sides.astype(np.float32), 2)
    assert found.sure[:40].all()
    assert not found.sure[40]


def test_piles_are_named_by_a_person_and_become_labels(made: Path, tmp_path: Path) -> None:
    report = group(made / "index", tmp_path / "piles", piles=2)
    assert len(report.data["piles"]) == 2
    piles = table(tmp_path / "piles" / "piles.csv")
    assert [row["name"] for row in piles] == ["", ""]
    with pytest.raises(DataError, match="at least 2 classes"):
        label_piles(tmp_path / "piles")
    with pytest.raises(UsageError, match="may have named"):
        group(made / "index", tmp_path / "piles", piles=2)
    first = {row["pile"]: row["file_name"].split("-")[0] for row in reversed(table(tmp_path / "piles/pictures.csv"))}
    lines = ["pile;name", *(f"{pile};{name}" for pile, name in first.items())]  # as a spreadsheet saves it
    (tmp_path / "piles" / "piles.csv").write_text("\n".join(lines))
    path, named = label_piles(tmp_path / "piles")
    dataset = read_dataset(path, root=made / "pictures")
    assert dataset.classes == ("blue", "red")
    assert len(dataset) == named > 20
    assert np.mean([sample.id.startswith(str(sample.label)) for sample in dataset.samples]) == 1
    with pytest.raises(UsageError, match="is there already"):
        label_piles(tmp_path / "piles")


@pytest.mark.parametrize("number", [1, 31])
def test_a_wrong_number_of_piles_is_refused(made: Path, number: int) -> None:
    with pytest.raises(UsageError, match=f"2 to the number of pictures, 30, got {number}"):
        group(made / "index", piles=number)


def test_what_is_labelled_is_not_suggested_again(made: Path) -> None:
    labelled = read_dataset(made / "some.csv", root=made / "pictures")
    report = suggest(made / "index", labelled=labelled, count=6)
    known = {sample.id for sample in labelled.samples}
    assert report.data["unlabelled"] <= 10
    assert not known & {one["file"] for one in report.data["next"]}
    assert all(one["file"].startswith(one["proposal"]) for one in report.data["next"])
    assert report.metrics["accuracy"].n == 10  # the random part alone judges
    assert not report.warnings
    assert report.data["learning_curve"]["stop"]


def test_without_a_random_part_the_accuracy_is_said_to_be_of_the_labelled(made: Path) -> None:
    labelled = read_dataset(made / "some.csv", root=made / "pictures")
    every = labelled.subset([row for row, one in enumerate(labelled.samples) if one.groups["chosen_by"] != "random"])
    report = suggest(made / "index", labelled=every, count=6)
    assert "drawn at random" in report.warnings[0]
    assert report.data["learning_curve"] is None


def test_a_copy_of_a_labelled_picture_is_known_by_its_content(made: Path, tmp_path: Path) -> None:
    for name in COLOURS:
        (tmp_path / "elsewhere" / name).mkdir(parents=True)
        for number in range(2):
            content = (made / "pictures" / f"{name}-{number}.png").read_bytes()
            (tmp_path / "elsewhere" / name / f"copy-{number}.png").write_bytes(content)
    report = suggest(made / "index", labelled=tmp_path / "elsewhere", count=30)
    assert not {f"{name}-{n}.png" for name in COLOURS for n in range(2)} & {one["file"] for one in report.data["next"]}


def test_a_model_and_nothing_at_all_suggest_pictures(made: Path) -> None:
    by_model = suggest(made / "index", model=MODEL, count=5).data["next"]
    assert {one["chosen_by"] for one in by_model} == {"uncertainty", "random"}
    assert all(one["proposal"] for one in by_model)
    first = suggest(made / "index", count=5).data["next"]
    assert {one["chosen_by"] for one in first} == {"variety", "random"}


def test_the_commands_write_tables_and_never_over_what_was_filled_in(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["suggest", str(made / "index"), "--labelled", str(made / "some.csv"), "--root", str(made / "pictures")]
    asked += ["--next", "4", "-o", str(tmp_path / "next")]
    assert run(asked) == 0
    rows = table(tmp_path / "next" / "next.csv")
    assert list(rows[0]) == ["file_name", "label", "proposal", "chosen_by"]
    assert {row["label"] for row in rows} == {""}
    assert run(asked) == 2
    assert "somebody filled in" in capsys.readouterr().err
    assert run(["group", str(made / "index"), "--piles", "2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["piles"]) == 2
    assert run(["group"]) == 2
    assert run(["suggest", str(made / "index"), "--labelled", "a.csv", "--model", "b"]) == 2
