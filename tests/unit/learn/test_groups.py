"""Learning that minds groups: what a planted shortcut costs the rare group, and that it is won back."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from photovision.core.progress import Progress
from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.data.augment.image import Augment
from photovision.learn import loop
from photovision.learn.feed import SmallPictureFeed
from photovision.learn.groups import GroupDro, GroupScored, Reweighted, group_weights
from photovision.learn.loop import FitResult, RunContext, fit, outputs
from photovision.learn.plan import Plan
from photovision.tasks.classify.objective import ClassifyObjective

PLAN = Plan(6, batch_size=32, lr=3e-3, train_norm=True, label_smoothing=0.0)


def biased(n: int, conflicts: float, seed: int) -> tuple[SmallPictureFeed, np.ndarray]:
    """Pictures that are a little brighter at the top (class 0) or at the bottom (class 1), tinted red or blue.

    The tint tells the class, too, but lies for the share `conflicts` of the pictures. Groups: class, and whether it
    lies.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    lies = rng.permutation(n) < round(conflicts * n)
    images = rng.normal(100, 30, (n, 16, 16, 3))
    for image, label, lie in zip(images, labels, lies, strict=True):
        image[8 * label : 8 * label + 8] += 14
        image[..., 0 if label ^ lie else 2] += 40
    pixels = np.clip(images, 0, 255).astype(np.uint8)
    feed = SmallPictureFeed(pixels, np.eye(2, dtype=np.float32)[labels], Augment(flip=False), shift=1)
    return feed, (2 * labels + lies).astype(np.int64)


TRAIN, GROUPS = biased(400, 0.05, 0)
VAL, VAL_GROUPS = biased(200, 0.5, 1)
TEST, TEST_GROUPS = biased(400, 0.5, 2)


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 2)
    )


def scaled(inputs: torch.Tensor) -> torch.Tensor:
    return inputs.permute(0, 3, 1, 2).float() / 255 - 0.5


def worst(probs: Floats, truth: np.ndarray, groups: np.ndarray = VAL_GROUPS) -> Metric:
    right = probs.argmax(1) == truth.argmax(1)
    return Metric(min(float(right[groups == group].mean()) for group in range(4)), None, None, len(right))


def task(kind: str, groups: np.ndarray = GROUPS, plan: Plan = PLAN) -> GroupScored:
    if kind == "reweighted":
        return Reweighted(ClassifyObjective(), worst, group_weights(groups))
    if kind == "GroupDRO":
        steps = plan.epochs * -(-len(groups) // plan.batch_size)
        return GroupDro(ClassifyObjective(), worst, groups, group_weights(groups), steps=steps)
    return GroupScored(ClassifyObjective(), worst)


def run(kind: str, plan: Plan = PLAN, **setting: object) -> FitResult:
    weights = group_weights(GROUPS) if kind in ("group-balanced", "GroupDRO") else None
    return fit(
        network(), task(kind, plan=plan), plan, TRAIN, VAL, scaled, RunContext(Accelerator(), **setting), weights
    )  # type: ignore[arg-type]


def worst_on_test(done: FitResult) -> float:
    probs = ClassifyObjective().decode(outputs(done.network, TEST, scaled, Accelerator()))
    return worst(probs, TEST.targets, TEST_GROUPS).value


@pytest.fixture(scope="module")
def plain() -> float:
    return worst_on_test(run("plain"))


def test_the_shortcut_is_taken_without_mitigation(plain: float) -> None:
    assert plain < 0.4


@pytest.mark.parametrize("kind", ["group-balanced", "reweighted", "GroupDRO"])
def test_the_rare_groups_are_won_back(plain: float, kind: str) -> None:
    assert worst_on_test(run(kind)) > plain + 0.25


def test_weights_of_groups() -> None:
    weights = group_weights(GROUPS)
    totals = np.bincount(GROUPS, weights)
    assert np.allclose(totals, totals[0], rtol=1e-3)
    assert weights.mean() == pytest.approx(1, rel=1e-4)
    lonely = group_weights(np.array([0] * 9999 + [1]))
    assert lonely[-1] / lonely[0] < 40  # one odd picture does not become half of the training


def test_q_grows_where_the_loss_is_high_and_stays_a_distribution() -> None:
    groups = np.array([0, 0, 1, 1, 2, 2])
    dro = GroupDro(ClassifyObjective(), worst, groups, steps=20)
    logits = nn.Parameter(torch.tensor([[4.0, 0.0]] * 2 + [[0.0, 4.0]] * 2 + [[0.0, 0.0]] * 2))
    batch = {"inputs": torch.arange(6), "targets": torch.eye(2)[[0] * 6], "positions": torch.arange(6)}

    def look_up(positions: torch.Tensor) -> torch.Tensor:
        return logits[positions]

    for _ in range(3):
        dro.loss(look_up, batch, 0.0)["loss"].backward()  # type: ignore[arg-type]
    q = dro.state()["q"]
    assert q[1] > q[2] > q[0]
    assert float(q.sum()) == pytest.approx(1, abs=1e-5)


def test_groups_that_fare_alike_stay_equal() -> None:
    dro = GroupDro(ClassifyObjective(), worst, np.array([0, 1, 0, 1]), steps=20)
    batch = {"inputs": torch.zeros(4, 2), "targets": torch.eye(2)[[0, 0, 1, 1]], "positions": torch.arange(4)}
    for _ in range(5):
        dro.loss(nn.Identity(), batch, 0.0)
    assert torch.allclose(dro.state()["q"], torch.tensor([0.5, 0.5]))


def test_a_rarely_drawn_group_counts_as_if_drawn_equally_often() -> None:
    """The expected loss is the mean over groups, whatever the frequency of the draws."""
    groups = np.array([0] * 9 + [1])
    losses = torch.tensor([1.0] * 9 + [3.0])

    class Given(ClassifyObjective):
        def each(self, network: nn.Module, batch: dict[str, torch.Tensor], smoothing: float) -> torch.Tensor:
            return losses[batch["positions"]]

    for frequency in (None, group_weights(groups)):
        dro = GroupDro(Given(), worst, groups, frequency, steps=10**9)
        dro.step = 0.0
        chance = np.ones(10) / 10 if frequency is None else frequency / frequency.sum()
        each = [float(dro.loss(nn.Identity(), {"positions": torch.tensor([i])}, 0.0)["loss"]) for i in range(10)]
        assert float((chance * each).sum()) == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("stop_at", [5, 13, 20])
def test_resumed_group_dro_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    plan = Plan(2, batch_size=32, lr=3e-3, train_norm=True)

    class Cut(Exception):
        pass

    def cut(progress: Progress) -> None:
        if progress.done == stop_at:
            raise Cut

    whole = run("GroupDRO", plan)
    with pytest.raises(Cut):
        run("GroupDRO", plan, checkpoint=tmp_path / "state.pt", listener=cut)
    resumed = run("GroupDRO", plan, checkpoint=tmp_path / "state.pt")
    for (name, a), b in zip(whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


_WORKER = """
    import os, sys, torch
    from accelerate import Accelerator
    import test_groups
    from photovision.learn.groups import GroupDro, group_weights
    from photovision.learn.loop import Setting, fit
    from photovision.learn.plan import Plan
    from photovision.tasks.classify.objective import Classify
    accelerator = Accelerator()
    plan = Plan(2, batch_size=32, lr=3e-3, train_norm=False)
    weights = group_weights(test_groups.GROUPS)
    total = lambda sums: accelerator.reduce(sums, "sum")
    task = GroupDro(Classify(), test_groups.worst, test_groups.GROUPS, weights, steps=26, total=total)
    feeds = test_groups.TRAIN, test_groups.VAL
    done = fit(test_groups.network(), task, plan, *feeds, test_groups.scaled, Setting(accelerator), weights)
    torch.save({**done.network.state_dict(), "q": task.q}, f"{sys.argv[1]}-{os.environ.get('RANK', '0')}.pt")
"""


@pytest.mark.slow
def test_two_processes_have_one_q_and_one_network(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(textwrap.dedent(_WORKER))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "1",
    }
    for command, name in (([sys.executable], "one"), (launch, "two")):
        call = [*command, str(tmp_path / "worker.py"), str(tmp_path / name)]
        subprocess.run(call, env=environment, check=True, timeout=300, capture_output=True)
    one, first, second = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one-0", "two-0", "two-1")
    )
    for name, value in one.items():
        assert torch.allclose(value, first[name], atol=1e-5), name
        assert torch.equal(first[name], second[name]), name
