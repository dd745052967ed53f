"""THE training loop. Every network of Photovision learns here; what varies is the task, the feed and the plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from photovision.core.progress import Listener, Progress, silent
from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.learn import checkpoint
from photovision.learn.feed import Batch, Feed, Shard, batches
from photovision.learn.free_threads import FreeThreads
from photovision.learn.log import MetricTracker
from photovision.learn.objective import Objective
from photovision.learn.optim import Average, build_optimiser, mix, pretrained, set_rate
from photovision.learn.plan import Plan
from photovision.learn.tuning import UNTUNED, TrainingEvent, Tuning, stop_asked

Prepare = Callable[[torch.Tensor], torch.Tensor]
CHECKPOINT_SECONDS = 30.0
_LATE = 0.05  # share of an epoch by which it may lag behind the clock without being late


@dataclass(frozen=True)
class RunContext:
    """Everything around a run that does not change what is learned.

    Attributes:
        accelerator: devices and processes.
        listener: called at every step.
        trackers: called at every validation.
        checkpoint: file that the run's state is kept in, or None.
        deadline: `time.monotonic()` at which the run ends with the best so far.
        stage: name of the rung, for people.
        threads: leave cores to other programs; None takes all of them throughout.
        tuning: an expert's optimiser and callbacks; the plan holds the other choices already.
    """

    accelerator: Accelerator
    listener: Listener = silent
    trackers: tuple[MetricTracker, ...] = ()
    checkpoint: Path | None = None
    deadline: float = float("inf")
    stage: str = "training"
    threads: FreeThreads | None = None
    tuning: Tuning = UNTUNED


@dataclass
class FitResult:
    """What a run found.

    Attributes:
        network: with the weights that validated best, or the last ones (`Plan.keep`), on the CPU, in evaluation mode.
        score: of these weights on validation.
        curve: one entry a validation: epoch, seconds, loss, val.
        stopped: "done", "patience", "callback", "deadline" or "interrupted".
        paced: see `Plan.paced`.
    """

    network: nn.Module
    score: Metric
    curve: list[dict[str, float]]
    stopped: str
    paced: list[tuple[int, int]]


@dataclass
class _State:
    """What a run has reached; all of it goes into the checkpoint."""

    epochs: int = 0
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_score: Metric | None = None
    peak: float = -1.0
    peak_epoch: int = 0
    paced: list[tuple[int, int]] = field(default_factory=list)


def fit(
    network: nn.Module,
    task: Objective,
    plan: Plan,
    train: Feed,
    val: Feed,
    prepare: Prepare,
    setting: RunContext,
    weights: Floats | None = None,
) -> FitResult:
    """Train a network and return it with the weights that validated best.

    Killed at any moment and started again with the same arguments, it ends with the same weights as if it had never
    been interrupted. Ctrl-C ends it with the best so far.

    Args:
        network: maps prepared inputs (N, C, H, W) to raw outputs (N, K); changed in place.
        task: the loss and the validation score.
        plan: every choice of the run.
        train, val: feeds; the validation feed is never varied.
        prepare: from a feed's inputs to the network's, on the device (normalisation of uint8 pictures).
        setting: devices, listeners, checkpoint, deadline.
        weights: float (N,), relative frequency of the training samples; None means each once an epoch.
    """
    run = _Run(network, task, plan, train, val, prepare, setting, weights)
    stopped = "done"
    try:
        while run.state.epoch < run.state.epochs and stopped == "done":
            stopped = run.train_epoch()
            run.pace()
            last = run.state.epoch >= run.state.epochs or stopped != "done"
            if last or run.state.epoch % plan.validate_every == 0:
                run.validate()
                if run.ended_by_callback() and not last:
                    stopped = "callback"
                elif plan.patience and not last and run.state.epoch - run.state.peak_epoch >= plan.patience:
                    stopped = "patience"
            run.keep()
    except KeyboardInterrupt:
        if run.state.best_score is None:
            raise
        stopped = "interrupted"
    assert run.state.best_score is not None
    for callback in setting.tuning.callbacks if run.accelerator.is_main_process else ():
        callback.stage_end(run.event())
    network.load_state_dict(run.state.best)
    return FitResult(network.cpu().eval(), run.state.best_score, run.state.curve, stopped, run.state.paced)


class _Run:
    def __init__(
        self,
        network: nn.Module,
        task: Objective,
        plan: Plan,
        train: Feed,
        val: Feed,
        prepare: Prepare,
        setting: RunContext,
        weights: Floats | None,
    ) -> None:
        self.task, self.plan, self.train, self.val = task, plan, train, val
        self.setting, self.weights = setting, weights
        self.accelerator = setting.accelerator
        torch.manual_seed(plan.seed)
        device = self.accelerator.device
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.prepare = _on_device(prepare, device)
        self.average = Average(self.network, plan.ema)
        optimiser = build_optimiser(self.network, plan, setting.tuning)
        self.resting = pretrained(self.network) if plan.head_first else []
        model = torch.compile(self.network) if plan.compile else self.network
        self.model, self.optimiser = self.accelerator.prepare(model, optimiser)
        self.share = Shard(self.accelerator.process_index, self.accelerator.num_processes)
        self.steps = max(1, -(-len(train.targets) // plan.batch_size))
        self.state = self._restore()
        self.started = time.monotonic() - self.state.seconds
        self.kept = self.began = self.turn = time.monotonic()
        self.first = self.state.epoch

    def pace(self) -> None:
        """Plan as many epochs as the machine really finds time for, so that the rate falls to its end in time.

        Cut off at the deadline with a high rate, a network is a point or two worse than one that learned for less time;
        one that is done long before learned less than it could have.
        """
        state, known = self.state, dict(self.plan.paced)
        epochs = known.get(state.epoch, state.epochs)
        if not known and self.setting.deadline < float("inf"):
            each = (time.monotonic() - self.began) / max(state.epoch - self.first, 1)
            fitting = state.epoch + int((self.setting.deadline - time.monotonic()) / each)
            epochs = min(max(fitting, state.epoch + 1), max(state.epochs, self.plan.most_epochs))
            # One epoch that would just fit is not worth another run's end; one too many would be cut off.
            epochs = state.epochs if epochs == state.epochs + 1 else epochs
        epochs = self._least(epochs)
        # After its end a run goes on only where the machine has time for as much again, since the rate has fallen.
        if epochs != state.epochs and (state.epoch < state.epochs or epochs >= 2 * state.epochs):
            state.epochs = epochs
            state.paced.append((state.epoch, epochs))

    def train_epoch(self) -> str:
        """Go on with the present epoch to its end, or until the deadline."""
        state, plan = self.state, self.plan
        self.turn = time.monotonic()
        self.network.train()
        if not plan.train_norm:
            _freeze_norms(self.network)
        for batch in batches(self.train, state.epoch, plan.seed, plan.batch_size, state.step, self.share, self.weights):
            if self.setting.threads is not None:
                self.setting.threads.adapt()
            state.losses.append(self._step(batch))
            state.seconds = time.monotonic() - self.started
            self._tell()
            if self._any(time.monotonic() > self.setting.deadline):
                state.epoch, state.step = state.epoch + 1, 0
                return "deadline"
            if time.monotonic() - self.kept > CHECKPOINT_SECONDS and state.step % plan.accumulate == 0:
                self.keep()
        state.epoch, state.step = state.epoch + 1, 0
        return "done"

    def _step(self, batch: Batch) -> float:
        state, plan, accelerator = self.state, self.plan, self.accelerator
        done = self._done()
        set_rate(self.optimiser, plan, done)
        for parameter in self.resting:
            parameter.requires_grad_(done >= plan.head_first)
        draws = np.random.default_rng((plan.seed, state.epoch, state.step, 2))
        inputs, targets = self.prepare(batch["inputs"]), batch["targets"].to(accelerator.device)
        inputs, targets = mix(inputs, targets, plan, draws, (self.share.rank, self.share.world))
        mixed = {"inputs": inputs, "targets": targets, "positions": batch["positions"].to(accelerator.device)}
        with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            loss = self.task.loss(self.model, mixed, plan.label_smoothing)["loss"]
        accelerator.backward(loss / plan.accumulate)
        state.step += 1
        if state.step % plan.accumulate == 0 or state.step == self.steps:
            accelerator.clip_grad_norm_(self.network.parameters(), plan.clip)
            self.optimiser.step()
            self.optimiser.zero_grad()
            self.average.update(self.network)
        return float(loss.detach())

    def _done(self) -> float:
        """The share of the run that is done, by steps; in its last epoch by time, where it will be cut off."""
        state, part = self.state, self.state.step / self.steps
        if state.epoch + 1 >= state.epochs and self.setting.deadline < float("inf"):
            passed = (time.monotonic() - self.turn) / max(self.setting.deadline - self.turn, 1e-3)
            part = min(passed, 1.0) if passed > part + _LATE else part
        return (state.epoch + part) / state.epochs

    def validate(self) -> None:
        """Score the averaged weights, and keep them where they are the best so far, or the last are wanted."""
        state, network = self.state, self.average.network
        with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.plan.precision == "bf16"):
            raw = outputs(network, self.val, self.prepare, self.accelerator)
        score = self.task.score(self.task.decode(raw), self.val.targets)
        loss = float(np.mean(state.losses)) if state.losses else 0.0
        state.losses = []
        state.curve.append({"epoch": state.epoch, "seconds": round(state.seconds, 2), "loss": loss, "val": score.value})
        for tracker in self.setting.trackers:
            tracker.log(self.setting.stage, state.epoch, {"loss": loss, "val": score.value})
        if score.value > state.peak:
            state.peak, state.peak_epoch = score.value, state.epoch
        best, last = state.best_score, self.plan.keep == "last"
        if best is None or last or score.value >= best.value - self._noise(best):
            state.best_score = score
            state.best = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}

    def event(self) -> TrainingEvent:
        """Where the run stands after its last validation."""
        state, last = self.state, self.state.curve[-1]
        assert state.best_score is not None
        figures = last["loss"], last["val"], state.best_score.value
        return TrainingEvent(self.setting.stage, state.epoch, state.epochs, *figures, self.network)

    def ended_by_callback(self) -> bool:
        """Whether a callback of the main process ends the run."""
        callbacks = self.setting.tuning.callbacks
        if not callbacks:
            return False
        return self._any(self.accelerator.is_main_process and stop_asked(callbacks, self.event()))

    def _noise(self, best: Metric) -> float:
        """A standard error of the best score, in the second half of the run.

        The rate is then small and weights have settled: a later score that is lower by less than chance is no reason to
        keep weights that were still on their way (the one-standard-error rule, Breiman et al. 1984).
        """
        if best.low is None or best.high is None or self.state.epoch <= self.state.epochs / 2:
            return 0.0
        return (best.high - best.low) / (2 * 1.96)

    def keep(self) -> None:
        """Write the checkpoint."""
        self.kept = time.monotonic()
        if self.setting.checkpoint is None or not self.accelerator.is_main_process:
            return
        best_score = self.state.best_score.to_json() if self.state.best_score else None
        state = {
            "state": {**vars(self.state), "best_score": best_score},
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "updates": self.average.updates,
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "task": self.task.state(),
        }
        checkpoint.save(self.setting.checkpoint, state)

    def _restore(self) -> _State:
        kept = checkpoint.load(self.setting.checkpoint) if self.setting.checkpoint else None
        if kept is None:
            return _State(epochs=self.plan.epochs)
        self.network.load_state_dict(kept["network"])
        self.average.network.load_state_dict(kept["average"])
        self.average.updates = kept["updates"]
        self.optimiser.load_state_dict(kept["optimiser"])
        torch.set_rng_state(kept["random"])
        for name, value in self.task.state().items():
            value.copy_(kept["task"][name])
        state: dict[str, Any] = kept["state"]
        score = state.pop("best_score")
        return _State(**state, best_score=Metric.from_json(score) if score else None)

    def _tell(self) -> None:
        state = self.state
        recent = float(np.mean(state.losses[-50:]))
        line = f"epoch {min(state.epoch + 1, state.epochs)}/{state.epochs}, loss {recent:.3f}"
        done = state.epoch * self.steps + state.step
        facts = {"epoch": done / self.steps, "loss": recent}
        if state.best_score is not None:
            line += f", val {state.curve[-1]['val']:.1%} (best {state.best_score.value:.1%})"
            facts |= {"val": state.curve[-1]["val"], "best": state.best_score.value}
        self.setting.listener(Progress(self.setting.stage, done, state.epochs * self.steps, line, facts))

    def _any(self, wish: bool) -> bool:
        """Whether any process wants to stop: all must stop at the same step, or they would wait for ever."""
        if self.accelerator.num_processes == 1:
            return wish
        wishes = torch.tensor([float(wish)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(wishes, "sum").item())

    def _least(self, epochs: int) -> int:
        """The smallest wish of all processes."""
        if self.accelerator.num_processes == 1:
            return epochs
        wishes = self.accelerator.gather(torch.tensor([epochs], device=self.accelerator.device))
        return int(wishes.min().item())


@torch.no_grad()
def outputs(network: nn.Module, feed: Feed, prepare: Prepare, accelerator: Accelerator, batch_size: int = 64) -> Floats:
    """Raw outputs float32 (N, K) of a network in evaluation mode for a whole feed, each process doing its part."""
    network.eval()
    prepare = _on_device(prepare, accelerator.device)
    parts = np.array_split(np.arange(len(feed.targets)), -(-len(feed.targets) // batch_size))
    own = [
        (number, network(prepare(feed.take(positions, -1, 0))).float().cpu().numpy())
        for number, positions in enumerate(parts)
        if number % accelerator.num_processes == accelerator.process_index
    ]
    everything = gather_object(own) if accelerator.num_processes > 1 else own
    return np.concatenate([rows for _, rows in sorted(everything, key=lambda pair: pair[0])])


def _freeze_norms(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _on_device(prepare: Prepare, device: torch.device) -> Prepare:
    def ready(inputs: torch.Tensor) -> torch.Tensor:
        value = prepare(inputs.to(device, non_blocking=True))
        return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value

    return ready
