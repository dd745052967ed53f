"""Audit: which groups and conditions a model fails on, and why; blind to tasks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from photovision.core.files import write_json
from photovision.core.phrases import count
from photovision.core.progress import Listener, Progress, counted, visible
from photovision.core.report import Finding, Report
from photovision.data.attributes import with_attributes
from photovision.data.corruptions import PLACES, names
from photovision.data.dataset import Dataset
from photovision.engine.assessment import concerns_of, with_concerns
from photovision.engine.audit_context import AuditContext, AuditRequest, Check, Groups
from photovision.engine.complete_card import write_card
from photovision.engine.evaluate import evaluation_options, evaluation_report
from photovision.engine.holdout import HasBundle, Holdout, hold_out
from photovision.engine.load import opened
from photovision.engine.progress import narrated
from photovision.engine.read import data_for


@narrated
def audit(
    model: Any,
    data: Dataset | str | Path,
    *,
    by: Sequence[str] = (),
    only: Sequence[str] = (),
    minutes: float = 3.0,
    seed: int = 0,
    split: str | None = None,
    attributes: str | Path | None = None,
    unknown: Dataset | None = None,
    conditions: Sequence[str] = (),
    listener: Listener = visible,
) -> Report:
    """Find the groups and conditions that a model fails on, and why.

    Args:
        model: a model of any task, or its folder; its task decides which checks there are.
        data: labelled images, or their path, with attributes where groups are to be compared.
        by: attributes to compare groups by; empty takes all that have few values.
        only: names of the checks to run; empty runs all.
        minutes: wall time for all of them; the costly ones look at as many images as fit.
        seed: random seed.
        split: as for `evaluate`; None takes the images that the model did not learn from.
        attributes: a table with a column file_name and attributes of the images to add.
        unknown: out-of-distribution images, for classifiers with novelty detection.
        conditions: what can happen at the place of use, such as "indoor", "weather" or "fog": names of places, of
            families or of conditions, see `data.corruptions`; empty tries all.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        A report of kind "audit": the evaluation, and what every check found.

    Raises:
        DataError: as for `evaluate`, or no image has an attribute that was asked for.
        UsageError: no check of that name, or a model that cannot be audited.
    """
    request = AuditRequest(tuple(by), tuple(only), minutes, seed, tuple(conditions))
    own: HasBundle = opened(model, "audit", "checks")
    checks = checks_of(own, request)
    options = evaluation_options(own, "audit", unknown)
    dataset = data_for(own, data)
    if request.by:  # a mistaken name is reported before any picture is read
        named = dataset if attributes is None else with_attributes(dataset, Path(attributes))
        Groups.of(named.samples, request.by)
    held = hold_out(dataset, [own], split, counted(listener, "checking pictures"))
    if attributes is not None:
        held = replace(held, dataset=with_attributes(held.dataset, Path(attributes)))
    report = _audited(own, checks, held, request, listener, options)
    drawn = {**report.provenance["data"], "drawn_from": dataset.fingerprint}
    return replace(report, summary=(*report.summary, held.note), provenance={**report.provenance, "data": drawn})


def checks_of(model: HasBundle, request: AuditRequest) -> Mapping[str, Check]:
    """The checks of a model that are asked for, in their order; raises UsageError as `audit` does."""
    row = model.bundle.row
    checks: Mapping[str, Check] = row.part("checks", "audit")
    return {name: checks[name] for name in request.chosen(checks, row.text.a_noun)}


def _audited(
    model: HasBundle,
    checks: Mapping[str, Check],
    held: Holdout,
    request: AuditRequest,
    listener: Listener,
    options: Mapping[str, Any],
) -> Report:
    started, row = time.monotonic(), model.bundle.row
    progress = counted(listener, "evaluating")
    evaluation = row.part("evaluate")(model, held.dataset, progress=progress, embeddings=True, **options)
    seconds = max(1.0, request.minutes * 60 - (time.monotonic() - started))
    context = AuditContext(model, evaluation, request, seconds, listener)
    base = evaluation_report(model, evaluation, held.dataset, held.leaked)
    found, took = run_checks(checks, context)
    assessment = base.assessment and with_concerns(base.assessment, concerns_of(found))
    worst_first = sorted(found, key=lambda one: not concerns_of([one]))
    return replace(
        base.including(*found),
        kind="audit",
        title=f"Audit of {model.bundle.name} on {count(len(context.samples), 'picture')}",
        # What a check found comes before what the evaluation already told.
        summary=(*(line for one in worst_first for line in one.summary), *_tried(request, checks), *base.summary),
        figures=[*(figure for one in worst_first for figure in one.figures), *base.figures],
        assessment=assessment,
        provenance={**base.provenance, "audit": {**asdict(request), "seconds": took}},
    )


def _tried(request: AuditRequest, checks: Mapping[str, Check]) -> tuple[str, ...]:
    """Which conditions were tried, and why."""
    if "conditions" not in checks:
        return ()
    if request.conditions:
        tried = names(request.conditions)
        return (f"Conditions tried, as asked for ({', '.join(request.conditions)}): {', '.join(tried)}.",)
    places = ", ".join(PLACES)
    return (f"All conditions were tried, since the place of use is not known: --conditions takes {places}.",)


def run_checks(checks: Mapping[str, Check], context: AuditContext) -> tuple[list[Finding], dict[str, float]]:
    """What checks found, in their order, and how many seconds each took."""
    found, seconds = [], {}
    for name, check in checks.items():
        began = time.monotonic()
        context.listener(Progress(name, 0, 1))
        finding = check(context)
        found += [finding] if finding else []
        seconds[name] = round(time.monotonic() - began, 1)
        context.listener(Progress(name, 1, 1))
    return found, seconds


def rewrite_card(model: HasBundle, report: Report) -> bool:
    """Write what an audit found into a model's folder: audit.json, and a card that tells of it.

    Args:
        model: what was questioned.
        report: of the audit.

    Returns:
        whether the card was written; one that was edited by hand stays.
    """
    found = report.to_json()
    write_json(model.bundle.path / "audit.json", found)
    return write_card(model.bundle, found)
