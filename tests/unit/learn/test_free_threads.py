"""Beside other work torch takes fewer threads, and has all of them again when it is done."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from photovision.learn import free_threads
from photovision.learn.free_threads import FreeThreads, threads_for


def test_a_core_that_works_for_others_is_left_to_them() -> None:
    assert [threads_for(others, 4, 4) for others in (0.2, 0.9, 2.6, 7.0)] == [4, 3, 1, 1]
    assert threads_for(20.0, 64, 8) == 8  # more cores are free than threads may be taken


def test_threads_follow_the_load_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two cores, written down: first quiet, then with another program on one of them, then quiet."""
    stat = tmp_path / "stat"
    monkeypatch.setattr(free_threads, "_STAT", stat)
    monkeypatch.setattr(free_threads, "_SHORTEST", 0.0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    ticks, before = {"busy": 0.0, "at": time.monotonic()}, torch.get_num_threads()

    def passes(seconds: float, others: float) -> None:
        time.sleep(seconds)
        ticks["busy"] += (time.monotonic() - ticks["at"]) * others * 100
        ticks["at"] = time.monotonic()
        stat.write_text(f"cpu  {round(ticks['busy'])} 0 0 0 0 0 0 0 0 0\n")

    try:
        torch.set_num_threads(2)
        passes(0.0, 0.0)
        watched, found = FreeThreads(), []
        for others in (0.1, 1.0, 0.1):
            passes(0.2, others)
            watched.adapt()
            found.append(torch.get_num_threads())
        assert found == [2, 1, 2]
        passes(0.2, 2.0)
        watched.adapt()
        watched.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="the load of a machine is read on Linux")
def test_the_load_of_other_programs_is_measured() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            first = free_threads._sample()
            time.sleep(0.6)
            second = free_threads._sample()
        finally:
            other.kill()
    assert first is not None
    assert second is not None
    seconds, busy, own = (b - a for a, b in zip(first, second, strict=True))
    assert (busy - own) / seconds > 0.2
