"""Planted bias: how often a group that is served worse is found, and how often one is named where none is.

    python benchmarks/planted_bias.py MODEL DATA --runs 100

The model's own answers on DATA, with groups dealt out by lot: 30 of 100 pictures are of group "b". In null runs nothing
else is done; in planted runs an eighth of the answers for group "b" are turned to another class, with the same
confidence. A run counts as found where a warning names the group for its accuracy. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from photovision.app.judged import judged_part
from photovision.data.read import read_dataset
from photovision.tasks.evaluate import Answers, answer
from photovision.tasks.recognizer import load
from photovision.trust.fairness import audit_groups
from photovision.trust.statistics import proportion

SHARE, WORSE = 0.3, 0.125


def named(answers: Answers, probs: np.ndarray, group: np.ndarray) -> tuple[bool, bool]:
    """Whether any warning came, and whether one says that group b is served worse."""
    said = probs.argmax(1)
    found = audit_groups(
        {"group": group.tolist()},
        ["group"],
        classes=answers.classes,
        probs=probs,
        truth=answers.truth,
        right=said == answers.truth,
        said=np.arange(probs.shape[1]) == said[:, None],
    )
    return bool(found.warnings), any("group = b:" in warning and "are right" in warning for warning in found.warnings)


def main() -> None:
    """Count both kinds of runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    asked = parser.parse_args()
    model = load(asked.model)
    answers = answer(model, judged_part(read_dataset(asked.data), model.info).dataset)
    alarms = found = 0
    for seed in range(asked.runs):
        rng = np.random.default_rng(seed)
        group = np.where(rng.random(len(answers.truth)) < SHARE, "b", "a")
        alarms += named(answers, answers.probs, group)[0]
        turned = answers.probs.copy()
        rows = np.flatnonzero((group == "b") & (rng.random(len(group)) < WORSE))
        turned[rows] = np.roll(turned[rows], 1, axis=1)
        found += named(answers, turned, group)[1]
    shares = {"found": proportion(found, asked.runs), "false_alarms": proportion(alarms, asked.runs)}
    sys.stdout.write(json.dumps({"pictures": len(answers.truth), "runs": asked.runs, **shares}) + "\n")


if __name__ == "__main__":
    main()
