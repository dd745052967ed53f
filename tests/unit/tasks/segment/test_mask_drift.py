"""Whole pictures are compared by what a segmenter predicts for them: its classes, how sure it is, its embedding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from painter import painter_bundle

from photovision.core.regions import Segmentation
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.load import load
from photovision.engine.remember import remember_embeddings
from photovision.runtime.held_out import read_held_out
from photovision.runtime.neighbours import read_references
from photovision.service.drift import drift
from photovision.service.models import content_name
from photovision.service.record import Record, Row
from photovision.service.settings import Limits
from photovision.tasks.segment.drift import MaskDrift
from photovision.tasks.segment.segmenter import Segmenter
from photovision.tasks.segment.wire import MaskWire

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 128, 0)


def _halves(left: tuple[int, int, int], right: tuple[int, int, int], share: float = 0.5) -> np.ndarray:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, : int(64 * share)], picture[:, int(64 * share) :] = left, right
    return picture


def _data(*pictures: np.ndarray | Path) -> Dataset:
    return Dataset(tuple(Sample(str(i), picture) for i, picture in enumerate(pictures)), ())


@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_the_embedding_is_that_of_the_whole_picture(tile: tuple[int, int] | None, tmp_path: Path) -> None:
    model = load(painter_bundle(tmp_path / "model", embedding=True, tile=tile))
    assert isinstance(model, Segmenter)
    found = model.predict(_halves(RED, BLUE))
    assert isinstance(found, Segmentation)
    assert found.embedding is not None
    assert found.embedding == pytest.approx(np.sqrt([0.5, 0, 0.5]), abs=0.05)
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-3)
    assert found.confidence == pytest.approx(1, abs=0.05)
    (summary,) = model.summaries([_halves(RED, BLUE)])
    assert summary is not None
    assert summary.embedding is not None
    assert np.array_equal(summary.embedding, found.embedding)
    assert summary.confidence == found.confidence


def test_a_graph_without_embedding_predicts_as_before(tmp_path: Path) -> None:
    model = load(painter_bundle(tmp_path / "model"))
    found = model.predict(_halves(RED, BLUE, 0.25))
    assert found.embedding is None
    assert (found.labels[:, :16] == 1).mean() > 0.9
    assert MaskDrift(model).predict(_data(_halves(RED, BLUE))).embedding is None
    remember_embeddings(model, _data(_halves(RED, BLUE)), _data(_halves(BLUE, RED)), model.bundle.path, 0)
    assert read_references(model.bundle.path) is None
    assert read_held_out(model.bundle.path) is not None


def test_unreadable_pictures_are_left_out_by_their_positions(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    model = load(painter_bundle(tmp_path / "model", embedding=True))
    pictures = _data(_halves(RED, BLUE, 0.9), tmp_path / "broken.png", _halves(RED, GREEN, 0.1))
    predicted = MaskDrift(model).predict(pictures)
    assert predicted.positions is not None
    assert predicted.positions.tolist() == [0, 2]
    assert predicted.best.tolist() == [1, 0]
    assert predicted.prob == pytest.approx([1, 1], abs=0.05)


def test_a_segmenter_remembers_its_pictures(tmp_path: Path) -> None:
    model = load(painter_bundle(tmp_path / "model", embedding=True))
    known = _data(_halves(RED, RED), _halves(BLUE, BLUE), _halves(GREEN, GREEN))
    remember_embeddings(model, known, _data(_halves(RED, BLUE, 0.9)), model.bundle.path, 0)
    references, held_out = read_references(model.bundle.path), read_held_out(model.bundle.path)
    assert references is not None
    assert references.ids == ("0", "1", "2")
    assert held_out is not None
    assert held_out.best.tolist() == [1]
    assert held_out.embedding is not None
    assert references.nearest(held_out.embedding[0], 1)[0].id == "0"


@pytest.mark.parametrize("other", [BLUE, GREEN])
def test_a_record_of_masks_is_compared_with_held_out_pictures(other: tuple[int, int, int], tmp_path: Path) -> None:
    model = load(painter_bundle(tmp_path / "model", embedding=True))
    folder, shares = model.bundle.path, np.random.default_rng(0).uniform(0.2, 0.8, 80)
    remember_embeddings(
        model, _data(_halves(RED, BLUE)), _data(*(_halves(RED, BLUE, s) for s in shares[:40])), folder, 0
    )
    wire, rows = MaskWire(load(folder)), []
    for number, share in enumerate(shares[40:]):
        answer = wire.way({}).predict(_halves(RED, other, share), Limits(), wire.model.session)
        facts = wire.facts(answer)
        at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=number)
        given = {name: getattr(facts, name) for name in ("label", "best", "prob", "embedding", "found")}
        rows.append(Row(str(number), at, "painter", content_name(folder), **given))
    with Record.open(str(tmp_path / "record.db")) as record:
        record.write(rows)
        report = drift(folder, record)
    assert {"classes", "confidence", "embeddings"} <= {one["name"] for one in report.data["comparisons"]}
    assert report.data["drift"] is (other is GREEN)
