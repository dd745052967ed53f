"""The atlas shows what planted units look for, names classes from counts only, and refuses to guess."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from planted import DEAD, EDGE, RED, colours, planted_bundle

from photovision.core.errors import DataError, UsageError
from photovision.core.page import to_html, write_report
from photovision.core.report import Report
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.load import load
from photovision.learned_features import report as atlas
from photovision.learned_features.report import features
from photovision.tasks.classify.recognizer import Recognizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return load(planted_bundle(tmp_path_factory.mktemp("planted") / "model"))


@pytest.fixture(scope="module")
def steps() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def report(model: Recognizer, steps: list[tuple[int, int]]) -> Report:
    """All live units of the first layer, and six of each other stage."""
    return features(model, colours(), units=24, stages=[1], progress=lambda *step: steps.append(step))


@pytest.fixture(scope="module")
def whole(model: Recognizer) -> Report:
    return features(model, colours(), units=2)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, for what does not depend on how good the made pictures are."""
    monkeypatch.setattr(atlas, "_STEPS", (4, 4))


def unit(report: Report, number: int) -> dict[str, Any]:
    return next(one for one in report.data["stages"][0]["units"] if one["unit"] == number)


def pictures(report: Report, number: int) -> list[np.ndarray]:
    """The large picture of a unit of the first stage, then the small ones."""
    title = report.data["stages"][0]["title"]
    figure = next(f for f in report.figures if f.title == title and f.note.startswith(f"Unit {number}:"))
    return [np.asarray(Image.open(io.BytesIO(content))).astype(int) for content, _ in figure.pictures]


def test_the_red_unit_shows_red(report: Report) -> None:
    told = unit(report, RED)
    assert told["classes"][0] == {"class": "red", "count": 10, "more_than_chance": True}
    large, *small = pictures(report, RED)
    assert len(small) == 8
    for patch in (large, *small[:4]):
        red, green, blue = patch.mean((0, 1))
        assert red - max(green, blue) > 30
    assert 0.25 <= told["exciting"]["value"] <= 0.4
    assert told["exciting"]["low"] < told["exciting"]["value"] < told["exciting"]["high"]
    assert told["made_picture"] > 0.8


def test_the_edge_unit_shows_edges(report: Report) -> None:
    grey = pictures(report, EDGE)[0].mean(2)
    along, down = (np.abs(np.diff(grey, axis=axis)).mean() for axis in (1, 0))
    assert along > 1.3 * down


def test_a_dead_unit_is_not_shown_but_counted(report: Report) -> None:
    shown = {one["unit"] for one in report.data["stages"][0]["units"]}
    assert RED in shown
    assert DEAD not in shown
    assert len(shown) == 24 - report.data["stages"][0]["silent"]
    assert any("stayed silent" in figure.note for figure in report.figures)


def test_progress_reaches_its_end(report: Report, steps: list[tuple[int, int]]) -> None:
    done, total = zip(*steps, strict=True)
    assert list(done) == list(range(1, total[0] + 1))
    assert len(set(total)) == 1


def test_the_whole_hierarchy_is_told(whole: Report) -> None:
    stages = whole.data["stages"]
    assert [stage["number"] for stage in stages] == [1, 2, 3, 4]
    assert [stage["receptive_field"]["reach"] for stage in stages] == [3, 9, 21, 32]
    assert [stage["places"] for stage in stages] == [[32, 32], [16, 16], [8, 8], [4, 4]]
    assert all(len(stage["units"]) == 2 for stage in stages)
    assert whole.figures[0].title.startswith("One picture on its way")
    assert len(whole.figures[0].pictures) == 5
    titles = [figure.title for figure in whole.figures]
    assert all(stage["title"] in titles for stage in stages)
    assert "filters of the first layer" in {caption for figure in whole.figures for _, caption in figure.pictures}
    assert len(whole.tables[0].rows) == 8
    assert {one["class"] for one in whole.data["classes"]} <= {"red", "green", "blue"}
    assert any("not what it means" in warning for warning in whole.warnings)


def test_nothing_is_said_to_be_detected(whole: Report) -> None:
    assert not re.search(r"\bdetect|\brecogni[sz]es\b", whole.to_markdown() + str([f.note for f in whole.figures]))


@pytest.mark.usefixtures("quick")
def test_the_seed_decides(model: Recognizer) -> None:
    one, again, other = (features(model, colours(), units=2, seed=seed) for seed in (0, 0, 1))
    assert again.data == one.data
    assert again.figures == one.figures
    assert other.figures != one.figures


@pytest.mark.usefixtures("quick")
def test_without_pictures_only_made_ones_are_shown(model: Recognizer, tmp_path: Path) -> None:
    alone = features(model, units=2, stages=[1, 3])
    assert any("No pictures were given" in sentence for sentence in alone.summary)
    assert alone.data["classes_by"] is None
    assert [stage["number"] for stage in alone.data["stages"]] == [1, 3]
    assert "exciting" not in alone.data["stages"][0]["units"][0]
    assert all(len(figure.pictures) <= 1 for figure in alone.figures)
    write_report(alone, tmp_path)


@pytest.mark.usefixtures("quick")
def test_pictures_without_labels_are_named_by_the_model(model: Recognizer) -> None:
    bare = Dataset([replace(sample, target=None) for sample in colours().samples], ())
    told = features(model, bare, units=2, stages=[1])
    assert told.data["classes_by"] == "answer"
    assert any("the model's own answers" in sentence for sentence in told.summary)


@pytest.mark.usefixtures("quick")
def test_labels_dealt_at_random_are_preferred_by_no_unit(model: Recognizer) -> None:
    rng = np.random.default_rng(0)
    names = ("red", "green", "blue")
    shuffled = [replace(sample, target=(names[rng.integers(3)],)) for sample in colours().samples]
    told = features(model, Dataset(shuffled, names), units=24, stages=[1])
    claims = [one for row in told.data["stages"][0]["units"] for one in row["classes"] if one["more_than_chance"]]
    assert not claims


@pytest.mark.usefixtures("quick")
def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    name = "<script>alert('x')</script>"
    classes = (name, "green", "blue")
    model = load(planted_bundle(tmp_path / "model", classes))
    page = to_html(features(model, colours(classes=classes), units=3, stages=[1]))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.usefixtures("quick")
def test_unreadable_pictures_are_named(model: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    samples = [*colours().samples, Sample("broken.jpg", tmp_path / "broken.jpg", ("red",))]
    told = features(model, Dataset(samples, ("red", "green", "blue")), units=1, stages=[1])
    assert any("broken.jpg" in warning for warning in told.warnings)
    assert told.provenance["pictures"] == 60


def test_too_few_pictures_are_refused(model: Recognizer) -> None:
    with pytest.raises(DataError, match="at least 20 readable pictures, got 15"):
        features(model, colours(5))
    with pytest.raises(DataError, match="no pictures"):
        features(model, Dataset([], ()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": [9]}, "from 1 to 4"),
        ({"stages": []}, "from 1 to 4"),
        ({"units": 0}, "unit"),
        ({"pictures": 3}, "20"),
    ],
)
def test_arguments_without_sense_are_refused(model: Recognizer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        features(model, None, **options)


@pytest.mark.usefixtures("quick")
def test_pictures_are_drawn_evenly_over_the_classes(model: Recognizer) -> None:
    many = colours(40)
    skewed = many.subset([*range(40), *range(40, 50), *range(80, 90)])
    told = features(model, skewed, units=1, stages=[1], pictures=30)
    assert told.provenance["pictures"] == 30
    assert unit(told, told.data["stages"][0]["units"][0]["unit"])["exciting"]["n"] == 30


@pytest.mark.slow
def test_pretrained_units_are_raised_beyond_every_real_picture(shared_data: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from photovision.data.read import read_dataset
    from photovision.models import weights
    from photovision.models.backbones import choose, create

    if weights.locate("efficientnet_lite0") is None:
        pytest.skip("needs the offline weights efficientnet_lite0")
    source = choose(None, "efficientnet_lite0", None)
    folder = planted_bundle(tmp_path / "model", ("a", "b", "c"))
    save_file(create(source, 3).state_dict(), folder / "model.safetensors")
    model = load(folder)
    model.bundle.info["backbone"] = {"name": source.backbone}
    model.preprocess = source.preprocess
    model.bundle.info["preprocess"] = source.preprocess.to_json()
    told = features(model, read_dataset(shared_data / "grocery"), units=3, pictures=120, stages=[4, 6])
    textures, things = told.data["stages"]
    assert textures["receptive_field"]["reach"] == 67
    assert all(one["made_picture"] > 1 for one in (*textures["units"], *things["units"]))


@pytest.mark.usefixtures("quick")
def test_where_the_time_is_short_pictures_are_made_in_fewer_steps_and_that_is_said(model: Recognizer) -> None:
    steps: list[tuple[int, int]] = []
    short = features(model, None, units=1, stages=[1], minutes=1e-6, progress=lambda *step: steps.append(step))
    assert any("too short for all steps of stage 1" in warning for warning in short.warnings)
    assert steps[-1][0] <= steps[-1][1]
    enough = features(model, None, units=1, stages=[1], minutes=10)
    assert not any("too short" in warning for warning in enough.warnings)
    with pytest.raises(UsageError, match="minutes should be above 0"):
        features(model, None, minutes=0)
