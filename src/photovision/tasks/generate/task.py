"""The row of generation in the table of tasks."""

from __future__ import annotations

from pathlib import Path

from photovision.core.option import Option
from photovision.core.task import Task, TaskText

_HOME = "photovision.tasks.generate"

TASK = Task(
    name="generate",
    text=TaskText("generator", "generators", "new images like those that it learned from", "photovision sample"),
    outputs=("velocity",),
    lead={"precision": "precision of samples"},
    options={"train": frozenset({"backbone", "weights", "size", "epochs", "flip", "tuning"})},
    own={
        "train": (
            Option("register", "A store of faces ('photovision faces enroll') of the people in the pictures.", Path),
        )
    },
    parts={
        "consent": "photovision.faces.consent:people_agreed",
        "prepare": f"{_HOME}.learn:prepare",
        "learn": f"{_HOME}.learn:learn",
        "card": f"{_HOME}.text:card_text",
        "model": f"{_HOME}.generator:Generator",
        "sample": f"{_HOME}.generator:Generator",
    },
    min_classes=1,
    compares=False,
)
