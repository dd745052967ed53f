"""An expert's choices are obeyed by the loop, or refused in one line."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from test_loop import PLAN, network, pictures, scaled
from torch import nn

import photovision as pv
from photovision.core.task import task
from photovision.data.read import dataset_from_arrays
from photovision.engine.train_config import TrainConfig
from photovision.engine.workdir import WorkDir
from photovision.learn.loop import FitResult, RunContext, fit
from photovision.learn.plan import Plan
from photovision.learn.tuning import TrainingEvent, Tuning, relative_frequencies
from photovision.tasks.classify.objective import ClassifyObjective


@dataclass
class Recorder:
    """A callback that remembers, and may stop."""

    stop_after: int = 1000
    epochs: list[TrainingEvent] = field(default_factory=list)
    stages: list[TrainingEvent] = field(default_factory=list)

    def epoch_end(self, event: TrainingEvent) -> bool:
        """Remember, and stop after so many epochs."""
        self.epochs.append(event)
        return event.epoch >= self.stop_after

    def stage_end(self, event: TrainingEvent) -> None:
        """Remember."""
        self.stages.append(event)


def trained(tuning: Tuning, plan: Plan = PLAN) -> FitResult:
    """A small network, trained by a plan with these choices."""
    setting, objective = RunContext(Accelerator(), tuning=tuning), ClassifyObjective(own_loss=tuning.loss)
    return fit(network(), objective, tuning.applied(plan), pictures(), pictures(16, 1), scaled, setting)


def test_callbacks_hear_of_every_epoch_and_may_end_the_stage() -> None:
    whole, short = Recorder(), Recorder(stop_after=2)
    done = trained(Tuning(callbacks=(whole,)))
    assert [event.epoch for event in whole.epochs] == [1, 2, 3, 4, 5, 6]
    assert done.stopped == "done"
    assert len(whole.stages) == 1
    assert whole.stages[0].best == done.score.value
    assert isinstance(whole.epochs[0].network, nn.Module)
    stopped = trained(Tuning(callbacks=(short, Recorder())))
    assert (stopped.stopped, len(stopped.curve)) == ("callback", 2)


def test_an_error_of_a_callback_ends_the_training() -> None:
    class Failing(Recorder):
        def epoch_end(self, event: TrainingEvent) -> bool:
            raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        trained(Tuning(callbacks=(Failing(),)))


def test_an_optimiser_of_torch_is_used_with_the_groups_of_the_plan() -> None:
    made: list[torch.optim.Optimizer] = []

    def rmsprop(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        made.append(torch.optim.RMSprop(groups, lr=1e-3))
        return made[0]

    assert trained(Tuning(optimiser=rmsprop, lr=2e-3)).score.value > 0.5
    assert len(made[0].param_groups) > 1


def test_a_loss_of_ones_own_decides_what_is_learned() -> None:
    def focal(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(logits, targets, reduction="none")
        return ((1 - torch.exp(-loss)) ** 2 * loss).mean()

    usual, own = trained(Tuning()), trained(Tuning(loss=focal))
    assert own.curve[0]["loss"] < usual.curve[0]["loss"]
    upside_down = trained(Tuning(loss=lambda logits, targets: -nn.functional.cross_entropy(logits, targets)))
    assert upside_down.score.value < own.score.value


def test_values_stand_in_the_plan() -> None:
    plan = Tuning(lr=0.01, batch_size=4, weight_decay=0.0, schedule="linear", optimiser="sgd").applied(PLAN)
    assert (plan.lr, plan.batch_size, plan.weight_decay, plan.schedule, plan.optimiser) == (0.01, 4, 0, "linear", "sgd")
    assert plan.warmup == PLAN.warmup
    assert Tuning().applied(PLAN) == PLAN


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"batch_size": 3}, "an even batch_size"),
        ({"lr": -1.0}, "expected lr above 0"),
        ({"optimiser": "lion"}, "'adamw', 'sgd' or a function"),
        ({"schedule": "steps"}, "'cosine' or 'linear'"),
        ({"loss": "focal"}, "loss should be a function, got str"),
        ({"callbacks": (print,)}, "epoch_end and stage_end"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(pv.UsageError, match=words):
        Tuning(**wrong)


def test_tasks_refuse_what_their_networks_cannot_follow() -> None:
    mixed, plain = TrainConfig(tuning=Tuning(mixup=0.2)), TrainConfig(tuning=Tuning(lr=1e-3))
    task("classify").check_options("train", mixed.given())
    for name in ("detect", "segment"):
        task(name).check_options("train", plain.given())
        with pytest.raises(pv.UsageError, match="does not accept 'mixup'"):
            task(name).check_options("train", mixed.given())
    with pytest.raises(pv.UsageError, match="does not accept 'tuning'"):
        task("anomaly").check_options("train", plain.given())
    assert "tuning" not in TrainConfig().given()
    with pytest.raises(pv.UsageError, match="fair_by brings its own"):
        TrainConfig(fair_by="site", tuning=Tuning(loss=print))


def test_values_are_recorded_and_repeated_functions_by_name_only() -> None:
    chosen = Tuning(lr=1e-4, augment=pv.Augment(scale=0.8, corruptions=("fog",)))
    config = TrainConfig(tuning=chosen, resume=False)
    assert "resume" not in config.to_json()
    info = {"training": config.to_json(), "task": "classify"}
    assert TrainConfig.replaying(info).tuning == chosen
    assert TrainConfig.replaying({"training": {}, "task": "classify"}).tuning == Tuning()
    named = Tuning(loss=nn.functional.cross_entropy, callbacks=(Recorder(),)).to_json()
    assert named == {"loss": "torch.nn.functional.cross_entropy", "callbacks": ["test_tuning.Recorder"]}
    with pytest.raises(pv.UsageError, match=r"a loss of its own \(torch\.nn\.functional\.cross_entropy\)"):
        TrainConfig.replaying({"training": {"tuning": named}, "task": "classify"})


def test_a_sampler_gives_one_frequency_for_each_picture() -> None:
    data = dataset_from_arrays(np.zeros((4, 8, 8, 3), np.uint8), ["a", "b", "b", "b"])
    found = relative_frequencies(lambda one: np.where(one.labels == 0, 3, 1), data)
    assert found.tolist() == [3, 1, 1, 1]
    for wrong in (np.ones(3), np.zeros(4), -np.ones(4)):
        with pytest.raises(pv.UsageError, match="sampler should give 4 finite frequencies"):
            relative_frequencies(lambda one, given=wrong: given, data)


def test_unfinished_work_is_taken_up_unless_it_is_to_start_again(tmp_path: Path) -> None:
    def work(**choices: Any) -> WorkDir:
        return WorkDir(tmp_path / "model", {"a": 1}, Accelerator(), **choices)

    work().value("number", lambda: 1)
    assert work().value("number", lambda: 2) == 1
    again = work(resume=False)
    assert again.value("number", lambda: 3) == 3
    assert again.discarded == "it was asked to start again"


def test_a_tracker_that_is_not_installed_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    from photovision.learn.log import check_trackers

    with pytest.raises(pv.UsageError, match="should be tensorboard or mlflow, got 'wandb'"):
        check_trackers(("wandb",))


def test_the_example_of_the_documentation_is_obeyed() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    code = text.split("import torch\n", 1)[1].split("```", 1)[0]
    found: dict[str, Any] = {"pv": pv, "torch": torch}
    exec(compile(textwrap.dedent(code), "docs/reference/python.md", "exec"), found)
    tuning = found["tuning"]
    assert tuning.applied(PLAN).batch_size == 16
    data = dataset_from_arrays(np.zeros((4, 8, 8, 3), np.uint8), ["a", "b", "b", "b"])
    assert relative_frequencies(tuning.sampler, data).tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])
    assert trained(tuning).stopped in ("done", "callback")
