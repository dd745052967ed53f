"""refer: what should be done with each case, by costs or by sensitivity, and what such decisions are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.progress import Listener, counted, visible
from photovision.core.report import Finding, Report
from photovision.core.system import provenance
from photovision.data.attributes import with_attributes
from photovision.data.dataset import Dataset
from photovision.data.formats.rows import SUFFIXES, columns_of, read_rows, text_of
from photovision.data.unlabelled import Unlabelled
from photovision.engine.evaluate import model_facts
from photovision.engine.holdout import hold_out
from photovision.engine.load import opened
from photovision.engine.progress import narrated
from photovision.engine.read import data_for
from photovision.trust.referral.rules import CostMatrix

MAX_REFERRALS = 20


@dataclass(frozen=True)
class ReferralRequest:
    """How cases are to be decided.

    Attributes:
        costs: a table with a row for each class: its name, then what each referral costs where it is true.
        positive: in place of costs, the classes that should be referred; all others are to be observed.
        sensitivity: with `positive`, what the operating point should reach on validation; None takes the point of the
            highest balanced accuracy there.
        by: attributes that make one case; empty takes study (or patient), and eye or side, where pictures have them.
        patient: the attribute that tells whose a picture is; empty takes one that is called so.
        base_rates: shares of cases that need the most urgent referral, at which predictive values are stated.
        seed: of the intervals.
    """

    costs: Path | None = None
    positive: tuple[str, ...] = ()
    sensitivity: float | None = None
    by: tuple[str, ...] = ()
    patient: str = ""
    base_rates: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.costs is None) == (not self.positive):
            raise UsageError(
                "decisions need either a table of costs (--costs) or the classes that should be referred (--positive)"
            )
        if self.sensitivity is not None and not (self.positive and 0 < self.sensitivity <= 1):
            raise UsageError(f"--sensitivity should be above 0 and at most 1, with --positive, got {self.sensitivity}")
        for rate in self.base_rates:
            if not 0 < rate < 1:
                raise UsageError(f"a base rate should be above 0 and below 1, got {rate}")


@narrated
def refer(
    model: Any,
    data: Dataset | str | Path | Unlabelled,
    *,
    costs: str | Path | None = None,
    positive: Sequence[str] = (),
    sensitivity: float | None = None,
    by: Sequence[str] = (),
    patient: str = "",
    base_rates: Sequence[float] = (),
    attributes: str | Path | None = None,
    split: str | None = None,
    seed: int = 0,
    listener: Listener = visible,
) -> Report:
    """Decide what should be done with each case, and measure what the decisions are worth where the truth is known.

    Args:
        model: an opened classifier, or its folder.
        data: labelled pictures, or unlabelled ones as `photovision.data.unlabelled.read_unlabelled` gives them.
        costs, positive, sensitivity, by, patient, base_rates, seed: as in `ReferralRequest`.
        attributes: a table with a column file_name and attributes to add: study, patient, eye, rater_1 ...
        split: of labelled pictures, as for `evaluate`.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        A report of kind "refer"; `data["cases"]` has the decision of each case.

    Raises:
        DataError: a table of costs that does not fit the model, or nothing could be read.
        UsageError: a model that decides on no classes, or a choice that does not fit.
    """
    table = None if costs is None else Path(costs)
    request = ReferralRequest(table, tuple(positive), sensitivity, tuple(by), patient, tuple(base_rates), seed)
    own = opened(model, "refer")
    part = own.bundle.row.part("refer")
    dataset, note = _pictures(own, data, attributes, split, listener)
    found: Finding = part(own, dataset, request, counted(listener, "deciding"))
    base = Report(
        kind="refer",
        title=f"{own.bundle.name}: what should be done with each case",
        provenance={
            "model": model_facts(own.bundle.info),
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset), "source": dataset.source},
            **provenance(),
        },
    ).including(found)
    return replace(base, summary=tuple(filter(None, (*base.summary, note))))


def _pictures(
    model: Any, data: Any, attributes: str | Path | None, split: str | None, listener: Listener
) -> tuple[Dataset, str]:
    """The pictures to decide on, and a note on how they were chosen."""
    given = data.dataset if isinstance(data, Unlabelled) else data_for(model, data)
    if attributes is not None:
        given = with_attributes(given, Path(attributes))
    if isinstance(data, Unlabelled):
        if split is not None:
            raise UsageError("--split is about labelled pictures, but these have no labels: leave it out")
        return given, ""
    held = hold_out(given, [model], split, counted(listener, "checking pictures"))
    return held.dataset, held.note


def read_costs(path: Path, classes: Sequence[str]) -> CostMatrix:
    """A cost matrix from a table: the first column names the classes, the others are the referrals, most urgent first.

    Args:
        path: CSV, TSV, JSON Lines or Parquet.
        classes: of the model, each of which needs a row.

    Raises:
        DataError: the table is none of that kind, or does not fit the classes.
    """
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} should be a table of costs ({', '.join(SUFFIXES)}), but is not: check the path")
    rows = read_rows(path)
    first, *referrals = columns_of(rows)
    if not 2 <= len(referrals) <= MAX_REFERRALS:
        raise DataError(
            f"{path} should have a column of classes and 2 to {MAX_REFERRALS} of referrals, got {1 + len(referrals)}"
        )
    named = {text_of(row.get(first)): row for row in rows}
    missing, odd = [name for name in classes if name not in named], [name for name in named if name not in classes]
    if missing or odd or len(named) != len(rows):
        what = f"none for '{missing[0]}'" if missing else f"'{odd[0]}'" if odd else "a class twice"
        raise DataError(f"{path} should have one row for each of {', '.join(classes)}, but has {what}")
    return CostMatrix(
        tuple(referrals), np.array([[_cost(path, name, named[name], one) for one in referrals] for name in classes])
    )


def _cost(path: Path, name: str, row: Any, referral: str) -> float:
    text = text_of(row.get(referral))
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{path}: the cost of '{referral}' for '{name}' should be a number, got '{text}'") from None
