"""Metric learning: pictures of one class become each other's nearest, and no query is its own result."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from photovision.core.errors import DataError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.task import task, task_of
from photovision.core.types import Sample
from photovision.data.augment.image import Augment
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.engine.bundle_writer import write_learned
from photovision.engine.load import load
from photovision.engine.splits import gather
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.models.backbones import Backbone, create
from photovision.models.frozen_features import default_cut
from photovision.retrieval.features import feature_model
from photovision.tasks.classify.linear_probe import Features
from photovision.tasks.embed.evaluation import RetrievalEvaluation, evaluate
from photovision.tasks.embed.export_bundle import learned_from
from photovision.tasks.embed.learn import prepare
from photovision.tasks.embed.model import EmbeddingModel
from photovision.tasks.embed.projection import LEAST_SPREAD, SHRINKAGES, spread, whitened_axes
from photovision.tasks.embed.retrieval import rank
from photovision.tasks.embed.stages import EmbeddingStage, MetricRun, fine_tuned, frozen, projected

SIDE, CLASSES, EACH = 32, 6, 20
PLANS = {"plan-fine-tuned": {"epochs": 4, "precision": "f32"}, "views": 2}


def patterns(seed: int, classes: tuple[int, ...] = tuple(range(CLASSES)), each: int = EACH) -> Dataset:
    """Pictures of coarse patterns under a strong shade of any colour, which says nothing of the class."""
    rng, coarse = np.random.default_rng(seed), np.random.default_rng(7).uniform(-35, 35, (20, 4, 4, 3))
    pictures, labels = [], []
    for number in range(len(classes) * each):
        kind = classes[number % len(classes)]
        pattern = np.kron(coarse[kind], np.ones((SIDE // 4, SIDE // 4, 1)))
        shaded = 127 + pattern + rng.normal(0, 12, (SIDE, SIDE, 3)) + rng.normal(0, 40, 3)
        pictures.append(np.clip(shaded, 0, 255).astype(np.uint8))
        labels.append(f"pattern {kind}")
    return dataset_from_arrays(pictures, labels)


@dataclass(frozen=True)
class Trained:
    stages: list[EmbeddingStage]
    model: EmbeddingModel


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("metric")
    torch.manual_seed(0)
    config = TrainConfig(minutes=15, decisions=PLANS)
    work = WorkDir(folder / "model", config.to_json(), Accelerator(), dict(config.decisions))
    run = TrainingRun(config, gather(patterns(0), seed=0), work, started=time.monotonic())
    source = Backbone("test_efficientnet", "none", Preprocess((SIDE, SIDE)))
    network = create(source, 16)
    features = Features(run, source, network, default_cut(network, source.preprocess.size))
    train = run.splits.train
    lesson = MetricRun(run, train, np.arange(len(train)), Augment(scale=0.9, flip=False))
    first = frozen(lesson, features, time.monotonic())
    second = projected(lesson, features, time.monotonic())
    third = fine_tuned(lesson, features, second, 1.0)
    assert third is not None
    stages = [first, second, third]
    write_learned(run, task("embed"), learned_from(lesson, stages), folder / "model")
    return Trained(stages, load(folder / "model"))


def test_a_learned_projection_finds_what_the_features_alone_do_not(trained: Trained) -> None:
    first, second, _ = (stage.result.val.value for stage in trained.stages)
    assert second > first + 0.1
    rungs = trained.model.info["rungs"]
    assert [rung["name"] for rung in rungs] == ["frozen", "projection", "fine-tuned"]
    assert all(rung["test"]["n"] for rung in rungs)
    chosen = next(rung for rung in rungs if rung["name"] == trained.model.info["chosen"])
    assert chosen["val"]["value"] == max(rung["val"]["value"] for rung in rungs)


@pytest.mark.parametrize("each", [3, 10, 40])
def test_a_projection_does_not_learn_few_pictures_by_heart(each: int) -> None:
    rng, width = np.random.default_rng(0), 120
    centres, stretched = rng.normal(size=(4, width)), np.linspace(0.3, 3, width)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(4), count)
        return np.float32(centres[labels] + stretched * rng.normal(size=(len(labels), width))), labels

    known, new = drawn(each), drawn(50)
    shares = [spread(axes(known[0]), known[1], axes(new[0]), new[1]) for axes in whitened_axes(*known, 16, SHRINKAGES)]
    assert np.diff(shares).min() > -0.05
    assert shares[-1] >= LEAST_SPREAD
    assert (shares[0] < LEAST_SPREAD) == (each < 40)


def test_the_graph_gives_the_vectors_of_the_chosen_stage(trained: Trained) -> None:
    new = patterns(1, each=4)
    stage = next(one for one in trained.stages if one.result.name == trained.model.info["chosen"])
    vectors, problems = trained.model.vectors(new)
    assert not problems
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert ((vectors * stage.embed(new, "new")).sum(1) > 0.99).all()


def test_queries_are_searched_among_training_pictures_of_known_classes(trained: Trained) -> None:
    known = evaluate(trained.model, patterns(2, each=5))
    assert known.gallery.learned
    assert known.metrics()["recall_at_1"].value > 0.6
    assert list(known.metrics()) == ["recall_at_1", "recall_at_10", "map_at_r"]
    best = trained.model.predict(known.samples[0].image)
    assert best.neighbours[0].id == known.gallery.ids[int(known.ranking.found[0, 0])]
    assert best.label == known.gallery.labels[int(known.ranking.found[0, 0])]
    assert len(trained.model.with_options(top=3).predict(known.samples[0].image).neighbours) == 3


def test_classes_that_are_new_are_searched_among_themselves(trained: Trained) -> None:
    new = evaluate(trained.model, patterns(3, (10, 11, 12), each=8))
    assert not new.gallery.learned
    assert (new.ranking.found != np.arange(len(new.samples))[:, None]).all()
    part = new.at(np.array([1, 4]))
    assert part.gallery.ids == new.gallery.ids
    assert np.array_equal(part.ranking.found, new.ranking.found[[1, 4]])


def test_a_picture_that_is_alone_in_its_class_is_named_and_does_not_count(trained: Trained) -> None:
    two, one = patterns(4, (10, 11), each=3), patterns(4, (12,), each=1)
    both = dataset_from_arrays(
        [*(sample.image for sample in (*two.samples, *one.samples))], [*labels_of(two), *labels_of(one)]
    )
    found = evaluate(trained.model, both)
    assert len(found.samples) == 6
    assert [problem.kind for problem in found.problems] == ["alone"]
    with pytest.raises(DataError, match="only one of its class"):
        evaluate(trained.model, one)


def labels_of(dataset: Dataset) -> list[str]:
    """The label of every sample."""
    return [sample.label for sample in dataset.samples]


def test_an_index_is_made_of_the_learned_vectors(trained: Trained) -> None:
    model, picture = feature_model(trained.model.bundle.path), patterns(5).samples[0].image
    vector = trained.model.predict(picture).vector
    assert model.embed(trained.model.preprocess.apply(picture)[None])[0] == pytest.approx(vector, abs=1e-3)


def test_a_comparison_with_itself_finds_no_difference(trained: Trained) -> None:
    evaluation = evaluate(trained.model, patterns(6, each=3))
    compared = task("embed").part("compare")(evaluation, evaluation)
    assert compared.gains.figures["recall_at_1"].value == 0
    assert compared.finding.data["queries_that_differ"] == []


def test_examples_show_queries_beside_what_was_found(trained: Trained, tmp_path: Path) -> None:
    evaluation: RetrievalEvaluation = evaluate(trained.model, patterns(3, (10, 11), each=4))
    (figure,) = task("embed").part("examples")(trained.model, evaluation)
    assert figure.first
    assert all("found: pattern 1" in caption for _, caption in figure.pictures)
    known = evaluate(trained.model, patterns(2, each=2))
    (named,) = task("embed").part("examples")(trained.model, known)
    assert "only named" in named.note  # arrays have no folder in which training pictures could lie


def test_average_precision_counts_the_first_r_results() -> None:
    gallery = np.float32([[1, 0], [0.9, 0.1], [0.6, 0.6], [0, 1], [-1, 0]])
    found = rank(np.float32([[1, 0.02]]), ["a"], gallery, ["a", "b", "a", "b", "b"])
    assert found.first.tolist() == [0]
    assert found.relevant.tolist() == [2]
    assert found.precision.tolist() == [0.5]  # of the first two results one is right, and it is the first
    nothing = rank(np.float32([[1, 0.02]]), ["c"], gallery, ["a", "b", "a", "b", "b"])
    assert nothing.first.tolist() == [5]
    assert nothing.precision.tolist() == [0]


def test_labels_alone_teach_a_classifier_and_several_labels_no_embedding() -> None:
    dataset = patterns(0, each=4)
    assert task_of(dataset).name == "classify"
    several = Dataset((Sample("1.png", np.zeros((8, 8, 3), np.uint8), ("a", "b")),), ("a", "b"), multilabel=True)
    with pytest.raises(DataError, match=r"exactly one class a picture, and 1\.png has 2 classes"):
        prepare(several, TrainConfig())
    with pytest.raises(UsageError, match="does not accept 'fair_by'"):
        task("embed").check_options("train", {"fair_by": "shop"})
