"""Tables of parts: literal names -> "module:attribute", loaded only when asked for, open to other packages.

Adding a part is one file and one line in a table. Other packages add parts through an entry point of the same group.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoints, entry_points
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.suggest import did_you_mean


class Registry:
    """Parts of one kind, found by name.

    Args:
        kind: what the parts are, in the singular, for messages ("dataset format").
        table: name -> "module:attribute".
        group: entry-point group through which other packages add parts.

    Example:
        >>> Registry("function", {"mean": "statistics:mean"}, "photovision.example").load("mean")([1, 3])
        2
    """

    def __init__(self, kind: str, table: Mapping[str, str], group: str) -> None:
        self.kind = kind
        self._table = dict(table)
        self._group = group

    def names(self) -> tuple[str, ...]:
        """All names, built-in ones first."""
        return tuple(dict.fromkeys([*self._table, *(entry.name for entry in _added(self._group))]))

    def load(self, name: str) -> Any:
        """The part of that name; raises UsageError with the nearest names where there is none."""
        if name in self._table:
            module, attribute = self._table[name].split(":")
            return getattr(import_module(module), attribute)
        for entry in _added(self._group).select(name=name):
            return entry.load()
        every = f"; there are {', '.join(self.names())}"
        raise UsageError(f"no {self.kind} is called '{name}'{did_you_mean(name, self.names(), every)}")


@cache
def _added(group: str) -> EntryPoints:
    """What installed packages add to a group, read once: it means a look into every one of hundreds."""
    return entry_points(group=group)
