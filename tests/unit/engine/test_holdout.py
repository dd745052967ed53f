"""No model of any task is judged, or learns its confidence, on its own training pictures without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from painter import painter_bundle
from PIL import Image
from recorded import recorded
from scenes import make_scene
from spots import NAMES, spot_bundle, spot_picture
from spotter import spotter_bundle, squares

import photovision as pv
from photovision.app.cli import run
from photovision.core.errors import DataError, ModelError
from photovision.core.regions import Segmentation
from photovision.core.types import Sample
from photovision.data.convert import convert
from photovision.data.dataset import Dataset
from photovision.engine.holdout import hold_out, unseen_part
from photovision.engine.load import load
from photovision.engine.optimize.optimize import fair
from photovision.engine.splits import TrainingSplits, gather
from photovision.runtime.bundle import read_bundle
from photovision.runtime.training_images import TRAINING_IMAGES_FILE, read_training_images

N = 60


def spots(count: int = N, start: int = 0) -> Dataset:
    samples = [
        Sample(f"{i}.png", spot_picture(i % 3, i // 3 % 4, i // 12 % 4, seed=i), (NAMES[i % 3],))
        for i in range(start, start + count)
    ]
    return Dataset(tuple(samples), NAMES)


def painted(count: int = N, start: int = 0) -> Dataset:
    names, samples = ("background", "thing"), []
    for number in range(start, start + count):
        image, labels = make_scene(seed=number)
        masks = Segmentation((labels == 1).astype(np.int32), names)
        samples.append(Sample(f"{number}.png", image, ("thing",), annotations=masks))
    return Dataset(tuple(samples), names, multilabel=True, annotation_type="masks")


def boxes(count: int = N, start: int = 0) -> Dataset:
    """Squares of a colour on a patchy ground, which tells pictures apart as it does photographs."""
    flat, samples = squares(start + count).subset(range(start, start + count)), []
    for number, sample in enumerate(flat.samples, start):
        patches = np.kron(np.random.default_rng(number).normal(0, 12, (16, 16, 1)), np.ones((8, 8, 1)))
        image = np.clip(np.asarray(sample.image) + patches, 0, 255).astype(np.uint8)
        samples.append(replace(sample, image=image))
    return replace(flat, samples=tuple(samples))


class Kind(NamedTuple):
    make: Callable[[Path], Path]
    data: Callable[..., Dataset]
    lead: str


KINDS = {
    "classifier": Kind(spot_bundle, spots, "accuracy"),
    "detector": Kind(spotter_bundle, boxes, "map"),
    "segmenter": Kind(painter_bundle, painted, "miou"),
}


class Trained(NamedTuple):
    model: Any
    data: Dataset
    material: TrainingSplits
    kind: Kind


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    kind = KINDS[request.param]
    folder, data = kind.make(tmp_path_factory.mktemp("models") / "model"), kind.data()
    material = recorded(folder, data, seed=3)
    return Trained(load(folder), data, material, kind)


def renamed(data: Dataset, change: Callable[[np.ndarray], Any] = lambda image: image) -> Dataset:
    """The same pictures under other names, in another order."""
    samples = [replace(s, id=f"other/{i}", image=change(np.asarray(s.image))) for i, s in enumerate(data.samples)]
    return replace(data, samples=tuple(samples[::-1]), splits={})


def test_its_own_data_are_judged_on_the_test_pictures_of_the_training(trained: Trained) -> None:
    report = pv.evaluate(trained.model, trained.data)
    alone = pv.evaluate(trained.model, trained.material.test, split="all")
    lead = trained.kind.lead
    assert report.metrics[lead].value == pytest.approx(alone.metrics[lead].value)
    assert report.metrics[lead].n == len(trained.material.test)
    assert "Evaluated on the test pictures of the model's own training." in report.summary[-1]


def test_a_split_that_data_lack_is_refused_with_what_to_do(trained: Trained) -> None:
    with pytest.raises(DataError, match="no published splits, so there is no 'test': leave the split out"):
        pv.evaluate(trained.model, renamed(trained.data), split="test")


def test_other_names_and_another_order_hide_nothing(trained: Trained) -> None:
    """Also beside pictures that are new."""
    more = trained.kind.data(20, N)
    old = renamed(trained.data)
    mixed = replace(old, samples=(*old.samples, *more.samples))
    held = hold_out(mixed, [trained.model])
    assert len(held.dataset) == len(trained.material.test) + 20
    assert f"{N - len(trained.material.test)} pictures that the model learned from were left out" in held.note


def test_the_same_pixels_in_another_format_are_the_same_pictures(trained: Trained, tmp_path: Path) -> None:
    def to_bmp(image: np.ndarray, count: list[int] = []) -> Path:  # noqa: B006 - counts the files
        count.append(0)
        path = tmp_path / f"{len(count)}.bmp"
        Image.fromarray(image).save(path)
        return path

    assert len(hold_out(renamed(trained.data, to_bmp), [trained.model]).dataset) == len(trained.material.test)


def test_training_pictures_that_were_compressed_again_leak_and_the_figure_without_them_is_given(
    trained: Trained, tmp_path: Path
) -> None:
    def to_jpeg(image: np.ndarray, count: list[int] = []) -> Path:  # noqa: B006 - counts the files
        count.append(0)
        path = tmp_path / f"{len(count)}.jpg"
        Image.fromarray(image).save(path, quality=99, subsampling=0)
        return path

    report = pv.evaluate(trained.model, renamed(trained.data, to_jpeg))
    lead = trained.kind.lead
    assert report.metrics[lead].n == N
    clean = report.metrics[f"{lead}_leak_free"]
    assert clean.n == len(trained.material.test)
    assert clean.low is not None
    assert any("resemble" in warning and "95% interval" in warning for warning in report.warnings)


def test_training_pictures_alone_are_refused_and_judged_where_that_is_asked_for(trained: Trained) -> None:
    learned = renamed(trained.material.train)
    with pytest.raises(DataError, match=rf"learned from all {len(learned)} of these pictures"):
        pv.evaluate(trained.model, learned)
    report = pv.evaluate(trained.model, learned, split="all")
    assert "so the figures flatter it" in report.summary[-1]
    assert "say nothing about new ones" in report.warnings[0]
    whole = pv.evaluate(trained.model, trained.data, split="all")
    assert whole.metrics[f"{trained.kind.lead}_leak_free"].n == len(trained.material.test)


def test_a_model_without_a_record_says_that_it_does_not_know(trained: Trained, tmp_path: Path) -> None:
    older = load(trained.kind.make(tmp_path / "older"))
    assert "keeps no record of its training pictures" in pv.evaluate(older, trained.material.train).summary[-1]


def test_nothing_is_learned_from_training_pictures(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="learned from these"):
        unseen_part(renamed(trained.material.train), trained.model, "to calibrate a model")
    mixed = unseen_part(renamed(trained.data), trained.model, "to calibrate a model")
    assert len(mixed.dataset) == len(trained.material.test)
    own = unseen_part(trained.data, trained.model, "to calibrate a model")
    assert {s.id for s in own.dataset.samples} == {s.id for s in trained.material.test.samples}


def test_models_are_compared_on_what_neither_of_them_learned_from(trained: Trained, tmp_path: Path) -> None:
    other = trained.kind.make(tmp_path / "other")
    second = recorded(other, renamed(trained.data), seed=8)  # draws another split, by other names
    report = pv.compare(trained.model, other, trained.data)
    ids = {np.asarray(s.image).tobytes() for part in (second.train, second.val) for s in part.samples}
    free = [s for s in trained.material.test.samples if np.asarray(s.image).tobytes() not in ids]
    assert 0 < len(free) < len(trained.material.test)
    assert report.metrics[f"{trained.kind.lead}_difference"].n == len(free)


def test_an_optimisation_measures_on_pictures_that_the_model_did_not_learn_from(trained: Trained) -> None:
    old, more = renamed(trained.data), trained.kind.data(30, N)
    mixed = replace(old, samples=(*old.samples, *more.samples))
    material = fair(gather(mixed, seed=0), trained.model, mixed)
    learned = {np.asarray(s.image).tobytes() for p in (trained.material.train, trained.material.val) for s in p.samples}
    for part in (material.val, material.test):
        assert len(part)
        assert not any(np.asarray(sample.image).tobytes() in learned for sample in part.samples)
    again = renamed(trained.material.train)
    split = gather(again, seed=0)
    with pytest.raises(DataError, match="learned from all"):
        fair(split, trained.model, again)


def test_an_optimisation_splits_the_data_of_the_training_as_they_were_then(trained: Trained) -> None:
    then = trained.material.splits
    again = fair(gather(trained.data, seed=5), trained.model, trained.data).splits  # another seed draws another split
    for name in ("train", "val", "test", "leaked"):
        assert getattr(again, name).tolist() == getattr(then, name).tolist()


def test_the_val_of_a_training_that_compared_its_pictures_is_known_later(tmp_path: Path) -> None:
    model, data = spot_bundle(tmp_path / "model"), spots()
    features = np.random.default_rng(0).normal(0, 1, (20, 16)).repeat(3, axis=0).astype(np.float32)
    then = recorded(model, data, embed=lambda dataset, positions, side: (features, "")).splits
    assert then.val.tolist() != gather(data, seed=0).splits.val.tolist()
    for name in ("val", "test"):
        known = hold_out(data, [load(model)], name).dataset
        assert [sample.id for sample in known.samples] == [data.samples[n].id for n in getattr(then, name)]


def test_a_damaged_record_is_named_in_one_line(trained: Trained, tmp_path: Path) -> None:
    model = trained.kind.make(tmp_path / "model")
    (model / TRAINING_IMAGES_FILE).write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is damaged"):
        pv.evaluate(load(model), trained.data)


def test_groups_of_training_pictures_leak(tmp_path: Path) -> None:
    """A new picture of a patient whose other picture, in the same data, the model learned from."""
    folder, data = spot_bundle(tmp_path / "model"), spots()
    material = recorded(folder, data)
    learned, fresh = material.train.samples[0], spots(2, N).samples
    group = {"patient": "7", "group": "7"}
    mixed = Dataset((replace(learned, groups=group), replace(fresh[0], groups=group), fresh[1]), NAMES)
    held = hold_out(mixed, [load(folder)])
    assert [s.id for s in held.dataset.samples] == [fresh[0].id, fresh[1].id]
    assert held.leaked == (0,)


def test_the_record_holds_neither_pixels_nor_names(tmp_path: Path) -> None:
    folder = spot_bundle(tmp_path / "model")
    recorded(folder, spots())
    record = read_training_images(folder)
    assert record is not None
    assert (folder / TRAINING_IMAGES_FILE).stat().st_size < 110 * N + 2000
    assert b".png" not in (folder / TRAINING_IMAGES_FILE).read_bytes()


def test_the_command_line_and_python_agree(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if trained.kind.lead == "accuracy":
        for sample in trained.data.samples:
            (tmp_path / "data" / str(sample.label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(sample.image)).save(tmp_path / "data" / str(sample.label) / sample.id)
    else:
        convert(trained.data, "coco" if trained.kind.lead == "map" else "masks", tmp_path / "data")
    folder = str(trained.model.bundle.path)
    for verb in (["evaluate"], ["compare", folder]):
        assert run([*verb[:1], folder, *verb[1:], str(tmp_path / "data"), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        call = pv.evaluate if len(verb) == 1 else lambda *a: pv.compare(folder, *a)
        report = call(folder, tmp_path / "data").to_json()
        assert told["metrics"] == report["metrics"]
        assert told["summary"] == report["summary"]
        assert told["warnings"] == report["warnings"]


def test_reading_a_bundle_does_not_need_the_record(tmp_path: Path) -> None:
    assert read_training_images(read_bundle(spot_bundle(tmp_path / "model")).path) is None
