"""What becomes of a classifier that is adapted to a place: its outputs, and the files of its bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from photovision.core.errors import ExportError
from photovision.core.types import Floats, Ints
from photovision.data.dataset import Dataset
from photovision.engine.graph_constants import shift_output
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import HeldOut, write_held_out
from photovision.runtime.similarity import NAME as EXPECTED
from photovision.runtime.similarity import ExpectedAccuracy, SimilarityIndex
from photovision.runtime.uncertainty import write_doubt
from photovision.runtime.validation import ValidationOutputs, write_validation
from photovision.tasks.classify.recognizer import ModelOutputs, Recognizer
from photovision.tasks.classify.refit import set_temperature
from photovision.trust.metrics.conformal import fit_sets
from photovision.trust.metrics.novelty import refit_gate
from photovision.trust.metrics.statistics import Vector
from photovision.trust.similarity import fit_expected_accuracy

if TYPE_CHECKING:
    from photovision.tasks.classify.adapt_normalisation import Normalised

MIX = "class_mix"
"""In bundle.json: the mix of classes that the probabilities are for, where a place differs from the training."""
_SHIFT = "class_shift"
_TOLERANCE, _COMPARED = 0.02, 32


@dataclass(frozen=True, eq=False)
class Adapted:
    """A classifier, adapted as far as `adapt` has come.

    Attributes:
        outputs: for M labelled validation images.
        here: outputs for N images of the place.
        similarity: float32 (M,) of the validation images, and `similarity_here` (N,) of the others.
        temperature: of the probabilities.
        rows: int64 (M,), validation images drawn as often as they count for the place.
        shift: float64 (C,), what was added to the logits; zeros for nothing.
        shares: float64 (C,), the mix of classes that the probabilities are for; None: that of the training.
        normalised: the network, where its normalisation was adapted.
        looks: of `HeldOutPlace`: predictions of the same network for held-out images, where `outputs` are those of
            the network before it learned from its validation images, too.
    """

    outputs: ValidationOutputs
    here: ModelOutputs
    similarity: Floats
    similarity_here: Floats
    temperature: float
    rows: Ints
    shift: Vector
    shares: Vector | None = None
    normalised: Normalised | None = None
    looks: tuple[Ints, Floats] | None = None

    @classmethod
    def of(cls, outputs: ValidationOutputs, here: ModelOutputs, index: SimilarityIndex, temperature: float) -> Adapted:
        """A classifier as it is."""
        assert here.embeddings is not None
        alike = index.of(outputs.embedding) if outputs.similarity is None else outputs.similarity
        return cls(
            outputs,
            here,
            alike,
            index.of(here.embeddings),
            temperature,
            np.arange(len(outputs)),
            np.zeros(outputs.logits.shape[1]),
        )

    @property
    def probs(self) -> Floats:
        """float32 (M, C), for the validation images."""
        return _probs(self.outputs.logits, self.temperature)

    @property
    def probs_here(self) -> Floats:
        """float32 (N, C), for the images of the place."""
        return _probs(self.here.logits, self.temperature)

    def expected(self) -> ExpectedAccuracy:
        """Accuracy by similarity, as the validation images tell it that count for the place."""
        probs, rows = self.probs[self.rows], self.rows
        right = (probs.argmax(1) == self.outputs.truth[rows]).astype(np.float64)
        component = self.outputs.component[rows]
        found = fit_expected_accuracy(probs.max(1), self.similarity[rows], right, component, name="accuracy")
        assert found is not None  # there are enough images
        return found

    def with_outputs(self, here: ModelOutputs, index: SimilarityIndex) -> Adapted:
        """With other outputs for the place, those of a network that was adapted to be there what it was before."""
        assert here.embeddings is not None
        return replace(self, here=here, similarity_here=index.of(here.embeddings))

    def with_mix(self, shares: Vector, log_ratio: Vector) -> Adapted:
        """With probabilities for another mix of classes."""
        shift = log_ratio * self.temperature
        outputs = replace(self.outputs, logits=_plus(self.outputs.logits, shift))
        here = replace(self.here, logits=_plus(self.here.logits, shift))
        return replace(self, outputs=outputs, here=here, shift=self.shift + shift, shares=shares)

    def weighted(self, weights: Vector, seed: int) -> Adapted:
        """With validation images that count by weights, float64 (M,), summing to 1 (systematic sampling)."""
        points = (np.arange(len(weights)) + np.random.default_rng(seed).random()) / len(weights)
        rows = np.minimum(np.searchsorted(np.cumsum(weights), points), len(weights) - 1)
        return replace(self, rows=rows.astype(np.int64))

    def write(self, model: Recognizer, dataset: Dataset, folder: Path) -> Mapping[str, Any]:
        """Change a copy of the model's bundle; see `Adaptation.change`.

        Args:
            model: that was adapted.
            dataset: the N images of the place.
            folder: of the copy.
        """
        draft = Bundle(folder, model.info)
        if self.normalised is not None:
            self.normalised.write(draft, self.temperature)
        if self.shift.any():
            shift_classes(draft, self.shift)
        set_temperature(draft.graph, self.temperature)
        changes = {"temperature": self.temperature, **self._write_limits(model, folder)}
        if self.shares is not None:
            changes[MIX] = self.shares.tolist()
        _check(Recognizer(Bundle(folder, {**model.info, **changes})), dataset, self.probs_here)
        return changes

    def _write_limits(self, model: Recognizer, folder: Path) -> dict[str, Any]:
        """Sets, novelty detection, accuracy by similarity, and what the bundle keeps of its images."""
        assert model.doubt is not None
        assert self.here.embeddings is not None
        outputs = self.outputs.at(self.rows)
        similarity = self.similarity[self.rows]
        sets = fit_sets(self.probs[self.rows], outputs.truth, similarity)
        assert sets is not None  # there are enough images
        gate = model.doubt.gate
        far = gate.distances(outputs.embedding) if outputs.distance is None else outputs.distance
        gate = refit_gate(gate, far, outputs.logits, similarity)
        novelty = gate.novelty(self.here.embeddings, self.here.logits, self.similarity_here)
        write_held_out(HeldOut.of(self.probs_here, novelty, self.here.embeddings), folder)
        write_validation(self.outputs, folder)
        return {"doubt": write_doubt(sets, gate, folder), EXPECTED: self.expected().to_json()}


def shift_classes(bundle: Bundle, shift: Vector) -> None:
    """Add float (C,) to the logits of a bundle in the making, in its graph and, where it has them, in its weights.

    Raises:
        ExportError: the graph gives no logits.
    """
    if not shift_output(bundle.graph, "logits", shift, _SHIFT):
        raise ExportError(f"the graph {bundle.graph} gives no logits that could be corrected: train the model again")
    weights = bundle.path / "model.safetensors"
    if not weights.is_file():
        return
    import torch
    from safetensors.torch import save_file

    from photovision.models.export import classifier
    from photovision.models.load_network import trained_network

    network = trained_network(bundle)
    layer = classifier(network)
    if layer.bias is None:
        raise ExportError("the network's last layer has no bias that could be corrected: choose another backbone")
    with torch.no_grad():
        layer.bias.add_(torch.from_numpy(shift).to(layer.bias.dtype))
    state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    save_file(state, weights, metadata={"format": "pt"})


def _probs(logits: Floats, temperature: float) -> Floats:
    return np.asarray(softmax(logits.astype(np.float64) / temperature, axis=1), np.float32)


def _plus(logits: Floats, shift: Vector) -> Floats:
    return np.asarray(logits + shift, np.float32)


def _check(model: Recognizer, dataset: Dataset, expected: Floats) -> None:
    """Raise ExportError where the graph that was written gives other probabilities than were computed."""
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), _COMPARED)).astype(int)
    got = model.respond(dataset.subset(rows)).probs
    difference = float(np.abs(got - expected[rows]).max(1).mean())
    if not difference <= _TOLERANCE:
        raise ExportError(
            f"the adapted graph does not predict what was computed: probabilities differ by {difference:.2g} on"
            f" average, more than {_TOLERANCE}; nothing was written, report this"
        )
