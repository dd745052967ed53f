"""The row of anomaly detection in the table of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from photovision.core.option import Option, share
from photovision.core.task import Task, TaskText

_HOME = "photovision.tasks.anomaly"


def _suggestion(dataset: Any) -> str:
    from photovision.data.formats.mvtec import good_class

    good = good_class(dataset.classes) if dataset.annotation_type == "labels" else None
    if good is None:
        return ""
    return (
        f"If '{good}' are good pieces and the other classes defects, '--task anomaly' is another way: it learns from"
        " good images alone and also finds defects of new kinds."
    )


TASK = Task(
    name="anomaly",
    text=TaskText("anomaly detector", "anomaly detectors", "whether an image departs from good ones, and where"),
    outputs=("score", "heatmap"),
    lead={"auroc": "image AUROC", "false_alarms": "rate of false alarms"},
    fit={"auroc": (0.95, 0.8), "recall": (0.85, 0.5)},
    checked={"recall": "recall_checked"},
    advice={
        "recall": "At this threshold too few defects are found: allow more false alarms (--false-alarms), or train"
        " on more good images."
    },
    chance={"auroc": 0.5},
    fits=lambda dataset: bool(dataset.annotation_type == "defects"),
    suggests=_suggestion,
    options={
        "train": frozenset({"backbone", "weights", "size", "sessions_by", "window"}),
        "load": frozenset({"false_alarms"}),
        "explain": frozenset({"method"}),
    },
    predict_options=(share("false_alarms", "Promised rate of false alarms; default: the model's.", http_only=True),),
    own={
        "train": (
            Option("good", "The class of good images; the default is the one called good, normal or ok."),
            Option("known_bad", "A folder of known bad images: they help to choose how to score.", Path),
            Option("false_alarms", "Promised rate of good images called anomalous, such as 0.01.", float),
            Option("group_by", "An attribute (camera, part, shift) each of whose groups keeps the promise."),
            Option("leave_out_suspects", "Leave out images that look bad among the good ones.", bool),
        )
    },
    parts={
        "read": f"{_HOME}.reading:read",
        "prepare": f"{_HOME}.learn:prepare",
        "learn": f"{_HOME}.learn:learn",
        "card": f"{_HOME}.text:card_text",
        "model": f"{_HOME}.detector:AnomalyDetector",
        "evaluate": f"{_HOME}.evaluation:evaluate",
        "findings": f"{_HOME}.evaluation_text:findings",
        "compare": f"{_HOME}.comparison:compare",
        "checks": f"{_HOME}.checks:CHECKS",
        "explain": f"{_HOME}.explain:explainer",
        "calibrate": f"{_HOME}.calibrate:calibrate",
        "parity": f"{_HOME}.parity:anomaly_parity",
        "metadata": f"{_HOME}.metadata:anomaly_metadata",
        "drift": f"{_HOME}.drift:AnomalyDrift",
        "wire": f"{_HOME}.wire:AnomalyWire",
        "lines": f"{_HOME}.lines:VerdictLines",
        "draw": f"{_HOME}.lines:draw",
        "page": f"{_HOME}.page:answer",
    },
    needs=("anomaly",),
    annotation_type="defects",
    learns_from=frozenset({"labels"}),
    min_classes=1,
    compares=False,  # its images are of one kind, and its validation is made of them
    page="tasks/anomaly.js",
)
