"""How libraries are installed where the reader stands: in a checkout, from a wheel or an index, in any environment."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, requires
from pathlib import Path

NAME = "photovision"
PACKAGES = {
    "PIL": "pillow",
    "multipart": "python-multipart",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Import name -> package, where they differ."""


def pip_install(library: str) -> str:
    """The command that installs a library, as old or new as Photovision asks for it.

    It names the library itself and not one of Photovision's extras, so that it holds for checkouts and for copies that
    came from no index.

    Args:
        library: a package, or the name of a module of one.

    Example:
        >>> pip_install("captum").endswith("install 'captum>=0.8'")
        True
    """
    top = library.partition(".")[0]
    return f"{_pip()} install {shlex.quote(_requirement(PACKAGES.get(top, top)))}"


def how_to_upgrade() -> str:
    """What to do for a newer Photovision."""
    place = _checkout()
    return f"{_pip()} install --upgrade {NAME}" if place is None else f"bring the checkout {place} up to date"


def _pip() -> str:
    """pip of the environment that runs, by the shortest name that leads to it."""
    found = shutil.which("pip")
    if found and Path(found).parent == Path(sys.executable).parent:
        return "pip"
    return f"{shlex.quote(sys.executable)} -m pip"


def _requirement(package: str) -> str:
    """What Photovision asks of a package, such as "captum>=0.8"; its name where it asks for nothing."""
    wanted = re.sub(r"[-_.]+", "-", package).lower()
    try:
        lines = requires(NAME) or []
    except PackageNotFoundError:  # run from its sources, without an installation
        lines = []
    for line in lines:
        asked = line.partition(";")[0].strip()
        name = re.match(r"[\w.-]+", asked)
        if name and re.sub(r"[-_.]+", "-", name[0]).lower() == wanted:
            return asked
    return package


def _checkout() -> str | None:
    """The folder that an editable installation leads to (PEP 610); None for other installations."""
    try:
        found: Distribution = distribution(NAME)
    except PackageNotFoundError:
        return None
    facts = json.loads(found.read_text("direct_url.json") or "{}")
    return facts["url"].removeprefix("file://") if (facts.get("dir_info") or {}).get("editable") else None
