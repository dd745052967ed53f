"""train: the whole way from images to a tested model, within a time budget, for every task."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from photovision.core.energy import Meter
from photovision.core.folder import reserved
from photovision.core.output import placed
from photovision.core.progress import Listener, Progress, counted, silent, visible
from photovision.core.task import Task, task_of
from photovision.core.task import task as named_task
from photovision.data.dataset import Dataset
from photovision.data.scan_ahead import Scanned
from photovision.data.sessions import NO_SESSIONS
from photovision.engine.bundle_writer import write_learned
from photovision.engine.embed import Embedder
from photovision.engine.heartbeat import beating
from photovision.engine.learned import Learned
from photovision.engine.load import load
from photovision.engine.progress import listening, show_table
from photovision.engine.read import read_for
from photovision.engine.splits import gather
from photovision.engine.stage import STAGE_COLUMNS, stage_rows
from photovision.engine.time_text import time_told
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.learn.log import MetricTracker, check_trackers, open_trackers
from photovision.learn.tuning import UNTUNED, Tuning
from photovision.models.weights import require_commercial


def train(  # noqa: PLR0913 - one parameter a choice
    data: str | Path | Dataset,
    output: str | Path,
    *,
    minutes: float = 5.0,
    backbone: str | None = None,
    weights: str = "auto",
    size: int | None = None,
    epochs: int | None = None,
    seed: int = 0,
    fair_by: str | None = None,
    robust: tuple[str, ...] = (),
    sessions_by: str | None = None,
    window: str | None = None,
    commercial: bool = False,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    tuning: Tuning = UNTUNED,
    resume: bool = True,
    listener: Listener = visible,
) -> Any:
    """Turn images into a tested model of the task that they teach: labels, boxes and masks each teach another.

    What is learned is calibrated, exported, compared with its export, and evaluated once on images that took no part.
    A classifier climbs a ladder: handcrafted features first, so that the report can show what deep learning gains; then
    frozen pretrained features; then fine-tuning from the head downwards, or learning from scratch.

    Args:
        data: a folder, a table, or a Dataset; see `photovision.read_dataset`.
        output: folder of the bundle to write; a model already there is replaced at the end, whole.
        minutes: wall time for everything.
        backbone: a timm architecture; None takes the one that fits the weights and the images.
        weights: "auto" (offline weights that are installed), "none" (from scratch), "hub", a name of
            `photovision weights list`, or a file's path.
        size: side of the network's square input in pixels.
        epochs: of the last stage, whatever the budget says.
        seed: random seed.
        fair_by: an attribute of the images (a column of their table) whose groups should be served equally well; the
            best stage is learned again in three ways that mind groups, and kept so where that is fairer.
        robust: corruptions or families of them ("weather", "blur"), and "augmix"; the best stage is learned again with
            them, and kept so where it is more robust at no more than a point of accuracy.
        sessions_by: an attribute whose equal values are one capture session, of which validation holds whole ones;
            None goes by capture times, "none" looks for none.
        window: how CT in DICOM and NIfTI is shown: "lung", "bone", "brain", "soft tissue", "ct" (lung, soft tissue and
            bone as three channels) or centre/width such as "40/400" in Hounsfield units; None as the files say.
        commercial: refuse parts whose licence forbids commercial use.
        task: name of the task to learn, such as "detect"; None takes the one that the data teach.
        options: those that only this task has, by their names.
        tuning: an expert's optimiser, rates, batch size, augmentation, loss, sampler and callbacks, see
            `photovision.Tuning`; bundle.json keeps them as far as they are values.
        resume: whether unfinished work of the same training is taken up.
        listener: called with every event; without one, people see bars with the time left and a table at the end, on
            standard error or in the notebook. `photovision.silent` shows none.

    Returns:
        The opened model.

    Raises:
        DataError, UsageError, LicenceError, ExportError: each with one line that says what to do.

    Interrupted or killed, the same call resumes.
    """
    started = time.monotonic()
    config = TrainConfig(minutes, backbone, weights, size, epochs, seed=seed, commercial=commercial)
    config = replace(config, fair_by=fair_by, robust=tuple(robust), sessions_by=sessions_by, window=window, task=task)
    config = replace(config, own=dict(options or {}), tuning=tuning, resume=resume)
    dataset = data if isinstance(data, Dataset) else read_for(data, task)
    with listening(listener) as events, beating(events, 60 * minutes, started) as alive:
        model = run(dataset, Path(output), config, alive, started=started)
    if listener is visible and model.info["rungs"]:
        show_table(STAGE_COLUMNS, stage_rows(model.info))
        for sentence in time_told(model.info["training"]) if os.environ.get("RANK", "0") == "0" else ():
            print(sentence, file=sys.stderr)
    return model


def run(
    dataset: Dataset,
    output: Path,
    config: TrainConfig,
    listener: Listener = silent,
    *,
    started: float | None = None,
    scanned: Scanned | None = None,
) -> Any:
    """`train` with all options, also those that only the command line offers; the model is of the task's class.

    Args:
        dataset, output, config, listener: as of `train`.
        started: `time.monotonic()` from which the budget counts; None counts from now.
        scanned: the scan of the data set, where one is under way already.
    """
    started = time.monotonic() if started is None else started
    check_trackers(config.track)
    with reserved(output, "model", config.files(), alone=os.environ.get("RANK", "0") == "0"):  # one process writes
        dataset = config.windowed(dataset)
        row = task_of(dataset) if config.task is None else named_task(config.task)
        learn, prepare, meter = row.part("learn", "train"), row.part("prepare", "train"), Meter()
        if _trained_alone(row, dataset, output, config, listener):
            return load(output)
        source = prepare(dataset, config)
        require_commercial(source.ledger() if config.commercial else [])
        _ask_consent(row, dataset, config, listener)
        work = _work(dataset, output, config, listener)
        compared = counted(listener, "comparing pictures")
        embed = Embedder(source, work, 60 * config.minutes, compared) if row.compares else None
        splits = gather(
            dataset,
            seed=config.seed,
            min_classes=row.min_classes,
            progress=counted(listener, "checking pictures"),
            embed=embed,
            sessions_by=config.sessions_by if row.compares else NO_SESSIONS,
            scanned=scanned,
        )
        with _tracking(config, output) as trackers:
            training = TrainingRun(config, splits, work, listener, trackers, started, meter)
            learned = _learned(learn, training, source)
            if work.accelerator.is_main_process:
                write_learned(training, row, learned, output)
        work.close()
        return load(output)


def _trained_alone(row: Task, dataset: Dataset, output: Path, config: TrainConfig, listener: Listener) -> bool:
    """Check the options; where one of the task's own is called like a part of it, train in that part's way instead."""
    row.check_options("train", config.given())
    part = next((name for name in config.own if row.has(name)), None)
    if part is not None:
        row.part(part, "train")(dataset, output, config, listener)
    return part is not None


def _ask_consent(row: Task, dataset: Dataset, config: TrainConfig, listener: Listener) -> None:
    """Refuse pictures of people whom nobody asked, where the task could show them again."""
    if row.has("consent") and (remark := row.part("consent")(dataset, config.own, config.seed)):
        listener(Progress("people", 1, 1, remark))


def _work(dataset: Dataset, output: Path, config: TrainConfig, listener: Listener) -> WorkDir:
    """The folder of unfinished work; people hear whether it is resumed."""
    arguments = {**config.to_json(), "data": dataset.fingerprint}
    arguments |= {"sessions": dict(dataset.sessions)} if dataset.sessions else {}
    work = WorkDir(output, arguments, Accelerator(), dict(config.decisions), resume=config.resume)
    work.announce(listener)
    return work


def _learned(learn: Callable[[TrainingRun, Any], Learned], training: TrainingRun, source: Any) -> Learned:
    try:
        return learn(training, source)
    finally:
        training.threads.close()


@contextmanager
def _tracking(config: TrainConfig, output: Path) -> Iterator[tuple[MetricTracker, ...]]:
    place = placed(output)
    folder = place.with_name(f"{place.name}-tracking")
    if config.track:
        folder.mkdir(parents=True, exist_ok=True)
    trackers = tuple(open_trackers(config.track, folder))
    try:
        yield trackers
    finally:
        for tracker in trackers:
            tracker.close()
