"""Distil: a smaller, faster network that learns from a model's answers (knowledge distillation, Hinton et al. 2015).

A pretrained student, and the teacher's own network at a smaller size of the picture, keep their lower part as it is;
the upper stages learn on stored views, as in the ladder of training. A network for small pictures learns as a whole,
with the teacher beside it.
"""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from photovision.core.report import Metric
from photovision.data.dataset import Dataset
from photovision.engine.optimize.step import OptimizeRun
from photovision.engine.workdir import WorkDir
from photovision.learn.distill import HEAT, SHARE, StoredViews, recalled
from photovision.learn.feed import FeatureFeed
from photovision.learn.plan import Plan
from photovision.models.backbones import create
from photovision.models.frozen_features import SplitPoint, default_cut, upper_of
from photovision.tasks.classify.candidates import Candidate, find_candidates
from photovision.tasks.classify.linear_probe import Features, learn_frozen
from photovision.tasks.classify.scratch import scratch_plan
from photovision.tasks.classify.student import FASTER, StudentRun, answers_of, open_lesson, teach_whole, write_student
from photovision.tasks.classify.study import Study
from photovision.tasks.classify.trained_stage import TrainedStage
from photovision.tasks.classify.variants import PLAIN

_LEAST_PICTURES = 500
_MOST_VIEWS, _LEAST_VIEWS = 6, 2
_SHARE_FOR_VIEWS = 0.3
_DROPOUT = 0.2


def distill(job: OptimizeRun) -> Path:
    """Teach a smaller network what a model answers, and write its bundle.

    Args:
        job: `backbone` names the student ("NAME", or "NAME@SIZE" for another size of the picture); None and "auto"
            search for one that is at least twice as fast as the model, measured on this machine.

    Returns:
        `job.folder`, a complete bundle; what it learned from is `training`, what selected and calibrates `validation`.

    Raises:
        UsageError: no such network, or none that is fast enough.
        ModelError: the student learns as a whole, but the model has no weights for torch to answer beside it.
        DataError, ExportError: as in training.

    Interrupted, it goes on with what it has; killed, the same job resumes. A bundle is written whole or
    not at all.
    """
    lesson = open_lesson(job, "distill")
    candidates = find_candidates(job, FASTER)
    apart = [one for one in candidates if one.origin != "random" and _cut(one) is not None]
    score, how, student = _by_parts(lesson, apart) if apart else _whole(lesson, candidates[0])
    facts = {
        "chosen": "distilled",
        "distilled": {
            "teacher": job.model.info["backbone"]["name"],
            "teacher_params": job.model.info["backbone"].get("params"),
            "speedup": round(student.speedup, 2),
            "val": score.to_json(),
            "heat": HEAT,
            "share": SHARE,
            "how": how,
        },
    }
    return write_student(lesson, student.network, student.source, facts, pruned=False)


def _cut(candidate: Candidate) -> SplitPoint | None:
    return default_cut(candidate.network, candidate.source.preprocess.size)


def _by_parts(lesson: StudentRun, candidates: list[Candidate]) -> tuple[Metric, str, Candidate]:
    """Probe every candidate with a linear head on its frozen features, then teach the best one's upper stages."""
    probed = []
    for number, one in enumerate(candidates):
        features = _features(lesson, one, number)
        train = _affordable(lesson, features, len(candidates))
        reached, per_view = learn_frozen(features, train, lesson.augment)
        lesson.job.say(f"{one.text}: {100 * reached.result.val.value:.1f}% on validation before it is taught")
        probed.append((reached.result.val.value, number, features, train, reached, per_view))
    _, number, features, train, reached, per_view = max(probed, key=lambda probe: probe[0])
    assert reached.network is not None
    score, how = _upper(lesson, features, train, reached, per_view)
    return score, how, replace(candidates[number], network=reached.network)


def _features(lesson: StudentRun, candidate: Candidate, number: int) -> Features:
    """The candidate's frozen part, with a folder of its own for what it says."""
    run = lesson.run
    key = {"candidate": [candidate.source.backbone, candidate.source.preprocess.size]}
    work = WorkDir(run.work.folder / f"candidate-{number}", key, run.work.accelerator)
    return Features(replace(run, work=work), candidate.source, candidate.network, _cut(candidate))


def _affordable(lesson: StudentRun, features: Features, candidates: int) -> Dataset:
    """The training pictures whose fewest views, by teacher and student, fit into the share of time for them."""
    run, train = lesson.run, lesson.run.splits.train

    features.open()
    probe = train.subset(np.linspace(0, len(train) - 1, min(64, len(train))).astype(int))
    started = time.monotonic()
    features.compute(probe, "probe", None, 0)  # all processes wait for it, so it is no part of the decision of one
    per_view = (time.monotonic() - started) / len(probe)

    def count() -> int:
        started = time.monotonic()
        lesson.job.model.respond(probe)
        each = (per_view + (time.monotonic() - started) / len(probe)) * _LEAST_VIEWS * candidates
        return int(_SHARE_FOR_VIEWS * run.spendable / each)

    most = max(_LEAST_PICTURES, features.run.work.value("affordable", count))
    if most >= len(train):
        return train
    rng = np.random.default_rng(run.config.seed)
    return train.subset(np.sort(rng.permutation(len(train))[:most]))


def _upper(
    lesson: StudentRun, features: Features, train: Dataset, start: TrainedStage, per_view: float
) -> tuple[Metric, str]:
    """Teach the stages above the cut on stored views; the start's network changes, if that makes it better."""
    run, cut, network = features.run, features.cut, start.network
    assert cut is not None
    assert network is not None
    # A view costs the student's features and about twice as much for the teacher's answers.
    fitting = int(max(_SHARE_FOR_VIEWS * run.spendable, 0) / max(3 * per_view, 1e-6)) + _LEAST_VIEWS
    count = run.work.value("views", lambda: min(_MOST_VIEWS, fitting))
    lesson.job.say(f"asking the teacher about {count} views of {len(train):,} pictures")
    teacher = recalled(answers_of(lesson, train, count))
    learned = StoredViews([maps for _, maps in features.views(train, lesson.augment, count, PLAIN)], train.label_matrix)
    val = run.splits.val
    seen = FeatureFeed([features.compute(val, "val", None, 0)[1]], val.label_matrix)
    part, before = upper_of(network, cut, _DROPOUT), copy.deepcopy(network.state_dict())
    study = Study("distilled", train, part, lambda maps: maps, learned, seen, cut.shape)
    plan = Plan(1, batch_size=64 if len(train) >= 500 else 16, lr=5e-4, head_lr=1e-3, seed=run.config.seed)
    score, epochs = lesson.learn(study, plan, teacher, mixed=False)
    if score.value < start.result.val.value:
        network.load_state_dict(before)
        return start.result.val, "as it was, with a linear head of its own: learning from the teacher made it no better"
    network.eval()
    return score, (
        f"the steps from {cut.upper[0]} to the head, {epochs} times through {count} stored views of"
        f" {len(train):,} pictures, with the teacher's answers to these views"
    )


def _whole(lesson: StudentRun, candidate: Candidate) -> tuple[Metric, str, Candidate]:
    """Teach a whole network on pictures."""
    run, source = lesson.run, candidate.source
    network = candidate.network
    plan = Plan(1, lr=3e-4, layer_decay=0.85, ema=0.998, seed=run.config.seed)
    if candidate.origin == "random":
        torch.manual_seed(run.config.seed)
        network, plan = create(source, len(lesson.job.model.classes)), scratch_plan(run, source)
    score, epochs = teach_whole(lesson, network, source, plan, pretrained=candidate.origin != "random")
    how = f"all of it, {epochs} epochs of {len(run.splits.train):,} pictures, with the teacher beside it"
    return score, how, replace(candidate, network=network)
