"""Private training: a linear head on a public network, learned so that it gives away little about anybody.

It is a way of its own through `train`: nothing of the usual one is used that looks at the pictures for free. There is
no comparison of pictures, no choice among stages, no calibration, no prediction sets, no neighbours, no record of the
training pictures, and no feature is kept. Released are the noisy sums of `learn.private_head`, and nothing else.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from photovision.core.energy import Meter
from photovision.core.errors import DataError, UsageError
from photovision.core.progress import Listener, counted
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.engine.bundle_writer import BundleDraft, new_bundle
from photovision.engine.evaluate import evaluation_report
from photovision.engine.train_config import TrainConfig
from photovision.learn.private_head import DescentPlan, PrivateHead, fit_private_head, plan_for
from photovision.models.backbones import Backbone, choose, count_macs, count_parameters
from photovision.models.export import Decider, check_parity
from photovision.models.weights import require_commercial
from photovision.runtime.bundle_info import describe_model
from photovision.tasks.classify import private_text
from photovision.tasks.classify.evaluation import evaluate
from photovision.tasks.classify.export_bundle import parity_pictures, write_decider, write_network
from photovision.tasks.classify.linear_probe import set_head
from photovision.tasks.classify.private_data import PrivateSplit, private_split
from photovision.tasks.classify.private_features import PublicFeatures, open_public
from photovision.tasks.classify.private_simulation import simulate
from photovision.tasks.classify.recognizer import Recognizer

CHOSEN = "private"
_REFUSED = ("epochs", "fair_by", "robust", "sessions_by", "tuning")
"""Choices that would each look at the pictures for free."""
_PARITY = 32  # test pictures


def learn_private(dataset: Dataset, output: Path, config: TrainConfig, listener: Listener) -> None:
    """Train a private classifier and write its bundle.

    Args:
        dataset: labelled pictures, one class each; the names of the classes are public.
        output: the bundle.
        config: with the options "private" (epsilon), "delta" and "per".
        listener: of progress.

    Raises:
        UsageError: an option that would cost privacy, epsilon or delta out of range.
        DataError: the pictures cannot teach a private classifier.
    """
    meter, began = Meter(), time.monotonic()
    source = _prepared(dataset, config)
    split = private_split(dataset, config.own.get("per"), config.seed)
    delta = config.own.get("delta")
    plan = plan_for(float(config.own["private"]), default_delta(split.count) if delta is None else delta, split.count)
    test = dataset.subset(split.test)
    with tempfile.TemporaryDirectory(prefix="photovision-") as folder:
        public = open_public(source, len(dataset.classes), Path(folder))
        head = _learned(public, dataset, split, plan, listener)
        judged, read = public.of(test, counted(listener, "features of test"))
        simulated = simulate(judged[read], test.labels[read], len(dataset.classes), plan, public.radius, config.seed)
        set_head(public.network, head.weight, head.bias)
        with new_bundle(output) as draft:
            seconds = time.monotonic() - began
            _write(draft, public, test, listener, _facts(config, source, dataset, split, plan, simulated, seconds))
            draft.info["energy"] = meter.read().to_json()


def default_delta(units: int) -> float:
    """A power of ten, at most 1e-5 and at most a tenth of 1/units.

    Example:
        >>> default_delta(1200), default_delta(60_000)
        (1e-05, 1e-06)
    """
    return float(10.0 ** -max(5, math.ceil(math.log10(10 * units))))


def _prepared(dataset: Dataset, config: TrainConfig) -> Backbone:
    """Refuse what makes no sense, before a picture is read."""
    plain = TrainConfig()
    for name in _REFUSED:
        if getattr(config, name) != getattr(plain, name):
            flag = name.replace("_", "-")
            raise UsageError(
                f"--{flag} does not go with --private: it would look at the pictures for free; leave it out"
            )
    if config.flip != plain.flip or config.track:
        raise UsageError(
            "--flip and --track do not go with --private: a private head learns from each picture as it is"
        )
    if dataset.multilabel or any(sample.target is None for sample in dataset.samples):
        raise DataError("a private training needs exactly one class for every picture")
    if len(dataset.classes) < 2:
        raise DataError("a private training needs at least 2 classes")
    source = choose(config.backbone, config.weights, config.size, config.allow_download)
    if source.weights == "none":
        raise UsageError("a private training learns on features of a public network: leave out '--weights none'")
    if config.commercial:
        require_commercial(source.ledger())
    return source


def _learned(
    public: PublicFeatures, dataset: Dataset, split: PrivateSplit, plan: DescentPlan, listener: Listener
) -> PrivateHead:
    """The head; the features of the protected pictures are in memory only, and gone when it is there."""
    train = dataset.subset(split.train)
    features, read = public.of(train, counted(listener, "features of train"))
    if not len(read):
        raise DataError("no training picture can be read: check the files with 'photovision check'")
    counted(listener, "private head")(0, 1)
    labels, classes = train.labels[read], len(dataset.classes)
    head = fit_private_head(features[read], labels, split.units[read], classes, plan, radius=public.radius)
    counted(listener, "private head")(1, 1)
    return head


def _facts(
    config: TrainConfig,
    source: Backbone,
    dataset: Dataset,
    split: PrivateSplit,
    plan: DescentPlan,
    simulated: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """bundle.json, but for what is measured on test; numbers of training pictures are public, their classes are not."""
    per = config.own.get("per")
    private = {
        **vars(plan),
        "per": per,
        "pictures": len(split.train),
        "split_seed": config.seed,
        "simulated": dict(simulated),
    }
    return describe_model(
        "classify",
        dataset.classes,
        source.preprocess,
        backbone=source.describe(),
        chosen=CHOSEN,
        training={**config.to_json(), "decisions": {}, "seconds": round(seconds, 1)},
        data=_data(dataset, split, per),
        parity={},
        licences=source.ledger(),
        facts={
            "multilabel": False,
            "temperature": 1.0,
            "thresholds": None,
            "variants": {},
            "rungs": [],
            "private": private,
        },
    )


def _data(dataset: Dataset, split: PrivateSplit, per: str | None) -> dict[str, Any]:
    """What the bundle says of the data: no fingerprint, no class frequencies, no names of files."""
    return {
        "source": dataset.source,
        "counts": {"train": len(split.train), "val": 0, "test": len(split.test)},
        "train_per_class": {},
        "groups": {},
        "published_split": split.published,
        "notes": [private_text.how_split(split, per)],
        "problems": [],
        "quarantined": 0,
        "recorded": False,
    }


def _write(draft: BundleDraft, public: PublicFeatures, test: Dataset, listener: Listener, info: dict[str, Any]) -> None:
    network, source = public.network, public.source
    decider = Decider(network, source.preprocess, 1.0, multilabel=False)
    write_network(network, source, tuple(info["classes"]), draft.folder)
    write_decider(decider, source, public.graph, draft.folder / "model.onnx")
    shown = parity_pictures(test, source, _PARITY)
    params, macs = count_parameters(network), count_macs(network, source.preprocess.size)
    draft.info = {**info, "parity": check_parity(decider, draft.folder / "model.onnx", shown).to_json()}
    draft.info["backbone"] = {**info["backbone"], "params": params, "macs": macs}
    model = Recognizer(draft.bundle)
    evaluation = evaluate(model, test, progress=counted(listener, "evaluating on test"))
    proof = without_pictures(evaluation_report(model, evaluation, test))
    draft.info["metrics"] = {name: metric.to_json() for name, metric in proof.metrics.items()}
    draft.report = private_text.reported(draft.name, draft.info, proof)
    draft.info["warnings"] = list(draft.report.warnings)


def without_pictures(report: Report) -> Report:
    """A report whose figures are drawings only, and which names no file."""
    figures = [figure for figure in report.figures if not figure.pictures]
    return replace(report, figures=figures, data={**report.data, "unreadable": []})
