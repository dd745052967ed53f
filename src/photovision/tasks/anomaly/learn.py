"""Learning anomaly detection: a memory bank of good images, without gradients, and the scorer as one graph."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ExportError
from photovision.core.phrases import count
from photovision.core.report import Metric, Report
from photovision.core.types import Image, Ints, Sample
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.data.formats.mvtec import good_class
from photovision.data.near_duplicates import near_duplicates
from photovision.data.read import read_dataset
from photovision.data.session_corrections import ALONE
from photovision.data.sessions import GROUP, NO_SESSIONS, by_column
from photovision.engine.latency import milliseconds
from photovision.engine.learned import Info, Learned
from photovision.engine.stage import StageResult
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.models.backbones import Backbone, choose, count_macs, count_parameters, create
from photovision.models.feature_levels import export_levels
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import write_held_out
from photovision.runtime.session import open_session
from photovision.tasks.anomaly import learning
from photovision.tasks.anomaly.detector import CLASSES, facts_of
from photovision.tasks.anomaly.drift import held_out
from photovision.tasks.anomaly.evaluation_text import training_summary, training_warnings
from photovision.tasks.anomaly.learning import BankConfig, GoodPictures
from photovision.tasks.anomaly.threshold import GoodScores, promise

NAME = "memory bank"
TOLERANCE = 1e-3
"""Largest allowed difference of a score between two engines, in spreads of good images or of itself."""
_COMPARED = 32
_MAX_KNOWN_BAD = 50  # images of each kind that help to choose the score


def prepare(dataset: Dataset, config: TrainConfig) -> Backbone:
    """Settle the backbone, before an image is read.

    Raises:
        DataError: it is not known which images are good, or they are too few.
        UsageError: backbone and weights that do not fit together, or a rate of false alarms that is out of range or
            that too few good images carry; or no image has the column that names capture sessions.
    """
    if config.sessions_by not in (None, NO_SESSIONS):
        by_column(dataset, config.sessions_by)
    rows = np.setdiff1d(_good_rows(dataset, config), dataset.splits.get("test", ()))
    _check_promise(config, [dataset.samples[int(row)] for row in rows], None)
    return choose(config.backbone, config.weights, config.size, config.allow_download)


def learn(run: TrainingRun, source: Backbone) -> Learned:
    """Learn what good images look like from those of train and val; the others judge.

    Args:
        run: the training.
        source: of `prepare`.

    Raises:
        DataError: too few good images.
        UsageError: too few of them carry the promised rate of false alarms.
    """
    config, dataset = run.config, run.splits.dataset
    source = replace(source, preprocess=run.splits.shown(source.preprocess))
    usable = np.sort(np.concatenate([run.splits.splits.train, run.splits.splits.val])).astype(np.int64)
    rows = np.intersect1d(usable, _good_rows(dataset, config))
    samples = [dataset.samples[int(row)] for row in rows]
    units = _units(run, rows, samples)
    names = _check_promise(config, samples, units)
    good = GoodPictures(len(rows), lambda n: load_pixels(samples[n], source.preprocess), units)
    network, levels_path = create(source, 0), run.work.folder / "levels.onnx"
    levels, scorer = export_levels(network, source.preprocess, levels_path), run.work.folder / "scorer.onnx"
    bank = BankConfig(leave_out_suspects=bool(config.own.get("leave_out_suspects")), seed=config.seed)
    found = learning.learn(good, levels_path, levels, scorer, bank, _known_bad(config, source), run.listener)
    kept = None if names is None else [names[int(row)] for row in found.rows]
    scores = GoodScores.of(found.scores, kept, units[found.rows])
    # What looks bad among the good images does not set the scale of heatmaps; it does count in the promise.
    usual = found.heat[~np.isin(found.rows, found.suspects)]
    heat = usual if len(usual) else found.heat
    facts = {**facts_of(scores, heat, config.own.get("false_alarms")), **_facts(run, found, samples)}

    def export(folder: Path) -> dict[str, Any]:
        (folder / "model.onnx").write_bytes(scorer.read_bytes())
        some = np.unique(np.linspace(0, len(samples) - 1, min(_COMPARED, len(samples))).astype(int))
        return compare_engines(folder / "model.onnx", np.stack([good.load(int(n)) for n in some]))

    stage = _stage(run, found, scorer, count_parameters(network), count_macs(network, source.preprocess.size))
    run.reached(stage)
    ledger, backbone = source.ledger(), source.describe()
    extra = {"anomaly": facts}
    return Learned(
        CLASSES, source.preprocess, backbone, ledger, [stage], NAME, export, extra, _completed, report=_report
    )


def _facts(run: TrainingRun, found: learning.LearnedScorer, samples: list[Sample]) -> dict[str, Any]:
    """What bundle.json holds of the learning beside the promise."""
    return {
        "good_class": _good_name(run.splits.dataset, run.config),
        "statistic": found.selected.combination.name,
        "synthetic_defects": {kind: round(float(value), 4) for kind, value in found.selected.auroc.items()},
        "suspects": [samples[int(row)].id for row in found.suspects][:1000],
        "group_by": run.config.own.get("group_by"),
        "known_bad": run.config.own.get("known_bad") is not None,
    }


def _stage(run: TrainingRun, found: learning.LearnedScorer, scorer: Path, params: int, macs: int) -> StageResult:
    areas = list(found.selected.auroc.values())
    note = f"whitened patches of {count(len(found.rows), 'good image')}; {found.selected.combination.name} decides"
    return StageResult(
        NAME,
        Metric(float(np.mean(areas)) if areas else 0.5, n=len(found.rows)),
        round(time.monotonic() - run.started, 1),
        round(scorer.stat().st_size / 1e6, 2),
        None,
        macs,
        params,
        note,
    )


def compare_engines(graph: Path, images: Image) -> dict[str, Any]:
    """The scorer in two engines on real images, as `parity` of bundle.json; raises ExportError where they disagree."""
    # Mirrored they are not in the bank: to their own patches the distance is nothing but rounding.
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    first = open_session(graph, precision="f32").run(mirrored)["score"]
    other = open_session(graph, engine="onnxruntime", precision="f32").run(mirrored)["score"]
    # A score counts in spreads of good images and may be 0, where nothing is relative.
    difference = float((np.abs(first - other) / np.maximum(np.abs(first), 1.0)).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the engines disagree about the scorer: a score differs by {difference:.2g}, more than"
            f" {TOLERANCE}; choose another backbone and report this"
        )
    return {
        "pictures": len(images),
        "max_abs_prob_difference": difference,
        "agreement": 1.0,
        "precision": "f32",  # a bank is searched by differences of large squares, which bf16 would lose
        "tolerance": TOLERANCE,
    }


def _good_name(dataset: Dataset, config: TrainConfig) -> str | None:
    """The class of good images; None where images have no classes, so that all are good.

    Raises:
        DataError: no class is called good, or the one that was named does not exist.
    """
    named = config.own.get("good")
    if named is not None:
        if named not in dataset.classes:
            raise DataError(f"no class is called '{named}': choose --good from {', '.join(dataset.classes[:20])}")
        return str(named)
    labelled = {name for sample in dataset.samples for name in sample.target or ()}
    if len(labelled) <= 1:
        return next(iter(labelled), None)
    found = good_class(sorted(labelled))
    if found is None:
        raise DataError(
            f"anomaly detection learns from good images only, and none of {', '.join(sorted(labelled)[:20])} is called"
            " good, normal or ok: name the class of good images with --good"
        )
    return found


def _good_rows(dataset: Dataset, config: TrainConfig) -> Ints:
    name = _good_name(dataset, config)
    good = [name is None or sample.target == (name,) for sample in dataset.samples]
    return np.flatnonzero(good).astype(np.int64)


def _check_promise(config: TrainConfig, samples: list[Sample], units: Ints | None) -> list[str] | None:
    """Refuse, before minutes of work, a promise that good images are too few to carry; returns their groups."""
    learning.check_count(len(samples))
    names, rate = _group_names(samples, config.own.get("group_by")), config.own.get("false_alarms")
    if rate is not None:
        promise(GoodScores.of(np.zeros(len(samples)), names, units), float(rate))
    return names


def _group_names(samples: list[Sample], attribute: object) -> list[str] | None:
    if attribute is None:
        return None
    names = [sample.groups.get(str(attribute), "") for sample in samples]
    if not all(names):
        known = sorted({name for sample in samples for name in sample.groups})
        missing = names.count("")
        raise DataError(
            f"{count(missing, 'good image')} of {len(names):,} have no '{attribute}' to group by; known attributes:"
            f" {', '.join(known) or 'none'}"
        )
    return names


def _units(run: TrainingRun, rows: Ints, samples: list[Sample]) -> Ints:
    """Equal numbers for images that stay on one side of a fold: of one capture session that people or a column name, of
    one group, or near-duplicates.

    Sessions by capture time do not count: good images are often taken in one go, and none would be left to judge by.
    """
    stated, column = run.splits.dataset.sessions, run.config.sessions_by
    record = run.splits.record
    alike = rows if record is None else near_duplicates(record.looks, rows)[rows]
    first: dict[str, int] = {}
    named = ["" if column == NO_SESSIONS else _session(sample, stated, column) for sample in samples]
    units = [first.setdefault(name, int(unit)) if name else int(unit) for name, unit in zip(named, alike, strict=True)]
    return np.unique(np.array(units, np.int64), return_inverse=True)[1].astype(np.int64)


def _session(sample: Sample, stated: Mapping[str, str], column: str | None) -> str:
    """The capture session or group of an image; "" for none."""
    session = stated.get(sample.id, sample.groups.get(column, "") if column else "")
    return sample.groups.get(GROUP, "") if session in ("", ALONE) else f"session {session}"


def _known_bad(config: TrainConfig, source: Backbone) -> Mapping[str, list[Image]]:
    """Kind -> known bad images as the network sees them."""
    path = config.own.get("known_bad")
    if path is None:
        return {}
    found: dict[str, list[Image]] = {}
    for sample in read_dataset(path).samples:
        kind = sample.target[0] if sample.target else "bad"
        if len(found.setdefault(kind, [])) < _MAX_KNOWN_BAD:
            found[kind].append(load_pixels(sample, source.preprocess))
    return found


def _completed(bundle: Bundle) -> dict[str, Any]:
    """The median time of a prediction in the entry of its stage, and held-out scores to compare images in use with."""
    model = bundle.row.part("model")(bundle)
    bundle.info["rungs"][0]["ms_per_picture"] = milliseconds(model)
    scores = np.concatenate(list(model.good.groups.values()))
    write_held_out(held_out(model, scores.tolist()), bundle.path)
    return {}


def _report(info: Info, proof: Report) -> Report:
    """The evaluation on test as the report of the training."""
    return replace(
        proof,
        kind="train",
        summary=(*training_summary(info), *proof.summary),
        warnings=(*training_warnings(info), *proof.warnings),
        data={**proof.data, "rungs": info["rungs"]},
    )
