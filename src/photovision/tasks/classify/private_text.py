"""What the report of a private training says: who is protected, what was paid for, what was left out, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from photovision.core.phrases import count
from photovision.core.report import Report, Table
from photovision.engine.evaluate_text import training_title
from photovision.tasks.classify.private_data import PrivateSplit

_PAID = (
    ("centre and gradients of the head", "paid for: all of epsilon, in closed form (Balle and Wang, 2018)"),
    ("names of the classes, numbers of pictures", "public: given by you, not protected"),
    ("network, input size, scale of features", "public: fixed before a picture was read"),
    ("settings of the training", "public: a rule from epsilon, delta and the number of units"),
    ("choice among stages, near-duplicates, label checks", "off: each would look at the pictures for free"),
    ("calibration, prediction sets, novelty detection", "off; 'photovision calibrate' fits them to other pictures"),
    ("similarity to training pictures, neighbours", "off: no embedding of a training picture is kept"),
    ("examples in this report, cached features, record of files", "off: nothing is kept or shown"),
    ("figures on test pictures", "not protected: they are of other pictures than those learned from"),
)
_FIGURES = (
    ("brain MRI, 4 classes", 1200, "81.8%", "78.6%", "74.8%", "66.3%"),
    ("Fashion-MNIST, 10 classes, 96 px", 60_000, "88.8%", "88.3%", "87.4%", "85.1%"),
)
"""Accuracies that `benchmarks/private.py` measured on public sets: without privacy, and at epsilon 8, 3 and 1."""


def guarantee(private: Mapping[str, Any]) -> str:
    """Who is protected, and how well, in a sentence."""
    epsilon, delta, units = private["epsilon"], private["delta"], private["units"]
    per = private["per"]
    who = (
        f"each of {units:,} training pictures"
        if per is None
        else f"all pictures of each of {units:,} values of '{per}'"
    )
    return f"Differentially private: epsilon {epsilon:g}, delta {delta:g}, for {who}."


def how_split(split: PrivateSplit, per: str | None) -> str:
    """Which pictures judge."""
    unit = "picture" if per is None else f"value of '{per}'"
    if split.published:
        return f"The published test split judges: {count(len(split.test), 'picture')}, not protected."
    return (
        f"A fifth judges, each {unit} drawn by a hash of its own name alone: {count(len(split.test), 'picture')}, not"
        " protected."
    )


def reported(name: str, info: Mapping[str, Any], proof: Report) -> Report:
    """The evaluation on test, headed by the guarantee, with what it cost."""
    private = info["private"]
    return replace(
        proof,
        kind="train",
        title=training_title(name, info["classes"]),
        summary=(guarantee(private), *proof.summary, *_explained(private), *_cost(private), *info["data"]["notes"]),
        tables=[_ledger(), *_curve(private), _public(), *proof.tables],
        warnings=[*_warnings(private), *proof.warnings],
        provenance={
            **proof.provenance,
            "data": {"source": info["data"]["source"], "pictures": info["data"]["counts"]["test"]},
        },
        data={**proof.data, "private": dict(private)},
    )


def _explained(private: Mapping[str, Any]) -> list[str]:
    per = private["per"]
    unit = "a picture" if per is None else "a person (all of its pictures)"
    one = f"Whoever sees the model can hardly tell whether {unit} was learned from or left blank"
    bound = f"a factor of e^{private['epsilon']:g} at most, but for a chance of {private['delta']:g}"
    found = [f"{one}: the odds of any guess change by {bound}."]
    if per is None:
        found.append(
            "Pictures are protected, not people: somebody with several pictures is protected less (--per ATTRIBUTE"
            " protects people)."
        )
    return found


def _cost(private: Mapping[str, Any]) -> list[str]:
    found = private["simulated"]
    if not found:
        return ["There are too few test pictures to tell what privacy costs."]
    clip, noise = found["plain"] - found["clipped"], found["clipped"] - found["private"]
    return [
        f"Privacy costs {100 * (clip + noise):.1f} points in a trial on the {found['n']:,} test pictures (half teach,"
        f" half judge, with the noise of this training): {100 * clip:.1f} by clipping, {100 * noise:.1f} by noise."
    ]


def _warnings(private: Mapping[str, Any]) -> list[str]:
    if private["epsilon"] <= 10:
        return []
    return [f"Epsilon {private['epsilon']:g} promises little: values up to 10 are usual, up to 1 are strong."]


def _ledger() -> Table:
    return Table("What looks at the training pictures, and who pays", ("what", "how"), _PAID)


def _curve(private: Mapping[str, Any]) -> list[Table]:
    found = private["simulated"]
    if not found:
        return []
    rows = [(f"{epsilon:g}", f"{accuracy:.1%}") for epsilon, accuracy in found["by_epsilon"]]
    rows.append(("none, clipped", f"{found['clipped']:.1%}"))
    rows.append(("none", f"{found['plain']:.1%}"))
    note = (
        "Trials on the test pictures, which are not protected: half teach and half judge, with the noise that this"
        f" training's {private['units']:,} units would bring. The model itself learned from more."
    )
    return [Table("Accuracy against epsilon, in trials", ("epsilon", "accuracy"), tuple(rows), note)]


def _public() -> Table:
    rows = tuple((name, f"{units:,}", *values) for name, units, *values in _FIGURES)
    columns = ("public set", "training pictures", "no privacy", "epsilon 8", "epsilon 3", "epsilon 1")
    return Table("Accuracy against epsilon, on public sets", columns, rows, "A linear head on EfficientNet-Lite0.")
