"""What a classifier predicts and why, in the form in which the local page shows it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.page_layers import as_url
from photovision.core.preprocess import Preprocess
from photovision.core.result import Size
from photovision.core.types import Classes, Floats
from photovision.tasks.classify.recognizer import NOTHING, Recognizer

SHOWN, NAMED = 5, 6
"""Classes that are listed, and that a sentence names."""


def answer(model: Recognizer, found: Classes, size: Size) -> dict[str, Any]:
    """An answer for the page: `sure` is "sure", "unsure" or "unknown", `words` explains it in sentences."""
    within = found.prediction_set
    alone = found.prob >= 0.5 if within is None else len(within) == 1
    settled = alone if not found.multilabel else within is None or set(within) <= set(found.labels)
    return {
        "label": found.label,
        "labels": list(found.labels),
        "best": found.best,
        "prob": found.prob,
        "known": found.known,
        "novelty": found.novelty,
        "similarity": found.similarity,
        "elsewhere": found.elsewhere,
        "confidence": found.confidence,
        "sure": "unknown" if found.known is False else "sure" if settled else "unsure",
        "top": found.top(SHOWN),
        "set": None if within is None else list(within),
        "words": words(model, found),
    }


def words(model: Recognizer, answer: Classes) -> list[str]:
    """What the answer means, in sentences."""
    doubt = model.doubt
    if "zero_shot" in model.info:
        return [_by_name(answer)]
    if doubt is None or answer.prediction_set is None:
        return ["This model was made without prediction sets, so it never says “unknown”."]
    if answer.known is False:
        return [
            f"This picture is unlike those that the model learned from: novelty {answer.novelty:.1f}, where up to"
            f" {doubt.limit:.1f} counts as familiar. It is most like {answer.best}, but do not rely on that."
        ]
    return [*_meaning(doubt.coverage, answer, answer.prediction_set), *_elsewhere(answer)]


def _by_name(answer: Classes) -> str:
    """A sentence on a prediction of a classifier that was made of class names."""
    if answer.label != NOTHING:
        return "The name that it is most like; the model has seen no picture of it."
    near = next((name for name, _ in answer.top(2) if name != NOTHING), "")
    return f"None of the names fits.{f' The nearest is {near}, but do not rely on that.' if near else ''}"


def _elsewhere(answer: Classes) -> list[str]:
    """A sentence for a picture of known things that is less like the training pictures than held-out ones were."""
    if not answer.elsewhere or answer.similarity is None:
        return []
    share = "" if answer.confidence is None else f" Of such predictions about {100 * answer.confidence:.0f}% are right."
    return [
        f"It shows familiar things, but perhaps in another place or light: the similarity to the nearest training"
        f" picture is {answer.similarity:.2f}.{share}"
    ]


def _meaning(coverage: float, answer: Classes, within: tuple[str, ...]) -> list[str]:
    often = f"{100 * coverage:g} times in 100"
    kept = f"For pictures like the training pictures, the right class is among those listed {often}."
    if answer.multilabel:
        more = [name for name in within if name not in answer.labels]
        perhaps = f" Perhaps also {_listed(more)}." if more else ""
        return [f"{_listed(answer.labels) or 'No class'} counts as true.{perhaps}"]
    if len(within) == 1:
        return [f"Nothing else fits. {kept}"]
    if not within:
        return [f"No class is as probable as it usually is when it is right: {answer.best} is only a guess."]
    return [f"It could be any of these {len(within)}. {kept}"]


def reasons(model: Recognizer, picture: bytes, target: str | None, tested: bool) -> dict[str, Any]:
    """Why a model answers as it does: the default explainer's map as a layer over the picture, and neighbours."""
    from photovision.core.image import to_array
    from photovision.engine.explain import explanations
    from photovision.trust.explain import EXPLAINERS
    from photovision.trust.explain.request import ExplainRequest

    image = to_array(model.preprocess.decode(picture))
    found = explanations(model, [image], ExplainRequest(target=target, tests=tested))
    one, explainer = found.images[0], found.explainer
    layer = heat_layer(one.maps[0].heatmap, one.upright.shape[:2], model.preprocess)
    trial = one.trials[0]
    return {
        "target": one.maps[0].target,
        "method": explainer.methods[0],
        "about": EXPLAINERS.load(explainer.methods[0]).about,
        "reason": explainer.reason,
        "layer": as_url(layer),
        "verdict": None if trial is None else trial.verdict,
        "sentence": None if trial is None else trial.sentence,
        "nearest": [{"id": n.id, "label": n.label, "similarity": n.similarity} for n in one.neighbours],
    }


def heat_layer(heatmap: Floats, shape: tuple[int, int], preprocess: Preprocess) -> bytes:
    """A heatmap as PNG with transparency, to lie over the whole upright picture of `shape` (H, W).

    The heat is more opaque where it is hotter; what the network does not see is darkened.
    """
    from photovision.core.overlay import heat_colours, scaled

    height, width = shape
    left, top, right, bottom = (round(side) for side in preprocess.window(width, height))
    size = max(1, right - left), max(1, bottom - top)
    heat = np.clip(np.asarray(Pillow.fromarray(scaled(heatmap)).resize(size, Pillow.Resampling.BICUBIC)), 0, 1)
    layer = np.zeros((height, width, 4), np.uint8)
    layer[..., 3] = 165
    layer[top:bottom, left:right, :3] = heat_colours(heat)
    layer[top:bottom, left:right, 3] = np.round(255 * (0.35 + 0.65 * heat))
    buffer = io.BytesIO()
    Pillow.fromarray(layer, "RGBA").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
