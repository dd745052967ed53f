"""The chosen network learns from val in the end, and its limits come from before that."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from photovision.core.errors import DataError
from photovision.core.preprocess import Preprocess
from photovision.core.progress import Listener, Progress, silent
from photovision.core.task import task
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.engine.bundle_writer import write_learned
from photovision.engine.card_text import LEARNED_VAL
from photovision.engine.holdout import hold_out, unseen_part
from photovision.engine.load import load
from photovision.engine.optimize.finish import limits_text
from photovision.engine.optimize.optimize import fair
from photovision.engine.optimize.step import OptimizeRun
from photovision.engine.splits import gather
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.models.backbones import Backbone
from photovision.runtime.neighbours import read_references
from photovision.runtime.validation import read_validation
from photovision.tasks.classify.adapt_bundle import Adapted
from photovision.tasks.classify.export_bundle import learned_from
from photovision.tasks.classify.final import SHARE, learn_final, may_learn_val
from photovision.tasks.classify.finetune import FINAL, learn_upper
from photovision.tasks.classify.linear_probe import learn_frozen, open_features
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.select_variant import Varied
from photovision.tasks.classify.trained_stage import TrainedStage

PLANS = {"plan-fine-tuned": {"epochs": 12, "precision": "f32"}, "plan-final": {"epochs": 30}}
SIDE, KINDS, EACH = 32, 24, 14


def kinds(seed: int = 0) -> Dataset:
    """Pictures of 24 patterns; which of two classes a pattern is of can be learned from pictures of it alone."""
    rng = np.random.default_rng(seed)
    coarse = np.random.default_rng(7).uniform(40, 210, (KINDS, 4, 4, 3))
    pictures, labels = [], []
    for number in range(KINDS * EACH):
        kind = number % KINDS
        pattern = np.kron(coarse[kind], np.ones((SIDE // 4, SIDE // 4, 1)))
        noisy = pattern + rng.normal(0, 12, (SIDE, SIDE, 3)) + rng.normal(0, 15)
        pictures.append(np.clip(noisy, 0, 255).astype(np.uint8))
        labels.append("even" if kind % 2 else "odd")
    return dataset_from_arrays(pictures, labels)


def embed(dataset: Dataset, positions: np.ndarray, side: int) -> tuple[np.ndarray, str]:
    """Features in which pictures of one pattern are alike, and no others."""
    found = np.eye(KINDS)[np.arange(len(dataset)) % KINDS]
    return found + np.random.default_rng(0).normal(0, 0.02, found.shape), ""


def begun(folder: Path, **options: Any) -> TrainingRun:
    config = TrainConfig(minutes=options.pop("minutes", 15), **options)
    work = WorkDir(folder / "model", config.to_json(), Accelerator(), dict(config.decisions))
    return TrainingRun(config, gather(kinds(), seed=0, embed=embed), work, started=time.monotonic())


def chosen(run: TrainingRun) -> TrainedStage:
    """The fine-tuned stage of a small network, which a final step may follow."""
    torch.manual_seed(0)
    source = Backbone("test_efficientnet", "none", Preprocess((SIDE, SIDE)))
    features, train = open_features(run, source), run.splits.train
    frozen, per_view = learn_frozen(features, train, Augment())
    run.ahead[FINAL] = SHARE
    found = learn_upper(features, frozen, train, Augment(), per_view)
    assert found is not None
    return found


@dataclass(frozen=True)
class Trained:
    run: TrainingRun
    first: TrainedStage
    final: TrainedStage
    model: Recognizer


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("final")
    run = begun(folder, decisions=PLANS)
    assert may_learn_val(run)
    first = chosen(run)
    final = learn_final(first)
    learned = learned_from(run, [final], Varied([], final, []))
    write_learned(run, task("classify"), learned, folder / "model")
    return Trained(run, first, final, load(folder / "model"))


def test_the_final_network_knows_val_and_its_figures_come_from_before(trained: Trained) -> None:
    info, val = trained.model.info, trained.run.splits.val
    right = (trained.model.respond(val).probs.argmax(1) == val.labels).mean()
    before = trained.first.result.val
    assert right > before.value + 0.2
    assert info["learned_val"] is True
    (rung,) = info["rungs"]
    assert rung["val"] == before.to_json()
    assert rung["note"].endswith(f"then 30 epochs with the {len(val)} pictures of val as well")
    assert info["training"]["decisions"]["plan-final"] == {"epochs": 30}
    expected = info["accuracy_by_similarity"]
    assert sum(one["n"] * one["value"] for one in expected["curve"]) / expected["n"] == pytest.approx(before.value)


def test_validation_outputs_and_their_similarity_are_those_of_the_network_before(trained: Trained) -> None:
    kept = read_validation(trained.model.bundle.path, 2)
    references = read_references(trained.model.bundle.path)
    assert kept is not None
    assert kept.similarity is not None
    assert references is not None
    assert (kept.logits.argmax(1) == kept.truth).mean() == pytest.approx(trained.first.result.val.value)
    answers = trained.model.respond(trained.run.splits.val, embeddings=True)
    assert answers.embeddings is not None
    now = references.similarity.of(answers.embeddings)
    assert np.median(kept.similarity) < np.median(now) - 0.02  # val pictures are among the references by now
    here = Adapted.of(kept, answers, references.similarity, 1.0)
    assert np.array_equal(here.similarity, kept.similarity)


def test_val_is_never_taken_for_unseen(trained: Trained) -> None:
    model, splits = trained.model, trained.run.splits
    assert len(hold_out(kinds(), [model]).dataset) == len(splits.test)
    assert "flatter" in hold_out(kinds(), [model], "val").note
    val = dataset_from_arrays([sample.image for sample in splits.val.samples], splits.val.labels)
    with pytest.raises(DataError, match="learned from"):
        hold_out(val, [model])
    with pytest.raises(DataError, match="learned from"):
        unseen_part(val, model, "to calibrate a model")


def test_report_card_and_data_sheet_say_so(trained: Trained) -> None:
    for name in ("report.md", "README.md", "DATASHEET.md"):
        assert LEARNED_VAL in (trained.model.bundle.path / name).read_text(), name


def test_limits_are_taken_over_where_nothing_unlearned_is_left_to_fit_them_to(trained: Trained, tmp_path: Path) -> None:
    model = trained.model
    splits = fair(gather(kinds(), seed=0), model, kinds())
    before = trained.run.splits.splits
    assert set(splits.splits.train) == {*before.train, *before.val}
    assert set(splits.splits.val) | set(splits.splits.test) == set(before.test)
    assert abs(len(splits.splits.val) - len(splits.splits.test)) <= 2
    parts = splits.train, splits.val, splits.unseen
    run = OptimizeRun(model, *parts, tmp_path / "copy", tmp_path, 1.0, None, str, out_of_fold=True)
    copy = load(run.write_copy(model.bundle.graph, {}, weights=True))
    assert copy.info["temperature"] == pytest.approx(model.info["temperature"], rel=1e-3)
    assert copy.info["accuracy_by_similarity"] == model.info["accuracy_by_similarity"]
    assert copy.info["doubt"]["set_scores"] == model.info["doubt"]["set_scores"]
    assert copy.bundle.learned_val
    assert "were taken over from the original" in limits_text(model, splits)
    one, other = (m.respond(splits.test) for m in (model, copy))
    assert np.allclose(one.novelty, other.novelty, atol=0.05)
    assert np.allclose(one.probs, other.probs, atol=1e-2)


class Killed(Exception):
    """The process ended."""


def again(trained: Trained, folder: Path, listener: Listener = silent, **changes: Any) -> TrainedStage:
    """The final step once more, in another work folder."""
    more = trained.first.more
    assert more is not None
    run = replace(trained.run, **changes)
    work = WorkDir(folder / "model", {}, Accelerator(), dict(run.config.decisions))
    run = replace(run, work=work, ahead={FINAL: SHARE}, listener=listener)
    return learn_final(replace(trained.first, more=replace(more, run=run)))


def ending(error: BaseException) -> Listener:
    def listen(progress: Progress) -> None:
        if progress.stage == FINAL and progress.done == 20:
            raise error

    return listen


@pytest.mark.slow  # the same of a whole training: tests/behaviour/test_training.py
def test_killed_and_started_again_it_ends_the_same(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photovision.learn.loop.CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Killed):
        again(trained, tmp_path, ending(Killed()))
    done = again(trained, tmp_path).network
    assert done is not None
    assert trained.final.network is not None
    for name, value in trained.final.network.state_dict().items():
        assert torch.equal(value, done.state_dict()[name]), name


def test_interrupted_or_without_time_the_network_stays_as_it_was_chosen(trained: Trained, tmp_path: Path) -> None:
    totals = set()

    def listen(progress: Progress) -> None:
        totals.add(progress.total)
        ending(KeyboardInterrupt())(progress)

    interrupted = again(trained, tmp_path / "interrupted", listen, config=TrainConfig(epochs=12))
    learned, plan = len(trained.run.splits.train_and_val), trained.first.result.plan
    epochs = round(SHARE * trained.first.result.curve[-1]["epoch"])
    assert epochs * -(-learned // plan["batch_size"]) in totals
    assert interrupted.result.note.endswith("interrupted before it learned from val, too")
    late = {"config": TrainConfig(minutes=1), "started": time.monotonic() - 61}
    short = again(trained, tmp_path / "short", **late)
    assert short.result.note.endswith("no time was left to learn from val, too")
    for stage in (interrupted, short):
        assert stage.network is trained.first.network
        assert stage.before is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"robust": ("fog",)}, False),
        ({"fair_by": "site"}, False),
        ({"decisions": {"plan-final": {"epochs": 0}}}, True),
        ({"decisions": {"flip": True}}, False),
    ],
    ids=["plain", "robust", "fair", "replayed", "replayed-without"],
)
def test_it_is_for_val_that_was_drawn_here_and_decides_nothing_more(
    trained: Trained, options: dict[str, Any], expected: bool
) -> None:
    run = replace(trained.run, config=TrainConfig(**options))
    assert may_learn_val(run) is expected
    splits = run.splits
    given = replace(splits.dataset, splits={"val": tuple(splits.splits.val.tolist())})
    assert not may_learn_val(replace(run, splits=replace(splits, dataset=given)))
    random = replace(splits.splits, component=None)
    assert not may_learn_val(replace(run, splits=replace(splits, splits=random)))
