"""A bundle from a stranger: nothing outside it is read, nothing in it is run, and what is wrong with it is said."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import photovision as pv
from photovision.core.errors import ModelError, PhotovisionError
from photovision.models.load_network import trained_network
from tests.colours import add_doubt, colour_bundle, colour_picture


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A sound bundle, to be made hostile."""
    return colour_bundle(tmp_path / "model")


def answer_red(model: pv.Recognizer) -> str:
    """What the model says of a red picture."""
    answered = model.predict(np.asarray(colour_picture("red")))
    assert isinstance(answered, pv.Classes)
    return answered.label


def answer(path: Path) -> str:
    """What the bundle says of a red picture."""
    return answer_red(pv.load(path))


def rewrite(bundle: Path, **changes: Any) -> None:
    info = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(info | changes))


@pytest.mark.parametrize("place", ["../secret.bin", "secret.bin", "/etc/passwd"])
@pytest.mark.parametrize("where", ["initializer", "constant"])
def test_weights_in_other_files_are_refused(bundle: Path, place: str, where: str) -> None:
    (bundle / "secret.bin").write_bytes(b"\0" * 4096)
    (bundle.parent / "secret.bin").write_bytes(b"\0" * 4096)
    model = onnx.load(bundle / "model.onnx")
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "outside")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    if where == "initializer":
        model.graph.initializer.append(tensor)
    else:
        model.graph.node.insert(0, helper.make_node("Constant", [], ["outside"], value=tensor))
    onnx.save(model, bundle / "model.onnx")
    with pytest.raises(ModelError, match="other files"):
        answer(bundle)


def test_the_word_location_alone_is_harmless(bundle: Path) -> None:
    model = onnx.load(bundle / "model.onnx")
    model.doc_string = "made at this location"
    onnx.save(model, bundle / "model.onnx")
    assert answer(bundle) == "red"


class _Bomb:
    """What pickle would run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.safetensors", "doubt.safetensors", "references.safetensors", "bundle.json"]
)
def test_a_pickle_in_place_of_a_file_is_never_run(bundle: Path, name: str, tmp_path: Path) -> None:
    add_doubt(bundle)
    mark = tmp_path / "run"
    (bundle / name).write_bytes(pickle.dumps(_Bomb(mark)))
    with contextlib.suppress(PhotovisionError):
        model = pv.load(bundle)
        for use in (answer_red, lambda model: model.references, lambda model: trained_network(model.bundle)):
            with contextlib.suppress(PhotovisionError):
                use(model)
    assert not mark.exists()
    pickle.loads((bundle / name).read_bytes())  # noqa: S301 - the bomb is real
    assert mark.exists()


@pytest.mark.parametrize(
    ("shape", "end"),
    [([2**40, 2**20], 64), ([2**62, 8], 64), ([4, 4], 2**62), ([-1, 4], 64)],
    ids=["more than the file has", "overflow", "offsets beyond the end", "negative"],
)
@pytest.mark.parametrize("name", ["doubt.safetensors", "references.safetensors"])
def test_tensors_that_claim_more_than_is_there_are_refused(bundle: Path, name: str, shape: list[int], end: int) -> None:
    add_doubt(bundle)
    header = json.dumps({key: {"dtype": "F32", "shape": shape, "data_offsets": [0, end]} for key in ("means",)})
    (bundle / name).write_bytes(struct.pack("<Q", len(header)) + header.encode() + b"\0" * 64)
    with pytest.raises(ModelError, match="damaged"):
        assert pv.load(bundle).references is None


def test_a_header_longer_than_the_file_is_refused(bundle: Path) -> None:
    add_doubt(bundle)
    (bundle / "doubt.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(ModelError, match="damaged"):
        pv.load(bundle)


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["red", "green"]},
        {"classes": [f"class {i}" for i in range(5)]},
        {"preprocess": {"size": [10**9, 10**9]}},
        {"preprocess": "../../etc/passwd"},
        {"classes": ["red", 3, None]},
        {"version": 10**40},
    ],
    ids=["too few classes", "too many classes", "a giant input", "a path", "not names", "a huge version"],
)
def test_a_description_that_does_not_fit_is_refused(bundle: Path, changes: dict[str, Any]) -> None:
    rewrite(bundle, **changes)
    with pytest.raises(PhotovisionError) as caught:
        answer(bundle)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [10_000, 200_000])
def test_json_of_great_depth_is_refused(bundle: Path, depth: int) -> None:
    (bundle / "bundle.json").write_text('{"format": "photovision", "version": 1, "a": ' + "[" * depth)
    with pytest.raises(ModelError, match="damaged"):
        pv.load(bundle)


def test_a_graph_cut_short_is_refused(bundle: Path) -> None:
    whole = (bundle / "model.onnx").read_bytes()
    for share in (0, 0.3, 0.6, 0.95):
        (bundle / "model.onnx").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ModelError):
            answer(bundle)
