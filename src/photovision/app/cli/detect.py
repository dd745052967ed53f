"""detect: what is where in these pictures? Answers stream in the order of the files."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from photovision.runtime.detector import Seen

    Say = Callable[[str, Seen], None]

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL] [FILE|FOLDER|PATTERN|-]...",
        help="A detector's folder, if not the ready one of COCO's 80 classes; then pictures, or '-' for names on"
        " standard input.",
    ),
]


def detect(
    files: Sources = None,
    threshold: Annotated[
        float | None, typer.Option(help="Least score of a box, 0 to 1; default: the model's, one a class.")
    ] = None,
    tile: Annotated[
        str | None,
        typer.Option(metavar="H[xW]", help="Look through windows of this size, too: finds small objects."),
    ] = None,
    overlap: Annotated[float, typer.Option(help="Share of a window that its neighbour sees, too, 0 to 0.9.")] = 0.2,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the pictures with their boxes drawn.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line a box, with a heading.")] = False,
    engine: Annotated[
        Literal["auto", "openvino", "onnxruntime"],
        typer.Option(help="What runs the network: auto, openvino, onnxruntime."),
    ] = "auto",
    precision: Annotated[
        Literal["f32", "bf16"] | None,
        typer.Option(help="Arithmetic: f32 or bf16; default: the fastest of this machine."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=4096, help="Pictures a call of the network.")] = 8,
) -> None:
    """Tell what is where in pictures."""
    from photovision.app.cli.output import note
    from photovision.app.pictures import find_pictures
    from photovision.core.errors import UsageError
    from photovision.runtime.bundle import read_bundle
    from photovision.runtime.detector import Detector

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other: choose one")
    folder, pictures = _model_and_pictures(files or [])
    window = None if tile is None else _size(tile)
    detector = Detector(read_bundle(folder), engine=engine, precision=precision, threshold=threshold)
    say = _json_line if as_json else _csv_lines() if as_csv else _text_line
    draw = None if output is None else _Drawn(output)
    total = unreadable = 0
    sources = find_pictures(pictures, sys.stdin)
    for seen in detector.see(sources, batch_size=batch_size, tile=window, overlap=overlap):
        say(str(seen.file), seen)
        if draw is not None and seen.found is not None:
            draw(seen)
        total += 1
        unreadable += seen.found is None
    if unreadable:
        note(f"{unreadable:,} of {total:,} files could not be read")
        raise typer.Exit(2)


def _model_and_pictures(files: list[str]) -> tuple[Path, list[str]]:
    """The first name is a model where it is a folder that holds one; else the ready detector is taken."""
    from photovision.core.errors import UsageError
    from photovision.models.ready import bundle_at, ready

    own = bool(files) and (bundle_at(files[0]) / "bundle.json").is_file()
    pictures = files[own:]
    if not pictures:
        raise UsageError("give pictures, a folder, a pattern, or '-' to read file names from standard input")
    return (bundle_at(files[0]) if own else ready()), pictures


def _size(text: str) -> tuple[int, int]:
    from photovision.core.errors import UsageError

    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise UsageError(f"--tile should be a side or HxW in pixels, such as 640 or 480x640, got '{text}'")
    return int(sides[0]), int(sides[-1])


def _json_line(file: str, seen: Seen) -> None:
    print(json.dumps(seen.to_json()), flush=True)


def _csv_lines() -> Say:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "label", "score", "x1", "y1", "x2", "y2", "height", "width", "error"])

    def say(file: str, seen: Seen) -> None:
        if seen.found is None:
            writer.writerow([file, *[""] * 8, seen.to_json()["error"]])
        else:
            for box in seen.found.to_json():
                writer.writerow([file, box["label"], f"{box['score']:.6f}", *box["xyxy"], *seen.size, ""])
        sys.stdout.flush()

    return say


def _text_line(file: str, seen: Seen) -> None:
    from photovision.app.cli.output import note, printable

    if seen.found is None:
        note(str(seen.error))
        return
    counts = Counter(seen.found.names).most_common()
    told = ", ".join(f"{count:,} {printable(name)}" for name, count in counts) or "nothing"
    print(f"{printable(file)}  {told}", flush=True)


class _Drawn:
    """Writes pictures with their boxes into a folder, under names that no other picture of the run has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: Counter[str] = Counter()

    def __call__(self, seen: Seen) -> None:
        """Draw one."""
        from photovision.core.boxes import draw_regions
        from photovision.core.files import write_bytes
        from photovision.core.image import decode, to_array
        from photovision.core.thumbnail import jpeg

        assert seen.file is not None
        assert seen.found is not None
        stem = Path(seen.file).stem
        self._names[stem] += 1
        number = "" if self._names[stem] == 1 else f".{self._names[stem]}"
        picture = draw_regions(to_array(decode(seen.file)), seen.found)
        write_bytes(self.folder / f"{stem}{number}.boxes.jpg", jpeg(picture, 90))
