"""The test of maps: it passes maps that are right, fails planted faults, and hardly ever passes chance."""

from __future__ import annotations

import numpy as np
import pytest
from spots import SIDE, spot_box, spot_bundle, spot_picture

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Image, Ints
from photovision.runtime.bundle import read_bundle
from photovision.trust.explain import EXPLAINERS
from photovision.trust.explain.explained_model import ExplainedModel, Explainer, resized
from photovision.trust.explain.faithfulness import ALIKE, ORDERS, SHARES, FaithfulnessTest, cell_means, likeness, trials


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> ExplainedModel:
    return ExplainedModel(read_bundle(spot_bundle(tmp_path_factory.mktemp("spots") / "model")))


def edges(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    """An explainer that never asks the model: where the picture changes most."""
    rows, columns = np.gradient(images.mean(-1), axis=(1, 2))
    return np.hypot(rows, columns).astype(np.float32)


EDGES = Explainer("edges", "Where the picture changes.", torch=False, of_class=False, heatmaps=edges)


def places(count: int, seed: int = 0) -> list[tuple[int, int]]:
    """Places that are no corners: there the blur leaves enough of a spot to name it."""
    rng = np.random.default_rng(seed)
    return [
        (int(row), int(column))
        for row, column in zip(rng.integers(0, 4, count), rng.integers(1, 3, count), strict=True)
    ]


@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_right_maps_hold(method: str, subject: ExplainedModel) -> None:
    explainer, held = EXPLAINERS.load(method), []
    for seed, place in enumerate(places(6)):
        image = spot_picture(0, *place, seed)
        heat = explainer.heatmaps(subject, image[None], np.array([0]))
        held += [trial.verdict for trial in trials(subject, image, 0, heat, seed=seed)]
    assert held == ["holds"] * 6


def test_maps_of_another_place_fail(subject: ExplainedModel) -> None:
    for seed, (row, column) in enumerate(places(5, 1)):
        image = spot_picture(0, row, column, seed, other=((row + 2) % 4, (column + 2) % 4))
        heat = np.zeros((1, SIDE, SIDE), np.float32)
        heat[0][spot_box((row + 2) % 4, (column + 2) % 4)] = 1  # the white spot, which means nothing
        (trial,) = trials(subject, image, 0, heat, seed=seed)
        assert trial.verdict == "fails"
        assert trial.sentence.startswith("Do not trust this map")


def test_chance_hardly_ever_holds(subject: ExplainedModel) -> None:
    rng = np.random.default_rng(7)
    held = total = 0
    for seed, place in enumerate(places(12, 2)):
        heat = np.concatenate([resized(rng.normal(size=(8, side, side)), (SIDE, SIDE)) for side in (3, 7)])
        found = trials(subject, spot_picture(1, *place, seed), 1, heat, seed=seed)
        held, total = held + sum(trial.verdict == "holds" for trial in found), total + len(found)
    assert held / total <= 0.12, f"{held} of {total} maps of pure chance were trusted; 1 in 10 is what is promised"


def test_what_the_model_says_of_the_blur_as_well_cannot_be_tested(subject: ExplainedModel) -> None:
    image = spot_picture(0, 2, 2)
    (trial,) = trials(subject, image, 1, np.random.default_rng(0).random((1, SIDE, SIDE), np.float32))
    assert trial.span < 0
    assert trial.verdict == "untestable"
    assert "cannot be tested" in trial.sentence


def test_a_flat_map_fails(subject: ExplainedModel) -> None:
    (trial,) = trials(subject, spot_picture(0, 2, 2), 0, np.full((1, SIDE, SIDE), 3, np.float32))
    assert trial.verdict == "fails"
    assert "same value everywhere" in trial.sentence


def test_a_map_of_the_picture_is_found_out_by_shuffled_weights(subject: ExplainedModel) -> None:
    images, classes = spot_picture(0, 1, 3, other=(3, 1))[None], np.array([0])
    twins = [subject.shuffled(1), subject.shuffled(2)]
    heat = EDGES.heatmaps(subject, images, classes)
    alike = likeness(EDGES, twins, images, classes, heat)
    assert alike[0] == pytest.approx(1)
    (trial,) = trials(subject, images[0], 0, heat, alike=[float(alike[0])])
    assert trial.verdict == "fails"
    assert "shuffled weights" in trial.sentence


def test_a_map_of_the_model_is_not(subject: ExplainedModel) -> None:
    # Shuffled, this small model has other colours: over many, its maps have nothing in common with its own.
    images = np.stack([spot_picture(0, *place, seed, other=(0, 0)) for seed, place in enumerate(places(4, 3))])
    classes, explainer = np.zeros(4, np.int64), EXPLAINERS.load("occlusion")
    heat = explainer.heatmaps(subject, images, classes)
    found = likeness(explainer, [subject.shuffled(seed) for seed in range(1, 7)], images, classes, heat)
    assert found.shape == (4,)
    assert found.mean() < ALIKE


def test_curves_go_from_the_blur_to_the_picture_and_back(subject: ExplainedModel) -> None:
    image = spot_picture(2, 2, 1)
    heat = EXPLAINERS.load("cam").heatmaps(subject, image[None], np.array([2]))
    (trial,) = trials(subject, image, 2, heat, orders=3)
    assert trial.insertion.shape == trial.deletion.shape == (len(SHARES),)
    assert trial.random_insertion.shape == (3, len(SHARES))
    whole = subject.probs(image[None])[0, 2]
    for curve in (trial.insertion[::-1], trial.deletion, *trial.random_deletion):
        assert curve[0] == pytest.approx(whole, abs=1e-5)
    assert trial.deletion[4] < 0.5 < trial.insertion[4], "the spot lies in the first quarter of the map"
    assert trial.areas[0] > 0.85
    assert trial.areas[1] < 0.45  # of three classes each has a third where nothing is seen


def test_all_maps_meet_the_same_orders_and_the_seed_decides(subject: ExplainedModel) -> None:
    image = spot_picture(0, 3, 1)
    heat = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)
    one, two = trials(subject, image, 0, heat)
    (alone,) = trials(subject, image, 0, heat[:1])
    np.testing.assert_array_equal(one.random_insertion, two.random_insertion)
    np.testing.assert_allclose(one.insertion, alone.insertion, atol=1e-5)
    (other,) = trials(subject, image, 0, heat[:1], seed=1)
    assert not np.array_equal(alone.random_insertion, other.random_insertion)
    assert len(one.random_insertion) == ORDERS


def test_sentences_fit_the_numbers() -> None:
    rising = SHARES.astype(np.float32)
    random = np.stack([rising] * 19), np.stack([1 - rising] * 19)
    good = FaithfulnessTest(rising**0.2, 1 - rising**0.2, *random, 0.1)
    assert good.verdict == "holds"
    assert good.chance == pytest.approx(0.05)
    assert "(19 of 19 times)" in good.sentence
    assert "shuffled weights gives a different map" in good.sentence
    bad = FaithfulnessTest(rising**3, 1 - rising**3, *random)
    assert bad.chance == 1
    assert "only 0 of 19" in bad.sentence
    one_sided = FaithfulnessTest(rising**0.2, 1 - rising**1.2, *random)
    assert one_sided.beaten == 19
    assert one_sided.verdict == "fails"
    assert "hiding what it marks changes the answer no faster" in one_sided.sentence
    alike = FaithfulnessTest(rising**0.2, 1 - rising**0.2, *random, ALIKE)
    assert alike.verdict == "fails"
    few = FaithfulnessTest(rising**0.2, 1 - rising**0.2, random[0][:4], random[1][:4])
    assert few.verdict == "fails", "4 orders are too few to rule out chance"
    assert set(good.to_json()) >= {"insertion", "deletion", "verdict", "sentence"}


def test_cells_take_any_size() -> None:
    ramp = np.arange(30, dtype=np.float32)[None, None].repeat(23, 1)
    found = cell_means(ramp).reshape(7, 7)
    assert (np.diff(found, axis=1) > 0).all()
    np.testing.assert_allclose(found[0], found[-1], rtol=1e-6)
    assert cell_means(np.ones((1, 3, 5), np.float32)).shape == (1, 15)


def test_maps_of_another_size_are_refused(subject: ExplainedModel) -> None:
    with pytest.raises(UsageError, match="heatmaps"):
        trials(subject, spot_picture(0, 1, 1), 0, np.zeros((1, 7, 7), np.float32))


def test_shuffled_graphs_leave_nothing_behind(subject: ExplainedModel) -> None:
    twin = subject.shuffled(3)
    scratch = twin.graph.parent
    twin.probs(spot_picture(0, 1, 1)[None])
    assert scratch.is_dir()
    del twin
    assert not scratch.exists()
