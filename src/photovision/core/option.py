"""Options: choices of a verb that tasks declare, given in Python, as flags of commands and as text by requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from photovision.core.errors import UsageError

_LONGEST = 64
_SIDES = r"^[1-9][0-9]{1,3}(x[1-9][0-9]{1,3})?$"


@dataclass(frozen=True)
class Option:
    """One choice of a verb.

    Attributes:
        name: as in HTTP and in Python, such as "false_alarms"; on the command line "--false-alarms".
        text: what it does, a sentence.
        kind: what a value is on the command line: str, int, float, bool or Path.
        expected: which values are accepted, as in "should be a number from 0 to 1".
        schema: the JSON schema of its values.
        convert: from text to its value; raises ValueError for everything else.
        http_only: whether requests alone have it, because it is about how the prediction is sent.
    """

    name: str
    text: str
    kind: type = str
    expected: str = "text"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    convert: Callable[[str], Any] = str
    http_only: bool = False

    def parse(self, text: str) -> Any:
        """The value that a text means; raises UsageError, which does not repeat the text.

        Example:
            >>> whole_number("top", "Classes to list.", 1, 1000, 5).parse("3")
            3
        """
        try:
            if len(text) > _LONGEST:
                raise ValueError
            return self.convert(text)
        except ValueError:
            raise UsageError(f"'{self.name}' should be {self.expected}") from None


def whole_number(name: str, text: str, low: int, high: int, default: int) -> Option:
    """A whole number from `low` to `high`."""

    def convert(given: str) -> int:
        if not (given.isascii() and given.isdigit()) or not low <= int(given) <= high:
            raise ValueError
        return int(given)

    schema = {"type": "integer", "minimum": low, "maximum": high, "default": default}
    return Option(name, text, int, f"a whole number from {low} to {high}", schema, convert)


def share(name: str, text: str, high: float = 1.0, *, http_only: bool = False) -> Option:
    """A number from 0 to `high`."""

    def convert(given: str) -> float:
        if not 0 <= (value := float(given)) <= high:  # NaN, too
            raise ValueError
        return value

    schema = {"type": "number", "minimum": 0, "maximum": high}
    return Option(name, text, float, f"a number from 0 to {high:g}", schema, convert, http_only)


def choice(name: str, text: str, *values: str, http_only: bool = False) -> Option:
    """One of a few words, the first of which is the default."""

    def convert(given: str) -> str:
        if given not in values:
            raise ValueError
        return given

    schema = {"type": "string", "enum": list(values), "default": values[0]}
    expected = f"{', '.join(values[:-1])} or {values[-1]}"
    return Option(name, text, str, expected, schema, convert, http_only)


def sides(name: str, text: str, low: int, high: int) -> Option:
    """(H, W) in pixels, written as a side or as HxW."""

    def convert(given: str) -> tuple[int, int]:
        found = [int(side) for side in given.split("x")] if re.fullmatch(_SIDES, given, re.ASCII) else [0]
        if not all(low <= side <= high for side in found):
            raise ValueError
        return found[0], found[-1]

    expected = f"H or HxW in pixels, such as 640 or 480x640, each {low} to {high}"
    return Option(name, f"{text} {low} to {high}.", str, expected, {"type": "string", "pattern": _SIDES}, convert)
