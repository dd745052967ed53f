"""Every option is obeyed, or refused in one sentence that names it, by every door that has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from doors import REFUSED, Answer, command, http, python
from starlette.testclient import TestClient
from tiny import TASKS, Task
from verbs import Place

import photovision as pv

TASK = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: as Task.obeys has it.
        good: a value that is obeyed where the option makes sense.
        bad: values that no task takes.
        python: (place, value, output folder) -> anything; None where Python has no such name.
        line: the command with VALUE in it; "" where the command line has none.
        query: of HTTP, with VALUE in it.
    """

    name: str
    good: Any
    bad: tuple[Any, ...] = ()
    python: Callable[[Place, Any, Path], Any] | None = None
    line: str = ""
    query: str = ""


def _loaded(name: str) -> Callable[[Place, Any, Path], Any]:
    return lambda place, value, out: pv.load(place.model, **{name: value}).predict(place.pictures[0]) and None


PREDICT = "PREDICT MODEL PICTURE --json"
OPTIONS = (
    Option("coverage", 0.6, (0, 1.5), _loaded("coverage"), f"{PREDICT} --coverage VALUE"),
    Option("false_alarms", 0.4, (0, 1.5), _loaded("false_alarms"), f"{PREDICT} --false-alarms VALUE"),
    Option("threshold", 0.9, (-1, 1.5), _loaded("threshold"), f"{PREDICT} --threshold VALUE", "threshold=VALUE"),
    Option("top", 2, (0, -1), None, f"{PREDICT} --top-k VALUE", "top=VALUE"),
    Option("tile", "64", ("0", "x"), None, f"{PREDICT} --tile VALUE", "tile=VALUE"),
    Option("masks", "png", ("zzz",), None, "", "masks=VALUE"),
    Option(
        "unknown",
        "DATA",
        ("/does/not/exist",),
        lambda place, value, out: pv.evaluate(place.model, place.new, unknown=pv.read_dataset(place.new)) and None,
        "evaluate MODEL NEW --unknown VALUE --json",
    ),
    Option(
        "boxes",
        1,
        (0, -1),
        lambda place, value, out: pv.explain(place.model, [place.pictures[0]], tests=False, boxes=value) and None,
        "explain MODEL PICTURE --no-tests --boxes VALUE --json",
    ),
)
TRAINING = (
    Option(
        "robust",
        "fog",
        ("zzz",),
        lambda place, value, out: pv.train(place.data, out, task=place.task.name, robust=(value,), weights="none"),
        "train DATA -o OUT --task TASK --weights none --robust VALUE",
    ),
    Option(
        "fair_by",
        "sex",
        (),
        lambda place, value, out: pv.train(place.data, out, task=place.task.name, fair_by=value, weights="none"),
        "train DATA -o OUT --task TASK --weights none --fair-by VALUE",
    ),
)
OPTION = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


def _asked(option: Option, value: Any, place: Place, client: TestClient, out: Path) -> dict[str, Answer]:
    """What every door says that has the option."""
    value = str(place.data) if value == "DATA" else value
    found = {}
    if option.python is not None and not (option.name == "unknown" and value == "/does/not/exist"):
        call = option.python
        found["python"] = python(lambda: call(place, value, out))
    if option.line:
        line = option.line.replace("PREDICT", place.task.command)
        found["command"] = command(*[str(value) if w == "VALUE" else w for w in place.words(line, out)])
    if option.query:
        path = f"/predict?model={place.task.name}&{option.query.replace('VALUE', str(value))}"
        found["http"] = http(client, path, place.pictures[:1])
    return found


def _names(reason: str, option: Option) -> bool:
    words = {
        option.name,
        option.name.replace("_", "-"),
        *(word for word in option.line.split() if word.startswith("--")),
    }
    return any(word in reason for word in words - {"--json", "--no-tests", "--weights"}) or "something else" in reason


def _lacks_the_verb(task: Task, option: Option, answer: Answer) -> bool:
    """Whether the task has no such verb, and the answer says so."""
    word = task.refuses.get(option.line.split(maxsplit=1)[0])
    return word is not None and word in answer.reason


@TASK
@OPTION
def test_an_option_is_obeyed_or_refused_by_its_name(
    task: Task, option: Option, places: dict[str, Place], client: TestClient, tmp_path: Path
) -> None:
    for door, answer in _asked(option, option.good, places[task.name], client, tmp_path / "out").items():
        if {option.name, f"{door}:{option.name}"} & task.obeys:
            assert answer.ok, (door, answer)
            continue
        assert not answer.ok, door
        assert answer.code in {"python": (0,), "command": (REFUSED,), "http": (400, 422)}[door], (door, answer)
        assert _names(answer.reason, option) or _lacks_the_verb(task, option, answer), (door, answer.reason)


@TASK
@OPTION
def test_a_value_that_makes_no_sense_is_refused(
    task: Task, option: Option, places: dict[str, Place], client: TestClient, tmp_path: Path
) -> None:
    for value in option.bad:
        for door, answer in _asked(option, value, places[task.name], client, tmp_path / "out").items():
            assert not answer.ok, (door, value)
            assert "\n" not in answer.reason
            assert len(answer.reason) > 20, (door, answer.reason)


@TASK
@pytest.mark.parametrize("option", TRAINING, ids=lambda option: option.name)
def test_a_choice_of_the_training_is_refused_before_anything_is_read(
    task: Task, option: Option, places: dict[str, Place], client: TestClient, tmp_path: Path
) -> None:
    values = option.bad if option.name in task.obeys else (option.good, *option.bad)
    for value in values:
        for door, answer in _asked(option, value, places[task.name], client, tmp_path / "out").items():
            assert not answer.ok, (door, value)
            assert _names(answer.reason, option) or str(value) in answer.reason, (door, answer.reason)
    assert not any(tmp_path.iterdir())
