"""From which likeness on a classifier of class names gives a name, and when it says "nothing like this".

A picture gets a name where it is more like that than like sentences that say nothing, by a margin. How much that is
differs between weights, so it is fitted to labelled pictures and kept for the weights: every picture is also taken as
one of something else, which none of the names fits, by leaving out its own. Models of other names that are made by the
same weights afterwards use it.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError
from photovision.core.files import write_json
from photovision.core.phrases import count
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric, Report, Table
from photovision.core.system import cache_folder, provenance
from photovision.core.types import Floats, Ints
from photovision.data.dataset import Dataset
from photovision.engine.calibrate import Calibration
from photovision.runtime.bundle import Bundle
from photovision.tasks.classify.adapt_bundle import shift_classes
from photovision.tasks.classify.recognizer import NOTHING, Recognizer
from photovision.tasks.classify.refit import align, set_temperature
from photovision.trust.metrics.calibrate import fit_temperature
from photovision.trust.metrics.statistics import proportion

NAMED_WRONGLY = 0.1
"""Share of pictures of something else that may get a name."""
MIN_PICTURES = 50
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Margins:
    """How much more N pictures are like a name than like sentences that say nothing, in logits.

    Attributes:
        present: float (N,), the best of all names; NaN for pictures that show nothing of the names.
        absent: float (N,), the best of the names without the picture's own; NaN where there is no other.
    """

    present: Floats
    absent: Floats

    @classmethod
    def of(cls, logits: Floats, truth: Ints, nothing: int) -> Margins:
        """From logits float32 (N, C), the class of each picture and which class says that it is nothing of these."""
        apart = logits - logits[:, nothing, None]
        apart[:, nothing] = -np.inf
        present = np.where(truth == nothing, np.nan, apart.max(1))
        rows = np.flatnonzero(truth != nothing)
        apart[rows, truth[rows]] = -np.inf
        absent = apart.max(1)
        return cls(present, np.where(np.isfinite(absent), absent, np.nan))

    def at(self, rows: Ints) -> Margins:
        """Those of some pictures."""
        return Margins(self.present[rows], self.absent[rows])

    def fitted(self) -> float:
        """The margin that at most `NAMED_WRONGLY` of pictures of something else exceed, like split conformal limits."""
        absent = np.sort(self.absent[np.isfinite(self.absent)])
        rank = math.ceil((len(absent) + 1) * (1 - NAMED_WRONGLY))
        return float(absent[min(rank, len(absent)) - 1])


def calibrate_names(model: Recognizer, dataset: Dataset, seed: int, progress: ProgressCallback | None) -> Calibration:
    """Fit the margin and the temperature of a classifier of class names; see `tasks.classify.calibrate.calibrate`.

    Raises:
        DataError: too few labelled pictures, or of one class alone.
    """
    part = align(model, dataset.subset([i for i, sample in enumerate(dataset.samples) if sample.target is not None]))
    logits = model.respond(part, progress).logits
    rows = np.flatnonzero(np.isfinite(logits).all(1))
    logits, truth, nothing = logits[rows], part.truth[rows], model.classes.index(NOTHING)
    margins = Margins.of(logits, truth, nothing)
    if len(rows) < MIN_PICTURES or np.isfinite(margins.absent).sum() < MIN_PICTURES:
        raise DataError(
            f"fitting when to say '{NOTHING}' needs {MIN_PICTURES} readable labelled pictures of at least two classes,"
            f" got {len(rows)} that can be used: add more"
        )
    margin = margins.fitted()
    shift = np.zeros(len(model.classes))
    shift[nothing] = margin
    temperature = fit_temperature(np.asarray(logits + shift, np.float32), truth)
    report = _report(margins, margin, dataset.fingerprint, seed)
    known = {"pictures": len(rows), "time": time.strftime("%Y-%m-%d", time.gmtime()), "named_wrongly": NAMED_WRONGLY}
    change = partial(_change, model, margin, temperature, known)
    return Calibration(report, len(rows), change, f"The margin of '{NOTHING}' and confidence")


def _report(margins: Margins, margin: float, fingerprint: str, seed: int) -> Report:
    n = len(margins.present)
    fold, limit = np.random.default_rng(seed).permutation(n) % _FOLDS, np.empty(n, np.float32)
    for number in range(_FOLDS):
        limit[fold == number] = margins.at(np.flatnonzero(fold != number)).fitted()
    before, after = _figures(margins, np.zeros(n, np.float32)), _figures(margins, limit)
    rows = tuple((_TITLES[name], _ASKED.get(name), before[name], after[name]) for name in after)
    found, lost = after["detected_unknown"], after["false_alarms"]
    wide = lost.value > 0.5
    return Report(
        kind="calibrate",
        title=f"when to say '{NOTHING}', fitted to {count(n, 'picture')}",
        summary=(
            f"Of pictures of something else, {percent(found.value)} get no name (before: "
            f"{percent(before['detected_unknown'].value)}; asked: {percent(1 - NAMED_WRONGLY)}).",
            f"Of pictures of the names, {percent(lost.value)} get no name (before:"
            f" {percent(before['false_alarms'].value)}).",
            "The margin is kept for these weights: models of other names that they make use it.",
        ),
        metrics=after,
        tables=[
            Table(
                "Before and after", ("figure", "asked", "before", "after"), rows, f"{_HOW} Margin: {margin:.3g} logits."
            )
        ],
        warnings=["These weights hardly tell the names from other things: most pictures get no name."] if wide else [],
        provenance={"data": {"fingerprint": fingerprint, "pictures": n}, "seed": seed, **provenance()},
        data={"before": {name: metric.to_json() for name, metric in before.items()}, "margin": margin},
    )


_TITLES = {"detected_unknown": "something else, without a name", "false_alarms": "of the names, without a name"}
_ASKED = {"detected_unknown": 1 - NAMED_WRONGLY}
_HOW = (
    f"After: cross-validation in {_FOLDS} parts. A picture of something else is one whose own name is left out, or that"
    f" is labelled '{NOTHING}'."
)


def _figures(margins: Margins, limit: Floats) -> dict[str, Metric]:
    absent, present = np.isfinite(margins.absent), np.isfinite(margins.present)
    silent = int((margins.absent[absent] <= limit[absent]).sum())
    missed = int((margins.present[present] <= limit[present]).sum())
    shares = {"detected_unknown": (silent, int(absent.sum())), "false_alarms": (missed, int(present.sum()))}
    return {name: Metric(*proportion(hits, max(of, 1)), of) for name, (hits, of) in shares.items()}


def _change(
    model: Recognizer, margin: float, temperature: float, known: dict[str, Any], folder: Path
) -> dict[str, Any]:
    shift = np.zeros(len(model.classes))
    shift[model.classes.index(NOTHING)] = margin
    draft = Bundle(folder, model.info)
    shift_classes(draft, shift)
    set_temperature(draft.graph, temperature)
    stated = model.info["zero_shot"]
    whole = {**known, "margin": margin + float((stated.get("margin") or {}).get("margin", 0.0))}
    write_margin(str((model.info.get("training") or {}).get("sha256", "")), whole)
    return {"temperature": temperature, "zero_shot": {**stated, "margin": whole}}


def _file(sha256: str) -> Path:
    return cache_folder() / "weights" / "margins" / f"{sha256}.json"


def write_margin(sha256: str, known: dict[str, Any]) -> None:
    """Keep the margin of weights, which their SHA-256 names; nothing where that is not known."""
    if sha256.isalnum():
        _file(sha256).parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(sha256), known)


def read_margin(sha256: str) -> dict[str, Any] | None:
    """The margin of weights with what it was fitted to; None where it was not fitted yet, or is damaged."""
    try:
        known: dict[str, Any] = json.loads(_file(sha256).read_text(encoding="utf-8")) if sha256.isalnum() else {}
        return known if known and math.isfinite(float(known["margin"])) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
