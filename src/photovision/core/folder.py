"""Writing a folder so that a reader, a crash or a power cut finds the old one or the new one, whole and in place.

A folder is filled beside its place, written to the disk, and exchanged with an older one in a single step where the
system can do that (Linux). Elsewhere the older one is moved away first, moved back if the new one cannot take its
place, and found again by the next writer or reader after a crash between the two moves.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from photovision.core.errors import UsageError
from photovision.core.files import beside, explained, sync, umask
from photovision.core.lock import Lock
from photovision.core.output import Kind, check_content, check_folder, placed, write_mark

_PART = "photovision-"
_OLD = ".old"
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP)
_MANY = 500
"""Files from which on the whole system is asked once to write what it holds, before each is made sure of."""


@contextlib.contextmanager
def new_folder(path: Path, kind: Kind, inputs: Iterable[str | Path] = ()) -> Iterator[Path]:
    """Fill a folder beside `path`, then put it in its place at once; an earlier output of its kind is replaced whole.

    A second writer of the same path waits until the first has finished.

    Args:
        path, kind, inputs: as for `photovision.core.output.check_folder`.

    Raises:
        UsageError: something of the user's is in the way, or the system refuses; what was there stays.

    Example:
        >>> with tempfile.TemporaryDirectory() as top, new_folder(Path(top) / "cats", "data set") as folder:
        ...     _ = (folder / "a.txt").write_text("whole or not at all")
    """
    with contextlib.ExitStack() as stack:
        with explained(path):
            place = check_folder(path, kind, inputs)
            place.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(Lock(beside(place, "lock")))
            _tidy(place, lock)
            check_folder(path, kind)
            start = beside(place, _PART)
            folder = Path(tempfile.mkdtemp(dir=start.parent, prefix=start.name))
            made = os.stat(folder)
        try:
            with explained(path):
                os.chmod(folder, 0o777 & ~umask())
                yield folder
                for file in folder.rglob("*.safetensors"):  # their library makes them private; a model is to be shared
                    os.chmod(file, 0o666 & ~umask())
                write_mark(folder, kind)
                _sync_below(folder)
                check_folder(path, kind)
                _place(folder, place, path, kind)
        finally:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(folder), made):  # else what was in its place is there now
                    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def reserved(path: str | Path, kind: Kind, inputs: Iterable[str | Path] = (), *, alone: bool = True) -> Iterator[Path]:
    """Keep an output for one run from its start to its end, so that no hour of work ends with a refusal.

    Args:
        path, kind, inputs: as for `photovision.core.output.check_folder`.
        alone: False in processes that work for one which has reserved it.

    Yields:
        its place, see `photovision.core.output.placed`.

    Raises:
        UsageError: something of the user's is in the way, or another run is under way; one that died is not.
    """
    with explained(Path(path)):
        place = check_folder(path, kind, inputs)
    if not alone:
        yield place
        return
    lock = Lock(beside(place, "run.lock"))
    with explained(Path(path)):
        place.parent.mkdir(parents=True, exist_ok=True)
        if not lock.take(wait=False):
            number = lock.holder()
            raise UsageError(
                f"another run{f' (process {number})' if number else ''} is writing {path}: wait for its end, or choose"
                " another folder with --output"
            )
    try:
        yield place
    finally:
        lock.release()


def recover(path: str | Path) -> None:
    """Put back a folder that a crash between two moves left beside its place; nothing where it is there."""
    try:
        place = placed(path)
    except UsageError:  # no folder can have such a name; whoever reads it says so
        return
    if os.path.lexists(place) or not any(_left(place, _OLD)):
        return
    with contextlib.suppress(OSError), Lock(beside(place, "lock")) as lock:
        _tidy(place, lock)


def _tidy(place: Path, lock: Lock) -> None:
    """Put back or remove what writers that were killed left; the lock says that no other is at work."""
    for old in _left(place, _OLD):
        if not os.path.lexists(place):
            os.rename(old, place)
            sync(place.parent)
    for left in _left(place, "") if lock.firm else ():
        shutil.rmtree(left, ignore_errors=True)


def _left(place: Path, ending: str) -> list[Path]:
    start = beside(place, _PART).name
    with contextlib.suppress(OSError), os.scandir(place.parent) as entries:
        names = sorted(entry.name for entry in entries if entry.name.startswith(start))
        return [place.parent / name for name in names if name.endswith(ending)]
    return []


def _place(folder: Path, place: Path, path: Path, kind: Kind) -> None:
    """Put a finished folder in its place; what was there is removed last, and only if it may be."""
    if not os.path.lexists(place):
        os.rename(folder, place)
        sync(place.parent)
        return
    old = folder if _exchanged(folder, place) else _moved(folder, place)
    try:
        check_content(path, old, kind)  # somebody may have put a file into it a moment ago
    except BaseException:
        if old == folder:
            _exchanged(folder, place)
        else:
            os.rename(place, folder)
            os.rename(old, place)
        raise
    sync(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two folders changed places in one step; False where the system cannot do it."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _moved(folder: Path, place: Path) -> Path:
    """Two moves instead of one; returns where the older folder is."""
    old = folder.with_name(folder.name + _OLD)
    try:
        os.rename(place, old)
        os.rename(folder, place)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(place):
            os.rename(old, place)
        raise
    return old


def _sync_below(folder: Path) -> None:
    files = [Path(top) / name for top, _, names in os.walk(folder) for name in names]
    if len(files) > _MANY:
        os.sync()
    for file in files:
        if not file.is_symlink():
            sync(file)
    for top, _, _ in os.walk(folder, topdown=False):
        sync(Path(top))
