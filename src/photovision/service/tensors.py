"""Tensors: pictures and answers as the Open Inference Protocol v2 writes them, in JSON or in its binary form."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from photovision.core.types import Image
from photovision.engine.wire import Tensor
from photovision.service.http_error import Refusal
from photovision.service.json_body import from_base64, parse_json
from photovision.service.options import OPTIONS
from photovision.service.settings import Limits

INPUTS = ("images", "pictures")
_TYPES = {"FP32": "<f4", "INT64": "<i8", "BOOL": "?"}


@dataclass(frozen=True, eq=False)
class Question:
    """What an inference request asks.

    Attributes:
        id: of the caller's, or None.
        pictures: bytes of files, or uint8 RGB arrays (H, W, 3).
        outputs: wanted output -> whether in binary form; None takes all, in the form of `binary`.
        binary: whether outputs that say nothing else come in binary form.
        options: of the model, from the request's parameters.
    """

    id: str | None
    pictures: list[bytes | Image]
    outputs: dict[str, bool] | None
    binary: bool
    options: Mapping[str, str]


def read_question(body: bytes, header_length: str | None, limits: Limits, hold: Callable[[int], None]) -> Question:
    """Read the body of an inference request.

    Args:
        body: JSON, followed by binary data where `header_length` says so.
        header_length: the header `Inference-Header-Content-Length`, the bytes of JSON.
        limits: of files and pixels.
        hold: counts what parsing takes against the budget of all requests.

    Raises:
        Refusal: it is not such a request (400), or holds too much (413).
    """
    size = len(body) if header_length is None else _length(header_length, len(body))
    document = parse_json(body[:size], limits, hold)
    inputs = _list_of_objects(document, "inputs") if isinstance(document, dict) else None
    if inputs is None or len(inputs) != 1:
        raise _wrong("expected an object with one entry in 'inputs', named 'images' or 'pictures'")
    identity, parameters = document.get("id"), document.get("parameters", {})
    if not (identity is None or (isinstance(identity, str) and len(identity) <= 256)):
        raise _wrong("'id' should be a text of up to 256 characters")
    if not isinstance(parameters, dict):
        raise _wrong("'parameters' should be an object")
    pictures = _pictures(inputs[0], body[size:], limits)
    binary = parameters.get("binary_data_output", False) is True
    options = {name: str(parameters[name]) for name in OPTIONS if name in parameters}
    return Question(identity, pictures, _wanted(document, binary), binary, options)


def _length(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:12]) <= most or len(text) > 12:
        raise _wrong("Inference-Header-Content-Length should be the number of bytes of JSON in the body")
    return int(text)


def _list_of_objects(document: Mapping[str, Any], name: str) -> list[dict[str, Any]] | None:
    value = document.get(name)
    return value if isinstance(value, list) and all(isinstance(one, dict) for one in value) else None


def _pictures(given: Mapping[str, Any], rest: bytes, limits: Limits) -> list[bytes | Image]:
    name, kind, shape = given.get("name"), given.get("datatype"), given.get("shape")
    if (name, kind) not in (("images", "UINT8"), ("pictures", "BYTES")):
        raise _wrong("expected the input 'images' of UINT8 or 'pictures' of BYTES")
    if not isinstance(shape, list) or not all(type(side) is int and 0 < side < 2**31 for side in shape):
        raise _wrong("'shape' should be a list of whole numbers above 0")
    parameters = given.get("parameters", {})
    if not isinstance(parameters, dict):
        raise _wrong("'parameters' should be an object")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size != len(rest)):
        raise _wrong(f"binary_data_size should be the {len(rest):,} bytes that follow the JSON")
    if size is None and rest:
        raise _wrong("binary data follows the JSON, but the input has no binary_data_size")
    if size is None and not isinstance(given.get("data"), list):
        raise _wrong("the input should have 'data', a list, or binary_data_size")
    if shape[0] > limits.files:
        raise Refusal(413, f"a request may hold {limits.files} pictures: send several requests", "files")
    data = None if size is not None else given["data"]
    return _files(shape, data, rest) if kind == "BYTES" else _arrays(shape, data, rest, limits)


def _files(shape: Sequence[int], data: list[Any] | None, rest: bytes) -> list[bytes | Image]:
    if any(side != 1 for side in shape[1:]):
        raise _wrong(f"'pictures' should have the shape [N], got {shape}")
    found: list[bytes | Image] = []
    if data is not None:
        for text in chain.from_iterable(one if isinstance(one, list) else [one] for one in data):
            if not isinstance(text, str):
                raise _wrong("each of 'pictures' should be a picture's file in base64")
            found.append(from_base64(text))
    else:
        found.extend(_prefixed(rest, shape[0]))
    if len(found) != shape[0]:
        raise _wrong(f"'shape' tells of {shape[0]} pictures, but there are {len(found)}")
    return found


def _prefixed(rest: bytes, most: int) -> Iterator[bytes]:
    """Files that each follow their length; at most one more than `most`, which is one too many."""
    start = 0
    for _ in range(most + 1):
        if start == len(rest):
            return
        size = struct.unpack_from("<I", rest, start)[0] if start + 4 <= len(rest) else -1
        start += 4
        if not 0 <= size <= len(rest) - start:
            raise _wrong("binary 'pictures' should be 4 bytes of length (little-endian) before each file")
        yield rest[start : start + size]
        start += size


def _arrays(shape: Sequence[int], data: list[Any] | None, rest: bytes, limits: Limits) -> list[bytes | Image]:
    if len(shape) != 4 or shape[3] != 3:
        raise _wrong("'images' should have the shape [N, H, W, 3]")
    if shape[1] * shape[2] > limits.picture_pixels:
        raise Refusal(413, f"a picture may have {limits.picture_pixels:,} pixels", "pixels")
    count = math.prod(shape)
    if data is None:
        if len(rest) != count:
            raise _wrong(f"'images' of this shape have {count:,} bytes, but {len(rest):,} follow the JSON")
        return list(np.frombuffer(rest, np.uint8).reshape(shape))
    return list(as_bytes(data, shape).reshape(shape))


def as_bytes(data: list[Any], shape: Sequence[int]) -> np.ndarray:
    """uint8 (n,): whole numbers 0 to 255 of JSON, flat or nested as `shape` says; raises Refusal (400).

    No array is made of what is no number: of a list of texts NumPy would make one as wide as the longest of them.
    """
    flat = data
    if any(isinstance(one, list) for one in data[:1]):
        for count in shape[1:]:
            if not all(isinstance(row, list) and len(row) == count for row in flat):
                break
            flat = list(chain.from_iterable(flat))
    if len(flat) == math.prod(shape) and set(map(type, flat)) == {int} and min(flat) >= 0 and max(flat) <= 255:
        return np.frombuffer(bytes(flat), np.uint8)
    raise _wrong(f"'data' should be {math.prod(shape):,} whole numbers 0 to 255, flat or nested as 'shape' says")


def _wanted(document: Mapping[str, Any], binary: bool) -> dict[str, bool] | None:
    if document.get("outputs") is None:
        return None
    entries = _list_of_objects(document, "outputs")
    if entries is None:
        raise _wrong("'outputs' should be a list of objects with a name")
    wanted = {}
    for entry in entries:
        parameters = entry.get("parameters", {})
        if not isinstance(entry.get("name"), str) or not isinstance(parameters, dict):
            raise _wrong("'outputs' should be a list of objects with a name")
        wanted[entry["name"]] = parameters.get("binary_data", binary) is True
    return wanted or None


def write_answer(question: Question, known: Mapping[str, Tensor], head: Mapping[str, Any]) -> tuple[bytes, int | None]:
    """The body of an answer, and the bytes of its JSON where binary data follows.

    Args:
        question: which of the tensors are wanted, and in which form.
        known: all that the model has, by name.
        head: what the JSON begins with.

    Raises:
        Refusal: an output was asked for that the model does not have (400).
    """
    wanted = question.outputs or dict.fromkeys(known, question.binary)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise _wrong(f"the model has no such output; it has {', '.join(known)}")
    outputs: list[dict[str, Any]] = []
    rest: list[bytes] = []
    for name, binary in wanted.items():
        kind, values = known[name]
        entry: dict[str, Any] = {"name": name, "datatype": kind, "shape": list(np.shape(values))}
        if binary:
            data = _binary(kind, values)
            entry["parameters"] = {"binary_data_size": len(data)}
            rest.append(data)
        else:
            entry["data"] = _plain(kind, values)
        outputs.append(entry)
    text = json.dumps({**head, "outputs": outputs}).encode()
    return (text + b"".join(rest), len(text)) if rest else (text, None)


def _plain(kind: str, values: Sequence[Any] | np.ndarray) -> list[Any]:
    if kind == "BYTES":
        return [one if isinstance(one, str) else base64.b64encode(one).decode() for one in _flat(values)]
    flat: list[Any] = np.asarray(values, _TYPES[kind]).ravel().tolist()
    return flat


def _binary(kind: str, values: Sequence[Any] | np.ndarray) -> bytes:
    if kind == "BYTES":
        texts = (one.encode() if isinstance(one, str) else one for one in _flat(values))
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.asarray(values, _TYPES[kind]).tobytes()


def _flat(values: Sequence[Any] | np.ndarray) -> Iterator[Any]:
    for one in values:
        if isinstance(one, list):
            yield from one
        else:
            yield one


def _wrong(message: str) -> Refusal:
    return Refusal(400, message, "protocol")
