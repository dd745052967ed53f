"""Every verb with every kind of model and of data: it works, or one clear line says why not; there is no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from painter import painter_bundle
from PIL import Image
from scenes import write_scenes
from spots import spot_bundle
from spotter import scene, spotter_bundle

from photovision.app.cli import run
from photovision.core.regions import Detections
from photovision.core.types import Sample
from photovision.data.convert import convert
from photovision.data.dataset import Dataset
from photovision.trust.explain import drise

MODELS: dict[str, Callable[[Path], Path]] = {
    "detector": spotter_bundle,
    "segmenter": painter_bundle,
    "objects": lambda folder: painter_bundle(folder, instances=True, tile=(24, 24)),
}
KINDS = ("detector", "objects", pytest.param("segmenter", marks=pytest.mark.slow))
# serve and watch are tried elsewhere: they run until they are stopped.
VERBS = {
    "evaluate": "evaluate MODEL DATA",
    "estimate": "estimate MODEL DATA",
    "predict": "predict MODEL PICTURE",
    "detect": "detect MODEL PICTURE",
    "compare": "compare MODEL MODEL DATA",
    "compare-other": "compare MODEL OTHER DATA",
    "audit": "audit MODEL DATA --minutes 0.02",
    "refer": "refer MODEL DATA --positive red",
    "explain": "explain MODEL PICTURE --no-tests --boxes 1",
    "explain-torch": "explain MODEL PICTURE --no-tests --method hirescam",
    "features": "features MODEL",
    "features-data": "features MODEL DATA",
    "calibrate": "calibrate MODEL DATA -o OUT",
    "int8": "optimize MODEL DATA -o OUT --int8",
    "bf16": "optimize MODEL DATA -o OUT --bf16",
    "prune": "optimize MODEL DATA -o OUT --prune",
    "distill": "optimize MODEL DATA -o OUT --distill-to resnet18",
    "onnx": "export MODEL --to onnx -o OUT",
    "openvino": "export MODEL --to openvino -o OUT",
    "torchscript": "export MODEL --to torchscript -o OUT",
    "exported-program": "export MODEL --to exported-program -o OUT",
    "timm": "export MODEL --to timm -o OUT",
    "info": "info MODEL",
    "drift": "drift MODEL OUT",
}
WORKS = {
    *((verb, kind) for verb in ("explain", "onnx", "openvino", "info") for kind in MODELS),
    ("detect", "detector"),
    ("predict", "detector"),
    ("predict", "segmenter"),
    ("predict", "objects"),
}
REFUSED = ("features", "features-data", "prune", "distill", "torchscript", "exported-program", "timm", "compare-other")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of three kinds and a classifier, pictures, and data of three kinds."""
    root = tmp_path_factory.mktemp("place")
    for name, make in MODELS.items():
        make(root / name)
    spot_bundle(root / "classifier")
    picture = scene((128, 128), [("red", (32, 48, 48, 64))])
    (root / "folders" / "red").mkdir(parents=True)
    for number in range(4):
        Image.fromarray(picture).save(root / "folders" / "red" / f"{number}.png")
    found = Detections(np.float32([(32, 48, 48, 64)]), np.array([0]), ("red",))
    samples = tuple(Sample(f"{number}.png", picture, ("red",), annotations=found) for number in range(4))
    convert(Dataset(samples, ("red",), multilabel=True, annotation_type="boxes"), "coco", root / "boxes")
    write_scenes(root / "masks", 4)
    return root


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_works_or_says_in_one_line_why_not(
    verb: str,
    kind: str,
    place: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drise, "MASKS", 32)  # nobody looks at the maps
    line = VERBS[verb]
    for data in ("boxes", "masks", "folders") if "DATA" in line else ("",):
        named = {
            "MODEL": place / kind,
            "OTHER": place / "classifier",
            "DATA": place / data,
            "PICTURE": place / "folders" / "red" / "0.png",
            "OUT": tmp_path / f"out-{data}",
        }
        code = run([str(named.get(word, word)) for word in line.split()])
        said = capfd.readouterr()
        assert code in (0, 2), (line, data, said.err)
        assert "Traceback" not in said.err
        if code == 2:
            reasons = [told for told in said.err.splitlines() if told.startswith("photovision: ")]
            assert reasons, (line, data, said.err)
            assert len(reasons[-1]) > 30
            assert not named["OUT"].exists()
        if (verb, kind) in WORKS:
            assert code == 0, (line, data, said.err)
        if verb in REFUSED:
            assert code == 2, (line, data, said.out)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["evaluate", "explain", "compare", "export", "optimize", "features", "audit"])
def test_a_damaged_graph_is_told_in_one_line(
    verb: str, kind: str, place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = MODELS[kind](tmp_path / "model")
    (model / "model.onnx").write_bytes(b"no graph")
    data, out = str(place / ("boxes" if kind == "detector" else "masks")), ["-o", str(tmp_path / "out")]
    rest = {
        "explain": [str(place / "folders" / "red" / "0.png")],
        "compare": [str(model), data],
        "export": ["--to", "onnx", *out],
        "optimize": [data, "--bf16", *out],
        "features": [],
    }
    assert run([verb, str(model), *rest.get(verb, [data])]) == 2
    assert "Traceback" not in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
