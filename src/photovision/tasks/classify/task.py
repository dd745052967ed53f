"""The row of classification in the table of tasks."""

from __future__ import annotations

from photovision.core.option import whole_number
from photovision.core.task import NETWORK_OPTIONS, Task, TaskText

TASK = Task(
    name="classify",
    text=TaskText("classifier", "classifiers", "what an image shows"),
    outputs=("probs", "logits", "embedding"),
    lead={"accuracy": "accuracy", "map": "mean average precision"},
    fits=lambda dataset: bool(dataset.annotation_type == "labels"),
    options={
        "optimize": frozenset({"int8", "bf16", "prune", "distill_to"}),
        "load": frozenset({"coverage", "false_alarms"}),
        "evaluate": frozenset({"unknown"}),
        "audit": frozenset({"unknown"}),
        "explain": frozenset({"method", "target", "data"}),
        "export": frozenset({"compress"}),
        "train": NETWORK_OPTIONS | {"fair_by", "robust"},
    },
    predict_options=(whole_number("top", "Classes to list, most probable first.", 1, 1000, 5),),
    parts={
        "lines": "photovision.tasks.classify.lines:ClassLines",
        "prepare": "photovision.tasks.classify.learn:prepare",
        "learn": "photovision.tasks.classify.learn:learn",
        "info": "photovision.tasks.classify.text:info_lines",
        "card": "photovision.tasks.classify.text:card_text",
        "wire": "photovision.tasks.classify.wire:ClassWire",
        "drift": "photovision.tasks.classify.drift:ClassDrift",
        "page": "photovision.tasks.classify.page:answer",
        "why": "photovision.tasks.classify.page:reasons",
        "model": "photovision.tasks.classify.recognizer:Recognizer",
        "evaluate": "photovision.tasks.classify.evaluation:evaluate",
        "findings": "photovision.tasks.classify.evaluation_text:findings",
        "compare": "photovision.tasks.classify.comparison:compare",
        "comparable": "photovision.tasks.classify.evaluation:check_comparable",
        "differing": "photovision.tasks.classify.comparison:differing",
        "checks": "photovision.tasks.classify.checks:CHECKS",
        "explain": "photovision.tasks.classify.explain:ClassExplainer",
        "features": "photovision.learned_features.report:features",
        "calibrate": "photovision.tasks.classify.calibrate:calibrate",
        "adapt": "photovision.tasks.classify.adapt:adapt",
        "adopt": "photovision.tasks.classify.layout:layouts",
        "refit": "photovision.tasks.classify.refit:refit",
        "agreement": "photovision.tasks.classify.comparison:agreement",
        "align": "photovision.tasks.classify.refit:align",
        "distill": "photovision.tasks.classify.distill:distill",
        "prune": "photovision.tasks.classify.prune:prune",
        "parity": "photovision.tasks.classify.parity:parity",
        "metadata": "photovision.tasks.classify.metadata:metadata",
        "network": "photovision.tasks.classify.network:network",
        "timm": "photovision.tasks.classify.network:timm_outputs",
    },
    needs=("temperature", "multilabel"),
    annotation_type="labels",
    page="tasks/classify.js",
)
