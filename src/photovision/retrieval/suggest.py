"""Suggest: which pictures of an unlabelled folder to label next, and what more labels would buy.

The pictures are described by an index in the cache. How unsure a head is comes from the labels so far, or from a
finished model of any task; what is labelled already, or nearly the same, is not suggested again.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.inputs import as_pixels
from photovision.core.progress import Listener, visible
from photovision.core.report import Finding, Report
from photovision.core.thumbnail import picture_grid
from photovision.core.types import Floats, Ints, Sample
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.data.unlabelled import read_unlabelled
from photovision.engine.drift import DriftModel
from photovision.engine.load import load
from photovision.engine.progress import narrated
from photovision.retrieval.features import content_of, decoded
from photovision.retrieval.index import Index
from photovision.retrieval.search import open_index
from photovision.retrieval.suggest_text import accuracy_finding, curve_finding, head_line
from photovision.trust.active_choice import RANDOM_SHARE, margin_uncertainty, near_twins, next_batch
from photovision.trust.learning_curve import learning_curve
from photovision.trust.ridge import fit_ridge

CHOSEN_BY = "chosen_by"
"""Column of the table of suggestions, and attribute of labelled pictures: "uncertainty", "variety" or "random"."""
RANDOM = "random"
_SHOWN = 24
_BATCH = 32


@dataclass(frozen=True, eq=False)
class _KnownLabels:
    """What is known before anything is suggested.

    Attributes:
        uncertainty: float (N,) of the pictures of the index; None where nothing is known.
        proposal: N names of the class that is most probable, "" where none is.
        taken: bool (N,), pictures that are labelled already.
        findings: what the labels say of themselves.
    """

    uncertainty: Floats | None
    proposal: list[str]
    taken: np.ndarray
    findings: tuple[Finding, ...] = ()


@narrated
def suggest(
    folder: str | Path,
    *,
    labelled: Dataset | str | Path | None = None,
    model: Any = None,
    count: int = 50,
    random_share: float = RANDOM_SHARE,
    seed: int = 0,
    listener: Listener = visible,
) -> Report:
    """Choose the pictures of a folder whose labels would teach most.

    Args:
        folder: of unlabelled pictures, or an index of it; pictures of it that are labelled already are left out.
        labelled: images that are labelled so far; None where there are none.
        model: an opened model of any task, or its path: what it is unsure of is suggested; not with `labelled`.
        count: pictures to suggest.
        random_share: part of them that is drawn at random, by which accuracy is estimated without bias.
        seed: random seed.
        listener: of the progress of indexing.

    Returns:
        `data["next"]` lists the pictures with "file", "chosen_by" and "proposal".

    Raises:
        DataError: the folder does not exist, or everything in it is labelled.
        UsageError: a wrong number or share, or a model of a task that cannot be asked.
    """
    if labelled is not None and model is not None:
        raise UsageError("give labelled pictures or a model, not both: each says by itself what is uncertain")
    data = read_dataset(labelled) if isinstance(labelled, str | Path) else labelled
    asked = load(model) if isinstance(model, str | Path) else model
    with open_index(folder, listener=listener) as opened:
        ids, stored = opened.store.vectors()
        pictures, root = opened.store.pictures(), opened.folder
        files, vectors = [pictures[number].file for number in ids.tolist()], np.asarray(stored, np.float32)
        if data is not None:
            known = _from_labels(data, opened, files, vectors, count, seed)
        elif asked is not None:
            known = _from_model(asked, root, files)
        else:
            known = _KnownLabels(None, [""] * len(files), np.zeros(len(files), bool))
    free = np.flatnonzero(~known.taken)
    if not len(free):
        raise DataError(f"every readable picture of {folder} is labelled already: add pictures")
    unsure = None if known.uncertainty is None else known.uncertainty[free]
    batch = next_batch(vectors[free], unsure, count, seed, random_share)
    by = "variety" if unsure is None else "uncertainty"
    rows = [(int(free[row]), by) for row in batch.chosen] + [(int(free[row]), RANDOM) for row in batch.random]
    listed = [{"file": files[row], CHOSEN_BY: why, "proposal": known.proposal[row]} for row, why in rows]
    return _report(listed, root, len(free), known, seed)


def _from_labels(
    dataset: Dataset, opened: Index, files: list[str], vectors: Floats, more: int, seed: int
) -> _KnownLabels:
    """A ridge head on the labelled pictures, asked about those of the index."""
    labelled = [row for row, sample in enumerate(dataset.samples) if sample.target is not None]
    data = dataset.subset(np.array(labelled, np.int64))
    places, own = _described(data, opened, files, vectors)
    readable = np.flatnonzero(np.isfinite(own).all(1))
    taken = np.zeros(len(files), bool)
    taken[places[places >= 0]] = True
    taken |= near_twins(vectors, own[readable])
    targets = data.label_matrix[readable]
    if len(readable) < 2 or (targets.sum(0) > 0).sum() < 2:
        return _KnownLabels(None, [""] * len(files), taken)
    head = fit_ridge(own[readable], targets)
    scores = head(vectors)
    best = scores.argmax(1)
    groups = [data.samples[row].groups.get(CHOSEN_BY) for row in readable.tolist()]
    drawn = np.array([value == RANDOM for value in groups])
    right = targets[np.arange(len(targets)), head.held_out.argmax(1)] > 0
    curve = learning_curve(own[readable], targets, more, judged=drawn if drawn.sum() >= _BATCH else None, seed=seed)
    findings = (accuracy_finding(right, drawn), curve_finding(curve, len(readable), more))
    unsure = margin_uncertainty(scores, data.multilabel)
    return _KnownLabels(unsure, [data.classes[number] for number in best.tolist()], taken, findings)


def _from_model(model: Any, root: Path, files: list[str]) -> _KnownLabels:
    """The confidence of a model of any task."""
    dataset = read_unlabelled(root).dataset
    predictor: DriftModel = model.bundle.row.part("drift", "suggest")(model)
    predicted = predictor.predict(dataset)
    where = {sample.id: row for row, sample in enumerate(dataset.samples)}
    every = range(len(predicted)) if predicted.positions is None else predicted.positions.tolist()
    answers = dict(zip(every, zip(predicted.prob.tolist(), predicted.best.tolist(), strict=True), strict=True))
    found = [answers.get(where.get(file, -1), (0.0, -1)) for file in files]
    unsure = np.array([-prob for prob, _ in found], np.float32)
    names = [predictor.classes[best] if best >= 0 else "" for _, best in found]
    return _KnownLabels(unsure, names, np.zeros(len(files), bool))


def _described(dataset: Dataset, opened: Index, files: list[str], vectors: Floats) -> tuple[Ints, Floats]:
    """Where each of N labelled pictures stands among the files, -1 for nowhere, and its vector, NaN if unreadable."""
    root = os.path.realpath(opened.folder)
    at = {os.path.join(root, file): row for row, file in enumerate(files)}
    numbers = {file.file: number for number, file in opened.store.pictures().items()}
    rows = {numbers[file]: row for row, file in enumerate(files)}
    places, own = np.full(len(dataset), -1, np.int64), np.full((len(dataset), vectors.shape[1]), np.nan, np.float32)
    unseen: list[int] = []
    for position, sample in enumerate(dataset.samples):
        place = at.get(os.path.realpath(sample.image)) if isinstance(sample.image, Path) else None
        if place is None and isinstance(sample.image, Path):
            same = _same(sample.image, opened)
            place = next((rows[number] for number in same if number in rows), None)
        if place is None:
            unseen.append(position)
        else:
            places[position], own[position] = place, vectors[place]
    for start in range(0, len(unseen), _BATCH):
        shown = {position: _shown(dataset.samples[position], opened) for position in unseen[start : start + _BATCH]}
        read = {position: image for position, image in shown.items() if image is not None}
        if read:
            own[list(read)] = opened.spaces.vectors(opened.model.embed(np.stack(list(read.values()))))
    return places, own


def _same(path: Path, opened: Index) -> list[int]:
    try:
        content = hashlib.sha256(content_of(path)).digest()
    except UnreadableImage:
        return []
    return [one.id for one in opened.store.with_content(content)]


def _shown(sample: Sample, opened: Index) -> np.ndarray | None:
    """What the network of the index sees of a picture; None where it cannot be read."""
    from PIL import Image as Pillow

    try:
        if isinstance(sample.image, Path):
            return opened.model.shown(decoded(sample.image, opened.model.preprocess))
        return opened.model.shown(Pillow.fromarray(as_pixels(sample.image, sample.id)))
    except UnreadableImage:
        return None


def _report(listed: list[dict[str, str]], root: Path, free: int, known: _KnownLabels, seed: int) -> Report:
    samples = [Sample(one["file"], root / one["file"]) for one in listed[:_SHOWN]]
    captions = [f"{one['file']}: {one['proposal']}?" if one["proposal"] else one["file"] for one in listed[:_SHOWN]]
    drawn = picture_grid("Label these next", samples, captions, "The most informative first.")
    data: dict[str, Any] = {"folder": str(root), "next": listed, "unlabelled": free, "seed": seed}
    title = f"What to label next in {root.name}"
    figures = () if drawn is None else (drawn,)
    return Report("suggest", title, (head_line(listed, free),), figures=figures, data=data).including(*known.findings)
