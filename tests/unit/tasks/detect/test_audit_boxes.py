"""The audit of a detector finds what was planted, and finds nothing where nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spotter import CELL, scene, spotter_bundle

from photovision.app.cli import run
from photovision.core.errors import DataError, UsageError
from photovision.core.page import to_html
from photovision.core.regions import Detections
from photovision.core.report import Report
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.formats import coco
from photovision.engine.audit import audit, rewrite_card
from photovision.engine.audit_context import AuditRequest, Check
from photovision.runtime.bundle import read_bundle
from photovision.tasks.classify.checks import CHECKS as CLASS_CHECKS
from photovision.tasks.detect.checks import CHECKS
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.checks import CHECKS as MASK_CHECKS

NAMES = ("red", "green")
Place = tuple[int, int, int, int]
Fate = Callable[[np.random.Generator, str, Place], str]
"""Of an object, from the dice, its camera and its place: "" as it should be, "hidden", "unlabelled" or "not there"."""


def squares(count: int, fate: Fate = lambda rng, camera, place: "") -> Dataset:
    """Squares of two colours seen by two cameras, four or five in a picture."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        camera = "old" if number % 3 == 0 else "new"
        cells = rng.permutation(64)[: 4 + number % 2]
        seen: list[tuple[str, Place]] = []
        told: list[tuple[str, Place]] = []
        for cell in cells.tolist():
            x, y = cell % 8 * CELL, cell // 8 * CELL
            one = (str(rng.choice(NAMES)), (x, y, x + CELL, y + CELL))
            what = fate(rng, camera, one[1])
            seen += [one] if what != "hidden" else []
            told += [one] if what != "unlabelled" else []
        boxes = np.array([box for _, box in told], np.float32).reshape(-1, 4)
        labels = np.array([NAMES.index(name) for name, _ in told], np.int64)
        truth = Detections(boxes, labels, NAMES)
        picture = scene((128, 128), seen, number)
        names = tuple(name for name in NAMES if name in truth.names)
        samples.append(Sample(f"{number:03d}.png", picture, names, {"camera": camera}, truth))
    return Dataset(tuple(samples), NAMES, multilabel=True, annotation_type="boxes")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(read_bundle(spotter_bundle(tmp_path_factory.mktemp("spotter") / "model")))


@pytest.fixture(scope="module")
def sound(detector: Detector) -> Report:
    """Everything about a detector that finds all there is."""
    return audit(detector, squares(60), minutes=0.1)


def test_of_a_sound_detector_nothing_is_said_but_what_conditions_cost(sound: Report) -> None:
    assert sound.kind == "audit"
    assert list(sound.provenance["audit"]["seconds"]) == list(CHECKS)
    assert [warning for warning in sound.warnings if "rest on" not in warning] == []
    assert sound.data["fairness"]["found"] == []
    assert not any(one["worse"] for one in sound.data["kinds_of_objects"])
    assert "suspicious_annotations" not in sound.data
    assert sound.metrics["suspected_annotations"].value == 0
    assert any("F1 of every picture is 100%" in sentence for sentence in sound.summary)
    to_html(sound)
    json.dumps(sound.to_json(), allow_nan=False)


def test_conditions_are_told_apart(sound: Report) -> None:
    """It looks at mean colours: darkness blinds it, grain does not; boxes move with the pixels or it is left out."""
    told = sound.data["robustness"]["conditions"]
    assert told["night"]["map50"][-1] < 0.2
    assert told["night"]["p"] < 0.01
    assert told["noise"]["map50"] == [1.0] * 5
    assert told["noise"]["p"] == 1
    assert told["noise"]["false_boxes"] == [0.0] * 5
    assert sound.data["robustness"]["left_out"] == ["rotation"]
    assert 0 < sound.metrics["corrupted_map50"].value < 1
    assert sound.metrics["relative_corrupted_map50"].value == pytest.approx(
        sound.metrics["corrupted_map50"].value / sound.metrics["uncorrupted_map50"].value
    )
    (strip,) = (figure for figure in sound.figures if figure.title == "What was done to the pictures")
    assert len(strip.pictures) == 1 + 2 * len(told)
    assert strip.pictures[0][1].startswith("as it is\n")


def test_a_group_that_is_served_worse_is_named(detector: Detector) -> None:
    def fate(rng: np.random.Generator, camera: str, place: Place) -> str:
        return "hidden" if camera == "old" and rng.random() < 0.4 else ""

    report = audit(detector, squares(90, fate), by=("camera",), only=("groups", "objects"))
    assert report.data["fairness"]["found"] == ["camera = old"]
    assert report.metrics["worst_group_recall"].value < 0.75
    assert not any(one["worse"] for one in report.data["kinds_of_objects"])
    assert set(report.provenance["audit"]["seconds"]) == {"groups", "objects"}


def test_objects_at_the_border_that_are_missed_are_named(detector: Detector) -> None:
    def fate(rng: np.random.Generator, camera: str, place: Place) -> str:
        return "hidden" if min(*place[:2], 128 - place[2], 128 - place[3]) == 0 and rng.random() < 0.6 else ""

    report = audit(detector, squares(90, fate), only=("groups", "objects"))
    worse = {(one["trait"], one["value"]) for one in report.data["kinds_of_objects"] if one["worse"]}
    assert ("border", "at the border") in worse
    assert report.data["fairness"]["found"] == []


def test_missing_and_needless_annotations_are_suspected(detector: Detector) -> None:
    def fate(rng: np.random.Generator, camera: str, place: Place) -> str:
        luck = rng.random()
        return "unlabelled" if luck < 0.04 else "hidden" if luck < 0.08 else ""

    report = audit(detector, squares(90, fate), only=("labels",))
    kinds = [one["kind"] for one in report.data["suspicious_annotations"]]
    assert kinds.count("overlooked") >= 8
    assert kinds.count("nothing there") >= 8
    assert set(kinds) == {"overlooked", "nothing there"}
    (shown,) = (figure for figure in report.figures if figure.title == "Suspicious annotations")
    assert len(shown.pictures) == min(24, len(kinds))
    assert any("More sure boxes contradict" in warning for warning in report.warnings)


def test_scores_that_promise_too_much_are_named(detector: Detector) -> None:
    def fate(rng: np.random.Generator, camera: str, place: Place) -> str:
        return "unlabelled" if rng.random() < 0.3 else ""

    report = audit(detector, squares(80, fate), only=("calibration",))
    assert any("Scores of all boxes are higher" in warning for warning in report.warnings)
    assert report.metrics["d_ece"].value > 0.2
    assert report.metrics["d_ece"].low > 0.15  # type: ignore[operator]


@pytest.mark.parametrize("checks", [CHECKS, MASK_CHECKS, CLASS_CHECKS])
def test_every_check_can_be_asked_for(checks: Mapping[str, Check]) -> None:
    for name in checks:
        assert AuditRequest(only=(name,)).chosen(checks, "a model") == [name]


def test_mistakes_are_told(detector: Detector) -> None:
    with pytest.raises(UsageError, match=r"no check 'shortcuts' of a detector; its checks are groups, objects"):
        audit(detector, squares(3), only=("shortcuts",))
    with pytest.raises(DataError, match=r"attribute 'site'.*camera"):
        audit(detector, squares(3), by=("site",))
    with pytest.raises(UsageError, match="does not accept 'unknown'"):
        audit(detector, squares(3), unknown=squares(1))


def test_the_command_audits_with_attributes_of_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fate(rng: np.random.Generator, camera: str, place: Place) -> str:
        return "hidden" if camera == "old" and rng.random() < 0.5 else ""

    data, model = squares(90, fate), spotter_bundle(tmp_path / "model")
    plain = replace(data, samples=tuple(replace(sample, groups={}) for sample in data.samples))
    coco.write(plain, tmp_path / "data")
    rows = [f"{sample.id},{sample.groups['camera']}" for sample in data.samples]
    (tmp_path / "cameras.csv").write_text("\n".join(["file_name,camera", *rows]))
    words = ["audit", str(model), str(tmp_path / "data"), "--only", "groups", "--by", "camera", "--json", "--card"]
    words += ["--attributes", str(tmp_path / "cameras.csv"), "-o", str(tmp_path / "report")]
    assert run(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fairness"]["found"] == ["camera = old"]
    assert set(told["provenance"]["audit"]["seconds"]) == {"groups"}
    assert "By camera" in (tmp_path / "report" / "report.html").read_text()
    assert "**Groups measured:** camera" in (model / "README.md").read_text()
    assert run([*words[:-4], "--attributes", str(tmp_path / "none.csv")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()[-1:]) == 1


def test_the_card_tells_what_the_audit_found(sound: Report, tmp_path: Path) -> None:
    own = Detector(read_bundle(spotter_bundle(tmp_path / "model")))
    rewrite_card(own, sound)
    card = (tmp_path / "model" / "README.md").read_text()
    assert 'pipeline_tag: "object-detection"' in card
    assert "**Conditions measured:** night, rain" in card
    assert "**Conditions not measured:** rotation" in card
    assert "**Groups measured:** camera" in card
