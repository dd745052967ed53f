"""Inputs: pictures as callers have them, brought to the three kinds that the rest of the package knows.

A path, the content of a file, or pixels. Everything that people hand to `predict`, `explain` or an estimator passes
through here, so that all of them take and refuse the same things.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import Image as Pillow

from photovision.core.address import RemotePath
from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.image import decode, from_pillow, to_array
from photovision.core.types import Image, Sample

Source = str | Path | bytes | Image
"""A picture: path of a file, content of a file, or uint8 RGB (H, W, 3)."""
Given = Any
"""A picture as callers have it; see `as_source`."""

KINDS = "a path, the bytes of a picture file, an open binary file, a PIL image or an array (H, W, 3)"
_LONGEST_PATH = 4096
_ROUNDING = 1e-3  # what a resized picture of floats may overshoot by


def as_sources(
    images: Given | Iterable[Given], *, stacks: bool = False
) -> tuple[Iterator[Source | UnreadableImage], bool]:
    """The pictures of one call, and whether it was one picture alone.

    Args:
        images: one picture as `as_source` takes it; or any iterable of such, also a generator, whose pictures are taken
            one by one as they are needed. An array of more than one picture is (N, H, W, 3).
        stacks: whether an array (N, H, W) is N grey pictures.

    Returns:
        The pictures, those that cannot be decoded as UnreadableImage in their places; and whether it was one alone.

    Raises:
        UsageError: it is neither a picture nor pictures. What is wrong with one of them is raised at its turn.

    Example:
        >>> sources, single = as_sources(["a.jpg", np.zeros((2, 3), np.uint8)])
        >>> [type(source).__name__ for source in sources], single
        (['str', 'ndarray'], False)
    """
    if not isinstance(images, np.ndarray) and _is_array(images):
        images = _array(images, "the pictures")
    if isinstance(images, np.ndarray) and images.dtype.kind in "OUS":
        if images.ndim > 1:
            raise UsageError(f"pictures should be given as one column, got a table of shape {images.shape}")
        images = images.tolist()  # a single text where it has no dimension
    if isinstance(images, np.ndarray):
        alone = images.ndim < 4 and not (stacks and images.ndim == 3 and images.shape[2] not in (1, 3, 4))
    else:
        alone = _is_picture(images)
    if not alone and (isinstance(images, Mapping | Set) or not isinstance(images, Iterable)):
        raise UsageError(f"expected {KINDS}, or a list of such pictures, got {_named(images)}")
    if alone and isinstance(images, str | os.PathLike) and os.path.isdir(images):
        raise UsageError(f"{images} is a folder: give its pictures, or use photovision.predict(model, '{images}')")
    return _each((images,) if alone else images, alone), alone


def as_source(image: Given, name: str = "the picture") -> Source:
    """One picture as a path, the content of a file, or uint8 RGB (H, W, 3).

    Args:
        image: a path (text, pathlib or file:// address; "~" is the home folder); the content of a picture file as
            bytes, bytearray or memoryview; an open binary file or BytesIO, read from its start; a PIL image, turned
            upright as its EXIF says; a sample of a data set; an array, or what NumPy can turn into one, uint8 or
            floats from 0 to 1, of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).
        name: what errors call it.

    Raises:
        UsageError: none of these.
        UnreadableImage: a PIL image or a file that cannot be read.

    Example:
        >>> as_source(np.ones((2, 2), np.float32)).tolist()[0][0]
        [255, 255, 255]
    """
    if isinstance(image, UnreadableImage):  # what has come this way before
        raise image
    if isinstance(image, str):
        return _path(image, name)
    if isinstance(image, Sample):
        return image.image
    if isinstance(image, bytes):
        return image
    if isinstance(image, np.ndarray):
        return as_rgb(image, name) if image.dtype.kind not in "OU" or image.ndim else as_source(image.item(), name)
    if isinstance(image, os.PathLike):
        return image if isinstance(image, RemotePath) else Path(_path(os.fsdecode(image), name))
    if isinstance(image, memoryview) and image.ndim > 1:
        return as_rgb(np.asarray(image), name)
    if isinstance(image, bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Pillow.Image):
        return from_pillow(image, name)
    if callable(getattr(image, "read", None)):
        return _content(image, name)
    if _is_array(image):
        return as_rgb(_array(image, name), name)
    raise UsageError(f"{name} should be {KINDS}, got {_named(image)}")


def as_rgb(image: np.ndarray, name: str = "the picture") -> Image:
    """The pixels of an array as uint8 RGB (H, W, 3); grey ones without being copied.

    Args:
        image: uint8, or floats from 0 to 1; (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), which is laid on white.
        name: what errors call it.

    Raises:
        UsageError: not such an array.
    """
    if image.dtype.kind == "f" and image.size:
        low, high = float(image.min()), float(image.max())
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN, too
            raise UsageError(
                f"{name}: floating-point pixels should be from 0 to 1, got {low:g} to {high:g}:"
                " divide by the largest value that is possible, or convert to uint8"
            )
    if (image.dtype != np.uint8 and image.dtype.kind != "f") or 0 in image.shape:
        raise UsageError(f"{name}: an array should be uint8, or floats from 0 to 1, not empty, got {_shaped(image)}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise UsageError(
            f"{name}: expected an array (H, W, 3), (H, W) or (H, W, 4), got {_shaped(image)}{_hint(image)}"
        )
    if image.dtype.kind == "f":
        image = (255 * image.astype(np.float32).clip(0, 1)).round().astype(np.uint8)
    if image.ndim == 2 or image.shape[2] == 1:
        grey = image.reshape(image.shape[:2])
        return np.broadcast_to(grey[..., None], (*grey.shape, 3))
    return image if image.shape[2] == 3 else as_pixels(Pillow.fromarray(image), name)


def as_pixels(image: Given, name: str = "the picture") -> Image:
    """One picture decoded whole: uint8 RGB (H, W, 3), upright. Takes and raises what `as_source` does."""
    source = as_source(image, name)
    if isinstance(source, np.ndarray):
        return source
    try:
        return to_array(decode(source))
    except UnreadableImage as error:
        raise placed(error, name) from None


def placed(error: UnreadableImage, name: str) -> UnreadableImage:
    """The same error where a picture without a file of its own is called by its name among others."""
    head, colon, reason = str(error).partition(":")
    return UnreadableImage(f"{name}:{reason}") if colon and head == "the picture" else error


def name_of(source: object, otherwise: str = "") -> str | None:
    """The path of a picture that came from a file; else what it is called otherwise, or None."""
    return str(source) if isinstance(source, str | Path) else otherwise or None


def _each(images: Iterable[Given], alone: bool) -> Iterator[Source | UnreadableImage]:
    for number, image in enumerate(images, 1):
        try:
            yield as_source(image, "the picture" if alone else f"picture {number}")
        except UnreadableImage as error:
            yield error


def _is_picture(image: object) -> bool:
    known = (str, os.PathLike, bytes, bytearray, memoryview, Pillow.Image, Sample, UnreadableImage)
    return isinstance(image, known) or callable(getattr(image, "read", None))


def _is_array(image: object) -> bool:
    """Whether it is an array of another library: a tensor of torch, a column of pandas."""
    return hasattr(image, "__array__") and not isinstance(image, Pillow.Image | type)


def _array(image: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(image)
    except Exception as error:  # a tensor on another device or with gradients, in the words of its library
        raise UsageError(f"{name}: {_named(image)} cannot become an array ({_first_line(error)})") from None


def _path(text: str, name: str) -> str | Path:
    if len(text) > _LONGEST_PATH or text.startswith("data:"):
        raise UsageError(f"{name} is a text of {len(text):,} characters, no path: decode base64 to bytes before")
    if not text.strip():
        raise UsageError(f"{name} is an empty text: give the path of a picture")
    if "\0" in text:
        raise UnreadableImage(f"{text}: is no path, for it holds a null byte")
    if text.startswith("~") and not os.path.lexists(text):
        return os.path.expanduser(text)
    scheme, separator, _ = text.partition("://")
    if not separator or not scheme.isalnum() or os.path.lexists(text):
        return text
    if scheme.lower() != "file":
        raise UsageError(f"{name} is an address ({scheme}://): download it, then give the file or its bytes")
    return Path(unquote(urlsplit(text).path))


def _content(file: Any, name: str) -> bytes:
    """What an open file holds from its start; one that cannot go back is read from where it is."""
    if getattr(file, "closed", False):
        raise UsageError(f"{name} is a file that is closed: open it again, or give its path")
    try:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        content = file.read()
    except UnicodeDecodeError:
        content = ""  # it is open for text
    except Exception as error:  # whatever the library of that file raises, such as that of a network
        raise UnreadableImage(f"{name}: the open file cannot be read ({_first_line(error)})") from None
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    if isinstance(content, str):
        raise UsageError(f"{name} is a file that is open for text: open it with mode 'rb'")
    raise UsageError(f"{name} should be {KINDS}, got {_named(file)}, whose read() gives {_named(content)}")


def _hint(image: np.ndarray) -> str:
    if image.ndim == 3 and image.shape[0] in (1, 3, 4):
        return ": colours come last, so use transpose(1, 2, 0)"
    return ": several grey pictures are given as a list" if image.ndim == 3 else ""


def _shaped(image: np.ndarray) -> str:
    return f"{image.dtype} {image.shape}"


def _named(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
