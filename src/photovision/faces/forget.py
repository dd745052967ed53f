"""forget: a person leaves a store for good, and a search of its bytes proves it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.files import open_regular
from photovision.faces.register import DATABASE_FILE, STORE_FILE, FaceStore


class ForgetProof(NamedTuple):
    """What was searched for after a person was removed.

    Attributes:
        pseudonym: by which the log goes on naming them.
        files: of the store that were searched.
        bytes: in them.
        patterns: how many sequences of bytes were searched for: name, templates, and the sealed entry in pieces. A name
            that is one of the store's own words, such as "people", is not searched for in its own two files.
    """

    pseudonym: str
    files: int
    bytes: int
    patterns: int

    def to_json(self) -> dict[str, Any]:
        """What `photovision faces forget --json` prints."""
        return {**self._asdict(), "found": 0}


_NAME = "the name"
_PIECE = 32  # bytes of a sealed entry: a database may keep it in parts


def forget(store: FaceStore, name: str) -> ForgetProof:
    """Remove a person from a store, and search all bytes of it for what was known of them.

    The log goes on naming their pseudonym, which leads nowhere any more.

    Raises:
        UsageError: nobody is enrolled by that name.
        ModelError: something of them was found; what and where.
    """
    entry = store.entry(name)
    sealed = store.remove(entry)
    pieces = [sealed[start : start + _PIECE] for start in range(0, len(sealed) - _PIECE + 1, _PIECE)]
    patterns = {"the sealed entry": pieces, _NAME: _spellings(name)}
    numbers = np.ascontiguousarray(entry.templates, "<f4")
    patterns["a template"] = [row.tobytes() for row in numbers]
    patterns["a template"] += [base64.b64encode(row.tobytes())[:-4] for row in numbers]
    own, size, files = store.own_words(), 0, 0
    ours = (store.path / STORE_FILE, store.path / DATABASE_FILE)
    for file in sorted(path for path in store.path.rglob("*") if path.is_file()):
        content = _bytes(file)
        files, size = files + 1, size + len(content)
        for what, sought in patterns.items():
            if what == _NAME and file in ours and name in own:
                continue
            if any(one in content for one in sought):
                raise ModelError(f"{what} of {name} is still in {file}: delete the store, and enrol the others again")
    return ForgetProof(entry.pseudonym, files, size, sum(map(len, patterns.values())))


def _spellings(name: str) -> list[bytes]:
    """A name as bytes; one of a few letters is in every file by chance, and is sought in quotes."""
    plain = [name.encode(), name.encode("utf-16-le"), json.dumps(name)[1:-1].encode()]
    return plain if len(name) >= 5 else [f'"{name}"'.encode()]


def _bytes(file: Path) -> bytes:
    with open_regular(file) as opened:
        return opened.read()
