"""Raters: people who labelled the same pictures, how far they agree, and the model beside them.

Accuracy is measured against the label. Where the label is nothing but the raters' own majority, that would flatter
them, for each has voted for it: then each is measured against the majority of the others, and the model against the
same. The kappas and alpha are in `photovision.trust.labels.agreement`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.drawing import Bar, bars, percent
from photovision.core.errors import DataError, UsageError
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.types import Ints
from photovision.trust.labels.agreement import MIN_PICTURES, Agreement, agreement
from photovision.trust.metrics.statistics import Estimate, bootstrap_sums, paired_proportions, proportion

OWN = 0.99
"""The label counts as the raters' majority where it equals it on this share of the pictures."""
MODEL = "the model"


def is_rater(name: str) -> bool:
    """Whether an attribute of this name holds a rater's labels: rater_1, Rater-anna, rater2, rater.

    Example:
        >>> is_rater("Rater_anna"), is_rater("rating")
        (True, False)
    """
    return name.strip().lower().startswith("rater")


@dataclass(frozen=True, eq=False)
class _AnnotatorComparison:
    """Answers and their reference, one row a rater.

    Attributes:
        names: of the R raters.
        ratings: int64 (R, N), -1 where a rater did not look.
        reference: int64 (R, N), what that rater is measured against, -1 where there is nothing.
        predicted: int64 (N,), the model's answers.
        leave_one_out: whether the reference is the majority of the other raters.
        likeness: share of pictures on which the label equals the raters' majority; None without a label.
    """

    names: tuple[str, ...]
    ratings: Ints
    reference: Ints
    predicted: Ints
    leave_one_out: bool
    likeness: float | None

    def used(self, rater: int) -> Ints:
        """Positions that a rater is measured on."""
        return np.flatnonzero((self.ratings[rater] >= 0) & (self.reference[rater] >= 0)).astype(np.int64)

    def right(self, rater: int, answers: Ints) -> np.ndarray:
        """bool (n,): whether answers (N,) meet that rater's reference, on the pictures it is measured on."""
        used = self.used(rater)
        return np.asarray(answers[used] == self.reference[rater, used])

    @property
    def able(self) -> list[int]:
        """Raters with enough pictures for a verdict."""
        return [rater for rater in range(len(self.names)) if len(self.used(rater)) >= MIN_PICTURES]


@dataclass(frozen=True)
class _Beside:
    """Accuracies, and the model's minus the raters': with each of them, and with their mean."""

    raters: Estimate
    model: Estimate
    mean: Estimate
    single: dict[int, Estimate]
    n: int

    @property
    def verdict(self) -> str:
        every = (self.mean, *self.single.values())
        if all(one.low > 0 for one in every):
            return "above"
        return "below" if all(one.high < 0 for one in every) else "within"


def raters_finding(
    ratings: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    predicted: Ints,
    truth: Ints | None,
    *,
    seed: int = 0,
) -> Finding | None:
    """Set a model beside the people who labelled the same N pictures.

    The model is "above" the raters where the interval of its accuracy minus theirs lies above 0 for every single rater
    and for their mean; "below" where all of these lie below 0; else "within".

    Args:
        ratings: rater -> N class names; "" where the rater did not look.
        classes: names of the C classes.
        predicted: int64 (N,), the model's answers.
        truth: int64 (N,), the labels; None where there are none but the raters'.
        seed: of the bootstraps, over pictures.

    Returns:
        None where there are no ratings at all. `data["raters"]` has the verdict ("above", "within", "below", or None
        where there is too little to say), and what was measured against: "label" or "majority of the other raters".

    Raises:
        DataError: a rating is not one of the classes.
        UsageError: lengths differ.

    Example:
        >>> truth = np.arange(100) % 2
        >>> names = ["cat" if t else "dog" for t in truth]
        >>> found = raters_finding({"rater_1": names[:60] + names[60:][::-1]}, ["dog", "cat"], truth, truth)
        >>> found.data["raters"]["verdict"]
        'above'
    """
    compared = _held(ratings, classes, predicted, truth)
    if not compared.names:
        return None
    agreed = agreement(
        np.concatenate([compared.ratings, predicted[None]]), len(classes), people=len(compared.names), seed=seed
    )
    beside = _beside(compared, seed)
    return Finding(
        summary=(*_summary(compared, beside), *_agreement_text(agreed, compared)),
        metrics=_metrics(beside, agreed, compared),
        tables=[_rater_table(compared), _pair_table(agreed, compared)],
        figures=_figures(compared, beside),
        warnings=_warnings(compared),
        data={
            "raters": {
                "verdict": beside.verdict if beside else None,
                "against": "majority of the other raters" if compared.leave_one_out else "label",
                "label_is_majority": compared.likeness,
                "pictures": dict(zip(compared.names, (compared.ratings >= 0).sum(1).tolist(), strict=True)),
            }
        },
    )


def _held(
    ratings: Mapping[str, Sequence[str]], classes: Sequence[str], predicted: Ints, truth: Ints | None
) -> _AnnotatorComparison:
    index = {name: number for number, name in enumerate(classes)}
    rows = {name: [text.strip() for text in column] for name, column in ratings.items()}
    if any(len(column) != len(predicted) for column in rows.values()) or (
        truth is not None and len(truth) != len(predicted)
    ):
        raise UsageError(
            f"each of the {len(predicted):,} pictures needs a place in every rater's column and among the labels"
        )
    unknown = sorted({text for column in rows.values() for text in column} - index.keys() - {""})
    if unknown:
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise DataError(
            f"raters used {', '.join(map(repr, unknown[:5]))}{more}, but ratings should be among the model's classes"
            f" ({', '.join(classes[:5])}{' ...' if len(classes) > 5 else ''}) or empty"
        )
    rows = {name: column for name, column in rows.items() if any(column)}
    codes = [[index.get(text, -1) for text in column] for column in rows.values()]
    found = np.array(codes, dtype=np.int64).reshape(len(rows), len(predicted))
    votes = np.stack([(found == c).sum(0) for c in range(len(classes))], axis=1)
    likeness = None if truth is None else _likeness(votes, truth)
    alone = truth is None or (likeness is not None and likeness >= OWN)
    if truth is None or alone:
        own = (found[:, :, None] == np.arange(len(classes))).astype(np.int64)
        reference = np.stack([_majority(votes - one) for one in own]) if len(own) else found
    else:
        reference = np.tile(truth, (len(rows), 1))
    return _AnnotatorComparison(tuple(rows), found, reference, predicted, alone, likeness)


def _majority(votes: np.ndarray) -> Ints:
    """int64 (N,): the class with most votes, -1 where none has more than every other."""
    ranked = np.sort(votes, axis=1)
    tied = ranked[:, -1] == (ranked[:, -2] if votes.shape[1] > 1 else 0)
    majority: Ints = np.where(tied | (ranked[:, -1] == 0), -1, votes.argmax(1))
    return majority


def _likeness(votes: np.ndarray, truth: Ints) -> float | None:
    """Share of the pictures with at least two ratings and one majority on which the label is that majority."""
    majority = _majority(votes)
    clear = (votes.sum(1) >= 2) & (majority >= 0)
    return float((majority == truth)[clear].mean()) if clear.sum() >= MIN_PICTURES else None


def _beside(compared: _AnnotatorComparison, seed: int) -> _Beside | None:
    able = compared.able
    if not able:
        return None
    columns = np.zeros((3, len(able), len(compared.predicted)))
    single = {}
    for row, rater in enumerate(able):
        people, model = compared.right(rater, compared.ratings[rater]), compared.right(rater, compared.predicted)
        columns[:, row, compared.used(rater)] = people, model, np.ones(len(people))
        single[rater] = paired_proportions(people, model)
    width = len(able)
    parts = np.s_[:, :width], np.s_[:, width : 2 * width], np.s_[:, 2 * width :]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = bootstrap_sums(
            columns.reshape(3 * width, -1).T,
            {
                "raters": lambda sums: (sums[parts[0]] / sums[parts[2]]).mean(1),
                "model": lambda sums: (sums[parts[1]] / sums[parts[2]]).mean(1),
                "mean": lambda sums: ((sums[parts[1]] - sums[parts[0]]) / sums[parts[2]]).mean(1),
            },
            seed=seed,
        )
    n = int((columns[2].sum(0) > 0).sum())
    for name in ("raters", "model"):  # where everybody is always right a bootstrap knows no doubt
        if found[name].low == found[name].high:
            found[name] = proportion(round(found[name].value * n), n)
    if found["mean"].low == found["mean"].high:
        found["mean"] = single[able[0]]
    return _Beside(found["raters"], found["model"], found["mean"], single, n)


def _summary(compared: _AnnotatorComparison, beside: _Beside | None) -> list[str]:
    if beside is None:
        return [
            f"Too little to set the model beside the raters: none has {MIN_PICTURES} pictures that can be judged"
            f" {'by other raters' if compared.leave_one_out else 'by a label'}."
        ]
    many = len(beside.single)
    whom = f"the {many} raters" if many > 1 else "the rater"
    points = f"{100 * beside.mean.value:+.1f} points ({100 * beside.mean.low:.1f} to {100 * beside.mean.high:.1f})"
    sentences = [
        f"The model is {beside.verdict} {whom}: right on {percent(beside.model.value)}, people on"
        f" {percent(beside.raters.value)}{' on average' if many > 1 else ''}, a difference of {points}."
    ]
    if beside.verdict == "within" and not beside.mean.low <= 0 <= beside.mean.high:
        more = "more" if beside.mean.low > 0 else "less"
        sentences.append(f"It is {more} accurate than their mean, but not clearly so than every one of them.")
    if compared.leave_one_out:
        why = (
            f"The label is the raters' own majority (on {percent(compared.likeness)} of the pictures that have one)"
            if compared.likeness is not None
            else "There is no label but the raters' own"
        )
        sentences.append(
            f"{why}, so each rater is compared with the majority of the others, and the model with the same."
        )
    return sentences


def _agreement_text(agreed: Agreement, compared: _AnnotatorComparison) -> list[str]:
    if len(compared.names) < 2:
        return []
    known = (("Fleiss' kappa", agreed.fleiss), ("Krippendorff's alpha", agreed.alpha))
    sentences = [f"{name} {one.value:.2f} ({one.low:.2f} to {one.high:.2f})" for name, one in known if one is not None]
    if not sentences:
        return ["Too few pictures have two ratings: how far the raters agree is not known."]
    return [f"Agreement among the raters beyond chance, 1 in full: {', '.join(sentences)}."]


def _metrics(beside: _Beside | None, agreed: Agreement, compared: _AnnotatorComparison) -> dict[str, Metric]:
    metrics = {}
    if beside is not None:
        metrics["rater_accuracy"] = Metric(*beside.raters, beside.n)
        metrics["model_beside_raters"] = Metric(*beside.model, beside.n)
        metrics["model_minus_raters"] = Metric(*beside.mean, beside.n, "points")
    twice = int(((compared.ratings >= 0).sum(0) >= 2).sum())
    for name, value in (("fleiss_kappa", agreed.fleiss), ("krippendorff_alpha", agreed.alpha)):
        if value is not None:
            metrics[name] = Metric(*value, twice, "")
    return metrics


def _rater_table(compared: _AnnotatorComparison) -> Table:
    rows = []
    for rater, name in enumerate(compared.names):
        people, model = compared.right(rater, compared.ratings[rater]), compared.right(rater, compared.predicted)
        n = len(people)
        accuracies = [Metric(*proportion(int(right.sum()), n), n) if n else None for right in (people, model)]
        gap = Metric(*paired_proportions(people, model), n, "points") if n else None
        rows.append((name, int((compared.ratings[rater] >= 0).sum()), *accuracies, gap))
    against = "the majority of the other raters" if compared.leave_one_out else "the label"
    return Table(
        "Raters and model",
        ("rater", "rated", "right", "the model on the same", "model minus rater"),
        tuple(rows),
        f"Right is what equals {against}; n is how many pictures of the rater can be judged so.",
    )


def _pair_table(agreed: Agreement, compared: _AnnotatorComparison) -> Table:
    names = (*compared.names, MODEL)
    rows = tuple(
        (f"{names[a]} and {names[b]}", n, Metric(*kappa, n, "") if kappa is not None else None)
        for (a, b), (kappa, n) in agreed.pairs.items()
    )
    note = f"1 is full agreement, 0 that of chance. Not given for pairs with fewer than {MIN_PICTURES} pictures."
    return Table("Agreement of pairs", ("pair", "pictures of both", "Cohen's kappa"), rows, note)


def _figures(compared: _AnnotatorComparison, beside: _Beside | None) -> list[Figure]:
    if beside is None:
        return []
    groups: dict[str, list[Bar]] = {}
    for rater in beside.single:
        right = compared.right(rater, compared.ratings[rater])
        groups[compared.names[rater]] = [Bar(*proportion(int(right.sum()), len(right)))]
    groups[MODEL] = [Bar(*beside.model, series=1)]
    against = "the majority of the other raters" if compared.leave_one_out else "the label"
    note = f"Share of pictures named as {against} says, with 95% intervals."
    return [Figure("Raters and model", svg=bars(groups, "Accuracy of raters and model"), note=note)]


def _warnings(compared: _AnnotatorComparison) -> list[str]:
    found = []
    few = [compared.names[r] for r in range(len(compared.names)) if r not in compared.able]
    if few:
        found.append(
            f"No verdict rests on {', '.join(few[:5])}{' and others' if len(few) > 5 else ''}: fewer than"
            f" {MIN_PICTURES} pictures to judge them on."
        )
    for rater in compared.able if not compared.leave_one_out else ():
        right = compared.right(rater, compared.ratings[rater])
        if right.mean() >= OWN:
            found.append(
                f"{compared.names[rater]} gives the label on {percent(float(right.mean()))} of {len(right):,}"
                f" pictures: if"
                " the label is this rater's own, that accuracy means nothing."
            )
    return found
