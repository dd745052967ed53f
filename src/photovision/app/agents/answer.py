"""ToolAnswer: what a tool returns, small enough for an agent; names from strangers in it are quoted and short."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from photovision.core.markdown import clean
from photovision.core.text import printable

MAX_BYTES = 2000
"""Of the text of one answer."""
MAX_NAME = 80
"""Letters of a name."""
MAX_PICTURE = 60_000
"""Bytes of one picture in an answer."""


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool found.

    Attributes:
        fields: JSON-ready, at most `MAX_BYTES` as text.
        images: JPEG files, where pictures were asked for.
    """

    fields: Mapping[str, Any]
    images: Sequence[bytes] = ()


def quoted(name: str) -> str:
    """A name from strangers on one line, without control characters, at most `MAX_NAME` letters.

    Example:
        >>> quoted("a\\nb" + 100 * "c") == "a b" + 76 * "c" + "…"
        True
    """
    text = printable(clean(name))
    return text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 1]}…"


def fitted(fields: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], offset: int = 0) -> ToolAnswer:
    """An answer with as many rows as fit, under "rows"; how many are left, and where they begin, stand beside them.

    Args:
        fields: what stands before the rows; texts of lists in it are dropped from the end where they do not fit.
        rows: from `offset` on.
        offset: how many came before.

    Example:
        >>> fitted({"n": 2}, [{"id": "a"}, {"id": "b"}]).fields
        {'n': 2, 'rows': [{'id': 'a'}, {'id': 'b'}], 'left': 0}
    """
    own = dict(fields)
    shown: list[Mapping[str, Any]] = []
    taken = size_of({**own, "rows": [], "left": 10**6, "next_offset": 10**6})
    for row in rows:
        taken += size_of(row) + 2
        if taken > MAX_BYTES:
            break
        shown.append(row)
    left = len(rows) - len(shown)
    more = {"next_offset": offset + len(shown)} if left else {}
    return ToolAnswer({**own, "rows": shown, "left": left, **more})


def shortened(fields: Mapping[str, Any]) -> ToolAnswer:
    """An answer whose longest lists lose their ends until it fits; "shortened" names them.

    Example:
        >>> shortened({"names": ["a"] * 1000}).fields["shortened"]
        ['names']
    """
    own = dict(fields)
    cut: list[str] = []
    while size_of({**own, "shortened": cut}) > MAX_BYTES:
        name = max((one for one in own if isinstance(own[one], list) and own[one]), key=lambda one: size_of(own[one]))
        own[name] = own[name][: len(own[name]) * 9 // 10]
        cut = sorted({*cut, name})
    return ToolAnswer({**own, **({"shortened": cut} if cut else {})})


def size_of(value: Any) -> int:
    """Bytes of a value as JSON text."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
