"""A parallel map that keeps order and holds only a few items at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from photovision.core.system import cores

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    items: Iterable[T], work: Callable[[T], R], workers: int | None = None, ahead: int | None = None
) -> Iterator[tuple[T, R]]:
    """Yield `(item, work(item))` in the order of `items`, computed by threads that run ahead of the reader.

    Threads are enough for pictures: Pillow and NumPy release the interpreter lock while they decode and resize.

    Args:
        items: any iterable, also an endless one; at most `ahead` of its items are held at once.
        work: called in a thread; what it raises is raised here, at the item's turn.
        workers: threads; the number of cores if None.
        ahead: items under way at once; 4 a worker if None.

    Example:
        >>> [square for _, square in in_order([1, 2, 3], lambda x: x * x)]
        [1, 4, 9]
    """
    workers = workers or cores()
    limit = ahead or 4 * workers
    pending: deque[tuple[T, Future[R]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="photovision") as pool:
        try:
            for item in items:
                pending.append((item, pool.submit(work, item)))
                if len(pending) >= limit:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:  # the reader stopped early, or something was raised
            for _, future in pending:
                future.cancel()


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` consecutive items; the last may be shorter."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
