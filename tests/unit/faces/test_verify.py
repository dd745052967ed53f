"""Two pictures of one person are the same; without a face never; and a threshold says where it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from faces_of import astronaut, enlarged, london, needs_weights
from PIL import Image as Pillow

from photovision.app.cli import run
from photovision.core.errors import UsageError
from photovision.core.inputs import as_pixels
from photovision.faces.recognise import FaceRecogniser
from photovision.faces.thresholds import TABLE, per_comparison, threshold_for
from photovision.faces.verify import compared, verify
from photovision.trust.metrics.verification import all_pairs


@pytest.fixture(scope="module")
def recogniser() -> FaceRecogniser:
    return FaceRecogniser()


@needs_weights
def test_one_person_is_the_same_and_nobody_is_never_the_same(recogniser: FaceRecogniser) -> None:
    mirrored = np.ascontiguousarray(astronaut()[:, ::-1])
    assert verify(astronaut(), mirrored, recogniser=recogniser).verdict == "same"
    nobody = np.full((300, 300, 3), 127, np.uint8)
    for pair in ((astronaut(), nobody), (nobody, astronaut()), (nobody, nobody)):
        found = verify(*pair, recogniser=recogniser)
        assert found.verdict == "no face"
        assert found.score is None


@needs_weights
def test_a_face_that_is_shown_too_poorly_is_unsure_and_says_why(recogniser: FaceRecogniser) -> None:
    found = verify(astronaut(), enlarged(astronaut(), 0.12), recogniser=recogniser)
    assert found.verdict == "unsure"
    assert "too small" in " ".join(found.reasons)


@needs_weights
def test_a_face_on_its_side_or_head_is_unsure_and_not_another_person(recogniser: FaceRecogniser) -> None:
    for quarters in (1, 2, 3):
        found = verify(np.rot90(astronaut()[:260, 100:360], quarters), astronaut(), recogniser=recogniser)
        assert found.verdict == "unsure"
        assert found.reasons == ("picture 1: the face stands on its side or its head: turn the picture upright",)
    assert not verify(astronaut(), astronaut(), recogniser=recogniser).reasons


@needs_weights
def test_the_command_prints_what_the_issue_promises(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Pillow.fromarray(astronaut()).save(tmp_path / "a.png")
    both = np.concatenate([astronaut(), enlarged(astronaut(), 1.0)], axis=1)
    Pillow.fromarray(both).save(tmp_path / "b.jpg")
    assert run(["faces", "verify", str(tmp_path / "a.png"), str(tmp_path / "b.jpg"), "--fmr", "1e-4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"verdict": "same", "fmr": 1e-4}.items() <= found.items()
    assert found["score"] > found["threshold"] > found["unsure_from"]
    assert found["origin"]["extrapolated"]
    assert found["faces"] == [1, 2]
    assert run(["faces", "verify", str(tmp_path / "a.png"), str(tmp_path / "b.jpg"), "--fmr", "2"]) == 2


@needs_weights
def test_real_people_are_told_apart(shared_data: Path, recogniser: FaceRecogniser) -> None:
    shown = {
        name: [recogniser.faces(as_pixels(path)) for path in paths] for name, paths in london(shared_data, 3).items()
    }
    threshold = threshold_for()
    for name, (neutral, _) in shown.items():
        for other, (_, smiling) in shown.items():
            found = compared(neutral, smiling, threshold)
            assert found.verdict == ("same" if name == other else "different"), (name, other)


def test_a_threshold_rises_as_the_rate_falls_and_knows_its_origin() -> None:
    rates = [0.1, 0.05, 0.01, 1e-3, 2e-4, 1e-5, 1e-6]
    scores = [threshold_for(rate).score for rate in rates]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)
    assert [threshold_for(line.fmr).score for line in TABLE] == [line.score for line in TABLE]
    known = threshold_for(1e-3)
    assert {"people", "pairs", "measured", "low", "high", "data"} <= known.origin.keys()
    assert not known.origin["extrapolated"]
    assert [known.verdict(score) for score in (0.2, 0.4, 0.5)] == ["different", "unsure", "same"]
    for wrong in (0, 0.5, float("nan")):
        with pytest.raises(UsageError, match="false-match rate"):
            threshold_for(wrong)


def test_the_gallery_raises_a_threshold_only_where_it_has_people_enough() -> None:
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.normal(size=(60, 128))).astype(np.float32)  # all in one corner: every score is near 0.64
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery = all_pairs(vectors, range(60)).impostor
    assert threshold_for(0.01, gallery).score > 0.6
    few = all_pairs(vectors[:5], range(5)).impostor
    assert threshold_for(0.01, few).score == threshold_for(0.01).score
    assert threshold_for(0.01, few).origin["gallery"] == {"people": 5, "pairs": 10, "enough": False}


def test_a_rate_of_false_names_becomes_one_of_comparisons() -> None:
    rate = per_comparison(0.01, 1000)
    assert 1 - (1 - rate) ** 1000 == pytest.approx(0.01)
    with pytest.raises(UsageError, match="false-positive"):
        per_comparison(0, 10)
