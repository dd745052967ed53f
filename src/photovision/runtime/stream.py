"""From a stream of pictures to a stream of outputs: decoding in threads, network in batches, in order, memory flat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.inputs import Source
from photovision.core.parallel import batched, in_order
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.runtime.session import Session

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class StreamItem(Generic[T]):
    """What the graph says about one item.

    Attributes:
        item: what was given.
        outputs: output name -> its row; empty where the picture could not be read.
        error: why it could not be read, or None.
    """

    item: T
    outputs: dict[str, np.ndarray]
    error: UnreadableImage | None = None


def loader(preprocess: Preprocess) -> Callable[[Source | UnreadableImage], Image]:
    """From a picture of `as_sources` to the pixels that the network sees; raises UnreadableImage."""

    def load(source: Source | UnreadableImage) -> Image:
        if isinstance(source, UnreadableImage):
            raise source
        return preprocess.apply(source) if isinstance(source, np.ndarray) else preprocess.load(source)

    return load


def opener(preprocess: Preprocess) -> Callable[[Source | UnreadableImage], Pillow.Image | UnreadableImage]:
    """From a picture of `as_sources` to the whole of it, upright and in RGB, or to why it cannot be read."""

    def opened(source: Source | UnreadableImage) -> Pillow.Image | UnreadableImage:
        if isinstance(source, UnreadableImage):
            return source
        try:
            return preprocess.decode(source)
        except UnreadableImage as error:
            return error

    return opened


def stream(
    items: Iterable[T], load: Callable[[T], Image], session: Session, *, batch_size: int = 32
) -> Iterator[StreamItem[T]]:
    """Answer every item, in order, with at most a few batches in memory.

    Args:
        items: any iterable, also a generator over millions.
        load: from an item to uint8 RGB (H, W, 3), called in threads; UnreadableImage becomes the item's answer.
        session: an open graph with uint8 input (N, H, W, 3).
        batch_size: pictures a call of the network.

    Example: see `photovision.tasks.classify.recognizer.Recognizer.stream`.
    """
    check_batch_size(batch_size)

    def attempt(item: T) -> Image | UnreadableImage:
        try:
            return load(item)
        except UnreadableImage as error:
            return error

    # The network runs in a thread of its own, so that the next batch is gathered meanwhile.
    with ThreadPoolExecutor(1, thread_name_prefix="network") as network:
        waiting: tuple[list[tuple[T, Image | UnreadableImage]], Future[dict[str, np.ndarray]] | None] | None = None
        for batch in batched(in_order(items, attempt, ahead=2 * batch_size), batch_size):
            readable = [image for _, image in batch if isinstance(image, np.ndarray)]
            future = network.submit(session.run, np.stack(readable)) if readable else None
            if waiting is not None:
                yield from _answers(*waiting)
            waiting = batch, future
        if waiting is not None:
            yield from _answers(*waiting)


def check_batch_size(batch_size: int) -> None:
    """Raise UsageError unless it is a whole number of at least 1."""
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise UsageError(f"batch_size should be a whole number of at least 1, got {batch_size!r}")


def _answers(
    batch: list[tuple[T, Image | UnreadableImage]], future: Future[dict[str, np.ndarray]] | None
) -> Iterator[StreamItem[T]]:
    outputs = future.result() if future else {}
    row = 0
    for item, image in batch:
        if isinstance(image, UnreadableImage):
            yield StreamItem(item, {}, image)
        else:
            yield StreamItem(item, {name: values[row] for name, values in outputs.items()})
            row += 1
