"""Processes of their own: one that is tied to its parent ends with it, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from photovision.core.subprocesses import python_environment

CHILD = "import time; from photovision.core.subprocesses import end_with_parent as tie; tie(); print(1, flush=True)"
PARENT = f"""
import subprocess, sys, time
from photovision.core.subprocesses import Lifeline
line = Lifeline()
child = subprocess.Popen([sys.executable, "-c", {CHILD!r} + "; time.sleep(60)"], stdin=line.stdin,
                         env=line.environment(), stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
{{rest}}
"""


def started(rest: str) -> tuple[subprocess.Popen[str], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(rest=rest)], stdout=subprocess.PIPE, text=True, env=python_environment()
    )
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def gone(number: int) -> bool:
    """Whether a process has ended; one that nobody waits for stays as a zombie."""
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc to see whether a process has ended")
@pytest.mark.parametrize("how", ["killed", "closed"])
def test_a_tied_process_ends_with_its_parent(how: str) -> None:
    parent, child = started("time.sleep(60)" if how == "killed" else "line.close(); time.sleep(60)")
    with parent:
        try:
            if how == "killed":
                assert not gone(child)
                parent.send_signal(signal.SIGKILL)
            end = time.monotonic() + 60
            while not gone(child):
                assert time.monotonic() < end
                time.sleep(0.02)
        finally:
            parent.kill()


def test_a_process_without_a_lifeline_goes_on() -> None:
    code = f"{CHILD}; import threading; print(len(threading.enumerate()))"
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=python_environment()
    )
    assert (done.returncode, done.stdout) == (0, "1\n1\n")
