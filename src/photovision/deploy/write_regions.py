"""Writing a detector's or a segmenter's bundle with a changed graph, at once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from photovision.core.files import write_json
from photovision.core.folder import new_folder
from photovision.core.page import write_report
from photovision.core.report import Report
from photovision.core.seal import write_sealed
from photovision.deploy.kept import keep, keep_more
from photovision.engine.model_card import model_card
from photovision.engine.splits import TrainingSplits
from photovision.runtime.bundle import Bundle, read_bundle


def write_changed(
    source: Bundle,
    graph: Path,
    info: Mapping[str, Any],
    folder: Path,
    *,
    weights: bool,
    report: Report | None = None,
    material: TrainingSplits | None = None,
) -> None:
    """Write a bundle like another one.

    Args:
        source: the one that it was made from.
        graph: the ONNX file to put into it.
        info: what its bundle.json says.
        folder: where; a bundle that is there is replaced, whole.
        weights: whether the network's weights for torch come along; not where the graph has others.
        report: its proof, which the card tells of, too; None for a step in between, which has no card.
        material: pictures that it was changed with.
    """
    with new_folder(folder, "model", [source.path]) as work:
        keep(source.path, work, weights=weights)
        shutil.copyfile(graph, work / "model.onnx")
        write_json(work / "bundle.json", dict(info))
        if report is not None:
            write_report(report, work)
            write_sealed(work / "README.md", model_card(info, report.to_json()))
        if material is not None:
            keep_more(work, info, material)
        read_bundle(work)  # refuses what it cannot read, before an older model is replaced
