"""The classifier of everyday things: published weights as a bundle, with nothing claimed that was not measured."""

from __future__ import annotations

from pathlib import Path

import pytest

import photovision as pv
from photovision.app.cli import run
from photovision.models.pretrained_classifier import CLASSES, class_names
from photovision.models.weights import locate


def test_no_two_classes_of_imagenet_have_one_name() -> None:
    names = class_names()
    assert len(set(names)) == len(names) == CLASSES
    assert names[0] == "tench"
    assert sum(name.startswith("crane, ") for name in names) == 2


@pytest.mark.slow
def test_photographs_are_named_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if locate("efficientnet_lite0") is None:
        pytest.skip("needs the weights efficientnet_lite0")
    skimage = pytest.importorskip("skimage")
    cup = Path(skimage.__file__).parent / "data" / "coffee.png"
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    assert run(["predict", "imagenet", str(cup)]) == 0
    first = capsys.readouterr()
    assert "espresso" in first.out
    assert "making imagenet ready" in first.err
    assert "was not measured, and its confidence is not calibrated" in first.err
    assert run(["predict", "imagenet", str(cup)]) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "making" not in second.err
    assert run(["info", "imagenet"]) == 0
    assert "ImageNet-1k" in capsys.readouterr().out
    (place,) = (tmp_path / "cache" / "models").glob("*/imagenet")
    model = pv.load(place)
    assert model.bundle.name == "imagenet"
    assert model.info["metrics"] == {}
    assert model.predict(cup).known is not False  # it cannot tell what it does not know, and does not claim to
