"""Roads by condition: what a condition costs is found where it was planted, and not where it was not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colours import colour_bundle
from painter import painter_bundle
from PIL import Image
from spotter import COLOURS, scene, spotter_bundle

from photovision.app.cli import run
from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.regions import Detections, Segmentation
from photovision.core.types import Sample
from photovision.data.convert import convert
from photovision.data.dataset import Dataset
from photovision.models.pretrained import bundle_at
from photovision.recipes.ratios import Ratios, between, change
from photovision.recipes.road.evaluation import Weather, read_scenes, seeing, tagged
from photovision.recipes.road.road import RoadRequest, road
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter

NAMES = tuple(COLOURS)


def drive(seed: int, weather: str, hidden: bool = False) -> Sample:
    """A picture of 128 x 128 pixels with three things in cells of their own; hidden ones are as grey as the ground."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(64)[:3]
    boxes = [
        (NAMES[i % 2], (16 * (c % 8), 16 * (c // 8), 16 * (c % 8) + 16, 16 * (c // 8) + 16))
        for i, c in enumerate(cells)
    ]
    image = scene((128, 128), [] if hidden else boxes, seed)
    truth = Detections(np.float32([box for _, box in boxes]), np.array([NAMES.index(n) for n, _ in boxes]), NAMES)
    return Sample(f"{seed:03d}.png", image, NAMES, {"weather": weather, "road": "ab"[seed % 2]}, truth)


def drives(hidden: int = 8) -> Dataset:
    """15 pictures in the sun and 15 in fog, of which so many hide what is there."""
    sunny = [drive(seed, "sun") for seed in range(15)]
    return Dataset(
        (*sunny, *(drive(seed, "fog", seed - 15 < hidden) for seed in range(15, 30))),
        NAMES,
        multilabel=True,
        annotation_type="boxes",
    )


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    found = seeing(spotter_bundle(tmp_path_factory.mktemp("models") / "model"))
    assert isinstance(found, Detector)
    return found


def verdicts(report: object) -> dict[str, str]:
    return {one["condition"]: one["verdict"] for one in report.data["road"]["verdicts"]}  # type: ignore[attr-defined]


def test_a_condition_that_hides_things_is_told_and_others_are_not(detector: Detector) -> None:
    asked = RoadRequest(("weather", "road"), classes=NAMES)
    report = road(detector, drives(), asked)
    found = verdicts(report)
    assert found["weather = fog"] == "do not use"
    assert {verdict for name, verdict in found.items() if "fog" not in name} == {"no loss shown"}
    first = report.summary[0]
    assert first.startswith("Do not use it where weather = fog: recall of ")
    assert "simulated" not in " ".join(report.summary)
    assert report.metrics["road_recall"].value == pytest.approx(66 / 90)
    assert set(verdicts(road(detector, drives(0), asked)).values()) == {"no loss shown"}
    fog = next(
        c
        for c in report.data["road"]["costs"]
        if (c["condition"], c["class"], c["figure"]) == ("weather = fog", "all", "recall")
    )
    assert fog["here"]["value"] == pytest.approx(21 / 45)
    assert fog["here"]["low"] < fog["here"]["value"] < fog["here"]["high"]


def test_conditions_are_found_by_the_usual_names_of_attributes(detector: Detector) -> None:
    assert set(verdicts(road(detector, drives(), RoadRequest(classes=NAMES)))) == {"weather = fog", "weather = sun"}


def test_weather_is_simulated_where_the_pictures_tell_of_none(detector: Detector) -> None:
    plain = drives(0)
    plain = replace(plain, samples=tuple(replace(sample, groups={}) for sample in plain.samples))
    done = []
    asked = RoadRequest(classes=NAMES, weather=("night", "jpeg"), severities=(1, 5))
    report = road(detector, plain, asked, progress=lambda at, total: done.append((at, total)))
    assert verdicts(report) == {"night": "do not use", "jpeg": "no loss shown"}
    assert "at night: recall of" in report.summary[0]
    assert "(simulated, severity" in report.summary[0]
    assert all(one["simulated"] for one in report.data["road"]["verdicts"])
    assert done[-1] == (180, 180)
    titles = [figure.title for figure in report.figures]
    assert "What is lost" in titles
    assert all("simulated" in title for title in titles if "severity" in title)
    captions = [caption for figure in report.figures for _, caption in figure.pictures]
    assert any("right night, severity" in caption and "simulated" in caption for caption in captions)


def test_weather_is_the_same_scene_only_worse(detector: Detector) -> None:
    scenes = read_scenes(detector, drives(0), NAMES)
    (image, truth), (dark, same), (darker, _) = (
        scenes.picture(3, view) for view in (None, Weather("night", 1), Weather("night", 5))
    )
    assert image.mean() > dark.mean() > darker.mean()
    assert isinstance(truth, Detections)
    assert isinstance(same, Detections)
    assert truth.boxes.tolist() == same.boxes.tolist()


def test_large_pictures_are_made_smaller_with_their_boxes(detector: Detector) -> None:
    sample = drive(1, "sun")
    large = replace(sample, image=np.kron(sample.image, np.ones((4, 4, 1), np.uint8)))
    assert isinstance(sample.annotations, Detections)
    large = replace(large, annotations=replace(sample.annotations, boxes=sample.annotations.boxes * 4))
    image, truth = read_scenes(
        detector, Dataset((large,), NAMES, multilabel=True, annotation_type="boxes"), NAMES
    ).picture(0)
    assert image.shape == (256, 256, 3)
    assert isinstance(truth, Detections)
    assert truth.boxes.tolist() == (sample.annotations.boxes * 2).tolist()


def test_masks_are_judged_by_their_overlap(tmp_path: Path) -> None:
    model = seeing(painter_bundle(tmp_path / "model"))
    assert isinstance(model, Segmenter)
    samples = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        labels = np.zeros((32, 32), np.int32)
        top, left = rng.integers(0, 16, 2)
        labels[top : top + 12, left : left + 12] = 1
        image = np.zeros((32, 32, 3), np.uint8)
        image[..., 0] = 230 * labels if seed % 2 else 230 * np.roll(labels, 5, axis=1)
        weather = {"weather": "fog" if seed % 2 == 0 else "sun"}
        samples.append(Sample(str(seed), image, ("thing",), weather, Segmentation(labels, ("background", "thing"))))
    data = Dataset(tuple(samples), ("background", "thing"), multilabel=True, annotation_type="masks")
    report = road(model, data)
    assert verdicts(report) == {"weather = fog": "do not use", "weather = sun": "no loss shown"}
    assert report.summary[0].startswith("Do not use it where weather = fog: overlap of thing")


def test_tags_of_another_model_tell_the_condition(tmp_path: Path, detector: Detector) -> None:
    tagger = colour_bundle(tmp_path / "tagger")
    data = drives()
    tags = tagged(tagger, data.samples)
    assert list(tags) == ["tag"]
    assert len(tags["tag"]) == len(data)
    halves = {"tag": ["day" if sample.groups["weather"] == "sun" else "dusk" for sample in data.samples]}
    assert (
        verdicts(road(detector, data, RoadRequest(("tag",), classes=NAMES), tags=halves))["tag = dusk"] == "do not use"
    )


def test_what_cannot_be_judged_gives_one_line(tmp_path: Path, detector: Detector) -> None:
    with pytest.raises(DataError, match="no class of roads in common"):
        road(detector, drives())
    with pytest.raises(UsageError, match="does not know the class 'tram'"):
        road(detector, drives(), RoadRequest(classes=("tram",)))
    with pytest.raises(UsageError, match="no attribute 'moon'"):
        road(detector, drives(), RoadRequest(("moon",), classes=NAMES))
    with pytest.raises(UsageError, match="severities"):
        road(detector, drives(), RoadRequest(severities=(6,), classes=NAMES))
    few = drives().subset(range(6))
    with pytest.raises(DataError, match="too little to judge"):
        road(detector, few, RoadRequest(classes=NAMES))
    with pytest.raises(ModelError, match="is a classifier, not a segmenter or a detector"):
        seeing(colour_bundle(tmp_path / "colours"))


def test_the_command_writes_a_report(tmp_path: Path, detector: Detector, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "files"
    files.mkdir()
    data = drives()
    for sample in data.samples:
        Image.fromarray(np.asarray(sample.image)).save(files / sample.id)
    data = replace(data, samples=tuple(replace(s, image=files / s.id) for s in data.samples))
    convert(data, "coco", tmp_path / "data")
    (tmp_path / "data" / "images" / "000.png").write_bytes(b"junk")
    command = [
        "recipe",
        "road",
        str(detector.bundle.path),
        str(tmp_path / "data"),
        "--class",
        "red",
        "--class",
        "green",
    ]
    assert run([*command, "--condition", "weather", "-o", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "road"
    assert told["road"]["verdicts"][0]["verdict"] == "do not use"
    assert "1 picture could not be read" in told["warnings"][0]
    assert "What is lost" in (tmp_path / "out" / "report.html").read_text()
    assert run([*command, "--severity", "nine"]) == 2
    assert "--severity should be numbers" in capsys.readouterr().err


@pytest.mark.parametrize("effect", [0.0, 0.7])
def test_a_test_by_chance_errs_as_rarely_as_it_says(effect: float) -> None:
    """Objects of one picture go together: a test that takes them for independent would name many differences."""
    named = {"between": 0, "change": 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        whole = rng.integers(1, 12, (40, 1)).astype(float)
        seen = rng.random((40, 1)) < 0.6  # all objects of a picture, or none
        later = np.where(rng.random((40, 1)) < 0.7, seen, rng.random((40, 1)) < 0.6) & (rng.random((40, 1)) >= effect)
        half = np.arange(40) < 20
        here = Ratios(whole * np.where(half[:, None], later, seen), whole)
        first, second = between(here, 0, half), change(Ratios(whole * seen, whole), Ratios(whole * later, whole), 0)
        assert first is not None
        assert second is not None
        named["between"] += first.p < 0.05
        named["change"] += second.p < 0.05
    for count in named.values():
        assert count <= 11 if not effect else count >= 45


def test_ratios_know_when_they_have_seen_too_little() -> None:
    sure = Ratios(np.ones((5, 1)), np.ones((5, 1))).estimate(0)
    assert sure is not None
    assert sure.low < 0.6
    assert Ratios(np.zeros((5, 1)), np.zeros((5, 1))).estimate(0) is None
    same = Ratios(np.ones((20, 1)), np.full((20, 1), 2.0))
    still = change(same, same, 0)
    assert still is not None
    assert still.p == 1
    assert still.gap.low < -0.1 < 0.1 < still.gap.high


@pytest.mark.slow
def test_the_ready_detector_on_real_roads(shared_data: Path) -> None:
    from photovision.data.read import read_dataset

    try:
        model = seeing(bundle_at("yolov4-tiny"))
    except ModelError as error:
        pytest.skip(str(error))
    report = road(model, read_dataset(shared_data / "coco-sample"), RoadRequest(severities=(5,)))
    assert 0.3 < report.metrics["road_recall"].value < 0.8
    assert verdicts(report)["night"] == "do not use"
