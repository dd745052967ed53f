"""Wrong labels, copies and strays, planted among real and structured pictures, and their absence."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import make_picture
from sklearn.datasets import load_digits

from photovision.app.check import check, write_suspects
from photovision.app.cli import run
from photovision.core.errors import UsageError
from photovision.core.page import to_html
from photovision.core.preprocess import Preprocess
from photovision.core.report import Finding, Report
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.data.scan import scan
from photovision.data.split import make_splits
from photovision.tasks.classify import unsupervised_features as blind
from photovision.tasks.classify.label_errors import audit_labels, chosen, enough, gathered

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Handcrafted features alone: quick, and the same on machines with and without weights."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(blind, "_network", lambda: None)


def digits(n: int = 600) -> tuple[np.ndarray, list[str]]:
    found = load_digits()
    return (found.images[:n] * 15).astype(np.uint8), [NAMES[label] for label in found.target[:n]]


def planted(labels: list[str], rate: float, seed: int = 0) -> tuple[list[str], set[int]]:
    rng = np.random.default_rng(seed)
    wrong = set(rng.permutation(len(labels))[: round(rate * len(labels))].tolist())
    other = [NAMES[(NAMES.index(label) + int(rng.integers(1, 10))) % 10] for label in labels]
    return [other[i] if i in wrong else label for i, label in enumerate(labels)], wrong


def audited(dataset: Dataset, **options: Any) -> Finding:
    found = scan(dataset)
    return audit_labels(dataset, found, make_splits(dataset, found), **options)


def suspects(finding: Finding) -> list[int]:
    return [int(one["id"]) for one in finding.data["label_errors"]["suspects"]]


def test_planted_labels_are_named_with_their_true_class_and_shown() -> None:
    images, true = digits()
    labels, wrong = planted(true, 0.05)
    found = audited(dataset_from_arrays(images, labels, NAMES))
    named = suspects(found)
    assert len(wrong & set(named)) >= 0.8 * len(wrong)
    assert len(set(named) - wrong) <= 0.2 * len(named)
    told = {int(one["id"]): one for one in found.data["label_errors"]["suspects"]}
    right = [told[i]["suggested"] == true[i] for i in wrong & set(named)]
    assert np.mean(right) > 0.85
    assert all(told[i]["label"] == labels[i] and 0.5 < told[i]["chance_wrong"] <= 1 for i in named)
    share = found.metrics["wrong_labels"]
    assert share.low is not None
    assert share.high is not None
    assert share.low < 0.05 < share.high
    figure = next(figure for figure in found.figures if figure.title == "Suspected labels")
    assert len(figure.pictures) == min(24, len(named))
    assert "rather: " in figure.pictures[0][1]
    assert any("should be looked at" in warning for warning in found.warnings)


def test_trusted_labels_are_left_in_peace() -> None:
    images, labels = digits()
    found = audited(dataset_from_arrays(images, labels, NAMES))
    assert suspects(found) == []
    assert not found.warnings
    assert not [figure for figure in found.figures if figure.title == "Suspected labels"]
    assert "No label looks wrong" in found.summary[0]
    assert "cleaning would change nothing" in " ".join(found.summary)


def test_the_order_of_the_pictures_does_not_matter() -> None:
    images, true = digits(300)
    labels, _ = planted(true, 0.06)
    straight = dataset_from_arrays(images, labels, NAMES)
    turned = replace(straight, samples=tuple(straight.samples[::-1]))
    one, other = (audited(data).data["label_errors"] for data in (straight, turned))
    assert one["suspects"] == other["suspects"]
    assert one["suspects"]


def test_copies_with_a_wrong_label_do_not_vouch_for_each_other() -> None:
    images, labels = digits()
    wrong = "three" if labels[0] != "three" else "four"
    # Six copies under one wrong label would outvote the truth, were they in different folds.
    together = np.concatenate([images, np.repeat(images[:1], 6, axis=0)])
    data = dataset_from_arrays(together, [*labels, *[wrong] * 6], NAMES)
    found = audited(data)
    assert set(range(len(labels), len(together))) <= set(suspects(found))


def test_groups_and_copies_stay_in_one_fold_and_classes_are_spread() -> None:
    images, labels = digits(200)
    data = dataset_from_arrays(np.concatenate([images, images[:20]]), [*labels, *labels[:20]], NAMES)
    samples = tuple(replace(s, groups={"group": f"writer {i % 40}"}) for i, s in enumerate(data.samples[:200]))
    data = replace(data, samples=(*samples, *data.samples[200:]))
    found = scan(data)
    examined = gathered(data, found, make_splits(data, found), 0)
    of_unit: dict[object, set[int]] = {}
    for position, fold in zip(examined.positions.tolist(), examined.folds.tolist(), strict=True):
        of_unit.setdefault(data.samples[position].groups.get("group", position - 200), set()).add(fold)
    assert all(len(folds) == 1 for key, folds in of_unit.items() if isinstance(key, str))
    fold_at = dict(zip(examined.positions.tolist(), examined.folds.tolist(), strict=True))
    assert all(fold_at[i] == fold_at[200 + i] for i in range(20))
    assert min(np.bincount(examined.folds, minlength=5)) > 0


class Colours:
    """Stands in for a network: features are how much of a picture has each of 64 colours."""

    engine, precision = "counting", "f32"

    def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
        bins = (images // 64).astype(np.int64) @ np.array([16, 4, 1])
        counts = [np.bincount(each.ravel(), minlength=64) for each in bins]
        return {"features": np.array(counts, np.float32)}


def test_strays_are_shown_and_absent_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind, "_network", lambda: (Colours(), Preprocess((32, 32)), "colours"))
    shapes = [np.asarray(make_picture(kind, 32, seed)) for seed in range(75) for kind in (0, 4)]
    labels = ["circle", "stripes"] * 75
    clean = audited(dataset_from_arrays(shapes, labels))
    assert clean.data["outliers"] == []
    assert any("lies far from all others" in sentence for sentence in clean.summary)
    red = [np.full((32, 32, 3), (255, 200 - 100 * i, 0), np.uint8) for i in range(2)]
    found = audited(dataset_from_arrays([*shapes, *red], [*labels, "circle", "stripes"]))
    assert {one["id"] for one in found.data["outliers"]} == {"150", "151"}
    figure = next(figure for figure in found.figures if figure.title == "Outliers")
    assert len(figure.pictures) == 2
    assert any("resemble nothing else" in warning for warning in found.warnings)


def test_strays_are_not_looked_for_without_a_network() -> None:
    images, labels = digits(150)
    found = audited(dataset_from_arrays(images, labels, NAMES))
    assert found.data["outliers"] is None
    assert "needs pretrained weights" in " ".join(found.summary)


def test_cleaning_is_measured_with_and_without_suspects_among_the_judges() -> None:
    images, true = digits(900)
    labels, _ = planted(true, 0.2)
    found = audited(dataset_from_arrays(images, labels, NAMES))
    table = next(table for table in found.tables if table.title == "What cleaning would change")
    as_given, left_out, relabelled = table.rows
    gain = found.metrics["cleaning_gain"]
    assert gain.unit == "points"
    assert gain.n == found.data["cleaning"]["judged"]
    assert left_out[1].value - as_given[1].value == pytest.approx(gain.value)
    assert as_given[3].value > as_given[1].value  # wrong labels among the judges count as mistakes
    assert as_given[3].n == gain.n - found.data["cleaning"]["suspected_judging"]
    assert relabelled[0].endswith("relabelled")
    assert any("rather than" in sentence for sentence in found.summary)


def test_too_little_data_is_said_not_guessed() -> None:
    images, labels = digits(40)
    few = audited(dataset_from_arrays(images, labels, NAMES))
    assert few.data["label_errors"] is None
    assert "not examined" in few.summary[0]
    images, labels = digits(300)
    rare = [i for i, label in enumerate(labels) if label != "nine"] + [labels.index("nine"), labels.index("nine", 50)]
    found = audited(dataset_from_arrays(images[rare], [labels[i] for i in rare], NAMES))
    assert "'nine'" in " ".join(found.summary)
    assert found.data["label_errors"]["examined"] == len(rare) - 2


def test_what_cannot_be_seen_is_said() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3)).astype(np.uint8)
    found = audited(dataset_from_arrays(noise, ["a", "b", "c", "d"] * 50))
    assert suspects(found) == []
    assert "cannot be decided" in found.summary[0]


def test_a_short_budget_examines_a_part_and_says_so() -> None:
    images, labels = digits(900)
    found = audited(dataset_from_arrays(images, labels, NAMES), minutes=1e-3)
    examined = found.data["label_errors"]["examined"] if found.data["label_errors"] else 0
    assert examined < 900
    assert "examined" in " ".join(found.summary)


def test_multilabel_data_and_nonsense_are_refused() -> None:
    images, labels = digits(60)
    several = dataset_from_arrays(images, [[label, "zero"] for label in labels], NAMES)
    with pytest.raises(UsageError, match="one label a picture"):
        audited(several)
    with pytest.raises(UsageError, match="minutes"):
        audited(dataset_from_arrays(images, labels, NAMES), minutes=0)


def test_check_writes_a_list_of_suspects(tmp_path: Path) -> None:
    images, true = digits(400)
    labels, wrong = planted(true, 0.06)
    data = dataset_from_arrays(images, labels, NAMES)
    plain, report = check(data), check(data, labels=True)
    assert "label_errors" not in plain.data
    assert not write_suspects(plain, tmp_path)
    assert report.summary[: len(plain.summary)] == plain.summary
    assert write_suspects(report, tmp_path)
    with open(tmp_path / "suspects.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file_name", "label", "suggested", "confidence"]
    assert len({int(row["file_name"]) for row in rows} & wrong) >= 0.7 * len(wrong)
    assert "Suspected labels" in to_html(report)


def test_the_command_examines_labels_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    images, true = digits(200)
    labels, _ = planted(true, 0.0)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "data" / label / f"{number}.png")
    assert run(["check", str(tmp_path / "data"), "--json"]) == 0
    assert "label_errors" not in json.loads(capsys.readouterr().out)
    assert run(["check", str(tmp_path / "data"), "--labels", "-o", str(tmp_path / "out"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["label_errors"]["examined"] == 200
    assert (tmp_path / "out" / "suspects.csv").read_text() == "file_name,label,suggested,confidence\n"
    assert "suspects.csv" in err


@pytest.mark.slow
def test_planted_labels_and_strays_among_groceries_are_found(shared_data: Path) -> None:
    from photovision.data.read import read_dataset
    from photovision.models.weights import locate

    if locate("efficientnet_lite0") is None:
        pytest.skip("needs the weights efficientnet_lite0")
    data = read_dataset(shared_data / "grocery" / "metadata.csv", label_column="coarse_label")
    rng = np.random.default_rng(0)
    frequent = np.argsort(-np.bincount(data.labels))[:10]
    rows = np.flatnonzero(np.isin(data.labels, frequent))
    part = replace(data.subset(rng.permutation(rows)[:800]), classes=tuple(data.classes[int(c)] for c in frequent))
    clean = audited(part, minutes=60)
    assert clean.data["label_errors"]["suspects"] == []
    assert len(clean.data["outliers"]) <= 1  # real pictures may hold a stray of their own
    wrong = {part.samples[int(i)].id for i in rng.permutation(len(part))[:40]}
    turned = tuple(
        replace(s, target=(rng.choice([c for c in part.classes if c != s.label]),)) if s.id in wrong else s
        for s in part.samples
    )
    faces = sorted((shared_data / "orl-faces" / "s1").glob("*.pgm"))[:5]
    strays = tuple(replace(part.samples[0], id=f"stray/{face.name}", image=face) for face in faces)
    found = audited(replace(part, samples=(*turned, *strays)), minutes=60)
    named = {one["id"] for one in found.data["label_errors"]["suspects"]}
    assert len(named & wrong) >= 0.7 * len(wrong)
    assert len(named - wrong) <= 0.2 * len(named)
    outliers = {one["id"] for one in found.data["outliers"]}
    assert outliers >= {stray.id for stray in strays}
    assert len(outliers) <= len(strays) + 1


def test_the_choice_of_features_and_strength_is_measured() -> None:
    images, labels = digits(300)
    data = dataset_from_arrays(images, labels, NAMES)
    found = scan(data)
    examined = gathered(data, found, make_splits(data, found), 0)
    examined = examined.at(enough(examined))
    good = np.eye(10, dtype=np.float32)[examined.codes] + np.random.default_rng(0).normal(0, 0.3, (300, 10))
    noise = np.random.default_rng(1).normal(size=(300, 20))
    seen = blind.Blind({"network": good.astype(np.float32), "handcrafted": noise.astype(np.float32)}, "a network")
    assert chosen(seen, examined, float("inf")).kind == "network"
    hurried = chosen(seen, examined, 0.0)
    assert (hurried.kind, hurried.strength) == ("both", 0.003)


def test_a_report_holds_all_of_it() -> None:
    images, true = digits(300)
    labels, _ = planted(true, 0.06)
    report = Report("check", "Check").including(audited(dataset_from_arrays(images, labels, NAMES)))
    json.dumps(report.to_json(), allow_nan=False)
    assert report.to_markdown().count("Suspected labels") == 1
