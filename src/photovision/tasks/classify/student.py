"""The student of a classifier: how a smaller network, a new or a pruned one, is taught, and the bundle it ends in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.progress import Progress
from photovision.core.report import Metric
from photovision.core.system import keep_memory, provenance
from photovision.core.types import Floats, Image, Sample
from photovision.data.augment.image import Augment, load_pixels, open_picture
from photovision.data.dataset import Dataset
from photovision.data.split import Splits
from photovision.engine.bundle_writer import changed_bundle
from photovision.engine.optimize.step import OptimizeRun
from photovision.engine.splits import TrainingSplits
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.learn.distill import Distilled, Teacher, beside
from photovision.learn.loop import fit
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, count_macs, count_parameters
from photovision.models.depthwise import frozen_depthwise
from photovision.models.export import Decider, Normalise, check_parity, export_graph
from photovision.models.load_network import trained_network
from photovision.models.pruned_shapes import widths_of
from photovision.models.weights import LedgerEntry
from photovision.runtime.session import Session
from photovision.runtime.stream import stream
from photovision.tasks.classify.export_bundle import parity_pictures, write_network
from photovision.tasks.classify.objective import objective_of
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.scratch import load_pictures
from photovision.tasks.classify.study import EpochLimits, Study, budgeted

if TYPE_CHECKING:
    from torch import nn

_MOST_EPOCHS = 100
_QUIET = 5.0
_ANY = 0.5  # temperature of a graph until its own is learned; a division by 1 would be left out of it
FASTER = 2.0
"""Times the teacher's pictures a second that a student should reach."""


@dataclass(frozen=True, eq=False)
class StudentRun:
    """One student's training.

    Attributes:
        job: the step it belongs to.
        run: the pictures, the budget and the unfinished work, as every training has them; without test pictures.
        augment: how training pictures are varied.
    """

    job: OptimizeRun
    run: TrainingRun
    augment: Augment

    @property
    def temperature(self) -> float:
        """What the teacher's logits are divided by to be calibrated."""
        return float(self.job.model.info["temperature"])

    def learn(self, study: Study, plan: Plan, teacher: Teacher, *, mixed: bool) -> tuple[Metric, int]:
        """Train `study.part` in place; returns its score on validation, and the epochs that it took.

        `mixed` allows mixing in long runs, for a teacher that can be asked about mixtures.
        """
        plan = budgeted(self.run, study, plan, EpochLimits(_MOST_EPOCHS)) or replace(plan, epochs=1)
        if not mixed:
            plan = replace(plan, mixup=0.0, cutmix=0.0)
        setting, task = self.run.context(study.stage), Distilled(objective_of(self.run), teacher)
        cpu = self.run.work.accelerator.device.type == "cpu"
        keep_memory()
        with frozen_depthwise(study.part) if cpu and study.pretrained else nullcontext():
            done = fit(study.part, task, plan, study.train, study.val, study.prepare, setting)
        study.part.cpu().eval()
        return done.score, int(done.curve[-1]["epoch"])


def open_lesson(job: OptimizeRun, name: str) -> StudentRun:
    """Open the unfinished work of a step.

    Args:
        job: the step; its pictures can be read, as those of `engine.splits.gather` can.
        name: of the method; with the pictures, the model and the budget it tells whether unfinished work is its own.

    Raises:
        DataError: no training or no validation picture.
    """
    from accelerate import Accelerator

    started, made = time.monotonic(), job.model.info.get("training") or {}
    training, validation = job.training, job.validation
    if not len(training) or not len(validation):
        raise DataError("teaching a smaller network takes training and validation pictures: add more")
    seed = int(made.get("seed", 0))
    key = [name, job.backbone, training.fingerprint, validation.fingerprint, job.model.info["temperature"]]
    work = WorkDir(job.work / name, {"key": key, "metrics": job.model.info.get("metrics")}, Accelerator())
    options = TrainConfig(minutes=job.minutes, seed=seed)
    material = _material(training, validation, job.model)
    run = TrainingRun(options, material, work, _lines(job), started=started)
    mirrored = bool((made.get("decisions") or {}).get("flip", made.get("flip") != "off"))
    return StudentRun(job, run, Augment(flip=mirrored))


def _material(training: Dataset, validation: Dataset, model: Recognizer) -> TrainingSplits:
    samples = (*training.samples, *validation.samples)
    together = replace(training, samples=samples, splits={}, problems=(), corrections=(), multilabel=model.multilabel)
    first, none = len(training), np.empty(0, np.int64)
    positions = np.arange(len(samples), dtype=np.int64)
    sides = np.full(len(samples), min(model.preprocess.size), np.int32)  # as large as they are seen
    return TrainingSplits(together, Splits(positions[:first], positions[first:], none, none, False), (), sides)


def _lines(job: OptimizeRun) -> Callable[[Progress], None]:
    """Lines of progress, not more than one in some seconds."""
    shown: dict[str, float] = {}

    def listener(progress: Progress) -> None:
        now = time.monotonic()
        if now - shown.get(progress.stage, 0.0) > _QUIET or progress.done >= progress.total:
            shown[progress.stage] = now
            job.say(f"{progress.stage}: {progress.line or f'{progress.done:,} of {progress.total:,}'}")

    return listener


def answers_of(lesson: StudentRun, train: Dataset, views: int) -> Floats:
    """The teacher's calibrated logits float32 (views * N, C): of the pictures as they are, then of augmented views.

    View k of picture i is the one that `tasks.classify.linear_probe.Features` makes of it for the student, at the
    teacher's size.
    """
    run, model = lesson.run, lesson.job.model
    parts = []
    for view in range(views):
        said = partial(_answers, lesson, train, model.session, view)
        stored = run.work.array(f"teacher-{len(train)}-{view}", said)
        parts.append(np.asarray(stored, dtype=np.float32) / lesson.temperature)
    return np.concatenate(parts)


def _answers(lesson: StudentRun, train: Dataset, session: Session, view: int) -> Floats:
    preprocess, seed = lesson.job.model.preprocess, lesson.run.config.seed

    def read(item: tuple[int, Sample]) -> Image:
        position, sample = item
        if view == 0:
            return load_pixels(sample, preprocess)
        rng = np.random.default_rng((seed, view, position))
        return lesson.augment(open_picture(sample, preprocess), preprocess, rng)

    rows: list[np.ndarray] = []
    for answer in stream(list(enumerate(train.samples)), read, session):
        if answer.error is not None:
            raise answer.error
        rows.append(answer.outputs["logits"])
    return np.stack(rows).astype(np.float32)


def teach_whole(
    lesson: StudentRun, network: nn.Module, source: Backbone, plan: Plan, *, pretrained: bool
) -> tuple[Metric, int]:
    """Train a whole network on pictures, with the teacher answering beside it, in place.

    Args:
        lesson: the training; its model must have weights for torch.
        network: the student.
        source: what it is and expects.
        plan: all choices but the number of epochs.
        pretrained: whether it starts from weights that are worth keeping.

    Returns:
        its score on validation, and the epochs that it took.
    """
    run, model = lesson.run, lesson.job.model
    teacher = beside(trained_network(model.bundle), lesson.temperature, model.preprocess, source.preprocess)
    train, val = (load_pictures(part, source) for part in (run.splits.train, run.splits.val))
    prepare = Normalise(source.preprocess).to(run.work.accelerator.device)
    feeds = train.feed(source, lesson.augment), val.feed(source, lesson.augment)
    shape = (3, *source.preprocess.size)
    study = Study("student", train.dataset, network, prepare, *feeds, shape, pretrained)
    return lesson.learn(study, plan, teacher, mixed=True)


def write_student(
    lesson: StudentRun, network: nn.Module, source: Backbone, facts: Mapping[str, Any], *, pruned: bool
) -> Path:
    """Export a trained student, compare it with its graph, fit its confidence, and write its bundle at once.

    Args:
        lesson: the training.
        network: the student, on the CPU.
        source: what it is and expects.
        facts: what bundle.json says of how it was made, JSON-ready.
        pruned: whether layers are narrower than in the architecture of that name; then their widths are written down,
            and no config.json, for timm builds the wide one only.

    Returns:
        the folder of the bundle.

    Raises:
        ExportError: the graph does not decide like the network.
    """
    job, before = lesson.job, lesson.job.model
    decider = Decider(network, source.preprocess, _ANY, before.multilabel)
    job.say("writing the graph, and comparing it with the network")
    with changed_bundle(before.bundle, job.folder, keep="record") as draft:
        write_network(network, source, before.classes, draft.folder)
        if pruned:
            (draft.folder / "config.json").unlink(missing_ok=True)
        graph = draft.folder / "model.onnx"
        export_graph(decider, source.preprocess.size, decider.outputs, graph)
        parity = check_parity(decider, graph, parity_pictures(lesson.run.splits.val, source))
        draft.info |= {
            "preprocess": source.preprocess.to_json(),
            "backbone": _backbone(network, source, before.info, pruned),
            "parity": parity.to_json(),
            "licences": [vars(entry) for entry in _licences(source, before.info)],
            "provenance": provenance(),
            **facts,
        }
        # What is true of the teacher is not true of the student.
        draft.info |= {"metrics": {}, "variants": {}, "doubt": None}
        job.say("fitting confidence")
        draft.info |= job.refit(draft.bundle)
    lesson.run.work.close()
    return job.folder


def _backbone(network: nn.Module, source: Backbone, before: Mapping[str, Any], pruned: bool) -> dict[str, Any]:
    found = source.describe()
    if source.backbone == before["backbone"]["name"]:
        found["weights"] = before["backbone"]["weights"]
    found |= {"params": count_parameters(network), "macs": count_macs(network, source.preprocess.size)}
    return {**found, "widths": widths_of(network)} if pruned else found


def _licences(source: Backbone, before: Mapping[str, Any]) -> list[LedgerEntry]:
    """The teacher's ledger, for the student learned from its answers, and what the student adds."""
    entries = [LedgerEntry(**entry) for entry in before["licences"]]
    own = [] if source.backbone == before["backbone"]["name"] else source.ledger()
    return [*entries, *(entry for entry in own if entry not in entries)]
