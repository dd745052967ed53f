"""Python in a process of its own, which never runs code that lies in the current folder.

`python -m MODULE` puts the current folder before all libraries, so that a `typer.py` in a stranger's data set would run
in place of the library. `-P` (Python 3.11) keeps it out; so do the variables here for the processes that it starts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from photovision.core.system import cache_folder

_LIFELINE = "PHOTOVISION_LIFELINE"


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module in this Python; to be started with `python_environment()`.

    Example:
        >>> python_command("photovision", "check", "data")[1:]
        ['-P', '-m', 'photovision', 'check', 'data']
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment(names: Collection[str] | None = None) -> dict[str, str]:
    """This process's environment, in which no place to look for code or caches depends on the current folder.

    Args:
        names: of the variables to keep, for a process that should not see passwords; None keeps all.
    """
    places = [os.path.abspath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    own = Path(__file__).resolve().parents[2]
    if own.name not in ("site-packages", "dist-packages"):  # a copy that is not installed would not be found
        places.append(str(own))
    kept = {name: value for name, value in os.environ.items() if names is None or name in names}
    settled = {"PYTHONSAFEPATH": "1", "PHOTOVISION_CACHE": str(Path(cache_folder()).absolute())}
    path = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))} if places else {}
    return {**{name: value for name, value in kept.items() if name != "PYTHONPATH"}, **settled, **path}


class Lifeline:
    """A pipe by which processes notice that this one has ended, even if it was killed.

    It is their standard input, into which nothing is ever written: it ends with the process that holds its other end.
    What they run has to call `end_with_parent`.

    Attributes:
        stdin: the end that is given to them.
    """

    def __init__(self) -> None:
        self.stdin, self._held = os.pipe()

    def environment(self) -> Mapping[str, str]:
        """`python_environment()` of a process that is to end with this one."""
        return {**python_environment(), _LIFELINE: "stdin"}

    def close(self) -> None:
        """End those that are left."""
        for end in (self.stdin, self._held):
            with contextlib.suppress(OSError):
                os.close(end)


def end_with_parent() -> None:
    """Interrupt this process, as Ctrl-C does, once the one that holds its lifeline has ended; nothing without one."""
    if os.environ.pop(_LIFELINE, None) is not None:
        threading.Thread(target=_watch_lifeline, daemon=True, name="lifeline").start()


def _watch_lifeline() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            continue
    os.kill(os.getpid(), signal.SIGINT)
