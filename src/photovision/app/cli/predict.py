"""predict: what a model predicts for images and videos. Results stream in the order of the files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from photovision.app.cli.options import Coverage, FalseAlarms, Model, TagModel

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE|FOLDER|PATTERN|-]...",
        help="Images, of a detector videos, too; '-' reads file names from standard input.",
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k", "--top", min=1, help="Classes to name; default: 1, in --json and --csv 5.", show_default=False
    ),
]
EngineName = Annotated[
    Literal["auto", "openvino", "onnxruntime"],
    typer.Option(help="What runs the network: auto, openvino, onnxruntime."),
]
Arithmetic = Annotated[
    Literal["f32", "bf16"] | None,
    typer.Option(help="Arithmetic: f32 or bf16; default: what passed the parity check."),
]
Threshold = Annotated[
    float | None, typer.Option(help="Lowest score of a box, 0 to 1; default: the model's, one a class.")
]
Tile = Annotated[
    str | None,
    typer.Option(metavar="H[xW]", help="Also run on tiles of this size, to find small objects."),
]
Overlap = Annotated[
    float | None, typer.Option(help="With --tile: share of a tile that its neighbour covers, too, 0 to 0.9.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for images and videos with boxes drawn, or for masks.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV with a heading; formulas get an apostrophe.")]
BatchSize = Annotated[
    int | None, typer.Option(min=1, max=4096, help="Images a call of the network; default: the model's.")
]
Names = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Class names, separated by commas: MODEL is then weights of a CLIP or SigLIP ('weights get').",
    ),
]
Prompt = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="With --classes: a sentence with {} for the name; may be given more than once."),
]
Results = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Write Parquet files there; resumes, and others join with 'worker FOLDER'."),
]
Workers = Annotated[int | None, typer.Option(min=1, max=256, help="With --results: processes; default: 1.")]


def predict(  # noqa: PLR0913 - one parameter a flag
    model: Model,
    files: Files = None,
    top_k: TopK = None,
    threshold: Threshold = None,
    tile: Tile = None,
    overlap: Overlap = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    engine: EngineName = "auto",
    precision: Arithmetic = None,
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    batch_size: BatchSize = None,
    output: Output = None,
    tags: TagModel = None,
    classes: Names = None,
    prompt: Prompt = None,
    results: Results = None,
    workers: Workers = None,
) -> None:
    """Predict with any model: classes, boxes, areas, anomalies.

    'imagenet' as the model names everyday things without any training: the 1,000 classes of ImageNet.
    """
    # The gate's small products gain nothing from NumPy's threads, which keep the cores from decoding and the network.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from photovision.app.cli.predicting import check_names, form_of, model_at, predict_files
    from photovision.app.cli.worker import predict_into
    from photovision.engine.load import load

    form, names = form_of(as_json, as_csv), check_names(files or [])
    loading: dict[str, Any] = {"engine": engine, "precision": precision, "coverage": coverage}
    loading |= {"false_alarms": false_alarms, "threshold": threshold}
    named = classes is not None or prompt is not None
    place = _named(model, classes, prompt or []) if named else model_at(model)
    own = load(place, **loading)
    if chosen := own.bundle.row.check_options("predict", _choices(top_k, tile, overlap)):
        own = own.with_options(**chosen)
    if results is not None or workers is not None:
        predict_into(results, place, names, loading, chosen, batch_size, workers, as_json, (as_csv, output, tags))
        return
    lines = own.bundle.row.part("lines", "predict")(own, top_k or (1 if form == "text" else 5))
    predict_files(own, names, lines=lines, form=form, output=output, tags=tags, batch_size=batch_size)


def _choices(top_k: int | None, tile: str | None, overlap: float | None) -> dict[str, object]:
    """Choices of a prediction by name; raises UsageError for an overlap of no tiles."""
    from photovision.app.cli.predicting import size_of
    from photovision.core.errors import UsageError

    if tile is None and overlap is not None:
        raise UsageError("--overlap is for tiles: give their size with --tile, or leave it out")
    return {"top": top_k, "tile": None if tile is None else size_of(tile), "overlap": overlap}


def _named(weights: Path, classes: str | None, prompts: list[str]) -> Path:
    """The bundle of a classifier that is made of class names."""
    from photovision.core.errors import UsageError
    from photovision.core.task import tasks

    if classes is None:
        raise UsageError('--prompt is for class names: give these with --classes "cat, dog"')
    names = [name.strip() for name in classes.split(",")]
    zero_shot = next(row for row in tasks() if row.has("zero_shot")).part("zero_shot")
    made: Path = zero_shot(weights, names, prompts=prompts).bundle.path
    return made
