"""Figures that hold elsewhere: a model on labelled images of another place, and on images of something else.

    python benchmarks/elsewhere.py MODEL DATA [--root FOLDER] [--unknown FOLDER]

Prints as JSON: accuracy, measured and estimated without labels, calibration error of `prob` and `confidence`, coverage
and average size of the prediction sets, how many familiar images are called unknown, the AUROC of novelty detection,
how many sets are empty beside an answer, and what similarity costs an image.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from photovision.data.read_options import ReadOptions
from photovision.engine.evaluate import evaluate_on
from photovision.engine.load import load
from photovision.engine.read import read_for
from photovision.tasks.classify.evaluation import evaluate
from photovision.tasks.classify.evaluation_text import findings
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.metrics.calibrate import ece
from photovision.trust.similarity import estimate


def milliseconds(model: Recognizer) -> float:
    """What similarity and the probability of being right cost one image."""
    assert model.references is not None
    assert model.expected is not None
    index, one = model.references.similarity, model.references.embeddings[:1].astype(np.float32)
    sure = np.array([0.9], np.float32)
    started = time.perf_counter()
    for _ in range(200):
        model.expected.of(sure, index.of(one))
    return (time.perf_counter() - started) * 5


def main() -> None:
    """Evaluate, estimate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--unknown", type=Path)
    given = parser.parse_args()
    model = load(given.model)
    place = read_for(given.data, None, ReadOptions(root=given.root))
    strangers = None if given.unknown is None else read_for(given.unknown)
    found = evaluate(model, place, unknown=strangers)
    report = evaluate_on(model, place).including(findings(found))
    assert model.expected is not None
    confidence = model.expected.of(found.probs.max(1), found.similarity)
    stated = np.stack([confidence, 1 - confidence], 1)
    sizes = (found.probs >= found.least).sum(1)
    names = ("accuracy", "ece", "coverage", "set_size", "false_alarms", "novelty_auroc", "detected_unknown")
    figures = {name: str(report.metrics[name]) for name in names if name in report.metrics}
    print(
        json.dumps(
            {
                **figures,
                "estimate": str(estimate(model.expected, found.probs.max(1), found.similarity)),
                "ece_of_confidence": round(ece(stated, 1 - found.right.astype(np.int64)), 4),
                "empty_beside_an_answer": int(((sizes == 0) & (found.novelty <= found.doubt.limit)).sum()),  # type: ignore[union-attr]
                "similarity_quartiles": np.quantile(found.similarity, [0.25, 0.5, 0.75]).round(3).tolist(),
                "ms_an_image": round(milliseconds(model), 3),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
