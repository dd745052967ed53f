"""Error rates come with n and intervals over people, by groups of one's own table, and say what they cannot know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from faces_of import PlantedFaces, planted
from PIL import Image as Pillow

from photovision.core.errors import DataError, UsageError
from photovision.core.page import to_html
from photovision.faces.evaluate import evaluate, evaluated
from photovision.faces.pairs import FaceData, read_face_data
from photovision.faces.register import FaceStore
from photovision.faces.thresholds import threshold_for

pytest.importorskip("cryptography", reason="needs the library cryptography")
GROUND = {"purpose": "the door", "basis": "consent", "until": date.today() + timedelta(days=30)}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 people in folders, two pictures each, one of them without a face; and tables."""
    top = tmp_path_factory.mktemp("people")
    rows = ["file_name,person,age"]
    for number in range(1, 31):
        folder = top / "people" / f"p{number:02}"
        folder.mkdir(parents=True)
        for noise in (1, 2):
            image = planted(number, noise=noise) if (number, noise) != (30, 2) else planted()
            Pillow.fromarray(image).save(folder / f"{noise}.png")
            rows.append(f"people/{folder.name}/{noise}.png,{folder.name},{'old' if number > 26 else 'young'}")
    (top / "people.csv").write_text("\n".join(rows) + "\n")
    lines = ["a,b,same", *(f"people/p{n:02}/1.png,people/p{n:02}/2.png,1" for n in range(1, 20))]
    lines += [f"people/p{n:02}/1.png,people/p{n + 1:02}/1.png,no" for n in range(1, 20)]
    (top / "pairs.csv").write_text("\n".join(lines) + "\n")
    return top


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaceStore]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with FaceStore(tmp_path / "store", create=True, recogniser=PlantedFaces()) as opened:
        yield opened


def test_a_folder_of_people_gives_rates_with_their_n(people: Path, store: FaceStore) -> None:
    report = evaluate(store, people / "people", fmr=0.01)
    found = report.to_json()
    assert report.metrics["fnmr"].n == 29
    assert report.metrics["false_matches"].n == 59 * 58 // 2 - 29
    assert report.metrics["failure_to_detect"].value == pytest.approx(1 / 60)
    assert list(found["missed"]) == [str(people / "people" / "p30" / "2.png")]
    assert report.metrics["fnmr"].value == 0
    assert report.metrics["fnmr"].high == pytest.approx(1 - 0.025 ** (1 / 29))
    assert [row.event for row in store.log()] == ["evaluate"]
    page = to_html(report)
    assert "False matches" in page
    assert "Scores of pairs" in page
    json.dumps(found)


def test_groups_are_those_of_the_table_and_a_small_one_is_unknown(people: Path, store: FaceStore) -> None:
    report = evaluate(store, people / "people.csv", by=["age"], fmr=0.01)
    table = report.to_json()["tables"][0]
    verdicts = {row[0]: row[-1] for row in table["rows"]}
    assert verdicts == {"age: old": "unknown: 6 pairs of people", "age: young": "like all"}
    assert any("unknown for age: old: 100 pairs of people are needed" in warning for warning in report.warnings)


def test_a_group_that_is_confused_more_often_is_warned_of() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(80, 128))
    centres[60:] += 6 * rng.normal(size=128) / 128**0.5  # these resemble each other
    vectors = np.repeat(centres, 2, axis=0) + 0.3 * rng.normal(size=(160, 128))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    names = tuple(str(number // 2) for number in range(160))
    groups = {"island": tuple("yes" if number >= 120 else "no" for number in range(160))}
    data = FaceData(tuple(Path(f"{number}.png") for number in range(160)), names, None, groups)
    found = evaluated(data, vectors, {}, threshold_for(0.1))
    verdicts = {group.name: group.verdict for group in found.groups}
    assert verdicts == {"no": "like all", "yes": "higher"}


def test_pairs_may_be_named_one_by_one(people: Path, store: FaceStore) -> None:
    report = evaluate(store, people / "pairs.csv")
    assert (report.metrics["fnmr"].n, report.metrics["false_matches"].n) == (19, 19)
    data = read_face_data(people / "pairs.csv")
    assert len(set(data.people)) == 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y\n1,2\n", "file_name and person, or a, b and same; it has x, y"),
        ("a,b,same\np.png,q.png,perhaps\n", "1 or 0, got 'perhaps'"),
        ("a,b,same\np.png,q.png,1\nq.png,p.png,0\n", "contradicts itself"),
        ("file_name,person\n,ada\n", "nothing in its column file_name"),
    ],
)
def test_a_table_that_says_something_else_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read_face_data(tmp_path / "table.csv")


def test_groups_need_a_table_of_people(people: Path) -> None:
    for source, by, message in (
        (people / "people", ["age"], "a table of your own"),
        (people / "pairs.csv", ["same"], "groups are of people"),
        (people / "people.csv", ["agee"], "no column 'agee'"),
    ):
        with pytest.raises(UsageError, match=message):
            read_face_data(source, by)
    with pytest.raises(DataError, match="does not exist"):
        read_face_data(people / "nowhere")
    with pytest.raises(DataError, match="two people at least"):
        read_face_data(people / "people" / "p01")
