"""The row of metric learning in the table of tasks."""

from __future__ import annotations

from photovision.core.option import whole_number
from photovision.core.task import NETWORK_OPTIONS, Task, TaskText

_HOME = "photovision.tasks.embed"

TASK = Task(
    name="embed",
    text=TaskText("embedding model", "embedding models", "a vector that is near those of similar images"),
    outputs=("embedding",),
    lead={"recall_at_1": "recall@1"},
    fit={"recall_at_1": (0.9, 0.7)},
    options={"train": NETWORK_OPTIONS},
    predict_options=(whole_number("top", "Most similar training images to list.", 1, 1000, 5),),
    parts={
        "prepare": f"{_HOME}.learn:prepare",
        "learn": f"{_HOME}.learn:learn",
        "card": f"{_HOME}.text:card_text",
        "info": f"{_HOME}.text:info_lines",
        "model": f"{_HOME}.model:EmbeddingModel",
        "evaluate": f"{_HOME}.evaluation:evaluate",
        "findings": f"{_HOME}.evaluation_text:findings",
        "examples": f"{_HOME}.examples:examples",
        "compare": f"{_HOME}.comparison:compare",
        "checks": f"{_HOME}.checks:CHECKS",
        "parity": f"{_HOME}.parity:parity",
        "metadata": f"{_HOME}.metadata:metadata",
        "drift": f"{_HOME}.drift:EmbeddingDrift",
        "wire": f"{_HOME}.wire:EmbeddingWire",
        "lines": f"{_HOME}.lines:NeighbourLines",
        "page": f"{_HOME}.page:answer",
        "why": f"{_HOME}.page:similar",
    },
    annotation_type="labels",
    page="tasks/embed.js",
)
