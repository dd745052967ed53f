"""Updates of a growing classifier: are bad batches refused, good ones promoted, and is nothing forgotten?

    python benchmarks/updates.py FEATURES.npz [FEATURES.npz ...] [--runs 20] [--nulls 100]
    python benchmarks/updates.py --describe MODEL DATA FEATURES.npz

The first call works on stored features, so that hundreds of updates take minutes; the second stores them: embeddings of
a model's network for labelled pictures, their classes, and which belong together. In each run classes and pictures are
drawn anew: a golden set, a reserve that judges afterwards, a small start without one class, and five arrivals, of which
the third brings that class. Before one of them the same pictures come with 20% wrong labels. Null updates are pictures
like those that a large start has learned from already, with the reserve telling whether a promotion gained anything.
Prints one JSON line a set.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.types import Ints
from photovision.tasks.classify.exemplars import Exemplars, HeadVersion
from photovision.tasks.classify.grow import Golden, NewData, check_labels, fitted, grown, trial_of
from photovision.trust.metrics.statistics import wilson
from photovision.trust.promotion import Promotion, PromotionLimits, judge, next_level

ARRIVALS, NEW_CLASS_AT, WRONG, HELD = 5, 2, 0.2, 0.3
LIMITS = PromotionLimits()


class Pool:
    """Stored features of one set, N pictures in C classes; `take` deals out whole units."""

    def __init__(self, file: Path) -> None:
        with np.load(file) as stored:
            self.embedding, self.label, self.unit = stored["embedding"], stored["label"], stored["unit"]
            self.classes = tuple(str(name) for name in stored["classes"])
        self.order = self.classes

    def at(self, rows: Ints, label: Ints) -> Exemplars:
        """Exemplars of some rows with labels that may not be the true ones."""
        return Exemplars(self.embedding[rows], label, tuple(str(row) for row in rows))

    def dealt(self, rng: np.random.Generator, shares: list[float]) -> list[Ints]:
        """Rows in parts of these shares, every unit in one part."""
        units, place = np.unique(self.unit, return_inverse=True)
        edge = np.cumsum(shares) * len(units)
        part = np.searchsorted(edge, rng.permutation(len(units)), side="right")[place]
        return [np.flatnonzero(part == number) for number in range(len(shares))]


def start_of(pool: Pool, rows: Ints, label: Ints, classes: tuple[str, ...]) -> HeadVersion:
    """A first version, learned from some rows."""
    learned = pool.at(rows, label)
    weight, bias = fitted(learned, len(classes))
    return HeadVersion(classes, learned, learned.at(np.arange(0)), weight, bias)


def step(
    pool: Pool, old: HeadVersion, golden: Exemplars, rows: Ints, label: Ints, tests: list[bool], seed: int
) -> tuple[bool, HeadVersion, str]:
    """One update: promoted or not, the version in use afterwards, and which conditions failed."""
    rng = np.random.default_rng(seed)
    units, place = np.unique(pool.unit[rows], return_inverse=True)
    held = rng.random(len(units))[place] < HELD
    names = tuple(pool.order[int(c)] for c in range(max(len(old.classes), int(label.max()) + 1)))
    learn, judges = pool.at(rows[~held], label[~held]), pool.at(rows[held], label[held])
    order, asked = np.concatenate([rows[~held], rows[held]]), Golden(golden, old.logits(golden))
    new = NewData(names, learn, judges, old.logits(learn.joined(judges)), pool.unit[order])
    labels = check_labels(old, new, asked, LIMITS, seed)
    if not labels.holds:
        return False, old, f"labels: {labels.text}"
    version = grown(old, new, asked, seed)
    found: Promotion = judge(trial_of(old, version, new, asked), LIMITS, next_level(tests))
    tests.append(found.granted)
    failed = "; ".join(f"{one.name}: {one.text}" for one in found.conditions if not one.holds)
    return found.granted, version if found.granted else old, failed


def accuracy(version: HeadVersion, reserve: Exemplars, old: int) -> float:
    """On pictures of the first `old` classes."""
    part = reserve.at(np.flatnonzero(reserve.label < old))
    return float((version.logits(part).argmax(1) == part.label).mean())


def ordered(pool: Pool, rng: np.random.Generator) -> Ints:
    """Labels numbered anew, a class drawn by chance the last; sets `pool.order`."""
    order = rng.permutation(len(pool.classes))
    pool.order = tuple(pool.classes[int(c)] for c in order)
    return np.asarray(np.argsort(order)[pool.label])


def one_run(pool: Pool, seed: int, start: float) -> dict[str, Any]:
    """Five arrivals, and before one of them its pictures with wrong labels."""
    rng = np.random.default_rng(seed)
    label = ordered(pool, rng)
    last = len(pool.classes) - 1
    rest = (1 - 0.2 - 0.2 - start) / ARRIVALS
    golden, reserve, first, *arrivals = pool.dealt(rng, [0.2, 0.2, start, *[rest] * ARRIVALS])
    late = np.concatenate([first, *arrivals[:NEW_CLASS_AT]])
    arrivals[NEW_CLASS_AT] = np.concatenate([arrivals[NEW_CLASS_AT], late[label[late] == last]])
    golden, first = (rows[label[rows] != last] for rows in (golden, first))
    version = start_of(pool, first, label[first], pool.order[:last])
    asked, judges = pool.at(golden, label[golden]), pool.at(reserve, label[reserve])
    planted = int(rng.integers(ARRIVALS))
    tests: list[bool] = []
    found: dict[str, Any] = {"good": [], "why": []}
    before, waiting = accuracy(version, judges, last), np.zeros(0, np.int64)
    for number, arrived in enumerate(arrivals):
        arrived = arrived if number >= NEW_CLASS_AT else arrived[label[arrived] != last]
        rows = np.concatenate([waiting, arrived])  # what was not promoted is judged again with what comes
        if number == planted:
            wrong, known = label[rows].copy(), int(label[rows].max()) + 1
            bad = rng.permutation(len(rows))[: round(WRONG * len(rows))]
            wrong[bad] = (wrong[bad] + rng.integers(1, known, len(bad))) % known
            taken, version, why = step(pool, version, asked, rows, wrong, tests, seed)
            found |= {"bad_refused": not taken, "bad_why": why}
        taken, version, why = step(pool, version, asked, rows, label[rows], tests, seed)
        found["good"].append(taken)
        found["why"].append(why)
        waiting = rows[:0] if taken else rows
    new = judges.at(np.flatnonzero(judges.label == last))
    known = len(version.classes) > last
    return {
        **found,
        "pictures": [len(rows) for rows in arrivals],
        "old_before": before,
        "old_after": accuracy(version, judges, last),
        "new_class": float((version.logits(new).argmax(1) == last).mean()) if known and len(new) else 0.0,
    }


def nulls(pool: Pool, count: int, seed: int = 0) -> dict[str, Any]:
    """Updates that bring nothing new to a model, one after the other, in streams of 10."""
    promoted, gained = 0, []
    for stream in range(count // 10):
        rng = np.random.default_rng((seed, stream))
        label = ordered(pool, rng)
        golden, reserve, first, rest = pool.dealt(rng, [0.2, 0.2, 0.3, 0.3])
        # The start has learned from all that the updates are like: their pictures, too, under a little noise.
        version = start_of(pool, np.concatenate([first, rest]), label[np.concatenate([first, rest])], pool.order)
        judges, asked = pool.at(reserve, label[reserve]), pool.at(golden, label[golden])
        tests: list[bool] = []
        for number, rows in enumerate(np.array_split(rng.permutation(rest), 10)):
            before = accuracy(version, judges, len(pool.classes))
            taken, version, _ = step(pool, version, asked, rows, label[rows], tests, stream * 10 + number)
            if taken:
                promoted += 1
                gained.append(accuracy(version, judges, len(pool.classes)) - before)
    return {"nulls": count, "promoted": promoted, "gains": gained, "interval": wilson(promoted, count)}


def describe(model: str, data: str, file: Path) -> None:
    """Store the features of labelled pictures."""
    import photovision as pv
    from photovision.data.scan import scan
    from photovision.data.split import units_of

    opened, dataset = pv.load(model), pv.read_dataset(data)
    seen = scan(dataset)
    found = opened.respond(dataset, embeddings=True)
    rows = np.flatnonzero(np.isfinite(found.probs).all(1))
    unit = units_of(dataset, seen, np.flatnonzero(seen.readable))[rows]
    label, classes = dataset.labels[rows], np.array(dataset.classes)
    np.savez(file, embedding=found.embeddings[rows].astype(np.float16), label=label, unit=unit, classes=classes)


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", nargs="*", type=Path)
    parser.add_argument("--describe", nargs=3, metavar=("MODEL", "DATA", "FEATURES"))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--nulls", type=int, default=100)
    parser.add_argument("--start", type=float, default=0.1, help="share of the pictures that the first version learns")
    asked = parser.parse_args()
    if asked.describe:
        describe(asked.describe[0], asked.describe[1], Path(asked.describe[2]))
    for file in asked.features:
        began, pool = time.monotonic(), Pool(file)
        runs = [one_run(pool, seed, asked.start) for seed in range(asked.runs)]
        good = np.array([run["good"] for run in runs])
        print(
            json.dumps(
                {
                    "set": file.stem,
                    "pictures": len(pool.label),
                    "runs": asked.runs,
                    "bad_refused": sum(run["bad_refused"] for run in runs),
                    "good_promoted": good.sum(0).tolist(),
                    "old_before": round(float(np.mean([run["old_before"] for run in runs])), 4),
                    "old_after": round(float(np.mean([run["old_after"] for run in runs])), 4),
                    "worst_old_loss": round(max(run["old_before"] - run["old_after"] for run in runs), 4),
                    "new_class": round(float(np.mean([run["new_class"] for run in runs])), 4),
                    "null": nulls(pool, asked.nulls) if asked.nulls else None,
                    "seconds": round(time.monotonic() - began),
                    "refusals": [run["why"] for run in runs][:20],
                    "bad": [run["bad_why"] for run in runs],
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
