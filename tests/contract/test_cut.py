"""The cutter answers clicks only: every verb of the tasks refuses it in one sentence, by every door."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from clicker import clicker_bundle
from doors import REFUSED, http, service
from verbs import VERBS, Place

import photovision as pv

CUT = [name for name in VERBS if name != "predict"]


@pytest.fixture(scope="module")
def cutter(places: dict[str, Place], tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A model that cuts out what is clicked, beside the pictures of a classifier."""
    return replace(places["classify"], model=clicker_bundle(tmp_path_factory.mktemp("cut") / "cut"))


@pytest.mark.parametrize("verb", CUT)
def test_a_verb_refuses_a_cutter(verb: str, cutter: Place, tmp_path: Path) -> None:
    one, other = VERBS[verb].asked_python(cutter, tmp_path / "out"), VERBS[verb].asked_command(cutter, tmp_path / "out")
    for answer in (one, other):
        assert not answer.ok
        assert len(answer.reason) > 30
        assert "\n" not in answer.reason
    assert other.code == REFUSED
    assert not any(tmp_path.iterdir())


def test_predict_and_serve_refuse_a_cutter(cutter: Place, tmp_path: Path) -> None:
    answer = VERBS["predict"].asked_command(cutter, tmp_path)
    assert answer.code == REFUSED
    assert len(answer.reason) > 30
    with pytest.raises(pv.PhotovisionError, match=r"prompted segmenter"), service({"cut": cutter.model}) as client:
        http(client, "/predict", cutter.pictures[:1])
