"""Python in a process of its own, which never runs code that lies in the current folder.

`python -m MODULE` puts the current folder before all libraries, so that a `typer.py` in a stranger's data set would run
in place of the library. `-P` (Python 3.11) keeps it out; so do the variables here for the processes that it starts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from photovision.core.system import cache_folder


def python_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module in this Python; to be started with `python_environment()`.

    Example:
        >>> python_command("photovision", "check", "data")[1:]
        ['-P', '-m', 'photovision', 'check', 'data']
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment() -> dict[str, str]:
    """This process's environment, in which no place to look for code or caches depends on the current folder."""
    places = [os.path.abspath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    own = {"PYTHONSAFEPATH": "1", "PHOTOVISION_CACHE": str(Path(cache_folder()).absolute())}
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**kept, **own, **({"PYTHONPATH": os.pathsep.join(places)} if places else {})}
