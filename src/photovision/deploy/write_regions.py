"""Writing a detector's or a segmenter's bundle with a changed graph, at once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from photovision.core.files import new_folder, write_json, write_text
from photovision.core.page import write_report
from photovision.core.report import Report
from photovision.runtime.bundle import Bundle, read_bundle

_KEPT = ("DATASHEET.md",)
_WEIGHTS = ("model.safetensors", "config.json")
_PIPELINES = {"detect": "object-detection", "segment": "image-segmentation"}


def write_changed(
    source: Bundle, graph: Path, info: Mapping[str, Any], folder: Path, *, weights: bool, report: Report | None = None
) -> None:
    """Write a bundle like another one.

    Args:
        source: the one that it was made from.
        graph: the ONNX file to put into it.
        info: what its bundle.json says.
        folder: where; a bundle that is there is replaced, whole.
        weights: whether the network's weights for torch come along; not where the graph has others.
        report: its proof, which also makes the card.
    """
    with new_folder(folder) as work:
        for name in (*_KEPT, *(_WEIGHTS if weights else ())):
            if (source.path / name).is_file():
                shutil.copy2(source.path / name, work / name)
        shutil.copyfile(graph, work / "model.onnx")
        write_json(work / "bundle.json", dict(info))
        if report is not None:
            write_report(report, work)
            head = f"---\nlibrary_name: photovision\npipeline_tag: {_PIPELINES[source.task]}\n---\n\n"
            write_text(work / "README.md", head + report.to_markdown())
        read_bundle(work)  # refuses what it cannot read, before an older model is replaced
