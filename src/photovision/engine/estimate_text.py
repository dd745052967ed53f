"""What the report of an estimate says: what to expect, of which images least, and how far to rely on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from photovision.core.drawing import percent
from photovision.core.phrases import count, listed, spoken
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.thumbnail import picture_grid
from photovision.core.types import Floats, Ints
from photovision.data.unlabelled import FOLDER, Unlabelled
from photovision.engine.expectation import UNTESTED
from photovision.engine.holdout import NO_RECORD
from photovision.trust import similarity as statistics
from photovision.trust import similarity_text
from photovision.trust.similarity_text import MIN_OF_BIN

if TYPE_CHECKING:
    from photovision.engine.estimate import LeftOut
    from photovision.engine.expectation import Estimator, Expectation

FEW = 30
"""With fewer images the report says that its interval is wide."""
_SHOWN, _ROWS = 12, 20
_MIN_OF_GROUP, _MAX_GROUPS, _MAX_VALUES = 10, 12, 200
_SOME_UNKNOWN = 0.1
_LABEL_FIRST = 20


class Names(NamedTuple):
    """What the score of an image is called, such as "accuracy", the name of the model, and its classes."""

    score: str
    model: str
    classes: tuple[str, ...]


def title(names: Names, n: int) -> str:
    """The heading of an estimate on n images."""
    return f"{names.model}: what {names.score} to expect on {count(n, 'picture')}"


def finding(
    known: Estimator, found: Expectation, left_out: LeftOut, names: Names, usual: Floats | None = None
) -> Finding:
    """The figures, tables and drawings.

    Args:
        known: by what was estimated.
        found: the estimate.
        left_out: which images were not counted.
        names: words for them.
        usual: float32 (M,), similarity of held-out images of the training; None where that is not known.
    """
    others = {"these pictures": found.similarity}
    if usual is not None:
        others["the model's own test pictures"] = usual
    groups = _groups(known, found, names) if found.reliable else []
    tables = [_quartiles(others), *groups, _least(found, names)]
    sheet = _sheet(found, names)
    own = Finding(
        tuple(_summary(known, found, left_out, names)),
        _metrics(known, found, names),
        tables=tables,
        figures=[] if sheet is None else [sheet],
    )
    return own.including(similarity_text.finding(known.expected, others))


def warnings(
    known: Estimator, found: Expectation, left_out: LeftOut, given: Unlabelled, names: Names
) -> tuple[str, ...]:
    """What a careful reader must know before relying on the estimate."""
    return (
        *_unfamiliar(known, found),
        *_of_training(left_out, len(found.samples)),
        *_labels(given, names),
        *_few(known, found, left_out),
    )


def _metrics(known: Estimator, found: Expectation, names: Names) -> dict[str, Metric]:
    n = len(found.samples)
    metrics = dict(similarity_text.expected_score(names.score, found.metric)) if found.reliable else {}
    alike = "Similarity", "to the nearest training picture, median, -1 to 1"
    metrics["similarity"] = Metric(float(np.median(found.similarity)), None, None, n, "", *alike)
    if found.gated:
        metrics["unknown_share"] = Metric(found.unknown_share, n=n)
    if (reliability := known.expected.reliability) is not None:
        ranges = "ways of changing pictures" if known.expected.changed else "ranges of similarity"
        error = "Error of such estimates", f"on average, for {ranges} left out in turn"
        metrics["estimate_error"] = Metric(reliability.error, unit="points", title=error[0], hint=error[1])
    return metrics


def _summary(known: Estimator, found: Expectation, left_out: LeftOut, names: Names) -> Iterator[str]:
    n, expected = len(found.samples), known.expected
    these = "this picture" if n == 1 else f"these {n:,} pictures"
    if not found.reliable:
        yield from found.in_short(names.score).summary
        yield _anything(names.score, found.metric)
    else:
        yield f"Expected {names.score} on {these}: {spoken(found.metric)}."
    tested = "" if expected.usual is None else f"; on the model's own test pictures it is {expected.usual:.2f}"
    median = float(np.median(found.similarity))
    yield f"The similarity to the nearest training picture is {median:.2f} (median){tested}."
    if expected.reliability is not None:
        error = f"{expected.reliability.error * 100:.1f} points"
        left_out_then = "way in which pictures were changed" if expected.changed else "range of similarity"
        yield (
            f"When the model was made, such estimates were off by {error} on average: every {left_out_then} was left"
            " out in turn, and estimated from the others."
        )
    yield "A change that shows neither in similarity nor in confidence, such as labels of another meaning, is not seen."
    yield _advice(found)
    if not left_out.recorded:
        yield NO_RECORD.strip()


def _anything(score: str, metric: Metric) -> str:
    alone = f"similarity and confidence alone say {percent(metric.value)}, which holds for pictures that it knows"
    low, high = (0.0, 1.0) if metric.low is None or metric.high is None else (metric.low, metric.high)
    return f"Its {score} here may be anything from {low * 100:.1f} to {high * 100:.1f}%: {alone}."


def _advice(found: Expectation) -> str:
    if not found.reliable:
        return (
            "What to do: look whether these are the right pictures for this model. If they are, label some of them:"
            " 'photovision evaluate' measures on them, and 'photovision train' learns from them."
        )
    return (
        f"What to do: label {_LABEL_FIRST} of these pictures or more, drawn at random; 'photovision evaluate' measures"
        " on them, and 'photovision calibrate' fits the confidence to them. 'photovision adapt' needs no labels."
    )


def _unfamiliar(known: Estimator, found: Expectation) -> Iterator[str]:
    """Images that the estimate says little about."""
    unknown = found.unknown_share
    other = "may show something else than the model learned" if found.gated else f"are {UNTESTED}"
    if not found.reliable:
        yield f"Most of these pictures {other}: do not rely on this estimate."
    elif unknown > _SOME_UNKNOWN:
        yield (
            f"{percent(unknown)} of these pictures {other}: the lower bound of the interval allows for all of them to"
            " be wrong."
        )
    if not found.gated:
        return
    tested = [one.start for one in known.expected.curve if one.n >= MIN_OF_BIN]
    below = float((found.similarity < min(tested)).mean()) if tested else 1.0
    if below > _SOME_UNKNOWN:
        if tested:
            these = f"{percent(below)} of these pictures have a similarity below {min(tested):.1f}, the lowest that was"
            yield f"{these} tested when the model was made: what is expected of them is extrapolated."
        else:
            yield (
                f"No range of similarity had {MIN_OF_BIN} held-out pictures when the model was made: what is expected"
                " of these pictures is little tested."
            )


def _of_training(left_out: LeftOut, n: int) -> Iterator[str]:
    if left_out.learned:
        yield f"{count(left_out.learned, 'picture')} that the model learned from {_were(left_out.learned)} left out."
    if left_out.related:
        resemble = "resembles" if left_out.related == 1 else "resemble"
        much = ": the estimate says little about other pictures" if left_out.related > n / 2 else ""
        yield f"{count(left_out.related, 'picture')} {resemble} training pictures{much}."


def _labels(given: Unlabelled, names: Names) -> Iterator[str]:
    """That there are labels, by which the score can be measured."""
    folders = Counter(sample.groups.get(FOLDER, "").rpartition("/")[2] for sample in given.dataset.samples)
    named = sum(folders[name] for name in names.classes)
    if given.labelled:
        have = "has a label" if given.labelled == 1 else "have labels"
        yield f"{count(given.labelled, 'picture')} {have}, not used here: 'photovision evaluate' measures on them."
    elif named > len(given.dataset) / 2:
        yield (
            "The folders are called like the classes of the model, and were not used as labels here: if they are,"
            f" 'photovision evaluate' measures the {names.score}."
        )


def _few(known: Estimator, found: Expectation, left_out: LeftOut) -> Iterator[str]:
    n = len(found.samples)
    if n < FEW:
        yield f"This estimate rests on {count(n, 'picture')} only: the interval is wide."
    if left_out.repeated:
        n, show = left_out.repeated, "shows" if left_out.repeated == 1 else "show"
        yield f"{count(n, 'picture')} {show} the same as another one, and {_were(n)} left out."
    if problems := left_out.unreadable:
        names = listed([problem.id for problem in problems])
        yield f"{count(len(problems), 'file')} could not be read and {_were(len(problems))} left out: {names}."
    if known.expected.reliability is None:
        yield "There were too few held-out pictures to test such estimates: the interval allows for that."


def _quartiles(others: dict[str, Floats]) -> Table:
    rows = []
    for name, similarity in others.items():
        if len(similarity):
            cells = [f"{float(value):.2f}" for value in np.quantile(similarity, [0.25, 0.5, 0.75])]
            rows.append((name, len(similarity), *cells))
    note = "Cosine of centred embeddings, -1 to 1. A quarter of the pictures lies below the first value."
    columns = ("pictures", "n", "first quartile", "median", "third quartile")
    return Table("Similarity to the nearest training picture", columns, tuple(rows), note)


def _groups(known: Estimator, found: Expectation, names: Names) -> list[Table]:
    """Folders, and values of other attributes, of which least is expected."""
    rows = [_group(known, found, name, value, inside) for name, value, inside in _values(found)]
    if len(rows) < 2:
        return []
    rows.sort(key=lambda row: row[2].value)
    note = "" if len(rows) <= _MAX_GROUPS else f"The lowest {_MAX_GROUPS} of {len(rows)}."
    columns = ("group", "pictures", f"expected {names.score}", "similarity")
    return [Table("Groups with the lowest expectation", columns, tuple(rows[:_MAX_GROUPS]), note)]


def _values(found: Expectation) -> Iterator[tuple[str, str, Ints]]:
    """(attribute, value, positions of its images) of all values with enough images."""
    for name in sorted({name for sample in found.samples for name in sample.groups}):
        values = np.array([sample.groups.get(name, "") for sample in found.samples])
        kinds, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
        if len(kinds) > _MAX_VALUES:
            continue
        for code in np.flatnonzero((counts >= _MIN_OF_GROUP) & (kinds != "")).tolist():
            yield name, str(kinds[code]), np.flatnonzero(codes == code)


def _group(known: Estimator, found: Expectation, name: str, value: str, inside: Ints) -> tuple[str, int, Metric, str]:
    similarity = found.similarity[inside]
    metric = statistics.estimate(known.expected, found.answers.prob[inside], similarity)
    return f"{name}: {value}", len(inside), metric, f"{float(np.median(similarity)):.2f}"


def _least(found: Expectation, names: Names) -> Table:
    rows = [
        (
            found.samples[row].id,
            names.classes[found.answers.best[row]],
            percent(float(found.answers.prob[row])),
            f"{float(found.similarity[row]):.2f}",
            percent(float(found.each[row])),
        )
        for row in np.argsort(found.each, kind="stable")[:_ROWS].tolist()
    ]
    columns = ("picture", "predicted", "confidence", "similarity", f"expected {names.score}")
    return Table(f"Lowest expected {names.score}", columns, tuple(rows), "Look at these first.")


def _sheet(found: Expectation, names: Names) -> Figure | None:
    order = np.argsort(found.each, kind="stable")[:_SHOWN].tolist()
    captions = [
        f"{names.classes[found.answers.best[row]]}\nexpected {percent(float(found.each[row]))},"
        f" similarity {float(found.similarity[row]):.2f}\n{found.samples[row].id}"
        for row in order
    ]
    note = f"The pictures with the lowest expected {names.score}, and how alike their nearest training picture is."
    grid = picture_grid(f"Lowest expected {names.score}", [found.samples[row] for row in order], captions, note)
    return None if grid is None else replace(grid, first=True)


def _were(n: int) -> str:
    return "was" if n == 1 else "were"
