"""Advice on missing libraries holds where the reader stands."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

from photovision.core import installing
from photovision.core.errors import MissingExtra
from photovision.core.installing import how_to_upgrade, pip_install


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the installed package, without what the default installation brings; its folder of facts."""
    facts = tmp_path / "photovision-9.0.dist-info"
    facts.mkdir()
    needs = ["av>=13", 'uvloop>=0.21; sys_platform != "win32"', 'psycopg[binary]>=3.2; extra == "postgres"']
    lines = ["Metadata-Version: 2.1", "Name: photovision", "Version: 9.0", *(f"Requires-Dist: {one}" for one in needs)]
    (facts / "METADATA").write_text("\n".join([*lines, "", ""]))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert metadata.version("photovision") == "9.0"
    return facts


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("library", "wanted"),
    [
        ("av", "install 'av>=13'"),
        ("psycopg", "install 'psycopg[binary]>=3.2'"),
        ("uvloop", "install 'uvloop>=0.21'"),
        ("skimage.measure", "install scikit-image"),
    ],
)
def test_the_library_itself_is_named_as_it_is_required(library: str, wanted: str) -> None:
    assert pip_install(library).endswith(wanted)
    assert str(MissingExtra(library, "reading videos")).startswith("reading videos needs the library")


@pytest.mark.usefixtures("installed")
def test_pip_is_that_of_the_environment_that_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installing.shutil, "which", lambda name: str(Path(sys.executable).parent / name))
    assert pip_install("av").startswith("pip install")
    monkeypatch.setattr(installing.shutil, "which", lambda name: str(tmp_path / name))
    assert pip_install("av").startswith(f"{sys.executable} -m pip install")


def test_a_checkout_is_brought_up_to_date_and_a_package_is_upgraded(installed: Path) -> None:
    assert how_to_upgrade().endswith("pip install --upgrade photovision")
    (installed / "direct_url.json").write_text(json.dumps({"url": "file:///home/a/pv", "dir_info": {"editable": True}}))
    assert how_to_upgrade() == "bring the checkout /home/a/pv up to date"
