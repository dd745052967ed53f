"""Small real trainings, made once for all tests of behaviour."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import make_folder

from photovision.tasks.recognizer import Recognizer
from photovision.tasks.train import train


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of circles and squares."""
    return make_folder(tmp_path_factory.mktemp("data") / "shapes", per_class=80, size=32)


@pytest.fixture(scope="session")
def model(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A network of our own, trained from scratch on the shapes."""
    return train(shapes, tmp_path_factory.mktemp("models") / "shapes", weights="none", epochs=15)
