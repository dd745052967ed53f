"""What a detector says of an image is compared as drift compares it, and recorded as it is compared."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from spotter import CELL, scene, spotter_bundle, squares

from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.load import load
from photovision.engine.remember import remember_embeddings
from photovision.runtime.bundle import read_bundle
from photovision.runtime.held_out import read_held_out
from photovision.runtime.neighbours import read_references
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.drift import BoxDrift
from photovision.tasks.detect.wire import BoxWire

pytest.importorskip("sqlalchemy", reason="needs the extra 'serve'")

from photovision.service.drift import drift
from photovision.service.models import content_name
from photovision.service.record import Record, Row


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    """A detector whose graph embeds images, too: by the sum of every colour plane, of unit norm."""
    folder = spotter_bundle(tmp_path_factory.mktemp("spotter") / "model")
    model = onnx.load(str(folder / "model.onnx"))
    model.graph.node.append(helper.make_node("GlobalAveragePool", ["planes"], ["whole"]))
    model.graph.node.append(helper.make_node("Flatten", ["whole"], ["flat_whole"]))
    model.graph.node.append(helper.make_node("LpNormalization", ["flat_whole"], ["embedding"], axis=1, p=2))
    model.graph.output.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3]))
    onnx.save(model, str(folder / "model.onnx"))
    return Detector(read_bundle(folder))


def images(count: int, light: float = 1.0) -> Dataset:
    """Scenes with two red squares and a green one, the last without any."""
    boxes = [("red", (0, 0, CELL, CELL)), ("red", (32, 32, 48, 48)), ("green", (64, 64, 80, 80))]
    drawn = [scene((128, 128), boxes if number + 1 < count else (), number) for number in range(count)]
    samples = [Sample(f"{n}.png", np.clip(image * light, 0, 255).astype(np.uint8)) for n, image in enumerate(drawn)]
    return Dataset(tuple(samples), ("red", "green"), annotation_type="boxes")


def test_an_image_is_its_most_certain_box_the_mean_score_and_its_embedding(embedding: Detector, tmp_path: Path) -> None:
    data, broken = images(3), tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    data = dataclasses.replace(data, samples=(Sample("broken.png", broken), *data.samples))
    compared = BoxDrift(embedding)
    found = compared.predict(data)
    assert found.positions is not None
    assert found.positions.tolist() == [1, 2, 3]
    predicted = embedding.predict([np.asarray(sample.image) for sample in data.samples[1:]])
    for row, one in enumerate(predicted):
        assert one.scores is not None
        assert compared.classes[found.best[row]] == (one.names[0] if len(one) else "")
        assert found.prob[row] == pytest.approx(one.scores.mean() if len(one) else 0.0)
    assert [len(one) for one in predicted] == [3, 3, 0]
    assert found.embedding is not None
    np.testing.assert_allclose(np.linalg.norm(found.embedding, axis=1), 1, atol=1e-3)


def test_a_detector_of_before_has_no_embedding_and_predicts_as_before(embedding: Detector, tmp_path: Path) -> None:
    old = Detector(read_bundle(spotter_bundle(tmp_path / "old")))
    found = BoxDrift(old).predict(images(3))
    assert found.embedding is None
    picture = np.asarray(images(1 + 1).samples[0].image)
    assert old.predict(picture).boxes.tolist() == embedding.predict(picture).boxes.tolist()  # type: ignore[union-attr]


def test_what_was_learned_from_and_held_out_is_remembered_and_a_record_is_compared_with_it(
    embedding: Detector, tmp_path: Path
) -> None:
    folder = embedding.bundle.path
    remember_embeddings(embedding, squares(12), images(40), folder, seed=0)
    references, held_out = read_references(folder), read_held_out(folder)
    assert references is not None
    assert held_out is not None
    assert (len(references.ids), len(held_out)) == (12, 40)
    assert references.ids[0] == "0.png"
    wire, rows, version = BoxWire(load(folder)), [], content_name(folder)
    dark = images(40, light=0.6)
    for number, sample in enumerate(dark.samples):
        outputs = {name: value[0] for name, value in embedding.session.run(np.asarray(sample.image)[None]).items()}
        facts = wire.facts(wire.answer(wire.model, outputs, (128, 128)))
        at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=number)
        given = {name: getattr(facts, name) for name in ("label", "best", "prob", "embedding", "found")}
        rows.append(Row(str(number), at, "spots", version, **given))
    with Record.open(str(tmp_path / "record.db")) as record:
        record.write(rows)
        report = drift(folder, record)
    assert {"classes", "confidence", "embeddings"} <= {one["name"] for one in report.data["comparisons"]}
    assert report.data["drift"] is True
    classes = next(table for table in report.tables if any("nothing found" in map(str, row) for row in table.rows))
    assert classes.rows
