"""predict: what is in these pictures? Answers stream in the order of the files."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from photovision.app.cli.options import Coverage, FalseAlarms, Model, TagModel, refuse
from photovision.app.cli.segment import tell_masks

if TYPE_CHECKING:
    from photovision.core.errors import UnreadableImage
    from photovision.core.types import Classes
    from photovision.tasks.classify.recognizer import Recognizer

    Answer = Classes | UnreadableImage
    Say = Callable[[str, Answer], None]

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE|FOLDER|PATTERN|-]...", help="Pictures; '-' reads file names from standard input."),
]
TopK = Annotated[
    int | None, typer.Option(min=1, help="Classes to name; default: 1, in --json and --csv 5.", show_default=False)
]
Runs = Annotated[
    Literal["auto", "openvino", "onnxruntime"], typer.Option(help="What runs the network: auto, openvino, onnxruntime.")
]
Arithmetic = Annotated[
    Literal["f32", "bf16"] | None,
    typer.Option(help="Arithmetic: f32 or bf16; default: what passed the parity check."),
]
Masks = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for masks, of a model that tells classes of pixels.")
]


def predict(
    model: Model,
    files: Files = None,
    top_k: TopK = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a heading; formulas get an apostrophe.")] = False,
    engine: Runs = "auto",
    precision: Arithmetic = None,
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    batch_size: Annotated[int, typer.Option(min=1, max=4096, help="Pictures a call of the network.")] = 32,
    output: Masks = None,
    tags: TagModel = None,
) -> None:
    """Classify images. With a segmentation model, print the area of each class."""
    # The gate's small products gain nothing from NumPy's threads, which keep the cores from decoding and the network.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from photovision.app.image_paths import find_pictures
    from photovision.core.errors import UsageError
    from photovision.runtime.bundle import read_bundle
    from photovision.tasks.classify.recognizer import load
    from photovision.tasks.segment.segmenter import Segmenter

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other: choose one")
    if not files:
        raise UsageError("give pictures, a folder, a pattern, or '-' to read file names from standard input")
    bundle = read_bundle(model)
    if bundle.task == "segment":
        numbers = {"top_k": top_k, "coverage": coverage, "false_alarms": false_alarms}
        refuse("a segmenter", csv=as_csv, **{name: value is not None for name, value in numbers.items()})
        own = Segmenter(bundle, engine=engine, precision=precision)
        tell_masks(own, files, output, tags=tags, as_json=as_json, batch_size=batch_size)
        return
    if bundle.task == "classify":
        refuse("a classifier", output=output is not None, tags=tags is not None)
    recognizer = load(model, engine=engine, precision=precision, coverage=coverage, false_alarms=false_alarms)
    most = min(top_k or (5 if as_json or as_csv else 1), len(recognizer.classes))
    say = _json_lines(most) if as_json else _csv_lines(most, recognizer.multilabel) if as_csv else _text_lines(most)
    _tell(recognizer, find_pictures(files, sys.stdin), say, batch_size)


def _tell(recognizer: Recognizer, files: Iterable[str], say: Say, batch_size: int) -> None:
    from photovision.core.errors import UnreadableImage

    waiting: deque[str] = deque()
    total = unreadable = 0
    for answer in recognizer.stream(_remembered(files, waiting), batch_size=batch_size):
        say(waiting.popleft(), answer)
        total += 1
        unreadable += isinstance(answer, UnreadableImage)
    if unreadable:
        print(f"photovision: {unreadable:,} of {total:,} files could not be read", file=sys.stderr)
        raise typer.Exit(2)


def _remembered(names: Iterable[str], waiting: deque[str]) -> Iterator[str]:
    for name in names:
        waiting.append(name)
        yield name


def _json_lines(most: int) -> Say:
    def say(file: str, answer: Answer) -> None:
        said = {"error": _reason(file, answer)} if isinstance(answer, Exception) else answer.to_json(most)
        print(json.dumps({"file": file, **said}), flush=True)

    return say


def _csv_lines(most: int, multilabel: bool) -> Say:
    from photovision.core.text import cells

    writer = csv.writer(sys.stdout, lineterminator="\n")
    more = [f"{name}_{place}" for place in range(2, most + 1) for name in ("label", "prob")]
    writer.writerow(
        cells(["file", "label", "prob", *more, *(["labels"] if multilabel else []), "known", "set", "error"])
    )

    def say(file: str, answer: Answer) -> None:
        if isinstance(answer, Exception):
            writer.writerow(cells([file, *[""] * (2 * most + multilabel + 2), _reason(file, answer)]))
        else:
            best = [cell for label, prob in answer.top(most) for cell in (label, f"{prob:.6f}")]
            if answer.known is False:
                best[:2] = answer.label, ""
            doubt = ["" if answer.known is None else str(answer.known).lower(), "|".join(answer.prediction_set or ())]
            writer.writerow(cells([file, *best, *(["|".join(answer.labels)] if multilabel else []), *doubt, ""]))
        sys.stdout.flush()

    return say


def _text_lines(most: int) -> Say:
    from photovision.app.cli.output import note, pad, width
    from photovision.core.text import printable

    wide_file = wide_label = 0  # columns grow with what has come, since nothing is held back to look ahead

    def say(file: str, answer: Answer) -> None:
        nonlocal wide_file, wide_label
        if isinstance(answer, Exception):
            note(str(answer))
            return
        name, named = printable(file), [(printable(label), prob) for label, prob in _named(answer, most)]
        wide_file = max(wide_file, min(width(name), 60))
        wide_label = max([wide_label, *(min(width(label), 30) for label, _ in named)])
        shown = [f"{pad(label, wide_label)}  {100 * prob:5.1f} %" for label, prob in named]
        if answer.known is False:
            shown = [f"unknown (most like {printable(answer.best)})"] if most == 1 else ["unknown:", *shown]
        print("  ".join([pad(name, wide_file), *(shown or ["no class"])]), flush=True)

    return say


def _named(answer: Classes, most: int) -> list[tuple[str, float]]:
    """The most probable classes; of a multi-label model those that count as true."""
    if most > 1 or not answer.multilabel or answer.known is False:
        return answer.top(most)
    true = set(answer.labels)
    return [(label, prob) for label, prob in answer.top(len(answer.classes)) if label in true]


def _reason(file: str, error: Exception) -> str:
    return str(error).removeprefix(f"{file}: ")
