"""Capacity: the memory and the processors that this process may use, also within a container."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from photovision.core.system import cores

_GROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60


def memory_limit(groups: Path = _GROUPS, member: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of memory: the smallest limit of its control groups (v2 or v1), or what the machine has."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # a system that does not say
        found = _UNLIMITED
    for folder in _folders(groups, member):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(folder / name)
            if text.isdigit():
                found = min(found, int(text))
    return found


def processors(groups: Path = _GROUPS, member: Path = Path("/proc/self/cgroup")) -> int:
    """Processor cores: those it may run on, or what the quota of its control groups comes to, at least 1."""
    found = float(cores())
    for folder in _folders(groups, member):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            found = min(found, int(quota) / int(period))
    return max(1, math.ceil(found))


def _folders(groups: Path, member: Path) -> Iterator[Path]:
    """The folders of the process's control groups, and those above them."""
    yield groups
    for line in _read(member).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        tops = [groups] if not controllers else [groups / one for one in {controllers, *controllers.split(",")}]
        for top in tops:
            folder = top / path.lstrip("/")
            while folder != top and top in folder.parents:
                yield folder
                folder = folder.parent
            yield top


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
