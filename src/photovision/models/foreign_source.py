"""Where foreign graphs come from: ONNX files, and networks of timm, torchvision and transformers, written as ONNX.

Nothing is fetched, and nothing is unpickled but plain tensors.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from photovision.core.errors import DataError, UsageError
from photovision.core.files import open_regular
from photovision.core.text import printable
from photovision.models.foreign_graph import ForeignGraph, read_foreign

KINDS = ("timm", "torchvision", "hf")
_LARGEST, _MOST, _LONGEST = 4 * 2**20, 20_000, 200


def foreign_source(source: str, weights: str, classes: int | None) -> ForeignGraph:
    """The graph of a source.

    Args:
        source: an ONNX file, "timm:NAME", "torchvision:NAME" or "hf:FOLDER".
        weights: of timm's and torchvision's networks: "auto" (those on this machine), "none" (random), or a file.
        classes: how many there are; None for as many as the weights know.

    Raises:
        UsageError: no such source, or weights that do not suit it.
        ModelError: it cannot be read, or takes something else than pictures alone.
    """
    kind, _, name = source.partition(":")
    if kind in KINDS and name:
        from photovision.models.foreign_torch import torch_source

        return torch_source(kind, name, weights, classes)
    if weights != "auto":
        raise UsageError("--weights is for timm:NAME and torchvision:NAME: an ONNX file has its own")
    path = Path(source)
    if path.is_dir():
        hint = f"hf:{source}" if (path / "config.json").is_file() else "the .onnx file in it"
        raise UsageError(f"{source} is a folder: give {hint}")
    if not path.exists():
        raise UsageError(f"there is no file {source}: give an ONNX file, timm:NAME, torchvision:NAME or hf:FOLDER")
    return replace(read_foreign(path), facts={"source": "onnx"})


def read_classes(path: str | Path) -> tuple[str, ...]:
    """The names of a file: one a line, or JSON, a list of them or a mapping from their numbers.

    Raises:
        DataError: it is missing, too large, or has no such names.
    """
    path = Path(path)
    try:
        with open_regular(path) as file:
            text = file.read(_LARGEST + 1).decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"there is no file {path}: give one with the name of a class a line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({str(error)[:100]})") from None
    if len(text) > _LARGEST:
        raise DataError(f"{path} is larger than any list of classes should be")
    names = _of_json(text, path) if path.suffix.lower() == ".json" else [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    if not 1 <= len(names) <= _MOST:
        raise DataError(f"{path} should name 1 to {_MOST:,} classes, one a line, got {len(names):,}")
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name or len(name) > _LONGEST or printable(name) != name or name in seen:
            raise DataError(f"{path} should have a different name of up to {_LONGEST} characters as class {number:,}")
        seen.add(name)
    return tuple(names)


def _of_json(text: str, path: Path) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON ({str(error)[:100]})") from None
    if isinstance(value, dict):
        inner = value.get("id2label", value.get("names", value))
        value = [inner.get(str(number)) for number in range(len(inner))] if isinstance(inner, dict) else inner
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise DataError(f"{path} should be a list of names, or a mapping from 0, 1, 2 ... to them")
    return value
