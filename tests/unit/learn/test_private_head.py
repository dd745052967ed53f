"""A private head: as much noise as epsilon asks for, every unit clipped, and nothing else that looks at the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photovision.core.errors import UsageError
from photovision.core.types import Floats
from photovision.learn.gaussian_mechanism import delta_of, epsilon_of, ratio_for, system_noise
from photovision.learn.private_head import CLIP, DescentPlan, fit_private_head, plan_for

EPSILONS = st.floats(0.01, 100)
DELTAS = st.floats(1e-9, 0.05)


@given(EPSILONS, DELTAS)
@settings(deadline=None, max_examples=200)
def test_ratio_and_epsilon_are_inverse(epsilon: float, delta: float) -> None:
    mu = ratio_for(epsilon, delta)
    assert delta_of(mu, epsilon) == pytest.approx(delta, rel=1e-6)
    assert epsilon_of(mu, delta) == pytest.approx(epsilon, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0, 8.0, 30.0])
@pytest.mark.parametrize("delta", [1e-5, 1e-7])
def test_epsilon_agrees_with_the_accountant_of_google_to_one_percent(epsilon: float, delta: float) -> None:
    accounting = pytest.importorskip("dp_accounting", reason="needs dp-accounting")
    plan = plan_for(epsilon, delta, 1200)
    steps = accounting.SelfComposedDpEvent(accounting.GaussianDpEvent(plan.noise / plan.clip), plan.steps)
    centre = accounting.GaussianDpEvent(plan.centre_noise)
    accountant = accounting.pld.PLDAccountant(value_discretization_interval=1e-3)
    accountant.compose(accounting.ComposedDpEvent([centre, steps]))
    assert accountant.get_epsilon(delta) == pytest.approx(epsilon, rel=0.01)


@pytest.mark.parametrize(
    ("epsilon", "delta", "units", "words"),
    [
        (0.0, 1e-5, 100, "epsilon should be"),
        (200.0, 1e-5, 100, "epsilon should be"),
        (float("nan"), 1e-5, 100, "epsilon should be"),
        (1.0, 0.01, 100, "delta should be below 1 / 100"),
        (1.0, 0.0, 100, "delta should be above 0"),
        (1.0, -1.0, 100, "delta should be above 0"),
    ],
)
def test_promises_that_mean_nothing_are_refused(epsilon: float, delta: float, units: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan_for(epsilon, delta, units)


def test_noise_is_standard_normal_and_never_the_same() -> None:
    one, other = system_noise((200, 100)), system_noise((200, 100))
    assert abs(one.mean()) < 0.04
    assert one.std() == pytest.approx(1, abs=0.03)
    assert (np.abs(one) > 1.96).mean() == pytest.approx(0.05, abs=0.01)
    assert not (one == other).any()


def _clusters(count: int, seed: int = 0) -> tuple[Floats, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(1).normal(size=(3, 16))
    return (2 + centres[labels] + 0.5 * rng.normal(size=(count, 16))).astype(np.float32), labels


def test_it_learns_and_more_epsilon_helps() -> None:
    features, labels = _clusters(600)
    new, truth = _clusters(300, 5)
    found = {}
    for epsilon in (0.02, 8.0):
        plan = plan_for(epsilon, 1e-5, 600)
        head = fit_private_head(features, labels, np.arange(600), 3, plan, radius=4.0)
        found[epsilon] = float((head(new).argmax(1) == truth).mean())
    assert found[8.0] > 0.95
    assert found[0.02] < found[8.0]


def _released(features: Floats, labels: np.ndarray, units: np.ndarray, plan: DescentPlan) -> list[Floats]:
    """The sums of a training without noise."""
    seen: list[Floats] = []
    fit_private_head(features, labels, units, 3, plan, radius=4.0, noise=np.zeros, observe=seen.append)
    return seen


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_no_picture_moves_a_sum_by_more_than_the_clip(scale: float) -> None:
    features, labels = _clusters(60)
    features[0] *= scale
    # The centre moves, too, and is paid for apart: divided by so many units it stays at 0.
    fixed = replace(plan_for(1.0, 1e-5, 60), steps=1, units=10**12)
    whole = _released(features, labels, np.arange(60), fixed)[0]
    without = _released(features[1:], labels[1:], np.arange(59), fixed)[0]
    assert np.linalg.norm(whole - without) <= CLIP * 1.001


def test_no_person_moves_a_sum_by_more_than_the_clip() -> None:
    features, labels = _clusters(60)
    people = np.arange(60) // 20
    plan = replace(plan_for(1.0, 1e-5, 3), steps=1, units=10**12)
    whole = _released(features, labels, people, plan)[0]
    without = _released(features[20:], labels[20:], people[20:], plan)[0]
    assert np.linalg.norm(whole - without) == pytest.approx(CLIP, rel=0.01)


def test_pictures_as_people_of_one_picture_each_give_the_same() -> None:
    features, labels = _clusters(30)
    plan = plan_for(3.0, 1e-5, 30)
    one = _released(features, labels, np.arange(30), plan)
    people = np.concatenate([np.arange(30), [0]])  # a blank picture of the first one makes a person of two
    blank = _released(np.concatenate([features, features[:1]]), np.concatenate([labels, labels[:1]]), people, plan)
    assert len(one) == len(blank) == plan.steps
    np.testing.assert_allclose(one[0], blank[0], atol=3 * CLIP)


def test_the_divisor_does_not_depend_on_the_data() -> None:
    """An unreadable picture leaves the number of units, which is public, as it is."""
    features, labels = _clusters(30)
    plan = plan_for(3.0, 1e-5, 30)
    fewer = fit_private_head(features[1:], labels[1:], np.arange(29), 3, plan, radius=4.0, noise=np.zeros)
    assert np.isfinite(fewer.weight).all()
    assert plan.units == 30


def test_without_clipping_and_noise_it_is_a_plain_head() -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels = _clusters(300)
    new, _ = _clusters(300, 9)
    plan = replace(plan_for(8.0, 1e-5, 300), clip=1e9, rate=5.0, steps=200)
    head = fit_private_head(features, labels, np.arange(300), 3, plan, radius=4.0, noise=np.zeros)
    plain = LogisticRegression(C=100).fit(features, labels)
    assert (head(new).argmax(1) == plain.predict(new)).mean() > 0.98
