"""A lock between processes, which the system frees when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any

fcntl: Any = importlib.import_module("fcntl") if os.name == "posix" else None
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


class Lock:
    """An exclusive lock on a file, which is made for it and removed afterwards; a context manager that waits.

    Args:
        file: where; its folder exists. It holds the number of the process.

    Attributes:
        firm: whether the file system can lock. Where it cannot (some network drives), the lock is granted to all:
            whoever holds such a lock still writes whole files and folders, but must not tidy up after others.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as top, Lock(Path(top) / ".lock") as lock:
        ...     Lock(lock.file).take(wait=False)
        False
    """

    def __init__(self, file: Path) -> None:
        self.file, self.firm = file, fcntl is not None
        self._handle: int | None = None

    def take(self, *, wait: bool) -> bool:
        """Take the lock, or tell that another holds it; raises OSError where the file cannot be made."""
        while True:
            handle = os.open(self.file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            try:
                taken = self._lock(handle, wait)
                # Its last holder may have removed the file meanwhile: then another one stands there, or none.
                if taken and self._same(handle):
                    self._handle = handle
                    _TAKEN.add(self)
                    self._sign(handle)
                    return True
            except BaseException:
                self._handle = None
                os.close(handle)
                raise
            os.close(handle)
            if not taken:
                return False

    def holder(self) -> str:
        """The number of the process that holds it, as text; empty where it is not known."""
        with contextlib.suppress(OSError, ValueError):
            return self.file.read_text("ascii").strip()[:20]
        return ""

    def release(self) -> None:
        """Remove the file and let go; nothing where it is not held."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            with contextlib.suppress(OSError):  # a file that stays harms nobody
                if self._same(handle):
                    self.file.unlink()
        finally:
            os.close(handle)

    def __enter__(self) -> Lock:
        self.take(wait=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def forget(self) -> None:
        """In a forked child, which would keep the lock of a parent that was killed."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _lock(self, handle: int, wait: bool) -> bool:
        if fcntl is None:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self.firm = False
        return True

    def _same(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self.file))
        except FileNotFoundError:
            return False

    def _sign(self, handle: int) -> None:
        with contextlib.suppress(OSError):  # a full disk must not keep anybody from working
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)


_TAKEN: weakref.WeakSet[Lock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_TAKEN):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
