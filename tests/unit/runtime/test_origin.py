"""What a model lacks is explained by how it came to be, and what to do about it follows from that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from colours import colour_bundle

import photovision as pv
from photovision.core.errors import ModelError, UsageError
from photovision.models.load_network import source_of
from photovision.runtime.bundle import read_bundle
from photovision.runtime.origin import origin_of

REMEDIES = {
    "finetuned": "train it again",
    "adopted": "adopt it again with labelled pictures",
    "ready": "train a model on labelled pictures of your own",
    "zero-shot": "train a model on labelled pictures of your own",
}
REASONS = {
    "finetuned": "an older Photovision",
    "adopted": "it was adopted",
    "ready": "used as published",
    "zero-shot": "made of class names",
}


@pytest.fixture(params=list(REMEDIES))
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A model without limits and training pictures, by how it came to be."""
    folder = colour_bundle(tmp_path / "model")
    info = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**info, "chosen": request.param}))
    return request.param, folder


def test_what_to_do_fits_how_the_model_came_to_be(model: tuple[str, Path]) -> None:
    chosen, folder = model
    with pytest.raises(UsageError, match=f"leave it out, or {REMEDIES[chosen]}"):
        pv.load(folder, coverage=0.9)
    with pytest.raises(ModelError, match=f"{REASONS[chosen]}.*use 'photovision evaluate'"):
        pv.estimate(folder, [folder / "none.png"])
    with pytest.raises(ModelError, match="train it again" if chosen == "finetuned" else "'photovision train' made"):
        source_of(read_bundle(folder))


def test_an_explanation_says_why_there_are_no_training_pictures(model: tuple[str, Path], tmp_path: Path) -> None:
    from PIL import Image

    chosen, folder = model
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    report = pv.explain(folder, tmp_path / "red.png", methods="occlusion", tests=False)
    assert f"remembers no training pictures, since {origin_of({'chosen': chosen}).no_pictures}." in report.warnings[-1]
    assert REASONS[chosen] in report.warnings[-1]


def test_an_adopted_model_of_ours_is_known_by_its_own_entry() -> None:
    assert origin_of({"chosen": "calibrated", "adoption": {"name": "theirs"}}) == origin_of({"chosen": "adopted"})
