"""Texts that people may edit: each ends in a digest of itself, so that what was changed by hand is never replaced."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from photovision.core.files import write_text

TEXTS = ("README.md", "DATASHEET.md", "report.md", "report.html")
"""Names of the texts that are sealed, in bundles, exports and folders of reports."""
_BEGINNING = b"<!-- Photovision wrote what is above; SHA-256 "
_SEAL = re.compile(re.escape(_BEGINNING) + rb"([0-9a-f]{64}) -->\s*")
_NAME = b"hotovision"  # in every card, data sheet and report of the versions that sealed nothing


def write_sealed(path: Path, text: str) -> None:
    """Write a UTF-8 text (Markdown or HTML) atomically, with its seal as a comment at its end.

    Raises UsageError where the disk or the permissions do not allow it.
    """
    write_text(path, f"{text.rstrip()}\n\n{_BEGINNING.decode()}{_digest(text.encode('utf-8'))} -->\n")


def edited(path: Path) -> bool:
    """Whether a text was changed or written by somebody else than Photovision; raises OSError.

    Ends of lines do not count, for Git changes them. Of a text without a seal, as older versions wrote it, it is only
    known whether it names Photovision.
    """
    content = path.read_bytes().replace(b"\r\n", b"\n")
    at = content.rfind(_BEGINNING)
    if at < 0:
        return _NAME not in content
    found = _SEAL.fullmatch(content, at)
    return found is None or found[1].decode() != _digest(content[:at])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content.rstrip()).hexdigest()
