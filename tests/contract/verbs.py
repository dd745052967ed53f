"""The verbs, each through every door that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from doors import Answer, command, http, python
from PIL import Image
from starlette.testclient import TestClient
from tiny import Task, save

import photovision as pv


@dataclass(frozen=True)
class Place:
    """Files for the verbs of one task: its model, the pictures of its training, others of the kind, and single ones."""

    task: Task
    model: Path
    data: Path
    new: Path
    pictures: tuple[Path, ...]

    def words(self, line: str, out: Path) -> list[str]:
        """The words of a command, with paths in the place of capital letters."""
        named: dict[str, list[Path]] = {
            "MODEL": [self.model],
            "DATA": [self.data],
            "NEW": [self.new],
            "PICTURE": [self.pictures[0]],
            "PICTURES": list(self.pictures),
            "OUT": [out],
            "TASK": [self.task.name],
        }
        return [str(part) for word in line.split() for part in named.get(word, [word])]  # type: ignore[list-item]


def place_of(task: Task, folder: Path) -> Place:
    """The files of a task, written into a folder."""
    pictures = tuple(folder / f"{number}.png" for number in range(3))
    for number, file in enumerate(pictures):
        save(task.picture(9000 + number), file)
    data, new = task.data(folder / "data", task.learned, 0), task.data(folder / "new", task.new, 5)
    return Place(task, task.model(folder / "model"), data, new, pictures)


def _predicted(place: Place, out: Path) -> list[dict[str, Any]]:
    sizes = [np.asarray(Image.open(file)).shape[:2] for file in place.pictures]
    return [
        place.task.value(pv.predict(place.model, file), size) for file, size in zip(place.pictures, sizes, strict=True)
    ]


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        line: the command's words; PREDICT stands for the task's own command.
        python: (place, output folder) -> value, or None where Python has no such name.
        path: of HTTP; without one the service has no such route.
        writes: whether it writes a folder OUT.
        timed: whether it measures times, so that only its metrics are the same from run to run.
    """

    line: str
    python: Callable[[Place, Path], Any]
    path: str = ""
    writes: bool = False
    timed: bool = False

    def asked_python(self, place: Place, out: Path) -> Answer:
        """By its public name."""
        return python(lambda: self.python(place, out))

    def asked_command(self, place: Place, out: Path) -> Answer:
        """By its command."""
        return command(*place.words(self.line.replace("PREDICT", place.task.command), out))

    def asked_http(self, name: str, place: Place, client: TestClient) -> Answer:
        """By its route; a route that is not there refuses, too."""
        path = f"{self.path or '/' + name}?model={place.task.name}"
        files = place.pictures if self.path == "/predict" else place.pictures[:1]
        return http(client, path, files)


VERBS: Mapping[str, Verb] = {
    "predict": Verb("PREDICT MODEL PICTURES --json", _predicted, "/predict"),
    "evaluate": Verb("evaluate MODEL NEW --json", lambda at, out: pv.evaluate(at.model, at.new)),
    "estimate": Verb("estimate MODEL NEW --json", lambda at, out: pv.estimate(at.model, at.new)),
    "compare": Verb("compare MODEL MODEL NEW --json", lambda at, out: pv.compare(at.model, at.model, at.new)),
    "audit": Verb(
        "audit MODEL NEW --only slices --minutes 1 --json",
        lambda at, out: pv.audit(at.model, at.new, only=["slices"], minutes=1),
    ),
    "explain": Verb(
        "explain MODEL PICTURE --no-tests --json",
        lambda at, out: pv.explain(at.model, [at.pictures[0]], tests=False),
        "/explain",
    ),
    "calibrate": Verb(
        "calibrate MODEL NEW -o OUT --json", lambda at, out: pv.calibrate(at.model, at.new, out), writes=True
    ),
    "adapt": Verb("adapt MODEL NEW -o OUT --json", lambda at, out: pv.adapt(at.model, at.new, out), writes=True),
    "optimize": Verb(
        "optimize MODEL DATA -o OUT --bf16 --max-drop 100 --json",
        lambda at, out: pv.optimize(at.model, at.data, out, ["bf16"], max_drop=1.0),
        writes=True,
        timed=True,
    ),
    "update": Verb(
        "update MODEL NEW --golden DATA -o OUT --json",
        lambda at, out: pv.update(at.model, at.new, output=out, golden=at.data),
        writes=True,
    ),
    "export": Verb(
        "export MODEL --to onnx -o OUT --json", lambda at, out: vars(pv.export(at.model, "onnx", out)), writes=True
    ),
}
