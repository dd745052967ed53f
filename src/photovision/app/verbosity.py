"""How much a command shows beside its results: --quiet nothing, --verbose also what helps to find a fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Verbosity(IntEnum):
    """How much standard error gets beside mistakes, which are always shown."""

    QUIET = -1
    NORMAL = 0
    VERBOSE = 1


_level = Verbosity.NORMAL


def verbosity() -> Verbosity:
    """What --quiet or --verbose asked for."""
    return _level


def set_verbosity(level: Verbosity) -> None:
    """Say less or more from now on."""
    global _level
    _level = level


@contextmanager
def own_verbosity() -> Iterator[None]:
    """One command, which says as much as others do unless its flags ask for less or more."""
    before = _level
    set_verbosity(Verbosity.NORMAL)
    try:
        yield
    finally:
        set_verbosity(before)
