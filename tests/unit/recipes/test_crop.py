"""Fields over time: days and plots are found, shares carry their intervals, and an alarm means a rise."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle, colour_picture
from painter import painter_bundle
from PIL import Image
from spotter import spotter_bundle

from photovision.app.cli import run
from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.report import Report
from photovision.core.types import Sample
from photovision.engine.load import load
from photovision.recipes.crop.crop import CropField, crop
from photovision.recipes.crop.drawings import _grid_positions
from photovision.recipes.crop.shots import Shot, Shots, day_of, read_shots

FIRST, SECOND, THIRD = date(2024, 6, 1), date(2024, 6, 8), date(2024, 6, 15)


def leaf(path: Path, sick: bool, seed: int, taken: str = "") -> Path:
    """A green leaf, or a red one; with a camera's date where one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = colour_picture("red" if sick else "green", seed)
    exif = image.getexif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    image.save(path, exif=exif)
    return path


def leaves(plots: dict[str, tuple[int, ...]], count: int = 20) -> Shots:
    """Plot -> of `count` leaves so many sick ones on each of the days."""
    shots = []
    for plot, sick in plots.items():
        for day, ill in zip((FIRST, SECOND, THIRD), sick, strict=False):
            for number in range(count):
                picture = np.asarray(colour_picture("red" if number < ill else "green", number))
                shots.append(Shot(Sample(f"{plot}-{day}-{number}", picture), day, plot))
    return Shots(tuple(shots))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> object:
    return load(colour_bundle(tmp_path_factory.mktemp("models") / "leaves"))


def alarms(report: Report) -> list[tuple[str, str]]:
    return [(one["plot"], one["day"]) for one in report.data["crop"]["alarms"]]


SICK = CropField(healthy=("green", "blue"))


def test_a_rise_in_one_plot_is_an_alarm_there_and_then(model: object) -> None:
    report = crop(model, leaves({"A1": (1, 1, 14), "A2": (1, 2, 1), "B1": (2, 1, 1), "B2": (0, 1, 2)}), SICK)
    assert ("A1", THIRD.isoformat()) in alarms(report)
    assert {plot for plot, _ in alarms(report)} <= {"A1", ""}
    assert report.warnings[0].startswith("Alarm: ")
    assert any("plot A1, red: 70.0% of the leaves on 2024-06-15" in warning for warning in report.warnings)
    assert report.metrics["red"].value == pytest.approx(18 / 80)
    assert [figure.title for figure in report.figures][-2:] == ["Plots: red", "What shows most"]
    assert "▲ rose" in next(figure.svg for figure in report.figures if figure.title == "Plots: red")


def test_no_alarm_without_a_rise(model: object) -> None:
    steady = crop(model, leaves({"A": (3, 3, 2), "B": (2, 3, 3)}), SICK)
    assert not alarms(steady)
    assert "No sure rise" in " ".join(steady.summary)
    falling = crop(model, leaves({"A": (15, 8, 1)}), SICK)
    assert not alarms(falling)
    assert any(one["p"] < 0.01 for one in falling.data["crop"]["comparisons"])


def test_what_creeps_is_seen_against_the_first_day(model: object) -> None:
    report = crop(model, leaves({"A": (0, 4, 8)}), SICK)
    assert alarms(report) == [("", THIRD.isoformat())]
    assert report.data["crop"]["alarms"][0]["since"] == FIRST.isoformat()


def test_plots_that_were_not_there_before_raise_no_alarm(model: object) -> None:
    """The sick plot is pictured on the last day only: within plots nothing rose."""
    one, other = leaves({"A": (1, 1, 1)}), leaves({"B": (18, 18, 18)})
    later = tuple(shot for shot in other.all if shot.day == THIRD)
    assert not alarms(crop(model, Shots((*one.all, *later)), SICK))


def test_pictures_of_something_else_are_unknown_and_count_nowhere(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path / "model")
    add_doubt(bundle)
    strangers = [Sample(str(n), np.asarray(colour_picture("grey", n))) for n in range(12)]
    own = leaves({"A": (5,)})
    with_strangers = Shots((*own.all, *(Shot(sample, FIRST, "A") for sample in strangers)))
    model = load(bundle)
    report = crop(model, with_strangers, SICK, strangers=strangers)
    detected = report.metrics["detected_unknown"]
    assert detected.n == 12
    assert detected.value > 0.9
    assert report.metrics["red"].value == pytest.approx(0.25, abs=0.02)
    assert report.metrics["unknown_share"].value == pytest.approx(12 / 32, abs=0.07)
    assert "show something else and count in no share" in " ".join(report.summary)


def test_labels_tell_how_good_the_model_is(model: object, tmp_path: Path) -> None:
    for number in range(10):
        leaf(tmp_path / "field" / ("red" if number < 4 else "green") / f"{number}.png", number < 5, number)
    report = crop(model, read_shots(tmp_path / "field", ("red", "green", "blue")), SICK)
    assert report.metrics["accuracy"].value == 0.9
    assert report.metrics["accuracy"].n == 10
    assert "Nothing tells when the pictures were taken" in " ".join(report.warnings)


def weeds(share: float, seed: int, side: int = 64) -> np.ndarray:
    """A picture of which about that share is a red thing."""
    picture = np.zeros((side, side, 3), np.uint8)
    picture[: round(side * share)] = (240, 0, 200)
    return np.roll(picture, 7 * seed, axis=0)


def test_area_is_told_in_shares_and_in_square_metres(tmp_path: Path) -> None:
    model = load(painter_bundle(tmp_path / "model", tile=(64, 64)))
    shares = {FIRST: 0.125, SECOND: 0.25}
    shots = [
        Shot(Sample(f"{day}-{n}", weeds(share + 0.0625 * (n % 3 - 1), n)), day, "")
        for day, share in shares.items()
        for n in range(12)
    ]
    report = crop(model, Shots(tuple(shots)), CropField(watched=("thing",), pixel=2.0))
    assert report.metrics["area_thing"].value == pytest.approx(0.25, abs=0.02)
    low, high = report.metrics["area_thing"].low, report.metrics["area_thing"].high
    assert low is not None
    assert high is not None
    assert 0.2 < low < 0.25 < high < 0.3
    ground = 12 * 64 * 64 * 0.02**2
    table = next(table for table in report.tables if table.title == "Area by class")
    squares = {row[0]: row[2].value for row in table.rows}
    assert squares["thing"] == pytest.approx(0.25 * ground, rel=0.1)
    assert sum(squares.values()) == pytest.approx(ground)
    assert [(one["plot"], one["day"]) for one in report.data["crop"]["alarms"]] == [("", SECOND.isoformat())]
    unwatched = crop(model, Shots(tuple(shots)))
    assert "No class is watched" in " ".join(unwatched.warnings)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-06-01", FIRST),
        ("2024-06-01T10:15:00Z", FIRST),
        ("2024:06:01 10:15:00", FIRST),
        ("20240601", FIRST),
        ("01.06.2024", FIRST),
        ("IMG_20240601_101500.jpg", FIRST),
        ("field 2024_06_01", FIRST),
        ("2024-02-31", None),
        ("2024-6", None),
        ("120240601", None),
        ("", None),
    ],
)
def test_days_are_read_as_people_write_them(text: str, day: date | None) -> None:
    assert day_of(text) == day


def test_folders_cameras_and_names_tell_days_and_plots(tmp_path: Path) -> None:
    leaf(tmp_path / "2024-06-01" / "A1" / "1.jpg", False, 1)
    leaf(tmp_path / "B2" / "20240608" / "2.jpg", False, 2)
    leaf(tmp_path / "C" / "IMG_20240615_101500.jpg", False, 3)
    leaf(tmp_path / "C" / "4.jpg", False, 4, "2024:06:01 08:00:00")
    leaf(tmp_path / "images" / "5.jpg", False, 5, "no date")
    (tmp_path / "C" / "6.jpg").write_bytes(b"Exif" * 100)
    found = {shot.sample.id.rpartition("/")[2]: (shot.day, shot.plot) for shot in read_shots(tmp_path).all}
    assert found == {
        "1.jpg": (FIRST, "A1"),
        "2.jpg": (SECOND, "B2"),
        "IMG_20240615_101500.jpg": (THIRD, "C"),
        "4.jpg": (FIRST, "C"),
        "5.jpg": (None, ""),
        "6.jpg": (None, "C"),
    }


def test_a_table_comes_before_folders(tmp_path: Path) -> None:
    for number in range(3):
        leaf(tmp_path / "2020-01-01" / f"{number}.jpg", False, number)
    rows = ["file_name,when,parcel,label", "2020-01-01/0.jpg,1.6.2024,north,green", "2020-01-01/1.jpg,,,"]
    (tmp_path / "metadata.csv").write_text("\n".join([*rows, "../x.jpg,1.6.2024,a,", "gone.jpg,1.6.2024,a,"]))
    shots = read_shots(tmp_path, date_column="when")
    assert [(shot.day, shot.plot, shot.sample.target) for shot in shots.all] == [
        (FIRST, "north", ("green",)),
        (date(2020, 1, 1), "", None),
    ]
    assert len(shots.problems) == 2
    with pytest.raises(UsageError, match="no column 'moon'"):
        read_shots(tmp_path, date_column="moon")


def test_mistakes_are_one_line(tmp_path: Path, model: object) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_shots(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        read_shots(tmp_path / "empty")
    with pytest.raises(UsageError, match="which class is healthy"):
        crop(model, leaves({"A": (1,)}))
    with pytest.raises(UsageError, match="does not know the class 'rust'"):
        crop(model, leaves({"A": (1,)}), CropField(healthy=("rust",)))
    with pytest.raises(UsageError, match="nothing is left"):
        crop(model, leaves({"A": (1,)}), CropField(healthy=("red", "green", "blue")))
    with pytest.raises(UsageError, match="centimetres"):
        CropField(pixel=float("nan"))
    with pytest.raises(ModelError, match="is a detector, not a segmenter, a classifier or an embedding model"):
        crop(load(spotter_bundle(tmp_path / "spotter")), leaves({"A": (1,)}))
    (tmp_path / "junk.jpg").write_bytes(b"junk")
    with pytest.raises(DataError, match="none of 1 picture can be read"):
        crop(model, read_shots(tmp_path), SICK)


def test_plots_lie_as_on_the_field_where_their_names_tell() -> None:
    assert _grid_positions(["A1", "A2", "B1", "C7"]) == {"A1": (0, 0), "A2": (1, 0), "B1": (0, 1), "C7": (2, 2)}
    assert _grid_positions(["north", "south"]) == {"north": (0, 0), "south": (1, 0)}


def test_the_command_writes_a_report_and_tells_of_alarms(
    tmp_path: Path, model: object, capsys: pytest.CaptureFixture[str]
) -> None:
    for day, ill in (("2024-06-01", 0), ("2024-06-08", 8)):
        for number in range(10):
            leaf(tmp_path / "field" / day / f"{number}.png", number < ill, number)
    (tmp_path / "field" / "2024-06-08" / "junk.jpg").write_bytes(b"junk")
    bundle = str(model.bundle.path)  # type: ignore[attr-defined]
    command = ["recipe", "crop", bundle, str(tmp_path / "field"), "--healthy", "green", "--healthy", "blue"]
    assert run([*command, "-o", str(tmp_path / "out"), "--json", "--fail-on-alarm"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "crop"
    assert told["crop"]["alarms"][0]["day"] == "2024-06-08"
    assert "1 picture could not be read" in " ".join(told["warnings"])
    assert "over time" in (tmp_path / "out" / "report.html").read_text()
    assert run(command) == 0
    assert "Alarm: red: 80.0% of the leaves on 2024-06-08" in capsys.readouterr().out


@pytest.mark.slow
def test_leaves_of_potatoes(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from photovision.models.weights import locate

    if locate("mobilenetv3_small_100") is None:
        pytest.skip("needs pretrained weights on this machine")
    data = shared_data / "potato"
    model = str(tmp_path / "model")
    assert run(["train", str(data / "Train"), "-o", model, "--minutes", "1"]) == 0
    capsys.readouterr()
    strangers = str(shared_data / "bccd")
    assert run(["recipe", "crop", model, str(data / "Valid"), "--unknown", strangers, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["accuracy"]["value"] > 0.85
    assert metrics["detected_unknown"]["value"] > 0.8


def test_pictures_with_masks_are_read_without_their_masks(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(weeds(0.25, 0)).save(tmp_path / "images" / "2024-06-01.png")
    Image.fromarray(weeds(0.25, 0)[..., 0] // 240).save(tmp_path / "masks" / "2024-06-01.png")
    shots = read_shots(tmp_path)
    assert [(shot.sample.id, shot.day) for shot in shots.all] == [("images/2024-06-01.png", FIRST)]
