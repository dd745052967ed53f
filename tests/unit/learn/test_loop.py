"""The loop learns, keeps the best, and resumes as if it had never stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from photovision.core.progress import Progress
from photovision.data.augment.image import Augment
from photovision.learn import loop
from photovision.learn.feed import SmallPictureFeed
from photovision.learn.loop import RunContext, fit
from photovision.learn.optim import build_optimiser, set_rate
from photovision.learn.plan import Plan
from photovision.tasks.classify.objective import ClassifyObjective

PLAN = Plan(6, batch_size=8, lr=3e-3, train_norm=True, label_smoothing=0.0)


def pictures(n: int = 32, seed: int = 0) -> SmallPictureFeed:
    """Squares that are bright at the top (class 0) or at the bottom (class 1)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 120, (n, 16, 16, 3))
    for image, label in zip(images, labels, strict=True):
        image[8 * label : 8 * label + 8] += 120
    return SmallPictureFeed(images.astype(np.uint8), np.eye(2, dtype=np.float32)[labels], Augment(), shift=1)


def network(dropout: bool = True) -> nn.Module:
    torch.manual_seed(3)
    dropped = nn.Dropout(0.1) if dropout else nn.Identity()
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), dropped, nn.Flatten(), nn.Linear(512, 2)
    )


def scaled(inputs: torch.Tensor) -> torch.Tensor:
    return inputs.permute(0, 3, 1, 2).float() / 255 - 0.5


def run(plan: Plan = PLAN, dropout: bool = True, **setting: object) -> loop.FitResult:
    context = RunContext(Accelerator(), **setting)  # type: ignore[arg-type]
    return fit(network(dropout), ClassifyObjective(), plan, pictures(), pictures(16, 1), scaled, context)


def test_learns_sixteen_pictures_by_heart() -> None:
    few = pictures(16)
    done = fit(network(), ClassifyObjective(), replace(PLAN, epochs=30), few, few, scaled, RunContext(Accelerator()))
    assert done.score.value == 1.0
    assert done.curve[-1]["loss"] < 0.3 * done.curve[0]["loss"]


@pytest.mark.parametrize(
    "plan",
    [
        replace(PLAN, ema=0.9),
        replace(PLAN, accumulate=2),
        replace(PLAN, optimiser="sgd", lr=0.05, schedule="linear"),
        replace(PLAN, mixup=0.4, cutmix=0.6),
        replace(PLAN, precision="bf16"),
        replace(PLAN, layer_decay=0.7, balanced=True),
    ],
    ids=["ema", "accumulate", "sgd", "mix", "bf16", "discriminative"],
)
def test_every_choice_learns(plan: Plan) -> None:
    assert run(replace(plan, epochs=12)).score.value >= 0.9


def test_same_seed_same_weights() -> None:
    first, second = run(), run()
    for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(a, b)
    other = run(replace(PLAN, seed=1))
    assert not torch.equal(next(first.network.parameters()), next(other.network.parameters()))


@pytest.mark.parametrize("stop_at", [2, 7, 13])
def test_resume_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int) -> None:
    """Cut off in the middle of an epoch, at its end, and later: the result is the same to the last bit."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    class Cut(Exception):
        pass

    def cut(progress: Progress) -> None:
        if progress.done == stop_at + 1:
            raise Cut

    whole = run()
    with pytest.raises(Cut):
        run(checkpoint=tmp_path / "state.pt", listener=cut)
    resumed = run(checkpoint=tmp_path / "state.pt")
    for (name, a), b in zip(whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert [entry["val"] for entry in whole.curve] == [entry["val"] for entry in resumed.curve]


def test_interrupt_keeps_the_best_so_far() -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done == 10:
            raise KeyboardInterrupt

    done = run(listener=interrupt)
    assert done.stopped == "interrupted"
    assert len(done.curve) == 2


def test_patience_ends_early() -> None:
    done = run(replace(PLAN, epochs=40, patience=3))
    assert done.stopped == "patience"
    assert len(done.curve) < 40


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_best_weights_are_kept_or_the_last_ones(keep: Literal["best", "last"]) -> None:
    val = pictures(16, 1)
    wrong = SmallPictureFeed(val.images, val.targets[:, ::-1].copy(), Augment(), shift=1)  # learning makes it worse
    plan, context = replace(PLAN, lr=3e-4, keep=keep), RunContext(Accelerator())
    done = fit(network(), ClassifyObjective(), plan, pictures(), wrong, scaled, context)
    scores = [one["val"] for one in done.curve]
    assert max(scores) > scores[-1]
    assert done.score.value == (max(scores) if keep == "best" else scores[-1])


def test_deadline_ends_with_what_there_is() -> None:
    done = run(deadline=0.0)
    assert done.stopped == "deadline"
    assert len(done.curve) == 1


def test_a_run_takes_the_epochs_that_its_time_allows() -> None:
    """Planned too short or too long, it ends in time with the rate at its end, and can be repeated without a clock."""
    began = time.monotonic()
    once = run(replace(PLAN, epochs=2))
    each = (time.monotonic() - began) / 2
    stretched = run(replace(PLAN, epochs=2, most_epochs=12), deadline=time.monotonic() + 1000 * each)
    assert stretched.curve[-1]["epoch"] == 12
    assert stretched.paced[0] == (1, 12)
    assert stretched.stopped == "done"
    cut = run(replace(PLAN, epochs=100_000), deadline=time.monotonic() + 20 * each)
    assert cut.paced[0][1] < 1000
    again = run(replace(PLAN, epochs=2, most_epochs=12, paced=tuple(stretched.paced)))
    for a, b in zip(stretched.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert len(once.curve) == 2


def test_an_only_epoch_that_is_cut_off_ends_with_a_small_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an epoch takes longer than there is time, the rate falls by the clock."""
    shares: list[float] = []

    def noted(optimiser: torch.optim.Optimizer, plan: Plan, done: float) -> None:
        shares.append(done)
        set_rate(optimiser, plan, done)

    monkeypatch.setattr(loop, "set_rate", noted)
    many = pictures(20_000)
    plan = replace(PLAN, epochs=1)
    setting = RunContext(Accelerator(), deadline=time.monotonic() + 1.0)
    done = fit(network(), ClassifyObjective(), plan, many, pictures(16, 1), scaled, setting)
    assert done.stopped == "deadline"
    assert shares == sorted(shares)
    assert shares[-1] > 0.9


class Pretrained(nn.Module):
    """A layer that knows something already, and a head that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.below, self.head = network()[:5], nn.Linear(512, 2)

    def pretrained(self) -> Iterator[nn.Parameter]:
        return self.below.parameters()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.head(self.below(inputs))
        return value


@pytest.mark.parametrize(("steps", "moves"), [(3, False), (6, True)])
def test_what_is_pretrained_learns_after_the_head(steps: int, moves: bool) -> None:
    learning, plan = Pretrained(), replace(PLAN, epochs=2, train_norm=False, head_first=0.5)  # of 8 steps
    before = {name: value.clone() for name, value in learning.state_dict().items()}

    def stop(progress: Progress) -> None:
        if progress.done == steps:
            raise RuntimeError("enough")

    setting = RunContext(Accelerator(), listener=stop)
    with pytest.raises(RuntimeError, match="enough"):
        fit(learning, ClassifyObjective(), plan, pictures(), pictures(16, 1), scaled, setting)
    after = learning.state_dict()
    assert not torch.equal(after["head.weight"], before["head.weight"])
    assert torch.equal(after["below.0.weight"], before["below.0.weight"]) is not moves


def test_what_learns_later_has_a_warm_up_of_its_own() -> None:
    plan = replace(PLAN, head_first=0.4, warmup=0.1)
    optimiser = build_optimiser(Pretrained(), plan)
    for done, least, most in ((0.41, 0.05, 0.15), (0.45, 0.4, 0.6), (0.5, 0.99, 1.01), (0.9, 0.99, 1.01)):
        set_rate(optimiser, plan, done)
        late, head = (next(g["lr"] for g in optimiser.param_groups if g["late"] is late) for late in (True, False))
        assert least < late / head < most


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    from photovision.core.errors import ModelError

    (tmp_path / "state.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match=r"state\.pt is damaged"):
        run(checkpoint=tmp_path / "state.pt")


SHARED = replace(PLAN, train_norm=False, mixup=0.4)
_SHARING = """
    import os, sys
    import torch
    from test_loop import SHARED, run
    done = run(SHARED, dropout=False)
    if os.environ["RANK"] == "0":
        torch.save(done.network.state_dict(), sys.argv[1])
"""
_KILLED = """
    import os, signal, sys
    from pathlib import Path
    from photovision.learn import loop
    from test_loop import run
    loop.CHECKPOINT_SECONDS = 0.0
    def kill(progress):
        if progress.done == 9:
            os.kill(os.getpid(), signal.SIGKILL)
    run(checkpoint=Path(sys.argv[1]), listener=kill)
"""


def _in_processes(source: str, file: Path, *launcher: str) -> subprocess.CompletedProcess[str]:
    """Run Python elsewhere; it gets the name of a file."""
    script = file.with_name("worker.py")
    script.write_text(textwrap.dedent(source))
    path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])}
    environment = {**os.environ, **path, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    command = [sys.executable, *launcher, str(script), str(file)]
    return subprocess.run(command, env=environment, timeout=300, capture_output=True, text=True)


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Two gloo processes that share every batch end with the weights of one that takes it whole.

    Without dropout, whose draws differ from process to process.
    """
    ended = _in_processes(
        _SHARING, tmp_path / "two.pt", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    two = torch.load(tmp_path / "two.pt", weights_only=True)
    for name, value in run(SHARED, dropout=False).network.state_dict().items():
        assert torch.allclose(value, two[name], atol=1e-5), name


def test_what_a_killed_process_left_is_taken_up(tmp_path: Path) -> None:
    """kill -9 in the middle, then the same training again: the weights of an uninterrupted one."""
    assert _in_processes(_KILLED, tmp_path / "state.pt").returncode == -signal.SIGKILL
    assert (tmp_path / "state.pt").is_file()
    resumed = run(checkpoint=tmp_path / "state.pt").network.state_dict()
    for name, value in run().network.state_dict().items():
        assert torch.equal(value, resumed[name]), name
