"""Drift of a record: what changed is found, dated and shown, and what cannot be compared is said in one line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle, colour_picture
from faded import faded, faded_bundle

pytest.importorskip("sqlalchemy", reason="needs the extra 'serve'")

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.page import to_html
from photovision.data.read import dataset_from_arrays
from photovision.engine.evaluate import evaluate
from photovision.engine.load import load
from photovision.runtime.held_out import HELD_OUT_FILE
from photovision.service import drift as module
from photovision.service.drift import Span, drift, read_window
from photovision.service.models import content_name
from photovision.service.record import Record, Row
from photovision.tasks.classify.recognizer import Recognizer

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
COLOURS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return load(add_doubt(colour_bundle(tmp_path_factory.mktemp("models") / "colours")))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    with Record.open(str(tmp_path / "record.db"), pictures=tmp_path / "pictures") as opened:
        yield opened


def pictures(count: int, light: float = 1.0, first: int = 50_000) -> list[np.ndarray]:
    """Coloured pictures that nobody has seen, in daylight or less of it."""
    rng = np.random.default_rng(first)
    drawn = [np.asarray(colour_picture(COLOURS[rng.integers(3)], first + i)) for i in range(count)]
    return [(picture * light).astype(np.uint8) for picture in drawn]


def rows(model: Recognizer, images: Sequence[np.ndarray], start: int = 0, version: str | None = None) -> list[Row]:
    """What a service would record, one picture a minute."""
    from PIL import Image

    said = model.respond(dataset_from_arrays(list(images), ["red"] * len(images), COLOURS), embeddings=True)
    assert said.embeddings is not None
    found = []
    for i, answer in enumerate(model.predict(list(images))):  # type: ignore[arg-type]
        file = io.BytesIO()
        Image.fromarray(images[i]).save(file, "PNG")
        found.append(
            Row(
                id=str(start + i),
                at=NOON + timedelta(minutes=start + i),
                model="colours",
                version=version or content_name(model.bundle.path),
                label=answer.label,
                best=answer.best,
                prob=answer.prob,
                novelty=answer.novelty,
                known=answer.known,
                prediction_set=answer.prediction_set or (),
                embedding=said.embeddings[i],
                picture=file.getvalue(),
            )
        )
    return found


def test_pictures_of_the_same_kind_are_no_change(model: Recognizer, record: Record) -> None:
    record.write(rows(model, pictures(150)))
    report = drift(model, record)
    assert report.data["drift"] is False
    assert report.summary[0].startswith("No change was found")
    assert report.warnings == report.warnings[-1:]  # of independence only
    json.dumps(report.to_json(), allow_nan=False)


def test_a_change_is_found_dated_and_shown(model: Recognizer, record: Record) -> None:
    record.write(rows(model, pictures(120)))
    record.write(rows(model, pictures(80, light=0.6, first=60_000), start=120))
    report = drift(model, record)
    assert report.data["drift"] is True
    assert "embeddings" in report.data["changed"]
    begun = datetime.fromisoformat(report.data["since"])
    assert abs(begun - (NOON + timedelta(minutes=120))) < timedelta(minutes=15)
    assert "change begins about 2026-11-01 1" in report.summary[1]
    assert report.metrics["embedding_auroc"].low > 0.5  # type: ignore[operator]
    grids = {figure.title: figure for figure in report.figures if figure.pictures}
    unlike = [caption for _, caption in grids["Most unlike the held-out pictures"].pictures]
    hours = [caption.rsplit("\n", 1)[1] for caption in unlike]
    assert all(hour >= "2026-11-01 13:50 UTC" for hour in hours)
    page = to_html(report)
    assert page.count("data:image/jpeg;base64,") >= 16
    json.dumps(report.to_json(), allow_nan=False)


def test_without_kept_pictures_and_embeddings_the_rest_is_compared(model: Recognizer, tmp_path: Path) -> None:
    with Record.open(str(tmp_path / "plain.db")) as record:
        record.write([replace(row, embedding=None) for row in rows(model, pictures(120, light=0.4))])
        report = drift(model, record)
    assert report.data["drift"] is True
    assert "embeddings were not compared" in report.warnings[0]
    assert "embedding_auroc" not in report.metrics
    assert not any(figure.pictures for figure in report.figures)


def test_other_pictures_can_be_the_measure(model: Recognizer, record: Record) -> None:
    record.write(rows(model, pictures(120, light=0.6)))
    dark = dataset_from_arrays(pictures(150, light=0.6, first=70_000), ["red"] * 150, COLOURS)
    report = drift(model, record, against=dark)
    assert report.data["drift"] is False
    assert drift(model, record).data["drift"] is True


def test_a_span_is_what_is_looked_at(model: Recognizer, record: Record) -> None:
    record.write(rows(model, pictures(60)))
    record.write(rows(model, pictures(60, light=0.5, first=60_000), start=60))
    noon, one = NOON, NOON + timedelta(minutes=60)
    assert drift(model, record, Span(until=one)).data["drift"] is False
    assert drift(model, record, Span(since=one)).data["drift"] is True
    assert drift(model, record, Span(last=60)).data["drift"] is True
    assert read_window(model, record, Span(noon, one)).total == 60
    with pytest.raises(UsageError, match="holds 10 predictions of 'colours'"):
        drift(model, record, Span(last=10))


def test_of_a_long_window_some_are_drawn_in_their_order(
    model: Recognizer, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.write(rows(model, pictures(150)))
    monkeypatch.setattr(module, "MOST", 50)
    window = read_window(model, record, Span())
    assert (len(window.answers), window.total) == (50, 150)
    assert list(window.times) == sorted(set(window.times))
    minutes = [(at - NOON).total_seconds() / 60 for at in window.times]
    assert 50 < np.mean(minutes) < 100
    assert "drawn at random from 150" in " ".join(drift(model, record).summary)


def test_several_versions_are_kept_apart(model: Recognizer, record: Record) -> None:
    record.write(rows(model, pictures(60)))
    record.write(rows(model, pictures(60, light=0.4), start=60, version="older"))
    assert drift(model, record).data["drift"] is False  # of this model's own version
    report = drift(model, record, Span(version="older"))
    assert report.data["drift"] is True
    assert "make sure that it is the same one" in report.warnings[0]
    with pytest.raises(UsageError, match="holds no such predictions"):
        drift(model, record, Span(name="fruit"))


def test_foreign_versions_must_be_named(model: Recognizer, record: Record) -> None:
    record.write(rows(model, pictures(40), version="a") + rows(model, pictures(40), version="b"))
    with pytest.raises(UsageError, match="--served-as"):
        drift(model, record)


def test_what_is_not_this_models_is_refused(model: Recognizer, record: Record, tmp_path: Path) -> None:
    given = rows(model, pictures(40))
    record.write([replace(row, best="plum") for row in given])
    with pytest.raises(DataError, match="'plum', which the model does not know"):
        drift(model, record)
    with Record.open(str(tmp_path / "wide.db")) as other:
        other.write([replace(row, embedding=np.ones(7, np.float32)) for row in given])
        with pytest.raises(DataError, match="embeddings have 7 numbers"):
            drift(model, other)


def test_older_bundles_ask_for_pictures(record: Record, tmp_path: Path) -> None:
    old = load(add_doubt(colour_bundle(tmp_path / "old")))
    (tmp_path / "old" / HELD_OUT_FILE).unlink()
    record.write(rows(old, pictures(60)))
    with pytest.raises(ModelError, match="--against"):
        drift(old, record)
    same = dataset_from_arrays(pictures(100, first=70_000), ["red"] * 100, COLOURS)
    assert drift(old, record, against=same).data["drift"] is False


def test_the_accuracy_to_expect_of_pictures_in_use_stands_beside_what_changed(tmp_path: Path, record: Record) -> None:
    knows = load(faded_bundle(tmp_path / "model"))
    images = [sample.image for sample in faded(60, (0.8, 1.0), 8).samples]
    record.write(rows(knows, images))  # type: ignore[arg-type]
    report = drift(knows, record)
    expected = report.metrics["expected_score"]
    assert expected.n == 60
    assert expected.high - expected.low > 0
    assert any(sentence.startswith("Expected accuracy: ") for sentence in report.summary)
    assert expected.value < evaluate(knows, faded(60, (0.0, 0.3), 8)).metrics["accuracy"].value
