"""Python in a process of its own, which never runs code that lies in the current folder.

`python -m MODULE` puts the current folder before all libraries, so that a `typer.py` in a stranger's data set would run
in place of the library. `-P` (Python 3.11) keeps it out; so do the variables here for the processes that it starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

from photovision.core.system import cache_folder


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
