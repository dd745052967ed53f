"""Names of files and folders that every system can hold: Windows, macOS and Linux alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from photovision.core.errors import DataError
from photovision.data.formats.tree import JUNK

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])[ ]*(\..*)?", re.IGNORECASE)
_FORBIDDEN = '<>:"|?*\\/'
_LONGEST = 200
"""Bytes in UTF-8: most systems hold 255, encrypted folders fewer."""


def fault_of(name: str) -> str:
    """Why a name cannot be a file's or folder's everywhere, as the rest of a sentence; "" where it can.

    Example:
        >>> fault_of("CON"), fault_of("a:b"), fault_of("cat 2")
        ('is reserved on Windows', "holds a ':'", '')
    """
    if name in ("", ".", "..") or name in JUNK:
        return "is no name of a folder" if name in ("", ".", "..") else "is passed over as junk of another program"
    if name.startswith("."):
        return "begins with a dot, which hides it"
    if name != name.strip() or name.endswith("."):
        return "begins or ends with a blank, or ends with a dot"
    if _RESERVED.fullmatch(name):
        return "is reserved on Windows"
    bad = next((c for c in name if c in _FORBIDDEN or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")), "")
    if bad:
        return f"holds a {bad!r}"
    return f"is longer than {_LONGEST} bytes" if len(name.encode("utf-8", "replace")) > _LONGEST else ""


def check_folders(names: Iterable[str]) -> None:
    """Raise DataError where class names, with "/" between folders, cannot be folders on every system.

    Two that differ only in letter case, or in how their letters are composed, would be one folder on some.
    """
    known: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        for depth, part in enumerate(parts):
            if fault := fault_of(part):
                raise DataError(f"the class name {name!r} cannot be a folder's name: {part!r:.80} {fault}; {_TABLE}")
            whole = "/".join(parts[: depth + 1])
            first = known.setdefault(unicodedata.normalize("NFC", whole).casefold(), whole)
            if first != whole:
                raise DataError(
                    f"the class names {first!r} and {whole!r} would be one folder on Windows and macOS; {_TABLE}"
                )


_TABLE = "write the data as a table (--to table)"
