"""A classifier adapted to a place by unlabelled images: normalisation, class mix, temperature and prediction sets.

Everything is fitted to the outputs for labelled validation images that the bundle keeps, weighted so that they are like
the images of the place, and tried in simulated places made of the same. What the limits of the model hold for is then
the place; what they held for before is another model's.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError, ModelError
from photovision.core.report import Finding, Metric, Table
from photovision.core.types import Floats, Ints
from photovision.data.dataset import Dataset, Problem
from photovision.engine.adapt import MIN_PICTURES, NORMALISATION, Adaptation, AdaptRequest, AdaptStep
from photovision.engine.similarity import similarity_index
from photovision.runtime.held_out import read_held_out
from photovision.runtime.similarity import SimilarityIndex
from photovision.runtime.validation import ValidationOutputs, read_validation
from photovision.tasks.classify.adapt_bundle import MIX, Adapted
from photovision.tasks.classify.recognizer import ModelOutputs, Recognizer
from photovision.trust.class_mix import ClassMix, HeldOutPlace, class_mix
from photovision.trust.metrics.statistics import Vector
from photovision.trust.place_temperature import PlaceTemperature, alike_as, place_temperature
from photovision.trust.similarity import estimate

MIN_HELD_OUT = 50
"""Validation images below which nothing can be fitted again."""
_SHOWN = 20


def adapt(request: AdaptRequest) -> Adaptation:
    """Adapt a classifier; see `photovision.engine.adapt`.

    Raises:
        DataError: too few readable images.
        ModelError: the bundle keeps too little.
    """
    model: Recognizer = request.model
    if model.multilabel:
        from photovision.tasks.classify.adapt_several import adapt_several

        return adapt_several(request)
    outputs, index, usual = _known(model)
    dataset, here, problems = _answers(model, request)
    start = Adapted.of(outputs, here, index, float(model.info.get("temperature") or 1.0))
    start = replace(start, looks=_looks(model, outputs))
    normalisation, found = _normalisation(replace(request, dataset=dataset), start, index, usual)
    mix = _mix(found, usual, request.seed)
    if not mix.against:
        found = found.with_mix(mix.shares, mix.log_ratio)
    found, warmth = _temperature(found, mix, usual, request.seed)
    steps = (normalisation, _mix_step(mix, model.classes), _temperature_step(warmth))
    finding = _finding(model, start, found, mix, warmth, request.seed)
    return Adaptation(steps, finding, len(dataset), problems, partial(found.write, model, dataset))


def _known(model: Recognizer) -> tuple[ValidationOutputs, SimilarityIndex, Vector]:
    """What the bundle keeps of its images, and the mix of classes that its probabilities are for."""
    bundle = model.bundle
    outputs, index = bundle.still(read_validation(bundle.path, len(model.classes))), similarity_index(bundle)
    if model.doubt is None or outputs is None or index is None:
        raise ModelError(
            f"{bundle.path} keeps no outputs for labelled validation pictures, as models made by older versions: train"
            " or calibrate it again to be able to adapt it"
        )
    if len(outputs) < MIN_HELD_OUT:
        raise ModelError(
            f"adapting needs outputs for at least {MIN_HELD_OUT} labelled validation pictures, and {bundle.path} keeps"
            f" {len(outputs)}: train it with more pictures, or calibrate it"
        )
    return outputs, index, _usual(model, outputs)


def _looks(model: Recognizer, outputs: ValidationOutputs) -> tuple[Ints, Floats] | None:
    """Of test images, which the network gave itself; None where the validation images have its own embeddings."""
    if not model.bundle.learned_val or outputs.distance is None:
        return None
    answers = model.bundle.still(read_held_out(model.bundle.path))
    return None if answers is None or answers.embedding is None else (answers.best, answers.embedding)


def _usual(model: Recognizer, outputs: ValidationOutputs) -> Vector:
    """Of the training, or of the place that the model was adapted to; where none is known, of the validation images."""
    counts = (model.info.get("data") or {}).get("train_per_class") or {}
    learned = np.array([float(counts.get(name, 0)) for name in model.classes])
    if not learned.sum():
        learned = np.bincount(outputs.truth, minlength=len(learned)).astype(np.float64)
    earlier = model.info.get(MIX)
    if earlier is not None and len(earlier) != len(learned):
        raise ModelError(f"{model.bundle.path}: '{MIX}' in bundle.json is damaged: copy the model again")
    mix = learned + 1 if earlier is None else np.maximum(earlier, 1e-6)
    return np.asarray(mix / mix.sum())


def _answers(model: Recognizer, request: AdaptRequest) -> tuple[Dataset, ModelOutputs, list[Problem]]:
    """The readable images of the place, the outputs for them, and the others."""
    found = model.respond(request.dataset, request.progress, embeddings=True)
    rows = np.flatnonzero(np.isfinite(found.logits).all(1))
    if len(rows) < MIN_PICTURES or found.embeddings is None:
        raise DataError(
            f"adapting needs at least {MIN_PICTURES} readable pictures that the model did not learn from, got"
            f" {len(rows)}: give more"
        )
    kept = ModelOutputs.blank(len(rows), len(model.classes))
    outputs = replace(kept, logits=found.logits[rows], embeddings=found.embeddings[rows])
    return request.dataset.subset(rows), outputs, found.problems


def _normalisation(
    request: AdaptRequest, start: Adapted, index: SimilarityIndex, usual: Vector
) -> tuple[AdaptStep, Adapted]:
    """With the normalisation of the place, where that helps."""
    if request.held_out is None:
        return AdaptStep(NORMALISATION, "they are tried on labelled pictures, and none were given (--labelled)"), start
    from photovision.tasks.classify.adapt_normalisation import adapt_normalisation

    expected, probs = start.expected(), start.probs_here
    before = float(expected.of(probs.max(1), start.similarity_here).mean(dtype=np.float64))

    def fall(outputs: ModelOutputs) -> float:
        other = start.with_outputs(outputs, index)
        return before - float(expected.of(other.probs_here.max(1), other.similarity_here).mean(dtype=np.float64))

    step, network = adapt_normalisation(request, start.temperature, usual, fall)
    if network is None:
        return step, start
    return step, replace(start.with_outputs(network.outputs, index), normalised=network)


def _place(adapted: Adapted, usual: Vector) -> HeldOutPlace:
    probs = adapted.probs
    expected = adapted.expected().of(probs.max(1), adapted.similarity)
    outputs = adapted.outputs
    kept = probs, outputs.truth, outputs.component, usual, expected, outputs.embedding
    return HeldOutPlace(*kept, looks=adapted.looks)


def _mix(adapted: Adapted, usual: Vector, seed: int) -> ClassMix:
    probs = adapted.probs_here
    expected = adapted.expected().of(probs.max(1), adapted.similarity_here)
    assert adapted.here.embeddings is not None
    return class_mix(probs, expected, adapted.here.embeddings, _place(adapted, usual), seed=seed)


def _mix_step(mix: ClassMix, classes: tuple[str, ...]) -> AdaptStep:
    most = int(np.abs(mix.shares - mix.usual).argmax())
    effect = (
        f"'{classes[most]}' is {percent(mix.shares[most])} of the pictures here instead of {percent(mix.usual[most])};"
        f" correcting for the mix is expected to put {percent(mix.gain)} of the predictions right."
    )
    return AdaptStep("class mix", mix.against, "" if mix.against else effect)


def _temperature(adapted: Adapted, mix: ClassMix, usual: Vector, seed: int) -> tuple[Adapted, PlaceTemperature]:
    """With the temperature of the place, where it is taken; validation images count as often as it has such."""
    shares = mix.usual if mix.against else mix.shares
    often = alike_as(adapted.similarity_here, adapted.similarity)
    adapted = adapted.weighted(replace(_place(adapted, usual), often=often).weights(shares), seed)
    place = replace(_place(adapted, usual), often=often)
    probs = adapted.probs_here
    expected = estimate(adapted.expected(), probs.max(1), adapted.similarity_here, seed=seed)
    found = place_temperature(probs, expected, place, shares, seed=seed)
    return adapted if found.against else replace(adapted, temperature=adapted.temperature * found.factor), found


def _temperature_step(found: PlaceTemperature) -> AdaptStep:
    effect = (
        f"multiplied by {found.factor:.2f}, for the mean confidence here was {percent(found.stated)} and the accuracy"
        f" to be expected is {percent(found.expected.value)}."
    )
    return AdaptStep("temperature", found.against, "" if found.against else effect)


def _finding(
    model: Recognizer, start: Adapted, found: Adapted, mix: ClassMix, warmth: PlaceTemperature, seed: int
) -> Finding:
    figures: dict[str, Metric] = {}
    for name, one in (("before", start), ("after", found)):
        probs = one.probs_here
        value = estimate(one.expected(), probs.max(1), one.similarity_here, seed=seed)
        figures |= {
            f"expected_accuracy_{name}": value,
            f"mean_confidence_{name}": Metric(float(probs.max(1).mean()), n=len(probs)),
        }
    order = np.argsort(-np.abs(mix.shares - mix.usual), kind="stable")[:_SHOWN]
    shares = (Metric(float(mix.shares[c]), float(mix.low[c]), float(mix.high[c]), len(found.probs_here)) for c in order)
    rows = tuple((model.classes[c], percent(mix.usual[c]), share) for c, share in zip(order, shares, strict=True))
    note = "Estimated by expectation maximisation, drawn towards the mix of the training; those that differ most first."
    trial = mix.trial
    return Finding(
        metrics=figures,
        tables=[Table("Mix of classes", ("class", "in the training", "here"), rows, note)],
        data={
            "class_mix": {
                "p": mix.p,
                "expected_gain": mix.gain,
                "separability": mix.separability,
                "unexplained": mix.unexplained,
                "simulated_gain": float(trial.mean()) if len(trial) else None,
                "simulated_harmed": mix.harmed,
            },
            "temperature": {"factor": warmth.factor, "taken": not warmth.against},
        },
    )
