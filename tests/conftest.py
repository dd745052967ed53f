"""Fixtures for all tests; helpers are plain modules beside this file (`from pictures import make_folder`)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# All of them are modules of one name, "conftest": as doctests, those of two folders could not be collected together.
collect_ignore_glob = ["*/conftest.py"]

# What is started in the background (`make test &`, nohup) ignores these signals, and so would every command that a test
# starts and interrupts. A handler of this process is not inherited.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, lambda number, frame: None)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures beside the repository, for tests that can use it where it exists."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/data beside the repository")
    return folder
