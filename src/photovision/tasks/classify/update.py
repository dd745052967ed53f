"""The parts "golden" and "update" of classification: pictures become stored features, on which a classifier grows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.progress import ProgressCallback
from photovision.core.types import Floats, Ints, Sample
from photovision.data.dataset import Dataset
from photovision.engine.bundle_writer import BundleDraft
from photovision.engine.update.growth import UpdateRequest
from photovision.tasks.classify.exemplars import (
    Exemplars,
    HeadVersion,
    read_golden,
    read_version,
    write_golden,
    write_version,
)
from photovision.tasks.classify.grow import Golden, NewData, check_labels, grown, trial_of
from photovision.tasks.classify.grow_bundle import write_grown
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.promotion import Condition, Promotion, judge

_CHUNK = 256  # pictures, after which what was computed is kept for a run that is resumed
_MIN_GOLDEN = 20


def freeze_golden(model: Recognizer, dataset: Dataset, file: Path, progress: ProgressCallback | None = None) -> int:
    """Write what is kept of a golden set; returns how many pictures it has.

    Raises:
        DataError: a class that the model does not know, or too few pictures.
        UsageError: a model with several classes a picture.
        ModelError: a model that gives no embeddings, or remembers no pictures.
    """
    if model.multilabel:
        raise UsageError("'update' needs a classifier with one class a picture: this one gives any number")
    if model.references is None:
        raise ModelError(
            f"{model.bundle.path} remembers no training pictures, since {model.bundle.origin.no_pictures}: without them"
            " it would forget what it knows; train it again"
        )
    found = model.respond(dataset, progress, embeddings=True)
    rows = np.flatnonzero(np.isfinite(found.probs).all(1))
    if found.embeddings is None or len(rows) < _MIN_GOLDEN:
        raise DataError(f"the golden set needs at least {_MIN_GOLDEN} labelled pictures, got {len(rows)}: give more")
    golden = exemplars(found.embeddings[rows], [dataset.samples[int(row)] for row in rows], model.classes)
    write_golden(golden, found.logits[rows], file)
    return len(rows)


def exemplars(embedding: Floats, samples: list[Sample], classes: tuple[str, ...]) -> Exemplars:
    """Features (N, D) with the labels, names and groups of their samples; DataError for a class that is not known."""
    known = {name: number for number, name in enumerate(classes)}
    names = [sample.label for sample in samples]
    if unknown := sorted(set(names) - set(known)):
        raise DataError(f"the model does not know the class '{unknown[0]}': leave it out of the golden set")
    attributes = sorted({name for sample in samples for name in sample.groups})
    groups = {name: tuple(str(sample.groups.get(name, "")) for sample in samples) for name in attributes}
    label = np.array([known[name] for name in names], np.int64)
    return Exemplars(embedding.astype(np.float16), label, tuple(sample.id for sample in samples), groups)


@dataclass(eq=False)
class ClassGrowth:
    """A next version of a classifier in the making, see `engine.update.growth.Growth`."""

    request: UpdateRequest
    version: HeadVersion | None = None

    @cached_property
    def old(self) -> HeadVersion:
        """The version in use, with the exemplars that it keeps."""
        if self.request.state is not None:
            return read_version(self.request.state)
        model = self.request.model
        known = model.references
        if known is None:
            raise ModelError(f"{model.bundle.path} remembers no training pictures: train it again")
        number = {name: place for place, name in enumerate(model.classes)}
        rows = np.array([row for row, label in enumerate(known.labels) if label in number], np.int64)
        label = np.array([number[known.labels[int(row)]] for row in rows], np.int64)
        learned = Exemplars(known.embeddings[rows], label, tuple(known.ids[int(row)] for row in rows))
        none = learned.at(np.arange(0))
        return HeadVersion(model.classes, learned, none, temperature=float(model.info["temperature"]))

    @cached_property
    def golden(self) -> Golden:
        """The golden set, as the version in use answers it."""
        kept, logits = read_golden(self.request.golden)
        return Golden(kept, logits if self.old.weight is None else self.old.logits(kept))

    @cached_property
    def new(self) -> NewData:
        """The new pictures, as the version in use answers them."""
        request = self.request
        samples = list(request.dataset.samples)
        embedding, logits = self._outputs()
        readable = np.isfinite(logits).all(1)
        more = sorted({sample.label for sample in samples} - set(self.old.classes))
        classes = (*self.old.classes, *more)
        whole = exemplars(np.nan_to_num(embedding), samples, classes)
        learn, held = np.flatnonzero(readable & ~request.held), np.flatnonzero(readable & request.held)
        rows = np.concatenate([learn, held])
        return NewData(classes, whole.at(learn), whole.at(held), logits[rows], request.unit[rows])

    def check_labels(self) -> Condition:
        """See `Growth`."""
        return check_labels(self.old, self.new, self.golden, self.request.limits, self.request.seed)

    def judge(self, alpha: float) -> Promotion:
        """See `Growth`."""
        self.version = grown(self.old, self.new, self.golden, self.request.seed)
        return judge(trial_of(self.old, self.version, self.new, self.golden), self.request.limits, alpha)

    def write(self, draft: BundleDraft, state: Path) -> None:
        """See `Growth`."""
        assert self.version is not None
        logits = self.version.logits(self.golden.exemplars)
        golden = replace(self.golden, logits=logits)
        write_grown(draft, self.request.model, self.version, golden, self.request.dataset, self.request.seed)
        write_version(self.version, state)

    def _outputs(self) -> tuple[Floats, Floats]:
        """Embeddings and logits, NaN for unreadable pictures; what an interrupted run had computed is taken over."""
        request, parts = self.request, []
        for start in range(0, len(request.dataset), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(request.dataset)))
            parts.append(self._chunk(rows))
            if request.progress:
                request.progress(int(rows[-1]) + 1, len(request.dataset))
        return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])

    def _chunk(self, rows: Ints) -> tuple[Floats, Floats]:
        from safetensors.numpy import load_file, save_file

        file = self.request.work / f"{int(rows[0]):09}.safetensors"
        if file.is_file():
            kept = load_file(file)
            return kept["embedding"], kept["logits"]
        found = self.request.model.respond(self.request.dataset.subset(rows), embeddings=True)
        embedding = found.embeddings
        if embedding is None:
            embedding = np.full((len(rows), self.old.learned.embedding.shape[1]), np.nan, np.float32)
        part = file.with_suffix(".part")
        save_file({"embedding": embedding, "logits": found.logits}, part)
        part.replace(file)
        return embedding, found.logits
