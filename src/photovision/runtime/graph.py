"""What a graph file may be before an engine sees it: whole in one file, and not larger than the format allows.

An ONNX graph can name other files for its weights. Ours never do; in the bundle of a stranger such a name would read
any file of this machine into the answers of the network (as in CVE-2024-27318).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photovision.core.errors import ModelError

_LARGEST = 2**31 - 1  # protobuf's own limit for one message


def check_graph(path: Path) -> None:
    """Look whether an ONNX file may be opened.

    Raises:
        ModelError: it is missing, empty, larger than 2 GiB, or has weights in other files.
    """
    if not path.is_file():
        raise ModelError(f"the graph {path} does not exist; the bundle is incomplete, copy or train it again")
    size = path.stat().st_size
    if not 0 < size <= _LARGEST:
        raise ModelError(f"the graph {path} should have 1 byte to 2 GiB, it has {size:,} bytes; copy the bundle again")
    # Other files are named under the key "location". Graphs without this word, nearly all, need no parsing.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        suspicious = content.find(b"location") >= 0
    if suspicious and any(tensor.data_location or tensor.external_data for tensor in _parsed(path)):
        raise ModelError(f"the graph {path} has weights in other files, which ours never have: it is not loaded")


def _parsed(path: Path) -> Iterator[Any]:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors have no common root with onnx's
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelError(f"the graph {path} cannot be loaded ({reason}); copy or train the bundle again") from None
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
