"""What an evaluation of an embedding model tells: sentences, the hardest classes, recall by number of results."""

from __future__ import annotations

from collections import Counter

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import percent
from photovision.core.phrases import count
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.tasks.embed.evaluation import RetrievalEvaluation
from photovision.tasks.embed.retrieval import KEPT
from photovision.trust.metrics.statistics import proportion

_HARDEST = 12


def findings(evaluation: RetrievalEvaluation) -> Finding:
    """What is particular to retrieval in the report of an evaluation; see `engine.evaluation`.

    Returns:
        data["queries"]: of each query the rank of the first result of its class, from 1 on, and what was found first.
    """
    ids, ranking = evaluation.gallery.ids, evaluation.ranking
    queries = [
        {
            "id": sample.id,
            "class": label,
            "rank": int(first) + 1,
            "found": ids[int(found[0])],
            "found_class": evaluation.gallery.labels[int(found[0])],
            "similarity": round(float(similarity[0]), 4),
        }
        for sample, label, first, found, similarity in zip(
            evaluation.samples, evaluation.labels, ranking.first, ranking.found, ranking.similarity, strict=True
        )
    ]
    return Finding(
        summary=_summary(evaluation),
        tables=_classes(evaluation),
        figures=[_recall(evaluation)],
        data={"queries": queries},
    )


def _summary(evaluation: RetrievalEvaluation) -> tuple[str, ...]:
    metrics, n, learned = evaluation.metrics(), len(evaluation.samples), evaluation.gallery.learned
    searched = f"Searched were {count(len(evaluation.gallery.ids), 'training picture')}."
    if not learned:
        searched = (
            "Searched were the pictures themselves, of which none is its own result: not all of their classes are among"
            " the training pictures."
        )
    return (
        f"For {int(evaluation.right.sum()):,} of {count(n, 'picture')} the most similar {'' if learned else 'other '}"
        f"picture is of the same class; for {percent(metrics[f'recall_at_{KEPT}'].value)} one of the first {KEPT} is.",
        searched,
    )


def _classes(evaluation: RetrievalEvaluation) -> list[Table]:
    names, right = np.array(evaluation.labels), evaluation.right
    rows: list[tuple[str, Metric, str]] = []
    for name in np.unique(names).tolist():
        of = names == name
        found = Metric(*proportion(int(right[of].sum()), int(of.sum())), int(of.sum()))
        rows.append((name, found, _mistaken(evaluation, np.flatnonzero(of & ~right))))
    rows.sort(key=lambda row: (row[1].value, -(row[1].n or 0)))
    note = f"The {_HARDEST} hardest of {len(rows)} classes." if len(rows) > _HARDEST else ""
    return [Table("Hardest classes", ("class", "recall@1", "found instead"), tuple(rows[:_HARDEST]), note)]


def _mistaken(evaluation: RetrievalEvaluation, rows: np.ndarray) -> str:
    """The classes that are found in place of one, the most frequent first."""
    first = Counter(evaluation.gallery.labels[int(evaluation.ranking.found[row, 0])] for row in rows.tolist())
    return ", ".join(f"{name} ({times})" for name, times in first.most_common(3))


def _recall(evaluation: RetrievalEvaluation) -> Figure:
    """Recall by how many results are looked at."""
    grid = np.arange(1, KEPT + 1)
    values = [float((evaluation.ranking.first < k).mean()) for k in grid.tolist()]
    title = "Recall by number of results"
    note = "The share of queries with at least one result of their class among the first."
    curve = {"recall": CurveLine(grid, values)}
    return Figure(title, svg=lines(curve, title, "results looked at", "recall", x_form="{:.0f}".format), note=note)
