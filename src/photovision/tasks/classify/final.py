"""The end of the learning: the chosen network learns from val as well, once val has chosen it.

Val is whole components of similar pictures, so it holds what is least like train, and most worth learning from. The
limits of the network then rest on what it predicted for val before (`photovision.tasks.classify.out_of_fold`).
"""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import Any

import numpy as np

from photovision.core.phrases import count
from photovision.engine.training_run import TrainingRun
from photovision.learn.plan import Plan
from photovision.tasks.classify.finetune import FINAL, fit_study, frequencies
from photovision.tasks.classify.objective import objective_of
from photovision.tasks.classify.trained_stage import TrainedStage

SHARE = 0.3
"""Epochs on train and val together, as a share of those on train alone; also of the time."""
_RATE = 0.5  # of the highest rate before: with the whole of it the network unlearned more than val taught it
_LEAST = 0.5  # of these epochs, below which the rate would fall too soon to learn anything


def may_learn_val(run: TrainingRun) -> bool:
    """Whether val was drawn here as whole components of similar pictures, and nothing else is still to be tried on it.

    Published validation pictures are the user's to validate with.
    """
    splits, wanted = run.splits.splits, run.config
    if splits.component is None or wanted.robust or wanted.fair_by is not None:
        return False
    if wanted.decisions and f"plan-{FINAL}" not in wanted.decisions:  # a training without it is repeated
        return False
    published = np.isin(splits.val, run.splits.dataset.splits.get("val", ())).any()
    shared = np.isin(splits.component[splits.val], splits.component[splits.train]).any()
    return not (published or shared)


def learn_final(chosen: TrainedStage) -> TrainedStage:
    """Go on with a copy of the chosen network on train and val, for a share of its epochs, and keep the last weights.

    Args:
        chosen: a stage; one that cannot go on, or for which no time was kept, comes back as it is.

    Returns:
        the same stage with the network that learned from val, too, and the one from before; without enough time the
        stage as it is, with a note that says so. Ctrl-C ends it so, too.
    """
    if chosen.more is None or FINAL not in chosen.more.run.ahead:
        return chosen
    run = chosen.more.run
    del run.ahead[FINAL]
    started, learned = time.monotonic(), len(run.splits.train) + len(run.splits.val)
    epochs = int(run.work.value(f"plan-{FINAL}", lambda: _epochs(run, chosen))["epochs"])
    if not epochs:
        return _without(run, chosen, "no time was left to learn from val, too")
    network = copy.deepcopy(chosen.network)
    assert network is not None
    study = chosen.more.study(network)
    before = Plan(**chosen.result.plan)
    plan = replace(
        before,
        lr=_RATE * before.lr,
        head_lr=None if before.head_lr is None else _RATE * before.head_lr,
        epochs=epochs,
        most_epochs=0,
        patience=0,
        validate_every=epochs,
        keep="last",
        paced=tuple((a, b) for a, b in run.config.decisions.get(f"paced-{FINAL}", ())),
    )
    try:
        done = fit_study(run, study, plan, objective_of(run), frequencies(run, study, plan))
    except KeyboardInterrupt:
        return _without(run, chosen, "interrupted before it learned from val, too")
    study.part.cpu()
    network.eval()
    val = count(len(run.splits.val), "picture")
    note = f"{chosen.result.note}; then {int(done.curve[-1]['epoch'])} epochs with the {val} of val as well"
    seconds = chosen.result.seconds + time.monotonic() - started
    run.tell(FINAL, 1, 1, f"learned from all {learned:,} pictures of train and val")
    result = replace(chosen.result, note=note, seconds=seconds)
    return replace(chosen, result=result, network=network, before=chosen.network, graph=None)


def _epochs(run: TrainingRun, chosen: TrainedStage) -> dict[str, Any]:
    """As many epochs as are wanted, or as the time allows, if these are enough."""
    last, splits = chosen.result.curve[-1], run.splits
    wanted = max(1, round(SHARE * last["epoch"]))
    if run.config.epochs is not None:  # what is asked for is not cut short
        return {"epochs": wanted}
    each = last["seconds"] / last["epoch"] * (1 + len(splits.val) / len(splits.train))
    fitting = int(run.spendable / max(each, 1e-6))
    return {"epochs": min(wanted, fitting) if fitting >= _LEAST * wanted else 0}


def _without(run: TrainingRun, chosen: TrainedStage, why: str) -> TrainedStage:
    run.work.decisions[f"plan-{FINAL}"] = {"epochs": 0}
    run.tell(FINAL, 1, 1, why)
    return replace(chosen, result=replace(chosen.result, note=f"{chosen.result.note}; {why}"))
