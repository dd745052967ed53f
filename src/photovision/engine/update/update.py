"""update: a model grows by new labelled pictures, and the next version is promoted only where that is shown to help."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.progress import Listener, ProgressCallback, counted, visible
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.data.near_duplicates import resembling
from photovision.data.read import Labels, Pictures
from photovision.data.scan import scan
from photovision.data.split import units_of
from photovision.engine.bundle_writer import changed_bundle
from photovision.engine.holdout import Exposure, exposures, hold_out
from photovision.engine.load import load, opened
from photovision.engine.progress import narrated
from photovision.engine.read import data_for
from photovision.engine.update.growth import GOLDEN_FILE, Growth, UpdateRequest
from photovision.engine.update.ledger import VersionEvent
from photovision.engine.update.update_text import Outcome, again, nothing_new, report_of
from photovision.engine.update.versions import Versions, golden_folder, is_versions, new_versions
from photovision.runtime.bundle import Bundle
from photovision.runtime.training_images import (
    NONE,
    RECALIBRATION,
    TEST,
    TRAIN,
    TrainingImages,
    read_training_images,
    write_training_images,
)
from photovision.trust.promotion import PromotionLimits, next_level

MIN_PICTURES = 20
"""New pictures below which nothing can be learned and judged."""
HELD = 0.3
"""Share of the new pictures that are held out to judge."""


@dataclass(frozen=True, eq=False)
class NewPictures:
    """The new pictures of some data.

    Attributes:
        dataset: N pictures, labelled, readable, learned by no version.
        held: bool (N,), held out to judge.
        unit: int64 (N,), equal for pictures that belong together.
        images: what they look like.
        known: how many others an earlier version has learned from or been judged on.
        golden: how many others are, or resemble, pictures of the golden set.
    """

    dataset: Dataset
    held: np.ndarray
    unit: np.ndarray
    images: TrainingImages
    known: int
    golden: int


@dataclass(frozen=True, eq=False)
class _Kept:
    """A version that is asked only what it has learned from."""

    bundle: Bundle


@narrated
def update(
    model: Any,
    data: Dataset | str | Path | Pictures,
    labels: Labels | None = None,
    *,
    output: str | Path | None = None,
    golden: Dataset | str | Path | None = None,
    limits: PromotionLimits | None = None,
    seed: int = 0,
    listener: Listener = visible,
) -> Report:
    """Let a model grow by new labelled pictures, also of new classes, where that is shown to help.

    Everything happens in a folder of versions, whose link `current` leads to the one in use; verbs and services take
    the folder as a model. The old version is replaced only if the labels seem right, the new version is better by a
    one-sided paired test, whose level keeps wrong promotions rare over many updates, and neither the golden set nor a
    class, a group or calibration loses more than it may. Running it again with the same pictures changes nothing.

    Args:
        model: a folder of versions; or a model, of which one is made.
        data, labels: labelled pictures, as for `evaluate`; those that earlier versions know are left out.
        output: the folder of versions that is to be made of a model.
        golden: labelled pictures that judge all versions to come, needed with a model. Of the data of its training
            these are the test pictures. No picture that resembles one of them is ever learned from.
        limits: what a promotion may cost; None for the defaults.
        seed: random seed.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        A report of kind "update"; its JSON has "promoted", "version", "previous", "reasons" of a refusal.

    Raises:
        UsageError: a model that cannot grow, something in the place of `output`, or another run is at work.
        DataError: the data have no labelled pictures, or too few.
        ModelError: the folder is damaged.
    """
    checking = counted(listener, "checking pictures")
    if not isinstance(model, str | Path) or not is_versions(model):
        model = started(model, golden, output, listener)
    elif golden is not None or output is not None:
        raise UsageError(f"{model} has its golden set and its place already: leave out golden and output")
    with Versions(model) as versions, versions.alone():
        dataset = _labelled(data_for(load(versions.path(versions.current)), data, labels))
        return _update(versions, dataset, limits or PromotionLimits(), seed, listener, checking)


def started(model: Any, golden: Any, output: str | Path | None, listener: Listener) -> Path:
    """Make the folder of versions of a model; returns where it is."""
    own = opened(model, "update")
    own.bundle.expect_files("updated")
    if output is None or golden is None:
        raise UsageError(
            "the first update makes a folder of versions: name it with --output, and with --golden the labelled"
            " pictures that are to judge all versions"
        )
    held = hold_out(data_for(own, golden), [own], None, counted(listener, "checking pictures")).unseen(
        "to judge updates"
    )
    dataset = _labelled(held.dataset)
    with new_versions(output, own.bundle) as place:
        own.bundle.row.part("golden")(own, dataset, place / GOLDEN_FILE, counted(listener, "golden set"))
        write_training_images(TrainingImages.of(scan(dataset), TEST), golden_folder(place))
    return Path(output)


def rollback(folder: str | Path) -> str:
    """Let the version before the one in use be in use again; returns its name.

    Raises:
        ModelError: there is no folder of versions, or it is damaged.
        UsageError: its first version is in use, or a run is at work.
    """
    with Versions(folder) as versions, versions.alone():
        return versions.rollback()


def versions(folder: str | Path) -> dict[str, Any]:
    """What a folder of versions holds: "current", and "events", the oldest first; ModelError where it is none."""
    with Versions(folder) as found:
        return {"current": found.current, "events": [event.to_json() for event in found.ledger.events()]}


def _update(
    versions: Versions,
    dataset: Dataset,
    limits: PromotionLimits,
    seed: int,
    listener: Listener,
    checking: ProgressCallback,
) -> Report:
    now = versions.current
    model = load(versions.path(now))
    new = new_pictures(versions, dataset, seed, checking)
    if not len(new.dataset):
        return nothing_new(now, new)
    if len(new.dataset) < MIN_PICTURES:
        return nothing_new(now, new, MIN_PICTURES)
    key = _key(new, limits, seed)
    events = versions.ledger.events()
    for event in events:
        if event.kind == "refused" and event.data == key and event.version == now:
            return again(event)
    work = versions.folder / ".work" / key
    work.mkdir(parents=True, exist_ok=True)
    learning = counted(listener, "features")
    request = UpdateRequest(
        *(model, versions.state(now), versions.golden, new.dataset, new.held, new.unit, work, limits, seed, learning)
    )
    growth: Growth = model.bundle.row.part("update")(request)
    condition, promotion, tested = growth.check_labels(), None, [event for event in events if event.tested]
    if condition.holds:
        level = next_level([event.kind == "promoted" for event in tested], limits.level)
        promotion = growth.judge(level)
    outcome = Outcome(now, new, condition, promotion)
    if promotion is None or not promotion.granted:
        report = report_of(outcome)
        versions.ledger.add(VersionEvent("refused", now, now, key, promotion is not None, report.to_json()))
    else:
        report = _promote(versions, model, growth, outcome, key)
    shutil.rmtree(work, ignore_errors=True)
    return report


def _promote(versions: Versions, model: Any, growth: Growth, outcome: Outcome, key: str) -> Report:
    new, folder = outcome.new, Path(tempfile.mkdtemp(prefix="next-", dir=versions.folder / "versions"))
    try:
        with changed_bundle(model.bundle, folder / "model", keep="record") as draft:
            growth.write(draft, folder / "state")
            done = draft.info.get("updates") or []
            learned = {
                "data": new.dataset.fingerprint,
                "pictures": int((~new.held).sum()),
                "held_out": int(new.held.sum()),
            }
            draft.info["updates"] = [*done, {**learned, "from": outcome.version}]
            draft.report = report_of(outcome, metrics=draft.info["metrics"])
            draft.info["warnings"] = list(draft.report.warnings)
            _remember(draft.folder, new)
        report = report_of(outcome)
        name = versions.promote(
            folder / "model", folder / "state", VersionEvent("promoted", "", "", key, True, report.to_json())
        )
        return replace(report, data={**report.data, "version": name})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_pictures(
    versions: Versions, dataset: Dataset, seed: int, progress: ProgressCallback | None = None
) -> NewPictures:
    """The pictures that no version has learned from and that resemble none of the golden set; a part is held out.

    Pictures of one group, or that resemble each other, stay on one side; what resembles a picture that was learned from
    is learned from, too.
    """
    seen = scan(dataset, progress=progress)
    kept = [_Kept(versions.bundle(name)) for name in versions.names]
    exposed: Sequence[Exposure] = exposures(dataset, kept, seen=seen)
    known = np.any([one.learned | one.recalibrated for one in exposed], axis=0)
    related = np.any([one.related for one in exposed], axis=0)
    unit = units_of(dataset, seen, np.flatnonzero(seen.readable))
    twins = resembling(seen.looks, versions.golden_images.looks)
    golden = np.isin(unit, unit[twins]) & ~known
    rows = np.flatnonzero(seen.readable & ~known & ~golden)
    numbers = np.unique(unit[rows], return_inverse=True)[1]
    draws = np.random.default_rng(seed).random(numbers.max() + 1 if len(rows) else 0)[numbers]
    held = (draws < HELD) & ~related[rows]
    images = TrainingImages.of(seen, NONE).at(rows)
    part = dataset.subset(rows)
    return NewPictures(part, held, unit[rows], images, int((known & seen.readable).sum()), int(golden.sum()))


def _remember(folder: Path, new: NewPictures) -> None:
    """Let a bundle in the making keep what it learned from, and what was held out."""
    record = read_training_images(folder)
    role = np.where(new.held, RECALIBRATION, TRAIN).astype(np.uint8)
    images = replace(new.images, role=role)
    write_training_images(images if record is None else record.joined(images), folder)


def _labelled(dataset: Dataset) -> Dataset:
    rows = [row for row, sample in enumerate(dataset.samples) if sample.target]
    if not rows:
        raise DataError("the data have no labelled pictures: an update needs the class of each, in folders or a column")
    return dataset if len(rows) == len(dataset) and not dataset.splits else dataset.subset(rows)


def _key(new: NewPictures, limits: PromotionLimits, seed: int) -> str:
    """By what the same update is known again: pictures, labels and choices."""
    pictures = sorted(
        f"{int(digest):016x} {sample.label}"
        for digest, sample in zip(new.images.digest, new.dataset.samples, strict=True)
    )
    content = "\n".join([*pictures, repr(limits), str(seed)])
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:16]
