"""Attacks find a head that learned by heart, a private one keeps its promise, and planted faults are caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from photovision.core.types import Floats, Ints
from photovision.learn.private_head import fit_private_head, plan_for
from photovision.trust.privacy.canaries import release_canaries
from photovision.trust.privacy.membership import MembershipAttack, attack_procedure, margins

COUNT = 400


@pytest.fixture(scope="module")
def hard() -> tuple[Floats, Ints]:
    """Features of more numbers than pictures, a fifth of whose labels are wrong: made to be learned by heart."""
    rng = np.random.default_rng(0)
    labels = np.arange(COUNT) % 2
    features = rng.normal(size=(COUNT, 300)) + 0.15 * (2 * labels - 1)[:, None]
    wrong = rng.random(COUNT) < 0.2
    return (features / np.sqrt(300)).astype(np.float32), np.where(wrong, 1 - labels, labels)


def test_a_head_that_learned_by_heart_is_found(hard: tuple[Floats, Ints]) -> None:
    features, labels = hard

    def fit(rows: Ints) -> Floats:
        scores = LogisticRegression(C=1000).fit(features[rows], labels[rows]).decision_function(features)
        return np.stack([np.zeros(COUNT), scores], 1)

    found = attack_procedure(fit, labels, 0, 16).at(0.01)
    assert found is not None
    assert found.low is not None
    assert found.low > 0.05


def test_a_private_head_is_not(hard: tuple[Floats, Ints]) -> None:
    features, labels = hard
    plan = plan_for(1.0, 1e-5, COUNT // 2)

    def fit(rows: Ints) -> Floats:
        head = fit_private_head(features[rows], labels[rows], np.arange(len(rows)), 2, plan, radius=1.0)
        return head(features)

    found = attack_procedure(fit, labels, 0, 16)
    rate = found.at(0.01)
    assert rate is not None
    assert rate.value <= 0.02
    assert rate.value <= np.exp(1.0) * 0.01 + 1e-5
    assert 0.45 < found.auroc < 0.6


def test_a_rate_is_given_only_where_there_are_enough_non_members() -> None:
    members = np.arange(200) < 100
    found = MembershipAttack(np.where(members, 2.0, 0.0) + np.linspace(0, 1, 200), members)
    rate = found.at(0.01)
    assert rate is not None
    assert rate.value == 1.0
    assert found.at(0.001) is None
    assert found.auroc == 1.0


def test_margins_are_log_odds() -> None:
    logits = np.log(np.float64([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]]))
    np.testing.assert_allclose(margins(logits, np.array([2, 0])), np.log([1.0, 9.0]))


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_canaries_never_prove_more_than_is_claimed(epsilon: float) -> None:
    plan = plan_for(epsilon, 1e-5, 1200)
    found = [release_canaries(plan, seed) for seed in range(3)]
    assert not any(one.fault for one in found)
    assert all(one.at_least > 0.1 * epsilon for one in found)


FAULTS = {
    "half the noise": lambda plan: replace(plan, noise=plan.noise / 2),
    "no clipping": lambda plan: replace(plan, clip=1e12),
    "ten times the pictures": lambda plan: replace(plan, noise=plan.noise / 10),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_planted_faults_are_caught(fault: str, epsilon: float) -> None:
    broken = FAULTS[fault](plan_for(epsilon, 1e-5, 1200))
    assert all(release_canaries(broken, seed).fault for seed in range(2))
