"""Bundles come from strangers: everything is checked before it is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from photovision.core.errors import ModelError
from photovision.core.preprocess import Preprocess
from photovision.runtime.bundle import VERSION, read_bundle
from photovision.runtime.session import open_session

GOOD: dict[str, Any] = {
    "format": "photovision",
    "version": VERSION,
    "task": "classify",
    "multilabel": False,
    "classes": ["a", "b"],
    "preprocess": Preprocess((8, 8)).to_json(),
    "temperature": 1.0,
    "training": {},
    "licences": [],
}


def write(folder: Path, content: str | dict[str, Any]) -> Path:
    (folder / "bundle.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_a_good_one_is_read(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path, GOOD))
    assert bundle.classes == ("a", "b")
    assert bundle.preprocess == Preprocess((8, 8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"format": "other"}', "something else's"),
        ({**GOOD, "version": VERSION + 1}, r"newer Photovision.*(install --upgrade|up to date)"),
        ({**GOOD, "version": "1"}, "no valid version"),
        ({**GOOD, "classes": ["a"]}, "at least two class names"),
        ({**GOOD, "classes": [1, 2]}, r"a text as classes\[0\], got 1"),
        ({**GOOD, "thresholds": [0.5]}, "one threshold a class"),
        ({**GOOD, "preprocess": {**GOOD["preprocess"], "crop": 0.5}}, "changed by hand"),
        ({**GOOD, "preprocess": {"size": "big"}}, r"a list as preprocess\.size"),
        ({name: value for name, value in GOOD.items() if name != "temperature"}, "lacks temperature"),
    ],
)
def test_others_are_refused_in_one_line(tmp_path: Path, content: str | dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_bundle(write(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_missing_and_foreign_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at"):
        read_bundle(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"has no bundle\.json"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_damaged_graph_is_named(tmp_path: Path, engine: Any) -> None:
    graph = tmp_path / "model.onnx"
    with pytest.raises(ModelError, match="does not exist"):
        open_session(graph, engine=engine)
    graph.write_bytes(b"\x08\x01garbage")
    with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded"):
        open_session(graph, engine=engine)
