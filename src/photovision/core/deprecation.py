"""Old spellings of public names: they work for one more version, with a DeprecationWarning that names the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T", bound=type)
P = ParamSpec("P")
R = TypeVar("R")


def warn_renamed(old: str, new: str) -> None:
    """DeprecationWarning at the line of the caller's caller: `old` is now called `new`."""
    warnings.warn(f"'{old}' is now called '{new}'; the old name goes with the next version", DeprecationWarning, 3)


def renamed_fields(**new_of: str) -> Callable[[T], T]:
    """Class decorator for dataclasses: old field names keep working, as keyword arguments and for reading.

    Args:
        new_of: old name -> name of the field today.

    Example:
        >>> from dataclasses import dataclass
        >>> @renamed_fields(colour="hue")
        ... @dataclass
        ... class Paint:
        ...     hue: str
        >>> Paint("red").hue
        'red'
    """

    def decorate(cls: T) -> T:
        make: Callable[..., None] = vars(cls)["__init__"]

        @functools.wraps(make)
        def init(self: Any, *values: Any, **fields: Any) -> None:
            for old in fields.keys() & new_of.keys():
                warn_renamed(old, new_of[old])
                fields[new_of[old]] = fields.pop(old)
            make(self, *values, **fields)

        for old, new in new_of.items():
            setattr(cls, old, property(functools.partial(_read, old, new), doc=""))
        cls.__init__ = init  # type: ignore[misc]
        return cls

    return decorate


def renamed_arguments(**new_of: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Function decorator: old names of keyword arguments keep working.

    Args:
        new_of: old name -> name of the argument today.

    Example:
        >>> @renamed_arguments(colour="hue")
        ... def paint(hue: str) -> str:
        ...     return hue
        >>> paint("red")
        'red'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*values: P.args, **named: P.kwargs) -> R:
            for old in named.keys() & new_of.keys():
                warn_renamed(old, new_of[old])
                named[new_of[old]] = named.pop(old)
            return function(*values, **named)

        return call

    return decorate


def _read(old: str, new: str, self: Any) -> Any:
    warn_renamed(old, new)
    return getattr(self, new)
