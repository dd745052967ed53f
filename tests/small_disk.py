"""A disk of a few hundred kilobytes, in memory: where root may mount one, it fills up as a real one does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """Mount a disk of this size on a new folder; skips the test where that is not possible."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kibibytes}k", "small", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True).returncode != 0:
        pytest.skip("this machine does not let root mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, kibibytes: int) -> None:
    """Give a mounted disk another size."""
    subprocess.run(["mount", "-o", f"remount,size={kibibytes}k", str(folder)], check=True)


def fill(folder: Path, left: int = 0) -> Path:
    """Write a file that leaves so many bytes free on a disk."""
    file = folder / "filler"
    state = os.statvfs(folder)
    with open(file, "wb", buffering=0) as target:
        os.posix_fallocate(target.fileno(), 0, max(1, state.f_bavail * state.f_bsize - left))
    return file
