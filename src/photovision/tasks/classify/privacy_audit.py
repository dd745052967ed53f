"""What a classifier gives away about the pictures it learned from: attacks on its head, canaries in its training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields

import numpy as np
from sklearn.linear_model import LogisticRegression

from photovision.core.errors import DataError, UsageError
from photovision.core.phrases import count
from photovision.core.progress import Listener, counted
from photovision.core.report import Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.types import Floats, Ints
from photovision.data.dataset import Dataset
from photovision.engine.holdout import exposures
from photovision.learn.private_head import DescentPlan, fit_private_head
from photovision.tasks.classify.private_data import private_split
from photovision.tasks.classify.private_text import guarantee
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.privacy.canaries import CanaryTest, release_canaries
from photovision.trust.privacy.membership import RATES, Fit, MembershipAttack, attack, margins, shadows

_LEAST = 50
"""Pictures that it learned from, and others."""
_STRENGTHS = 0.1, 10.0, 1000.0
_NOTE = (
    "A head is attacked by 24 others that learned from random halves of the same pictures. Where the network itself was"
    " trained on them, too, it may give away more than its head: the rates are lower bounds. Other pictures of another"
    " kind than those learned from raise the rates."
)


def audit_privacy(model: Recognizer, dataset: Dataset, seed: int, listener: Listener) -> Report:
    """Attack a model.

    Args:
        model: with one label an image.
        dataset: with the pictures that it learned from, and others of the same kind.
        seed: of halves.
        listener: of progress.

    Raises:
        UsageError: a multi-label model.
        DataError: too few pictures that it learned from, or too few others.
    """
    if model.multilabel:
        raise UsageError("the privacy of a classifier of several labels an image cannot be audited yet")
    private: Mapping[str, object] | None = model.bundle.info.get("private")
    members = _members(model, dataset, private, listener)
    found = model.respond(dataset, counted(listener, "predicting"), embeddings=True)
    read = np.isfinite(found.logits).all(1)
    members, labels = members[read], dataset.labels[read]
    if min(members.sum(), (~members).sum()) < _LEAST or found.embeddings is None:
        raise DataError(
            f"{count(int(members.sum()), 'picture')} it learned from and {int((~members).sum()):,} others are too few:"
            f" give the data of its training, and at least {_LEAST} of each"
        )
    plan = None if private is None else plan_of(private)
    target, features = margins(found.logits[read], labels), found.embeddings[read]
    fit = _fit(features, labels, members, target, len(model.classes), plan)
    counted(listener, "heads to attack with")(0, 1)
    result = attack(target, members, *shadows(fit, labels, seed))
    counted(listener, "heads to attack with")(1, 1)
    return _report(model, result, None if plan is None else release_canaries(plan, seed), plan)


def plan_of(private: Mapping[str, object]) -> DescentPlan:
    """The plan of a private training, as its bundle keeps it."""
    return DescentPlan(**{one.name: private[one.name] for one in fields(DescentPlan)})  # type: ignore[arg-type]


def _members(
    model: Recognizer, dataset: Dataset, private: Mapping[str, object] | None, listener: Listener
) -> np.ndarray:
    """bool (N,): what it learned from."""
    if private is None:
        (known,) = exposures(dataset, [model], counted(listener, "checking pictures"))
        if not known.recorded:
            raise DataError("the model keeps no record of its training pictures: which these are is not known")
        return np.asarray(known.learned)
    per = private["per"]
    split = private_split(dataset, None if per is None else str(per), int(str(private["split_seed"])))
    members = np.zeros(len(dataset), bool)
    members[split.train] = True
    return members


def _fit(
    features: Floats, labels: Ints, members: np.ndarray, target: Floats, classes: int, plan: DescentPlan | None
) -> Fit:
    """How shadows learn: as the model did, or with the regularisation that makes them as sure as it is."""
    if plan is not None:
        radius = float(np.median(np.linalg.norm(features - features.mean(0), axis=1)))
        return lambda rows: fit_private_head(
            features[rows], labels[rows], np.arange(len(rows)), classes, plan, radius=radius
        )(features)

    def plain(strength: float) -> Fit:
        def fit(rows: Ints) -> Floats:
            head = LogisticRegression(C=strength, max_iter=200).fit(features[rows], labels[rows])
            scores = head.decision_function(features)
            scores = np.stack([np.zeros(len(scores)), scores], 1) if scores.ndim == 1 else scores
            logits: Floats = np.full((len(features), classes), -30.0, np.float32)
            logits[:, head.classes_] = scores
            return logits

        return fit

    sure = float(target[members].mean())
    own = {one: float(margins(plain(one)(np.flatnonzero(members)), labels)[members].mean()) for one in _STRENGTHS}
    return plain(min(own, key=lambda one: abs(own[one] - sure)))


def _report(
    model: Recognizer, result: MembershipAttack, canaries: CanaryTest | None, plan: DescentPlan | None
) -> Report:
    rates = {rate: result.at(rate) for rate in RATES}
    metrics: dict[str, Metric] = {}
    rows, summary = [], []
    for rate, found in rates.items():
        bound = None if plan is None else min(1.0, math.exp(plan.epsilon) * rate + plan.delta)
        shown = "no bound" if bound is None else f"{bound:.1%}"
        rows.append((f"{rate:.1%}", found or f"takes {round(1 / rate):,} other pictures", shown))
        if found is not None:
            metrics[f"tpr_at_{rate:g}"] = Metric(
                found.value, found.low, found.high, found.n, title=f"Found at {rate:.1%} false accusations"
            )
    metrics["membership_auroc"] = Metric(result.auroc, n=len(result.scores), title="AUROC of the attack")
    first = rates[RATES[0]]
    if first is not None:
        summary.append(f"An attacker who accuses 1.0% of other pictures wrongly finds {first} of those learned from.")
    else:
        summary.append("There are too few other pictures to tell how many an attacker finds.")
    warnings = []
    if canaries is not None and model.bundle.info.get("private"):
        summary += [guarantee(model.bundle.info["private"]), _canaries(canaries)]
        warnings += ["The training gives away more than it promises."] if canaries.fault else []
    table = Table(
        "Pictures found by the attack", ("false accusations", "found", "bound by epsilon"), tuple(rows), _NOTE
    )
    return Report(
        kind="audit",
        title=f"Privacy of {model.bundle.name}",
        summary=tuple(summary),
        metrics=metrics,
        tables=[table],
        warnings=warnings,
        provenance=provenance(),
        data={"canaries": None if canaries is None else vars(canaries)},
    )


def _canaries(found: CanaryTest) -> str:
    verdict = "more than promised" if found.fault else "no more than promised"
    return (
        f"{found.canaries:,} canaries in a training with its settings prove an epsilon of at least {found.at_least:.2g}"
        f" (promised {found.claimed:g}): {verdict}."
    )
