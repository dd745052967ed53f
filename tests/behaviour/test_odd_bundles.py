"""Every value of bundle.json changed to every odd kind of value: each call gives its result or one line, never more."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundles import full
from clicker import clicker_bundle
from colours import add_doubt, colour_bundle
from onnx import TensorProto, helper, numpy_helper
from painter import painter_bundle
from spotter import scene, spotter_bundle

import photovision as pv
from photovision.app.cli.info import info as show_info
from photovision.core.errors import ModelError, PhotovisionError
from photovision.core.preprocess import Preprocess
from photovision.engine.datasheet import datasheet
from photovision.engine.export_metadata import description
from photovision.engine.model_card import model_card
from photovision.runtime.bundle import read_bundle

PIXELS = scene((64, 96), [("red", (16, 16, 48, 48))])
MISSING = object()
ODD: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "list": [],
    "list of null": [None],
    "list of objects": [{}],
    "object": {},
    "nested": {"a": {"b": []}},
    "number": 7,
    "negative": -1,
    "fraction": 0.3,
    "huge": 10**40,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "true": True,
    "text": "\x1b]0;a\x07",
    "long text": "a" * 200_000,
}
DECIDE = ("classes", "preprocess", "thresholds", "iou", "tile", "parity", "doubt", "least_area")
"""Values that answers depend on."""
MAKERS = {"classify": colour_bundle, "detect": spotter_bundle, "segment": painter_bundle, "cut": clicker_bundle}


@pytest.fixture(params=MAKERS)
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bundle of each task with all that a training writes into its description."""
    folder = MAKERS[request.param](tmp_path / "model")
    if request.param == "classify":
        add_doubt(folder)
    own = json.loads((folder / "bundle.json").read_text())
    more = {name: value for name, value in full().items() if name not in own or not own[name]}
    rung = full()["rungs"][0] | {
        "megabytes": 0.1,
        "ms_per_picture": 2.0,
        "macs": 9,
        "curve": [{"epoch": 1}],
        "plan": {},
    }
    kept = {**own, **more, "rungs": [rung], "data": full()["data"], "optimized": {"methods": ["int8"], "stages": []}}
    if request.param == "detect":
        kept["calibration"] = {"slope": [1.0, 1.0], "shift": [0.0, 0.0]}
    if request.param != "classify":
        kept.pop("doubt", None)
    (folder / "bundle.json").write_text(json.dumps(kept))
    return folder


def places(value: Any, depth: int = 4) -> Iterator[tuple[Any, ...]]:
    """The ways to all values, in objects and the first entries of lists."""
    entries = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value[:1]))
        if depth and isinstance(value, list)
        else []
    )
    for key, inner in entries if depth else []:
        yield (key,)
        yield from ((key, *more) for more in places(inner, depth - 1))


def changed(info: dict[str, Any], place: tuple[Any, ...], odd: Any) -> dict[str, Any]:
    """A copy with one other value."""
    found = copy.deepcopy(info)
    inner: Any = found
    for key in place[:-1]:
        inner = inner[key]
    if odd is MISSING:
        del inner[place[-1]]
    else:
        inner[place[-1]] = odd
    if place[0] == "preprocess" and isinstance(found.get("preprocess"), dict):
        _hashed(found["preprocess"])
    return found


def _hashed(preprocess: dict[str, Any]) -> None:
    """A stranger would take care that the hash fits."""
    try:
        plain = {n: tuple(v) if isinstance(v, list) else v for n, v in preprocess.items() if n != "hash"}
        preprocess["hash"] = Preprocess(**plain).hash
    except Exception:  # no hash fits it
        preprocess["hash"] = "0" * 16


def described(folder: Path) -> list[Callable[[], Any]]:
    """Everything that reads a description without looking at pictures."""

    def page() -> None:
        from photovision.app.web import recognise
        from photovision.app.web.workspace import State

        recognise.facts(State(folder.parent), folder.name)

    return [
        lambda: show_info(folder),
        lambda: show_info(folder, as_json=True),
        page,
        lambda: model_card(read_bundle(folder).info),
        lambda: datasheet(read_bundle(folder).info),
        lambda: pv.load(folder)._repr_html_() if hasattr(pv.load(folder), "_repr_html_") else None,
        lambda: description(pv.load(folder)) if read_bundle(folder).task != "cut" else None,
    ]


def answered(folder: Path) -> None:
    model = pv.load(folder)
    if hasattr(model, "embed"):
        model.cut(model.embed(PIXELS), np.float32([[30, 30]]), np.array([True]))
        return
    model.predict(PIXELS)


def refused_or_done(call: Callable[[], Any]) -> bool:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            call()
    except PhotovisionError as error:
        message = str(error)
    else:
        return True
    assert "\n" not in message
    assert len(message) < 700
    return False


def check_all(bundle: Path, kind: str, chosen: Callable[[list[Any]], list[Any]]) -> None:
    whole = json.loads((bundle / "bundle.json").read_text())
    assert all(refused_or_done(call) for call in described(bundle))
    answered(bundle)
    for place in chosen(list(places(whole))):
        (bundle / "bundle.json").write_text(json.dumps(changed(whole, place, ODD[kind])))
        try:
            read = refused_or_done(lambda: read_bundle(bundle))
            for call in described(bundle) if read else ():
                refused_or_done(call)
            if read and place[0] in DECIDE:
                refused_or_done(lambda: answered(bundle))
        except Exception as error:
            raise AssertionError(f"{place} as {kind}: {error!r}") from error


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_value_gives_a_result_or_one_line(bundle: Path, kind: str) -> None:
    def some(every: list[Any]) -> list[Any]:
        top = [place for place in every if len(place) == 1]
        rng = np.random.default_rng(len(kind))
        return [every[i] for i in rng.permutation(len(every))[:8]] + [top[i] for i in rng.permutation(len(top))[:4]]

    check_all(bundle, kind, some)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ODD)
def test_every_odd_value_gives_a_result_or_one_line(bundle: Path, kind: str) -> None:
    check_all(bundle, kind, lambda every: every)


OLD = {  # what the first version wrote, and the least of it
    "classify": {"multilabel": False, "temperature": 0.66},
    "detect": {"thresholds": [0.5, 0.5]},
    "segment": {},
    "cut": {},
}


@pytest.mark.parametrize("task", OLD)
def test_old_bundles_still_open(tmp_path: Path, task: str) -> None:
    folder = MAKERS[task](tmp_path / "model")
    own = json.loads((folder / "bundle.json").read_text())
    least = {name: own[name] for name in ("format", "version", "task", "classes", "preprocess")}
    (folder / "bundle.json").write_text(json.dumps({**least, "training": {}, "licences": [], **OLD[task]}))
    assert all(refused_or_done(call) for call in described(folder))
    answered(folder)


def test_what_stands_beside_the_known_values_is_passed_on(bundle: Path) -> None:
    info = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(info | {"of_a_later_version": {"a": [1, None]}}))
    assert read_bundle(bundle).info["of_a_later_version"] == {"a": [1, None]}


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "notes.txt", "more/secret.bin"])
def test_links_that_leave_a_bundle_and_pipes_are_refused(bundle: Path, name: str) -> None:
    (bundle / "more").mkdir()
    place, outside = bundle / name, bundle.parent / "outside"
    inside = bundle / "inside"
    if place.exists():
        outside.write_bytes(place.read_bytes())
        place.unlink()
    else:
        outside.write_text("secret")
    place.symlink_to(outside)
    with pytest.raises(ModelError, match="is a link that leaves the bundle"):
        pv.load(bundle)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(ModelError, match="is not a file"):
        pv.load(bundle)
    place.unlink()
    inside.write_bytes(outside.read_bytes())
    place.symlink_to(inside)
    answered(bundle)


def test_the_links_of_the_hubs_cache_are_followed(tmp_path: Path) -> None:
    cache = tmp_path / "models--a--b"
    here = colour_bundle(cache / "snapshots" / "abc")
    (cache / "blobs").mkdir()
    for number, file in enumerate(sorted(here.iterdir())):
        file.rename(cache / "blobs" / str(number))
        file.symlink_to(Path("../../blobs") / str(number))
    answered(here)
    (here / "model.onnx").unlink()
    (tmp_path / "outside").write_bytes(b"")
    (here / "model.onnx").symlink_to(tmp_path / "outside")
    with pytest.raises(ModelError, match="leaves the bundle"):
        pv.load(here)


IR = """<?xml version="1.0"?>
<net name="a" version="11"><layers><layer id="0" name="images" type="Parameter" version="opset1">
<data shape="?,16,16,3" element_type="u8"/><output><port id="0" precision="U8" names="images">
<dim>-1</dim><dim>16</dim><dim>16</dim><dim>3</dim></port></output></layer></layers><edges/></net>"""


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(
    "content",
    [
        IR.encode(),
        b"\n\n " + IR.encode(),
        b"\xef\xbb\xbf" + IR.encode(),
        b"PK\3\4" + bytes(60),
        b"\0" * 99,
        b"TFL3" * 9,
    ],
    ids=["OpenVINO", "after blanks", "after a mark", "an archive", "zeros", "TensorFlow Lite"],
)
def test_a_graph_of_another_format_is_refused(tmp_path: Path, content: bytes, engine: Any) -> None:
    bundle = colour_bundle(tmp_path / "model")
    (bundle / "model.onnx").write_bytes(content)
    (bundle / "model.bin").write_bytes(b"secret" * 99)
    with pytest.raises(ModelError, match="not a whole ONNX file"):
        pv.load(bundle, engine=engine).predict(PIXELS)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_graph_that_does_not_fit_its_description_is_refused(bundle: Path, engine: Any) -> None:
    whole = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(changed(whole, ("preprocess", "size"), [48, 80])))
    with pytest.raises(ModelError, match=r"takes pictures of \d+ x \d+ pixels, but its bundle.json says 48 x 80"):
        answered_by(bundle, engine)
    if whole["task"] != "cut":
        (bundle / "bundle.json").write_text(json.dumps(more_classes(whole)))
        with pytest.raises(ModelError, match="should give"):
            answered_by(bundle, engine)


def answered_by(folder: Path, engine: Any) -> None:
    model = pv.load(folder, engine=engine)
    _ = model.embed(PIXELS) if hasattr(model, "embed") else model.predict(PIXELS)


def more_classes(info: dict[str, Any]) -> dict[str, Any]:
    limits = info.get("thresholds")
    return {**info, "doubt": None, "classes": [*info["classes"], "z"], "thresholds": limits and [*limits, 0.5]}


@pytest.mark.parametrize("value", [np.nan, 1.5, 89.0, -3.0])
def test_probabilities_that_are_none_are_refused(tmp_path: Path, value: float) -> None:
    for make, name in ((colour_bundle, "probs"), (spotter_bundle, "scores"), (painter_bundle, "classes")):
        folder = make(tmp_path / name)
        _add(folder / "model.onnx", name, value)
        with pytest.raises(ModelError, match="outside 0 to 1"):
            pv.load(folder).predict(PIXELS)


def _add(path: Path, name: str, value: float) -> None:
    """Let a graph add a number to one of its outputs."""
    model = onnx.load(path)
    for node in model.graph.node:
        for number, output in enumerate(node.output):
            if output == name:
                node.output[number] = "before"
        for number, given in enumerate(node.input):
            if given == name:
                node.input[number] = "before"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(value), "odd"))
    model.graph.node.append(helper.make_node("Add", ["before", "odd"], [name]))
    assert model.graph.initializer[-1].data_type == TensorProto.FLOAT
    onnx.save(model, path)


@pytest.mark.parametrize("given", [None, 7, "", b"model", "does/not/exist", "a\0b", ["model"]])
def test_what_is_no_folder_of_a_model_is_refused(given: Any, tmp_path: Path) -> None:
    for wrong in (given, tmp_path / "a.txt"):
        (tmp_path / "a.txt").write_text("a")
        with pytest.raises(ModelError) as caught:
            pv.load(wrong)
        assert "\n" not in str(caught.value)
