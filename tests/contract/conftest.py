"""Models, pictures and a service of every task, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import service
from starlette.testclient import TestClient
from tiny import TASKS, register
from verbs import Place, place_of


@pytest.fixture(scope="session", autouse=True)
def known_network() -> None:
    """The tiny network has a name."""
    register()


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """Every task's model, data and pictures."""
    root: Path = tmp_path_factory.mktemp("contract")
    return {name: place_of(task, root / name) for name, task in TASKS.items()}


@pytest.fixture(scope="session")
def client(places: dict[str, Place]) -> Iterator[TestClient]:
    """One service over the models of all tasks."""
    with service({name: place.model for name, place in places.items()}) as client:
        yield client
