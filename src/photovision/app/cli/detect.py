"""detect: `predict` by the name that people know for detectors; without a model the ready one of COCO's classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import TagModel
from photovision.app.cli.predict import (
    Arithmetic,
    AsCsv,
    AsJson,
    BatchSize,
    EngineName,
    Output,
    Overlap,
    Threshold,
    Tile,
    predict,
)

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL] [FILE|FOLDER|PATTERN|-]...",
        help="Your detector's folder (default: the built-in detector of 80 everyday things); then images, videos, or"
        " '-' for names on standard input.",
    ),
]


def detect(
    files: Sources = None,
    threshold: Threshold = None,
    tile: Tile = None,
    overlap: Overlap = None,
    output: Output = None,
    tags: TagModel = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    engine: EngineName = "auto",
    precision: Arithmetic = None,
    batch_size: BatchSize = None,
) -> None:
    """Find objects in images and videos.

    Without a model, the built-in detector of 80 everyday things is taken.
    """
    from photovision.app.cli.predicting import form_of
    from photovision.core.errors import ModelError
    from photovision.runtime.bundle import read_bundle

    form_of(as_json, as_csv)
    folder, names = _model_and_names(files or [])
    row = read_bundle(folder).row
    if row.annotation_type != "boxes":
        raise ModelError(f"{folder} is {row.text.a_noun}, not a detector: use 'photovision predict'")
    predict(
        folder,
        names,
        threshold=threshold,
        tile=tile,
        overlap=overlap,
        as_json=as_json,
        as_csv=as_csv,
        engine=engine,
        precision=precision,
        batch_size=batch_size,
        output=output,
        tags=tags,
    )


def _model_and_names(files: list[str]) -> tuple[Path, list[str]]:
    """The first name is a model where a model is there, or is ready by that name; else the ready detector is taken."""
    from photovision.app.cli.predicting import check_names, model_at
    from photovision.models.pretrained import DETECTOR, bundle_at

    own = bool(files) and (bundle_at(files[0]) / "bundle.json").is_file()
    names = check_names(files[own:])
    return model_at(files[0] if own else DETECTOR), names
