"""What the report of an evaluation says of models of every task: its title, its caveats, what leaked."""

from __future__ import annotations

from collections.abc import Sequence

from photovision.core.phrases import count, listed, spoken
from photovision.core.report import Metric
from photovision.core.task import either
from photovision.data.corrections import NAME
from photovision.data.dataset import Dataset
from photovision.engine.evaluation import Evaluation

_NAMED = 4
FEW = 100
"""With fewer images the report says that its intervals are wide."""
ALL_LEAKED = "All these pictures are or resemble training pictures: the figures say nothing about new ones."


def title(name: str, n: int) -> str:
    """The heading of an evaluation on n images of the model that its owner calls `name`."""
    return f"{name} on {count(n, 'picture')}"


def training_title(name: str, classes: Sequence[str]) -> str:
    """The heading of a training.

    Example:
        >>> training_title("leaf-model", ["blight", "rust", "healthy"])
        'leaf-model: blight, rust or healthy'
        >>> training_title("shop", list("abcdef"))
        'shop: a, b, c and 3 more'
    """
    if not classes:
        return name
    return f"{name}: {either(classes) if len(classes) <= _NAMED else _and_more(classes)}"


def _and_more(classes: Sequence[str]) -> str:
    return f"{', '.join(classes[: _NAMED - 1])} and {len(classes) - _NAMED + 1:,} more"


def leaked(n: int, lead: str, naive: Metric, clean: Metric | None) -> str:
    """That n images leaked, and the leading metric, called `lead`, with and without them."""
    found = f"{n:,} of these pictures {'is' if n == 1 else 'are'}, or resemble, or belong with training pictures"
    if clean is None:
        return f"{found}; without them there is no {lead}."
    return f"{found}: without them the {lead} is {spoken(clean)} rather than {spoken(naive)}."


def warnings(evaluation: Evaluation, dataset: Dataset) -> list[str]:
    """What a careful reader must know before trusting the figures, whatever the task."""
    found = unread(evaluation)
    if dataset.problems:
        names = listed([f"{problem.id} ({problem.kind})" for problem in dataset.problems])
        files = len(dataset.problems)
        found.append(f"{count(files, 'file')} of the data {_were(files)} left out: {names}.")
    if changed := sum(change.applied and change.decision == "label" for change in dataset.corrections):
        found.append(f"{count(changed, 'label')} of the data corrected by hand, in {NAME}.")
    n = len(evaluation.samples)
    if unlabelled := len(dataset) - n - len(evaluation.problems):
        found.append(f"{count(unlabelled, 'picture')} without a label {_were(unlabelled)} left out.")
    if n < FEW:
        found.append(f"These figures rest on {count(n, 'picture')} only: the intervals are wide.")
    return found


def unread(*evaluations: Evaluation) -> list[str]:
    """Which samples one of the models could not be evaluated on; nothing where there are none."""
    names = sorted({problem.id for one in evaluations for problem in one.problems})
    if not names:
        return []
    n = len(names)
    return [f"{count(n, 'picture')} could not be evaluated and {_were(n)} left out: {listed(names)}."]


def _were(n: int) -> str:
    return "was" if n == 1 else "were"
