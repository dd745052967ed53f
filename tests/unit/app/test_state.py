"""What the page finds in its folder, and that it stays inside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from colours import colour_bundle, colour_folder

from photovision.app.web.discovery import find
from photovision.app.web.workspace import State, named, within
from photovision.core.errors import DataError, ModelError, UsageError


def test_models_and_data_sets_are_found_by_name(tmp_path: Path) -> None:
    colour_folder(tmp_path / "data" / "colours")
    colour_folder(tmp_path / "split" / "train")
    colour_bundle(tmp_path / "models" / "one")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "metadata.csv").write_text("file_name,label\n", encoding="utf-8")
    state = State(tmp_path)
    assert list(state.models) == ["models/one"]
    assert list(state.data) == ["split", "table", "data/colours"]
    assert state.data_of("split") == tmp_path / "split"


def test_a_folder_that_is_itself_a_data_set_is_called_by_its_name_and_may_hold_models(tmp_path: Path) -> None:
    folder = colour_folder(tmp_path / "colours")
    colour_bundle(folder / "model")
    state = State(folder)
    assert list(state.data) == ["colours"]
    assert list(state.models) == ["model"]


def test_what_is_new_is_found_after_a_refresh(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert not state.models
    colour_bundle(tmp_path / "new")
    assert not state.models
    state.refresh()
    assert list(state.models) == ["new"]


def test_a_given_model_is_not_listed_twice(tmp_path: Path) -> None:
    model = colour_bundle(tmp_path / "inside")
    assert list(State(tmp_path, named([model])).models) == ["inside"]
    assert list(State(None, named([model])).models) == ["inside"]


def test_links_out_of_the_folder_lead_nowhere(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    colour_folder(outside)
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    assert find(folder) == ({}, {})
    for path in ("link", "link/red/0.png", "../outside", "/etc/passwd", "a\0b", "x" * 5000 + "/../../.."):
        with pytest.raises(UsageError, match="not inside"):
            within(folder, path)
    assert within(folder, "a/../b") == folder / "b"


def test_unknown_names_are_told_in_one_line(tmp_path: Path) -> None:
    state = State(tmp_path)
    with pytest.raises(ModelError, match="no model 'x'"):
        state.path_of("x")
    with pytest.raises(DataError, match="no data set 'x'"):
        state.data_of("x")
    with pytest.raises(UsageError, match="without a folder"):
        State(None).inside("x")


def test_a_model_is_loaded_once(tmp_path: Path) -> None:
    colour_bundle(tmp_path / "one")
    state = State(tmp_path)
    with state.using("one") as first, state.using("one") as second:
        assert first is second


def test_a_model_that_was_trained_anew_is_loaded_anew(tmp_path: Path) -> None:
    colour_bundle(tmp_path / "one")
    state = State(tmp_path)
    with state.using("one") as first:
        assert first.classes == ("red", "green", "blue")
    shutil.rmtree(tmp_path / "one")
    with pytest.raises(ModelError, match="cannot be read"), state.using("one"):
        pass
    colour_bundle(tmp_path / "one", called=("a", "b", "c"))
    with state.using("one") as second:
        assert second.classes == ("a", "b", "c")
