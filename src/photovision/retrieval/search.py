"""search: pictures of a folder that are like a picture, by an index that is named, or by one in the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from photovision.core.errors import DataError, UsageError
from photovision.core.inputs import Given
from photovision.core.progress import Listener, visible
from photovision.core.system import cache_folder
from photovision.engine.progress import narrated
from photovision.retrieval.build import index
from photovision.retrieval.features import feature_model
from photovision.retrieval.index import Index, SearchResult, is_index


def index_of_folder(folder: str | Path) -> Path:
    """Where the cache holds the index of a folder of pictures."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()
    return cache_folder() / "indexes" / digest[:32]


def open_index(source: str | Path, *, model: str | Path | None = None, listener: Listener = visible) -> Index:
    """The index at a path, or that of a folder of pictures in the cache, which is made or brought up to date.

    Args:
        source: an index or a folder of pictures.
        model: with which the index was made; None takes what it was made with. Another one is refused.
        listener: of the progress of indexing.

    Raises:
        DataError: it is neither.
        ModelError: the index was made with another model, or is damaged.
    """
    if is_index(source):
        opened = Index(source)
        if model is not None:
            opened.expect_model(feature_model(model))
        return opened
    if not Path(source).is_dir():
        raise DataError(f"{source} is neither an index nor a folder of pictures: check the path")
    # Measuring how often verdicts are wrong takes longer than a single search is worth.
    return index(source, index_of_folder(source), model=model, check=0, listener=listener)


def known_index(source: str | Path) -> Path:
    """The folder of an index, named itself or by its folder of pictures; raises UsageError where there is none."""
    place = Path(source) if is_index(source) else index_of_folder(source)
    if not is_index(place):
        raise UsageError(f"there is no index of {source}: make one with 'photovision index {source} -o INDEX'")
    return place


@narrated
def search(
    source: str | Path,
    picture: Given,
    *,
    top: int = 20,
    crop: Sequence[float] | None = None,
    model: str | Path | None = None,
    listener: Listener = visible,
) -> SearchResult:
    """Pictures that show the same as a picture, or something like it.

    Args:
        source: an index, or a folder of pictures, which is then indexed in the cache.
        picture: as `photovision.core.inputs.as_source` takes it.
        top: results at most.
        crop: (left, top, right, bottom) in pixels of the upright picture: only this part is searched for.
        model: as of `open_index`.
        listener: of the progress of indexing.

    Raises:
        UnreadableImage: the picture cannot be decoded.
        DataError, ModelError, UsageError: as of `open_index` and `Index.search`.
    """
    with open_index(source, model=model, listener=listener) as opened:
        return opened.search(picture, top=top, crop=crop)
