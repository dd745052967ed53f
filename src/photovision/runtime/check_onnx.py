"""What a graph file may be before an engine sees it: one whole ONNX message in a regular file.

Engines tell formats by content, so that a file of another format under the name of a graph would be obeyed: OpenVINO's
own format takes its weights from any file that it names. ONNX can name other files for its weights, too. Our graphs
never do; in the bundle of a stranger such a name would read any file of this machine into the answers of the network
(as in CVE-2024-27318).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, ModelError
from photovision.core.files import open_regular

_LARGEST = 2**31 - 1  # protobuf's own limit for one message
_NUMBERS, _GRAPH = (1, 5), 7
"""Fields of an ONNX model that are numbers, its versions; all others are texts or messages, the graph among them."""


def read_graph(path: Path) -> bytes:
    """The content of an ONNX file that may be given to an engine.

    Raises:
        ModelError: it is missing, no regular file, empty, larger than 2 GiB, not ONNX, or has weights in other files.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read() if size <= _LARGEST else b""
    except FileNotFoundError:
        raise ModelError(f"the graph {path} does not exist; the bundle is incomplete, copy or train it again") from None
    except (OSError, DataError) as error:
        raise ModelError(f"the graph {path} cannot be loaded ({first_line(error)}); copy the bundle again") from None
    if not content:
        raise ModelError(f"the graph {path} should have 1 byte to 2 GiB, it has {size:,} bytes; copy the bundle again")
    if not _is_onnx(content):
        raise ModelError(f"the graph {path} cannot be loaded (it is not a whole ONNX file); copy the bundle again")
    # Other files are named under the key "location". Graphs without this word, nearly all, need no parsing.
    if b"location" in content and any(
        tensor.data_location or tensor.external_data for tensor in _parsed(path, content)
    ):
        raise ModelError(f"the graph {path} has weights in other files, which ours never have: it is not loaded")
    return content


def first_line(error: Exception) -> str:
    """The message of an engine or the system, in one line; the name of the error where there is none."""
    return next((line.strip()[:200] for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _is_onnx(content: bytes) -> bool:
    """Whether the fields of the outermost message are those of an ONNX model and end where the content ends.

    Example:
        >>> _is_onnx(b"\\x08\\x09\\x3a\\x00"), _is_onnx(b"<?xml version='1.0'?><net/>")
        (True, False)
    """
    at, found = 0, set()
    while at < len(content):
        key, at = _number(content, at)
        field, kind = key >> 3, key & 7
        if kind != (0 if field in _NUMBERS else 2):
            return False
        value, at = _number(content, at)
        at += value if kind == 2 else 0
        found.add(field)
    return at == len(content) and found >= {_NUMBERS[0], _GRAPH}


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A number of protobuf's kind, seven bits a byte, and where it ends; beyond the end for a damaged one."""
    value = 0
    for place, byte in enumerate(content[at : at + 10]):
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    return 0, len(content) + 1


def _parsed(path: Path, content: bytes) -> Iterator[Any]:
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's errors have no common root with onnx's
        raise ModelError(
            f"the graph {path} cannot be loaded ({first_line(error)}); copy or train the bundle again"
        ) from None
    return _tensors(model)


def _tensors(message: Any) -> Iterator[Any]:
    """All tensors of a model, those in attributes, subgraphs and functions, too."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from _tensors(inner)
