"""The three doors: Python, the command line and HTTP. Each gives an Answer, whether a verb is obeyed or refused.

The only module of the contract that names modules of the package beside its public names.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

import photovision as pv
from photovision.app.cli import run
from photovision.service.app import create_app
from photovision.service.logs import Journal
from photovision.service.settings import Settings

REFUSED = 2
"""The exit code for what the user can mend."""


@dataclass(frozen=True)
class Answer:
    """What a door gives.

    Attributes:
        ok: whether the verb was obeyed.
        value: what it gave, JSON-ready; of a command that prints a line a picture, the list of these.
        reason: the sentence that refuses it, or that names what could not be done.
        code: exit code or HTTP status; 0 of Python.
    """

    ok: bool
    value: Any = None
    reason: str = ""
    code: int = 0


def python(call: Callable[[], Any]) -> Answer:
    """Call a public name; only the package's own errors count as refused."""
    try:
        value = call()
    except pv.PhotovisionError as error:
        return Answer(False, None, str(error))
    return Answer(True, value.to_json() if hasattr(value, "to_json") else value)


def command(*arguments: object) -> Answer:
    """Run a command in this process, with --json where it has that."""
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        code = run([str(argument) for argument in arguments])
    said = [line for line in error.getvalue().splitlines() if line.startswith("photovision: ")]
    assert "Traceback" not in error.getvalue(), error.getvalue()
    reason = said[-1].removeprefix("photovision: ") if code and said else ""
    return Answer(code == 0, _parsed(out.getvalue()), reason, code)


def _parsed(text: str) -> Any:
    if not text.strip():
        return None
    return json.loads(text) if text.startswith("{\n") else [json.loads(line) for line in text.splitlines()]


@contextmanager
def service(models: Mapping[str, Path]) -> Iterator[TestClient]:
    """A client of a service over some models, without a socket."""
    app = create_app(Settings(dict(models), watch=0), Journal(io.StringIO()))
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=True) as client:
        yield client


def http(client: TestClient, path: str, files: Sequence[Path] = ()) -> Answer:
    """POST pictures to a path such as "/predict?model=classify"."""
    sent = [("file", (str(file), file.read_bytes())) for file in files]
    answer = client.post(path, files=sent)
    told = answer.json()
    if answer.status_code != 200:
        return Answer(False, None, str(told.get("error", told)), answer.status_code)
    return Answer(True, told, "", 200)


def same(one: Any, other: Any, rounding: float = 1e-5) -> bool:
    """Whether two JSON documents hold the same, numbers up to `rounding`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key], rounding) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(same(a, b, rounding) for a, b in zip(one, other, strict=True))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)) and not isinstance(one, bool):
        return abs(one - other) <= rounding * max(1.0, abs(one)) or (one != one and other != other)
    return bool(one == other)
