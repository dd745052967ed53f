"""Shortcuts: does the model look at the object, or at something beside it that happened to go with the class?

What cannot be found: cues that fill the picture or lie over the object (a tint, a camera's noise, a watermark in the
middle), and cues that only tip the balance between look-alikes, because a part of the object may do that, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from photovision.core.drawing import Bar, bars, percent
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.thumbnail import THUMBNAIL, jpeg
from photovision.core.types import Floats, Image
from photovision.trust.robustness.patch_transplant import BAR, LEVEL, MIN_PICTURES, Answer, Confirmed
from photovision.trust.robustness.shortcut_tests import Shortcuts, find_shortcuts

_TRANSPLANTS = "Does a mark at the border decide? (patch transplants)"
_SHOWN = 3  # shortcuts with a strip of pictures
_LIMITS = (
    "Cues that fill the picture or lie over the object, and cues that only tip the balance between look-alikes, are not"
    " found by it."
)


def audit_shortcuts(
    answer: Answer,
    images: Image,
    truth: np.ndarray,
    *,
    classes: Sequence[str],
    thresholds: Floats | None = None,
    heatmaps: Floats | None = None,
    answers: int = 4000,
    seed: int = 0,
) -> Finding:
    """`find_shortcuts` as sentences, tables and pictures; arguments as there, and C class names.

    Returns:
        metrics `accuracy_without_centre`, `accuracy_without_border` and, where maps are given, `attribution_outside`;
        a warning for every shortcut; `data` under "shortcuts".
    """
    found = find_shortcuts(answer, images, truth, thresholds=thresholds, heatmaps=heatmaps, answers=answers, seed=seed)
    metrics = {
        "accuracy_without_centre": Metric(*found.accuracy["centre gone"][0], found.accuracy["centre gone"][1]),
        "accuracy_without_border": Metric(*found.accuracy["border gone"][0], found.accuracy["border gone"][1]),
    }
    if found.outside:
        metrics["attribution_outside"] = Metric(*found.outside[0], found.outside[1])
    tables = [_transplant_table(found, classes), _mask_table(found), _marker_table(found, classes)]
    return Finding(
        summary=(_verdict(found, classes), _masks_told(found)),
        metrics=metrics,
        tables=[table for table in tables if table is not None],
        figures=[*_chart(found, classes), *_strips(found, answer, images, classes)],
        warnings=[_warning(one, classes) for one in found.found],
        data={"shortcuts": _document(found, classes)},
    )


def _verdict(found: Shortcuts, classes: Sequence[str]) -> str:
    if not found.examined:
        return f"Shortcuts could not be looked for: no class has at least {MIN_PICTURES} pictures (and as many others)."
    if found.found:
        names = ", ".join(f"'{classes[one.target]}' ({one.region})" for one in found.found)
        return f"The model takes shortcuts: a small region beside the object decides for {names}."
    few = len(classes) - len(found.examined)
    left = (
        f" {few:,} of {len(classes):,} classes have fewer than {MIN_PICTURES} pictures and were not examined."
        if few
        else ""
    )
    return (
        f"No shortcut was found at the border: no region there turns significantly more than {100 * BAR:g} of 100 other"
        f" pictures to its class ({len(found.examined):,} classes, {found.images_tested:,} answers).{left} {_LIMITS}"
    )


def _warning(one: Confirmed, classes: Sequence[str]) -> str:
    name = classes[one.target]
    low, high = 100 * one.effect.low, 100 * one.effect.high
    text = (
        f"{one.region.capitalize()} decides for '{name}': pasted from its pictures into {one.n:,} pictures of other"
        f" classes it turns {percent(one.moved.value)} of them to '{name}', from other pictures"
        f" {percent(one.control.value)} (difference {low:.1f} to {high:.1f} points), an equally large centre"
        f" {percent(one.centre.value)}."
    )
    if one.share_of_other_class is not None and one.share_of_same_class is not None:
        text += (
            f" With that region from another class {percent(one.share_of_other_class.value)} of its own pictures are"
            f" still called"
            f" '{name}', with its own kind {percent(one.share_of_same_class.value)}."
        )
    return text + " Look at what lies there, and train without it."


def _masks_told(found: Shortcuts) -> str:
    whole, centre, border = (found.accuracy[name][0] for name in ("whole picture", "centre gone", "border gone"))
    n = found.accuracy["whole picture"][1]
    text = (
        f"With the centre's half of the picture gone {percent(centre.value)} of {n:,} answers are right, with the"
        f" border's half gone {percent(border.value)}, of whole pictures {percent(whole.value)}; guessing gives"
        f" {percent(found.guessing)}."
    )
    if centre.low > (whole.value + found.guessing) / 2:
        text += " Most of its skill needs no centre: objects reach far out, or it knows them by what surrounds them."
    return text


def _transplant_table(found: Shortcuts, classes: Sequence[str]) -> Table | None:
    rows = tuple(
        (
            classes[one.target],
            one.region,
            one.n,
            Metric(*one.moved, one.n),
            percent(one.control.value),
            percent(one.centre.value),
            "shortcut" if one.found else "none shown",
        )
        for one in found.confirmed
    )
    note = (
        "Share of pictures of other classes (without look-alikes) that are called the class once the region of one of"
        " its pictures is pasted into them; from others: the region of a picture of another class; centre: an equally"
        f" large square. A shortcut moves significantly more than {100 * BAR:g} points more than the former, and more"
        f" than the"
        f" latter. In a model without shortcuts one is reported with a probability of at most {100 * LEVEL:g}%."
    )
    columns = ("class", "region", "pairs", "moved", "from others", "centre", "judgement")
    return Table(_TRANSPLANTS, columns, rows, note) if rows else None


def _mask_table(found: Shortcuts) -> Table:
    rows: list[tuple[Any, ...]] = [(name, Metric(*right, n)) for name, (right, n) in found.accuracy.items()]
    rows.append(("guessing the most frequent answer", percent(found.guessing)))
    if found.outside:
        rows.append(("share of attribution outside the centre's half", Metric(*found.outside[0], found.outside[1])))
    note = "Right answers where the middle half of the area, or all around it, is hidden."
    return Table("Is the object or its surroundings used? (centre and border)", ("picture", "right"), tuple(rows), note)


def _marker_table(found: Shortcuts, classes: Sequence[str]) -> Table:
    rows = tuple(
        (
            kind,
            Metric(*one.changed, one.n),
            "" if one.towards is None else f"{classes[one.towards[0]]} ({one.towards[1]})",
        )
        for kind, one in found.markers.items()
    )
    note = "Answers that change when something meaningless is drawn into the picture, and where most of them went."
    return Table(
        "Do meaningless marks change answers? (planted markers)", ("marker", "answers changed", "mostly to"), rows, note
    )


def _chart(found: Shortcuts, classes: Sequence[str]) -> list[Figure]:
    groups = {
        f"{classes[one.target]}: {one.region}": [
            Bar(*share, series=series) for series, share in enumerate((one.moved, one.control, one.centre))
        ]
        for one in found.confirmed
    }
    if not groups:
        return []
    drawing = bars(groups, "Answers moved by transplants", series=("its pictures", "others", "its centre"))
    note = (
        "A small region of a picture is pasted into pictures of other classes. Long first bars beside short others mean"
        " that this region decides, such as a watermark or a label."
    )
    return [Figure(_TRANSPLANTS, svg=drawing, note=note)]


def _strips(found: Shortcuts, answer: Answer, images: Image, classes: Sequence[str]) -> list[Figure]:
    """For each shortcut some pictures before and after, with the donors between."""
    figures = []
    for one in found.found[:_SHOWN]:
        pictures = []
        for (host, donor), composite in zip(one.examples, one.composites, strict=True):
            trio = np.stack([images[host], images[donor], composite])
            for words, image, probs in zip(("before", "donor", "after"), trio, answer(trio), strict=True):
                best = int(probs.argmax())
                pictures.append((jpeg(_enlarged(image), 90), f"{words}: {classes[best]} ({probs[best] * 100:.0f}%)"))
        title = f"Shortcut to {classes[one.target]}"
        note = f"Before, the picture that gave {one.region}, and after it was pasted in."
        figures.append(Figure(title, pictures=tuple(pictures), note=note))
    return figures


def _enlarged(image: Image) -> Image:
    """Small pictures with larger pixels, so that they can be seen."""
    times = max(1, THUMBNAIL // max(image.shape[:2]))
    return image.repeat(times, 0).repeat(times, 1)


def _document(found: Shortcuts, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "found": [{"class": classes[one.target], "region": one.region} for one in found.found],
        "examined": [classes[c] for c in found.examined],
        "answers": found.images_tested,
        "confirmed": [
            {
                "class": classes[one.target],
                "region": one.region,
                "n": one.n,
                "moved": one.moved.value,
                "control": one.control.value,
                "centre": one.centre.value,
                "effect": [one.effect.value, one.effect.low, one.effect.high],
                "excess": [one.excess.value, one.excess.low, one.excess.high],
                "found": one.found,
            }
            for one in found.confirmed
        ],
        "guessing": found.guessing,
        "markers": {kind: one.changed.value for kind, one in found.markers.items()},
    }
