"""Suggestions for names that do not exist: what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

LIKENESS = 0.55
"""Share of letters in common (difflib's ratio) from which a name may be a slip for another."""
MOST_ENTRIES = 2000
"""Entries of a folder that are compared at most."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names that are most like a name, whatever the case of their letters, best first.

    Names that begin with `name` are taken alone: it was cut short.

    Example:
        >>> nearest("--out", ["--robust", "--output", "--root"])
        ['--output']
    """
    given = {one.casefold().lstrip("-"): one for one in reversed(list(known))}  # dashes would make all flags alike
    short = name.casefold().lstrip("-")
    begun = sorted(one for one in given if short and one.startswith(short))
    near = begun or difflib.get_close_matches(short, given, count, LIKENESS)
    return [given[one] for one in near][:count]


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A clause for the end of a message: "; did you mean a or b?", else `otherwise`.

    Example:
        >>> did_you_mean("helthy", ["healthy", "ill"])
        '; did you mean healthy?'
    """
    near = nearest(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else otherwise


def paths_beside(path: Path, holding: str = "") -> list[str]:
    """Entries of the folder that a path would lie in, written like the path.

    Args:
        path: leads to nothing.
        holding: only folders that have a file of this name.
    """
    try:
        entries = [entry for entry, _ in zip(path.parent.iterdir(), range(MOST_ENTRIES), strict=False)]
    except OSError:  # there is no such folder, or it may not be read
        return []
    found = [one for one in entries if not one.name.startswith(".") and (not holding or (one / holding).is_file())]
    return sorted(str(one) for one in found)
