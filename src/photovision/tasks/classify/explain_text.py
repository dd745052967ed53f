"""What explanations mean, in words, pictures and curves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.overlay import legend, overlay
from photovision.core.phrases import count, listed
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg, thumbnail
from photovision.data.dataset import Dataset
from photovision.trust.explain import EXPLAINERS
from photovision.trust.explain import report_text as parts
from photovision.trust.explain.faithfulness import ALIKE, CHANCE, ORDERS, SPAN, FaithfulnessTest

if TYPE_CHECKING:
    from photovision.tasks.classify.explain import ClassExplainer, ExplainedClasses
    from photovision.tasks.classify.recognizer import Recognizer

_TOLD = 8  # pictures with a sentence each; of more, only the sums are told
_SHOWN_SIDE = 224
_SAME = 0.9999
"""Similarity above which two pictures are one."""


def report(found: ClassExplainer, images: Sequence[ExplainedClasses], unreadable: Sequence[str]) -> Report:
    """The report of kind "explain".

    Args:
        found: what explained the images.
        images: the explained ones.
        unreadable: messages about the others.
    """
    model = found.model
    backbone = model.info.get("backbone") or {}
    figures = [figure for one in images for figure in _figures(model, one, found.request.data)]
    figures.append(_reading(found))
    return Report(
        kind="explain",
        title=_title(model.bundle.name, images),
        assessment=parts.assessment([trial for one in images for trial in one.trials]),
        summary=_summary(found, images),
        metrics=_metrics(found, images),
        tables=[table for table in (_tests(images), _nearest(images)) if table.rows],
        figures=figures,
        warnings=_warnings(found, images, unreadable),
        provenance={"model": {"backbone": backbone.get("name"), "chosen": model.info.get("chosen")}, **provenance()},
        data={
            "methods": list(found.methods),
            "pictures": [_json(one) for one in images],
            "unreadable": list(unreadable),
        },
    )


def _title(name: str, images: Sequence[ExplainedClasses]) -> str:
    if len(images) > 1:
        return f"Why {name} answers {count(len(images), 'picture')} as it does"
    answer = images[0].answer
    return f"{name}: {answer.label}, {answer.prob:.0%} sure"


def _summary(found: ClassExplainer, images: Sequence[ExplainedClasses]) -> tuple[str, ...]:
    alone = images[0] if len(images) == 1 else None
    lines = []
    for row, method in enumerate(found.methods):
        tested = [trial for one in images if (trial := one.trials[row])]
        if tested and not (alone and len(found.methods) == 1):  # the assessment says what a single test found
            held = sum(trial.verdict == "holds" for trial in tested)
            lines.append(parts.passed(held, len(tested), method))
    if found.reason:
        lines.append(found.reason)
    if alone:
        return tuple(text for text in (_likes(alone), _answered(alone), *lines) if text)
    return (*lines, *(_sentence(one) for one in images if len(images) <= _TOLD))


def _answered(one: ExplainedClasses) -> str:
    """What was answered for a picture, and which class its maps are for where that is another one."""
    explained, text = one.maps[0].target, f"{one.name}: '{one.answer.label}' ({one.answer.prob:.0%})"
    return f"{text}." if explained == one.answer.best else f"{text}, explained for '{explained}'."


def _sentence(one: ExplainedClasses) -> str:
    tested = [trial.sentence for trial in one.trials if trial]
    return " ".join(part for part in (_answered(one), *tested[:1], _likes(one)) if part)


def _likes(one: ExplainedClasses) -> str:
    """What the most similar training pictures are."""
    if not one.neighbours:
        return ""
    (label, times), *others = Counter(near.label for near in one.neighbours).most_common()
    rest = f"; the others: {listed([name for name, _ in others])}" if others else ""
    return f"Of the {len(one.neighbours)} training pictures most like it, {times} show '{label}'{rest}."


def _metrics(found: ClassExplainer, images: Sequence[ExplainedClasses]) -> dict[str, Metric]:
    metrics = {}
    for row, method in enumerate(found.methods):
        held = parts.share_that_holds([one.trials[row] for one in images])
        if held is not None:
            metrics["maps_that_hold" if len(found.methods) == 1 else f"maps_that_hold_{method}"] = held
    return metrics


def _warnings(found: ClassExplainer, images: Sequence[ExplainedClasses], unreadable: Sequence[str]) -> list[str]:
    lines = []
    for row, method in enumerate(found.methods):
        doubtful = [one.name for one in images if (trial := one.trials[row]) and trial.verdict != "holds"]
        if doubtful:
            lines.append(f"{count(len(doubtful), 'map')} by {method} should not be relied on: {listed(doubtful)}.")
        explainer = EXPLAINERS.load(method)
        if not explainer.of_class:
            lines.append(f"{method} shows what the network looks at, whichever class is asked for.")
    if not all(trial for one in images for trial in one.trials):
        lines.append(parts.NOT_TESTED)
    strange = [one.name for one in images if one.answer.known is False]
    if strange:
        lines.append(
            f"{count(len(strange), 'picture')} resemble nothing the model has learned from: {listed(strange)}."
        )
    if learned := [one.name for one in images if one.neighbours and one.neighbours[0].similarity > _SAME]:
        are = "is a training picture, or a copy of one" if len(learned) == 1 else "are training pictures, or copies"
        lines.append(f"{count(len(learned), 'picture')} {are}: the model has seen it before.")
    if unreadable:
        lines.append(f"{count(len(unreadable), 'picture')} could not be read: {listed(unreadable)}.")
    if found.model.references is None:
        lines.append(f"The model remembers no training pictures, since {found.model.bundle.origin.no_pictures}.")
    return lines


def _reading(found: ClassExplainer) -> Figure:
    about = " ".join(f"{method}: {EXPLAINERS.load(method).about}" for method in found.methods)
    note = (
        f"{about} Each map has colours of its own range: compare places, not pictures. A map may be trusted if showing"
        " its places in a blurred picture brings the answer sooner, and hiding them takes it away sooner, than all but"
        f" at most one of {ORDERS} random orders through patches of the picture do (bands hold all of these; a map that"
        f" says nothing passes in at most 1 of {1 / CHANCE:.0f} cases), and if the same model with shuffled weights"
        f" gives another map (rank correlation below {ALIKE}). An answer that falls by less than {SPAN:.0%} where the"
        " whole picture is blurred cannot be tested."
    )
    return Figure("How to read the maps", svg=legend(), note=note)


def _figures(model: Recognizer, one: ExplainedClasses, data: Dataset | None) -> list[Figure]:
    name = parts.shown_name(one.name)
    title = f"{name}: {one.answer.label} ({one.answer.prob:.0%})"
    height, width = one.seen.shape[:2]
    pictures = [(jpeg(_enlarged(one.seen)), f"the {height} x {width} pixels\nthat the network sees")]
    for heat, trial in zip(one.maps, one.trials, strict=True):
        caption = f"{heat.method}, for '{heat.target}'\n{parts.verdict(trial)}"
        pictures.append((jpeg(overlay(one.upright, heat.heatmap, model.preprocess)), caption))
    figures = [Figure(name, pictures=tuple(pictures), first=True)]
    for heat, trial in zip(one.maps, one.trials, strict=True):
        if trial:
            figures.append(Figure(title, svg=_curves(trial, heat.method, heat.target), note=trial.sentence))
    near = _neighbours(one, data)
    return [*figures, Figure(title, pictures=near, note=_likes(one))] if near else figures


def _curves(trial: FaithfulnessTest, method: str, target: str) -> str:
    return parts.curves(trial, f"How fast the answer comes and goes, {method}", f"probability of {target}")


def _neighbours(one: ExplainedClasses, data: Dataset | None) -> tuple[tuple[bytes, str], ...]:
    """Pictures of the nearest training pictures, as far as `data` has them."""
    if data is None:
        return ()
    wanted = {near.id for near in one.neighbours}
    known = {sample.id: sample for sample in data.samples if sample.id in wanted}
    pictures = []
    for near in one.neighbours:
        content = thumbnail(known[near.id]) if near.id in known else None
        if content is not None:
            pictures.append((content, f"training picture: {near.label}\nsimilarity {near.similarity:.2f}\n{near.id}"))
    return tuple(pictures)


def _tests(images: Sequence[ExplainedClasses]) -> Table:
    rows = [
        (one.name, heat.target, heat.method, *parts.tested(trial))
        for one in images
        for heat, trial in zip(one.maps, one.trials, strict=True)
        if trial
    ]
    return parts.table(("picture", "class", "method", *parts.COLUMNS), rows, "the probability")


def _nearest(images: Sequence[ExplainedClasses]) -> Table:
    rows = tuple((one.name, near.label, near.similarity, near.id) for one in images for near in one.neighbours)
    note = "By what the last layer sees: the cosine of the embeddings, 1 at most."
    return Table("Nearest training pictures", ("picture", "is like", "similarity", "training picture"), rows, note)


def _json(one: ExplainedClasses) -> dict[str, Any]:
    maps = [
        {
            "method": heat.method,
            "target": heat.target,
            "heatmap": parts.cells(heat.heatmap),
            "test": trial.to_json() if trial else None,
        }
        for heat, trial in zip(one.maps, one.trials, strict=True)
    ]
    return {
        "picture": one.name,
        "label": one.answer.label,
        "prob": one.answer.prob,
        "known": one.answer.known,
        "top": [{"label": label, "prob": prob} for label, prob in one.answer.top()],
        "maps": maps,
        "nearest": [near._asdict() for near in one.neighbours],
    }


def _enlarged(seen: np.ndarray) -> np.ndarray:
    scale = _SHOWN_SIDE / max(seen.shape[:2])
    if scale <= 1:
        return seen
    size = round(scale * seen.shape[1]), round(scale * seen.shape[0])
    return np.asarray(Pillow.fromarray(seen).resize(size, Pillow.Resampling.NEAREST), np.uint8)
