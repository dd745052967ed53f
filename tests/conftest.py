"""Fixtures for all tests; helpers are plain modules beside this file (`from pictures import make_folder`)."""

from __future__ import annotations

from pathlib import Path

import pytest

# All of them are modules of one name, "conftest": as doctests, those of two folders could not be collected together.
collect_ignore_glob = ["*/conftest.py"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures beside the repository, for tests that can use it where it exists."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/data beside the repository")
    return folder
