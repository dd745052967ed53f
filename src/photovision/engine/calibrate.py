"""calibrate: a model's confidence fitted to images from the place of use, never to its training images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photovision.core.folder import reserved
from photovision.core.progress import Listener, ProgressCallback, counted, visible
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.data.read import Labels, Pictures
from photovision.engine.bundle_writer import changed_bundle
from photovision.engine.holdout import add_recalibration, unseen_part
from photovision.engine.load import opened
from photovision.engine.progress import narrated
from photovision.engine.read import data_for
from photovision.engine.similarity import accuracy_by_similarity
from photovision.runtime.similarity import NAME


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the part "calibrate" of a task finds: `(model, dataset, *, seed, progress) -> Calibration`.

    Attributes:
        report: of kind "calibrate": figures before and after, the latter by cross-validation.
        pictures: how many images it was fitted to.
        change: fits a copy of the bundle in a folder: writes its files, and returns the entries of bundle.json that
            differ. Raises ExportError where the changed graph does not do what it should.
        fitted: what was fitted, for the warning that older figures are not of this model: "Scores and thresholds".
    """

    report: Report
    pictures: int
    change: Callable[[Path], Mapping[str, Any]]
    fitted: str


@narrated
def calibrate(
    model: Any,
    data: Dataset | str | Path | Pictures,
    output: str | Path,
    labels: Labels | None = None,
    *,
    seed: int = 0,
    listener: Listener = visible,
) -> Report:
    """Write a copy of a model whose confidence is fitted to these images.

    Images that the model learned from, or that resemble these, are left out: on them every model is too sure.

    Args:
        model: an opened model of a task that can be calibrated, or its folder.
        data, labels: labelled images, as for `evaluate`: 50 for a classifier, 30 with 50 boxes for a detector.
        output: folder of the new bundle.
        seed: of the folds of the cross-validation.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        A report of kind "calibrate": calibration error and the like before and after.

    Raises:
        DataError: too few labelled images that the model did not learn from, or of other classes.
        ModelError: the classifier was made without prediction sets and novelty detection.
        UsageError: a model that cannot be calibrated, or `output` is its own folder.
    """
    own = opened(model, "calibrate")
    own.bundle.expect_files("calibrated")
    dataset, checking = data_for(own, data, labels), counted(listener, "checking pictures")
    part = unseen_part(dataset, own, "to calibrate a model", checking)
    report = calibrate_on(own, part.dataset, output, seed=seed, progress=counted(listener, "calibrating"))
    return replace(report, summary=(*report.summary, part.note))


def calibrate_on(
    model: Any, dataset: Dataset, output: str | Path, *, seed: int = 0, progress: ProgressCallback | None = None
) -> Report:
    """`calibrate` on images that are chosen already.

    Args:
        model: an opened model.
        dataset: labelled images that it did not learn from.
        output: folder of the new bundle; a model already there is replaced, whole.
        seed: of the folds.
        progress: called with (images done, N).
    """
    with reserved(output, "model", [model.bundle.path]):
        found: Calibration = model.bundle.row.part("calibrate")(model, dataset, seed=seed, progress=progress)
        _write(model, found, dataset, Path(output))
    return replace(found.report, title=f"{model.bundle.name}: {found.report.title}")


def _write(model: Any, found: Calibration, dataset: Dataset, output: Path) -> None:
    warning = f"{found.fitted} were fitted to {found.pictures:,} other pictures after these figures were measured."
    with changed_bundle(model.bundle, output) as draft:
        draft.info |= found.change(draft.folder)
        draft.info[NAME] = accuracy_by_similarity(model.bundle.row, draft.bundle, dataset)
        draft.info["recalibrated"] = {
            "data": found.report.provenance["data"]["fingerprint"],
            "pictures": found.pictures,
            "metrics": found.report.to_json()["metrics"],
        }
        draft.info["warnings"] = [*(model.info.get("warnings") or ()), warning]
        add_recalibration(draft.folder, dataset)
