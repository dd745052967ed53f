"""adapt: a model fitted to a place of use by unlabelled images from there, as far as that helps and no further."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ExportError
from photovision.core.folder import reserved
from photovision.core.phrases import count, listed
from photovision.core.progress import Listener, ProgressCallback, counted, visible
from photovision.core.report import Assessment, Finding, Report, Table
from photovision.core.system import provenance
from photovision.data.dataset import Dataset, Problem
from photovision.data.read import Labels, Pictures
from photovision.data.unlabelled import read_unlabelled
from photovision.engine.bundle_writer import changed_bundle
from photovision.engine.holdout import add_recalibration, exposures, unseen_part
from photovision.engine.load import opened
from photovision.engine.progress import narrated
from photovision.engine.read import data_for
from photovision.runtime.training_images import VAL

MIN_PICTURES = 30
"""Images of a place below which nothing can be learned from them."""
NORMALISATION = "normalisation statistics"
"""The step that changes what the network computes."""
PURPOSE = "to adapt a model"


@dataclass(frozen=True)
class AdaptStep:
    """One thing that can be adapted.

    Attributes:
        name: such as "class mix".
        against: why it is left out, as the end of a sentence; "" where it is taken.
        effect: what it does, as a sentence; "" where it is left out.
    """

    name: str
    against: str = ""
    effect: str = ""

    @property
    def taken(self) -> bool:
        """Whether the model is changed by it."""
        return not self.against


@dataclass(frozen=True, eq=False)
class AdaptRequest:
    """What the part "adapt" of a task is asked: `(AdaptRequest) -> Adaptation`.

    Attributes:
        model: an opened model of the task.
        dataset: at least 30 unlabelled images of the place, none of which the model learned from.
        held_out: labelled images that the model did not learn from either, on which steps are tried that change what
            the network computes; None: such steps are left out.
        seed: random seed.
        progress: called with (images done, N).
    """

    model: Any
    dataset: Dataset
    held_out: Dataset | None = None
    seed: int = 0
    progress: ProgressCallback | None = None


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What the part "adapt" of a task finds.

    Attributes:
        steps: all that were considered, in their order.
        finding: figures before and after, on the images of the place.
        pictures: how many of these could be read.
        problems: the others.
        change: fits a copy of the bundle in a folder: writes its files, and returns the entries of bundle.json that
            differ. Raises ExportError where the changed graph does not do what it should.
    """

    steps: Sequence[AdaptStep]
    finding: Finding
    pictures: int
    problems: Sequence[Problem]
    change: Callable[[Path], Mapping[str, Any]]


@narrated
def adapt(
    model: Any,
    pictures: Dataset | str | Path | Pictures,
    output: str | Path,
    *,
    labelled: Dataset | str | Path | Pictures | None = None,
    labels: Labels | None = None,
    seed: int = 0,
    listener: Listener = visible,
) -> Report:
    """Write a copy of a model that is adapted to a place, learned from unlabelled images of it.

    Every step is tried in simulated places made of labelled held-out images; one that does not gain there, or that the
    images of the place give no reason for, is left out. Images that the model learned from are left out, too.

    Args:
        model: an opened model of a task that can be adapted, or its folder.
        pictures: 30 images of the place or more, as `data.unlabelled.read_unlabelled` takes them; labels are not used.
        output: folder of the new bundle.
        labelled, labels: labelled images, as for `evaluate`, best the data of the training: what the network computes
            is changed only if that can be tried on those which it did not learn from.
        seed: random seed.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        A report of kind "adapt": which steps were taken and which not, and what to expect before and after.

    Raises:
        ExportError: no step would help; nothing is written, and the message says why.
        DataError: too few images that the model did not learn from.
        ModelError: the bundle keeps too little of its held-out images.
        UsageError: a model that cannot be adapted, or `output` is its own folder.
    """
    own, checking = opened(model, "adapt"), counted(listener, "checking pictures")
    dataset = read_unlabelled(pictures).dataset
    if not len(dataset):
        raise DataError(f"adapting needs at least {MIN_PICTURES} pictures of the place, got none: give more")
    part = unseen_part(dataset, own, PURPOSE, checking)
    tried = None if labelled is None else held_out_of(data_for(own, labelled, labels), own, checking)
    request = AdaptRequest(own, part.dataset, tried, seed, counted(listener, "adapting"))
    report = adapt_on(request, output)
    return replace(report, summary=(*report.summary, part.note))


def adapt_on(request: AdaptRequest, output: str | Path) -> Report:
    """`adapt` on images that are chosen already; a model that is already at `output` is replaced, whole."""
    model = request.model
    with reserved(output, "model", [model.bundle.path]):
        found: Adaptation = model.bundle.row.part("adapt")(request)
        taken = [step.name for step in found.steps if step.taken]
        if not taken:
            reasons = "; ".join(f"{step.name}: {step.against}" for step in found.steps)
            raise ExportError(
                f"nothing was written, for no step would help here ({reasons}): keep the model as it is, or label some"
                " of the pictures and use 'photovision calibrate'"
            )
        report = _report(request, found)
        with changed_bundle(model.bundle, output) as draft:
            draft.info |= found.change(draft.folder)
            draft.info["adapted"] = {
                "steps": taken,
                "pictures": found.pictures,
                "data": report.provenance["data"]["fingerprint"],
                "metrics": report.to_json()["metrics"],
            }
            draft.info["warnings"] = [*(model.info.get("warnings") or ()), _warning(taken, found.pictures)]
            add_recalibration(draft.folder, request.dataset)
    return report


def held_out_of(dataset: Dataset, model: Any, progress: ProgressCallback | None = None) -> Dataset:
    """The labelled images on which steps are tried.

    Of the very data of the training these are its validation images; of other data those that the model did not learn
    from, and that do not resemble such. Raises DataError where there are none.
    """
    (known,) = exposures(dataset, [model], progress)
    if known.roles is None:
        return unseen_part(dataset, model, PURPOSE, progress).dataset
    rows = np.flatnonzero(known.roles == VAL)
    if not len(rows):
        raise DataError("the data of the training has no validation pictures: give other labelled pictures")
    return dataset.subset(rows)


def _warning(taken: Sequence[str], pictures: int) -> str:
    return (
        f"The model was adapted to {count(pictures, 'unlabelled picture')} of another place ({listed(taken)}) after"
        " these figures were measured; they are of the model that it was made from."
    )


def _unread(problems: Sequence[Problem]) -> tuple[str, ...]:
    names = listed([problem.id for problem in problems])
    left = f"{count(len(problems), 'picture')} could not be read and {'was' if len(problems) == 1 else 'were'} left out"
    return (f"{left}: {names}.",) if problems else ()


def _report(request: AdaptRequest, found: Adaptation) -> Report:
    steps = found.steps
    taken = listed([step.name for step in steps if step.taken])
    rows = tuple((step.name, "yes" if step.taken else "no", step.effect or f"{step.against}.") for step in steps)
    report = Report(
        kind="adapt",
        title=f"{request.model.bundle.name}: adapted to {count(found.pictures, 'unlabelled picture')}",
        assessment=Assessment("good", "Adapted", f"{taken} gained in simulated places like this one."),
        summary=tuple(
            f"{step.name.capitalize()}: {step.effect}" if step.taken else f"Left out, {step.name}: {step.against}."
            for step in steps
        ),
        warnings=_unread(found.problems),
        tables=[Table("Steps", ("step", "taken", "why"), rows)],
        provenance={
            "data": {"fingerprint": request.dataset.fingerprint, "pictures": found.pictures},
            "seed": request.seed,
            **provenance(),
        },
        data={"steps": [{"name": row[0], "taken": row[1] == "yes", "why": row[2]} for row in rows]},
    )
    return report.including(found.finding)
