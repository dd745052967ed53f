"""The model card: what a bundle's README.md says, filled from what was measured and nothing else."""

from __future__ import annotations

import json
from typing import Any

from photovision.core.report import Metric


def model_card(info: dict[str, Any]) -> str:
    """Markdown with the Hugging Face Hub's YAML header, from the contents of bundle.json.

    Sections without evidence say "not measured" (Mitchell et al. 2019, Model Cards for Model Reporting).
    """
    figures = [f"- {name}: {Metric.from_json(value)}" for name, value in info["metrics"].items()]
    ledger = [f"- {e['part']}: {e['name']}, licence {e['licence']}. {e['note']}".rstrip() for e in info["licences"]]
    lines = [
        *_header(info),
        *_making(info),
        "## How good it is",
        "",
        f"On {info['data']['counts']['test']:,} pictures that took no part in learning or selection (95 % intervals):",
        "",
        *figures,
        "",
        "## Whom and where it fails",
        "",
        "See report.html for classes, confusions and the worst mistakes. Groups of people or conditions: not measured.",
        "",
        "## Pictures of something else",
        "",
        "Not measured: it names one of its classes for every picture.",
        "",
        "## Licences",
        "",
        *ledger,
        "",
        "## Use",
        "",
        "```python",
        "import photovision as pv",
        'pv.load("this-folder").predict("picture.jpg").label',
        "```",
        "",
    ]
    return "\n".join(lines)


def _making(info: dict[str, Any]) -> list[str]:
    counts, training = info["data"]["counts"], info["training"]
    return [
        "# A picture classifier made with Photovision",
        "",
        f"It tells {len(info['classes'])} classes apart: {', '.join(info['classes'][:30])}"
        + (", ..." if len(info["classes"]) > 30 else "."),
        "",
        "## How it was made",
        "",
        f"Backbone {info['backbone']['name']}, weights {info['backbone']['weights']}; rung kept: {info['chosen']}."
        f" Trained in {training['seconds']:.0f} seconds on {counts['train']:,} pictures,"
        f" selected on {counts['val']:,}.",
        "",
    ]


def _header(info: dict[str, Any]) -> list[str]:
    accuracy = info["metrics"].get("accuracy") or info["metrics"].get("map")
    header = [
        "---",
        "library_name: timm",
        "pipeline_tag: image-classification",
        "tags: [photovision, image-classification]",
    ]
    if accuracy:
        name = "accuracy" if "accuracy" in info["metrics"] else "mean_average_precision"
        header += [
            "model-index:",
            "- name: photovision-classifier",
            "  results:",
            "  - task: {type: image-classification}",
            f"    dataset: {{type: imagefolder, name: {json.dumps('data ' + info['data']['fingerprint'])}}}",
            f"    metrics: [{{type: {name}, value: {accuracy['value']:.4f}}}]",
        ]
    return [*header, "---", ""]
