"""What the report of an evaluation says of models of every task: its title, its caveats, what leaked."""

from __future__ import annotations

from photovision.core.phrases import count, listed, spoken
from photovision.core.report import Metric
from photovision.core.task import TaskText
from photovision.data.corrections import NAME
from photovision.data.dataset import Dataset
from photovision.engine.evaluation import Evaluation

FEW = 100
"""With fewer images the report says that its intervals are wide."""
ALL_LEAKED = "All these pictures are or resemble training pictures: the figures say nothing about new ones."


def title(text: TaskText, n: int) -> str:
    """The heading of an evaluation on n images."""
    return f"How well the {text.noun} does on {count(n, 'picture')}"


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
