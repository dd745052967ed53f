"""Progress: where a piece of work stands, and who is informed of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Progress:
    """Where a piece of work stands.

    Attributes:
        stage: what is being done, such as "fine-tuned".
        done, total: in steps.
        line: figures worth seeing now, such as "loss 0.41, val 88.2%".
        facts: the same for programs, JSON-ready: of the loop "epoch" (0 to the number of epochs), "loss", and after a
            validation "val" and "best", shares; at the end of a stage {"rung": what `StageResult.to_json` gives}; of
            work that was given a time "seconds", passed, and "budget", asked for; "waiting" where it is the last event
            again, since nothing else happened.
    """

    stage: str
    done: int
    total: int
    line: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Progress], None]
"""Called with every event of a run."""
ProgressCallback = Callable[[int, int], None]
"""Called with (steps done, steps in all) of one piece of work."""


def silent(progress: Progress) -> None:
    """A listener that says nothing."""


def visible(progress: Progress) -> None:
    """What verbs of Python take where no listener is named; `engine.progress.narrated` shows it to people."""


def counted(listener: Listener, stage: str) -> ProgressCallback:
    """A callback (done, total) that reports to a listener."""
    return lambda done, total: listener(Progress(stage, done, total))
