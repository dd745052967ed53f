"""What explanations mean, in words, pictures and curves."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.curves import CurveLine, lines
from photovision.core.phrases import count, listed
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg, thumbnail
from photovision.core.types import Attribution
from photovision.data.dataset import Dataset
from photovision.trust.explain import EXPLAINERS
from photovision.trust.explain.faithfulness import ALIKE, CHANCE, ORDERS, SHARES, SPAN, FaithfulnessTest, cell_means
from photovision.trust.explain.overlay import legend, overlay, scaled
from photovision.trust.metrics.statistics import wilson

if TYPE_CHECKING:
    from photovision.tasks.classify.recognizer import Recognizer
    from photovision.tasks.explain import ExplainedImage, Explanations

GRID = 14
"""Rows and columns of the heatmaps in the JSON document."""
_TOLD = 8  # pictures with a sentence each; of more, only the sums are told
_SHOWN_SIDE = 224
_SHORT = {"holds": "may be trusted", "fails": "do not trust it", "untestable": "cannot be tested"}


def report(model: Recognizer, found: Explanations, data: Dataset | None) -> Report:
    """The report of kind "explain".

    Args:
        model: the model that was asked.
        found: what was found out.
        data: its training data, to show pictures of it; None shows their names.
    """
    backbone = model.info.get("backbone") or {}
    figures = [_reading(found)]
    for one in found.pictures:
        figures += _figures(model, one, data)
    return Report(
        kind="explain",
        title=f"Why {backbone.get('name') or 'the model'} answers {count(len(found.pictures), 'picture')} as it does",
        summary=_summary(found),
        metrics=_metrics(found),
        tables=[table for table in (_tests(found), _nearest(found)) if table.rows],
        figures=figures,
        warnings=_warnings(model, found),
        provenance={"model": {"backbone": backbone.get("name"), "chosen": model.info.get("chosen")}, **provenance()},
        data={
            "methods": list(found.methods),
            "pictures": [_json(one) for one in found.pictures],
            "unreadable": list(found.unreadable),
        },
    )


def _summary(found: Explanations) -> tuple[str, ...]:
    told = []
    for row, method in enumerate(found.methods):
        tested = [trial for one in found.pictures if (trial := one.trials[row])]
        if tested:
            held = sum(trial.verdict == "holds" for trial in tested)
            told.append(f"{held:,} of {count(len(tested), 'map')} by {method} stood the tests and may be trusted.")
    if found.reason:
        told.append(found.reason)
    if len(found.pictures) <= _TOLD:
        told += [_sentence(one) for one in found.pictures]
    return tuple(told)


def _sentence(one: ExplainedImage) -> str:
    explained, said = one.maps[0].target, f"{one.name}: '{one.answer.label}' ({one.answer.prob:.0%})"
    if explained != one.answer.best:
        said += f", explained for '{explained}'"
    tested = [trial for trial in one.trials if trial]
    parts = [f"{said}.", *(f"{trial.sentence}" for trial in tested[:1]), _likes(one)]
    return " ".join(part for part in parts if part)


def _likes(one: ExplainedImage) -> str:
    """What the most similar training pictures are."""
    if not one.neighbours:
        return ""
    (label, times), *others = Counter(near.label for near in one.neighbours).most_common()
    rest = f"; the others: {listed([name for name, _ in others])}" if others else ""
    return f"Of the {len(one.neighbours)} training pictures most like it, {times} show '{label}'{rest}."


def _metrics(found: Explanations) -> dict[str, Metric]:
    metrics = {}
    for row, method in enumerate(found.methods):
        tested = [trial for one in found.pictures if (trial := one.trials[row])]
        if tested:
            held = sum(trial.verdict == "holds" for trial in tested)
            name = "maps_that_hold" if len(found.methods) == 1 else f"maps_that_hold_{method}"
            metrics[name] = Metric(held / len(tested), *wilson(held, len(tested)), len(tested))
    return metrics


def _warnings(model: Recognizer, found: Explanations) -> list[str]:
    told = []
    for row, method in enumerate(found.methods):
        doubtful = [one.name for one in found.pictures if (trial := one.trials[row]) and trial.verdict != "holds"]
        if doubtful:
            told.append(f"{count(len(doubtful), 'map')} by {method} should not be relied on: {listed(doubtful)}.")
        explainer = EXPLAINERS.load(method)
        if not explainer.of_class:
            told.append(f"{method} shows what the network looks at, whichever class is asked for.")
    if not all(trial for one in found.pictures for trial in one.trials):
        told.append("The maps were not tested: do not believe them for their looks.")
    strange = [one.name for one in found.pictures if one.answer.known is False]
    if strange:
        told.append(f"{count(len(strange), 'picture')} resemble nothing the model has learned from: {listed(strange)}.")
    if found.unreadable:
        told.append(f"{count(len(found.unreadable), 'picture')} could not be read: {listed(found.unreadable)}.")
    if model.references is None:
        told.append("The model remembers no training pictures, since it was made by an older Photovision.")
    return told


def _reading(found: Explanations) -> Figure:
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


def _figures(model: Recognizer, one: ExplainedImage, data: Dataset | None) -> list[Figure]:
    title = f"{one.name}: {one.answer.label} ({one.answer.prob:.0%})"
    height, width = one.seen.shape[:2]
    pictures = [(jpeg(_enlarged(one.seen)), f"the {height} x {width} pixels\nthat the network sees")]
    for heat, trial in zip(one.maps, one.trials, strict=True):
        caption = f"{heat.method}, for '{heat.target}'" + (f"\n{_SHORT[trial.verdict]}" if trial else "\nnot tested")
        pictures.append((jpeg(overlay(one.upright, heat.heatmap, model.preprocess)), caption))
    figures = [Figure(title, pictures=tuple(pictures))]
    for heat, trial in zip(one.maps, one.trials, strict=True):
        if trial:
            figures.append(Figure(title, svg=_curves(trial, heat), note=trial.sentence))
    near = _neighbours(one, data)
    return [*figures, Figure(title, pictures=near, note=_likes(one))] if near else figures


def _curves(trial: FaithfulnessTest, heat: Attribution) -> str:
    found = {}
    for name, own, random in (
        ("shown", trial.insertion, trial.random_insertion),
        ("hidden", trial.deletion, trial.random_deletion),
    ):
        low, high = random.min(0), random.max(0)
        found[f"{name} in the map's order"] = CurveLine(SHARES, own)
        found[f"{name} at random"] = CurveLine(SHARES, random.mean(0), low, high, dashed=True)
    title = f"How fast the answer comes and goes, {heat.method}"
    return lines(found, title, "share of the picture", f"probability of {heat.target}", x_form="{:.0%}".format)


def _neighbours(one: ExplainedImage, data: Dataset | None) -> tuple[tuple[bytes, str], ...]:
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


def _tests(found: Explanations) -> Table:
    rows = []
    for one in found.pictures:
        for heat, trial in zip(one.maps, one.trials, strict=True):
            if trial:
                (shown, hidden), (random_shown, random_hidden) = trial.areas, trial.random_areas
                rows.append(
                    (
                        one.name,
                        heat.target,
                        heat.method,
                        _SHORT[trial.verdict],
                        f"{shown:.2f} ({random_shown:.2f})",
                        f"{hidden:.2f} ({random_hidden:.2f})",
                        f"{trial.beaten} of {len(trial.random_insertion)}",
                        trial.likeness,
                    )
                )
    columns = ("picture", "class", "method", "verdict", "insertion", "deletion", "orders beaten", "shuffled weights")
    note = (
        "Insertion and deletion: area under the probability while places are shown or hidden, that of random orders in"
        " brackets; high insertion and low deletion are good. Shuffled weights: rank correlation with the maps of"
        " models that have learned nothing; near 0 is good."
    )
    return Table("Tests of the maps", columns, tuple(rows), note)


def _nearest(found: Explanations) -> Table:
    rows = tuple((one.name, near.label, near.similarity, near.id) for one in found.pictures for near in one.neighbours)
    note = "By what the last layer sees: the cosine of the embeddings, 1 at most."
    return Table("Nearest training pictures", ("picture", "is like", "similarity", "training picture"), rows, note)


def _json(one: ExplainedImage) -> dict[str, Any]:
    maps = []
    for heat, trial in zip(one.maps, one.trials, strict=True):
        cells = cell_means(scaled(heat.heatmap)[None], GRID)[0]
        rows = min(GRID, heat.heatmap.shape[0])
        maps.append(
            {
                "method": heat.method,
                "target": heat.target,
                "heatmap": np.round(cells.reshape(rows, -1).astype(float), 3).tolist(),
                "test": trial.to_json() if trial else None,
            }
        )
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
