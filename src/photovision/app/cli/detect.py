"""detect: objects in pictures and videos. Answers stream in the order of the files."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from photovision.app.cli.options import TagModel

if TYPE_CHECKING:
    from photovision.core.preprocess import Preprocess
    from photovision.core.regions import Detections
    from photovision.core.result import Result
    from photovision.core.types import Image
    from photovision.tasks.detect.detector import Detector
    from photovision.video.reader import Frame
    from photovision.video.tags import Tagger, Tags

    Say = Callable[[Result[Detections], Frame | None, Tags | None], None]
    Look = Callable[[Iterable[str | Image]], Iterator[Result[Detections]]]

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL] [FILE|FOLDER|PATTERN|-]...",
        help="A detector's folder, if not the ready one of COCO's 80 classes; then pictures, videos, or '-' for"
        " names on standard input.",
    ),
]


Threshold = Annotated[
    float | None, typer.Option(help="Least score of a box, 0 to 1; default: the model's, one a class.")
]
Tile = Annotated[
    str | None,
    typer.Option(metavar="H[xW]", help="Also run on tiles of this size, to find small objects."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for pictures and videos with their boxes drawn.")
]
EngineName = Annotated[
    Literal["auto", "openvino", "onnxruntime"],
    typer.Option(help="What runs the network: auto, openvino, onnxruntime."),
]
Arithmetic = Annotated[
    Literal["f32", "bf16"] | None,
    typer.Option(help="Arithmetic: f32 or bf16; default: the fastest of this machine."),
]


OVERLAP = 0.2


def detect(
    files: Sources = None,
    threshold: Threshold = None,
    tile: Tile = None,
    overlap: Annotated[
        float | None,
        typer.Option(help="With --tile: share of a window that its neighbour sees, too, 0 to 0.9; default: 0.2."),
    ] = None,
    output: Output = None,
    tags: TagModel = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A line a box, with a heading; formulas get an apostrophe.")
    ] = False,
    engine: EngineName = "auto",
    precision: Arithmetic = None,
    batch_size: Annotated[int, typer.Option(min=1, max=4096, help="Pictures a call of the network.")] = 8,
) -> None:
    """Detect objects in images and videos."""
    from photovision.app.cli.tagging import tagger_of
    from photovision.core.errors import UsageError
    from photovision.runtime.bundle import read_bundle
    from photovision.tasks.detect.detector import Detector

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other: choose one")
    folder, names = _model_and_names(files or [])
    window = None if tile is None else size_of(tile)
    if window is None and overlap is not None:
        raise UsageError("--overlap is for windows: give their size with --tile, or leave it out")
    detector = Detector(read_bundle(folder), engine=engine, precision=precision, threshold=threshold)
    tagger = tagger_of(tags)
    say = _json_line if as_json else _csv_lines(tagger is not None) if as_csv else _text_line
    draw = None if output is None else _Drawn(output, detector.preprocess)
    look = _looking(detector, batch_size, window, OVERLAP if overlap is None else overlap)
    _tell(_answers(names, look), say, draw, tagger)


def _tell(
    answers: Iterator[tuple[Result[Detections], Frame | None]], say: Say, draw: _Drawn | None, tagger: Tagger | None
) -> None:
    """Print what is seen and draw it where that is wanted; exit code 2 where something could not be read."""
    from photovision.app.cli.output import note

    total = unreadable = 0
    try:
        for seen, frame in answers:
            say(seen, frame, None if tagger is None else _tags(tagger, seen, frame))
            if draw is not None and seen.value is not None:
                draw(seen, frame)
            total += frame is None or frame.index == 0
            unreadable += seen.value is None
    finally:
        if draw is not None:
            draw.close()
    if unreadable:
        note(f"{unreadable:,} of {total:,} files could not be read")
        raise typer.Exit(2)


def _tags(tagger: Tagger, seen: Result[Detections], frame: Frame | None) -> Tags:
    if seen.value is None or seen.file is None:
        return {}
    if frame is None:
        return tagger.picture(seen.file)
    if frame.index == 0:
        tagger.begin()
    return tagger.frame(frame.image)


def _looking(detector: Detector, batch_size: int, tile: tuple[int, int] | None, overlap: float) -> Look:
    own = detector if tile is None else detector.with_options(tile=tile, overlap=overlap)
    return lambda sources: own.results(sources, batch_size=batch_size)


def _answers(names: list[str], look: Look) -> Iterator[tuple[Result[Detections], Frame | None]]:
    """What is seen in every picture, and in every frame of a video, in order."""
    from photovision.app.image_paths import VIDEOS, find_pictures

    for video, run in groupby(names, lambda name: Path(name).suffix.lower() in VIDEOS):
        if video:
            for name in run:
                yield from _frames(name, look)
        else:
            yield from ((seen, None) for seen in look(find_pictures(run, sys.stdin)))


def _frames(name: str, look: Look) -> Iterator[tuple[Result[Detections], Frame | None]]:
    from photovision.core.errors import DataError, UnreadableImage
    from photovision.core.result import Result
    from photovision.video.reader import open_video

    waiting: deque[Frame] = deque()
    try:
        with open_video(name, live=False) as video:
            for seen in look(_remembered(video, waiting)):
                yield replace(seen, file=name), waiting.popleft()
    except DataError as error:
        yield Result(name, (0, 0), None, UnreadableImage(str(error))), None


def _remembered(frames: Iterable[Frame], waiting: deque[Frame]) -> Iterator[Image]:
    for frame in frames:
        waiting.append(frame)
        yield frame.image


def _model_and_names(files: list[str]) -> tuple[Path, list[str]]:
    """The first name is a model where it is a folder that holds one; else the ready detector is taken."""
    from photovision.core.errors import UsageError
    from photovision.models.pretrained import bundle_at, ready

    own = bool(files) and (bundle_at(files[0]) / "bundle.json").is_file()
    names = files[own:]
    if not names:
        raise UsageError("give pictures, a folder, a pattern, or '-' to read file names from standard input")
    return (bundle_at(files[0]) if own else ready()), names


def size_of(text: str) -> tuple[int, int]:
    """(H, W) from a side or HxW; raises UsageError."""
    from photovision.core.errors import UsageError

    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise UsageError(f"--tile should be a side or HxW in pixels, such as 640 or 480x640, got '{text}'")
    return int(sides[0]), int(sides[-1])


def _json_line(seen: Result[Detections], frame: Frame | None, tags: Tags | None) -> None:
    told = seen.to_json() | ({} if tags is None or seen.value is None else {"tags": tags})
    if frame is not None:
        told = {"file": told.pop("file"), "frame": frame.index, "time": round(frame.time, 3), **told}
    print(json.dumps(told), flush=True)


def _csv_lines(tagged: bool) -> Say:
    from photovision.core.text import cells

    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = ["file", "label", "score", "x1", "y1", "x2", "y2", "height", "width", "frame", "error"]
    writer.writerow([*columns, *(["tags"] if tagged else [])])

    def say(seen: Result[Detections], frame: Frame | None, tags: Tags | None) -> None:
        scene = [] if tags is None else ["|".join(tags)]
        if seen.value is None:
            writer.writerow(cells([seen.file, *[""] * 9, seen.to_json()["error"], *scene]))
        else:
            number = "" if frame is None else frame.index
            for box in seen.value.to_json():
                place = [*box["xyxy"], *seen.size, number, ""]
                writer.writerow(cells([seen.file, box["label"], f"{box['score']:.6f}", *place, *scene]))
        sys.stdout.flush()

    return say


def _text_line(seen: Result[Detections], frame: Frame | None, tags: Tags | None) -> None:
    from photovision.app.cli.output import note
    from photovision.app.cli.tagging import tags_text
    from photovision.core.text import printable

    if seen.value is None:
        note(str(seen.error))
        return
    counts = Counter(seen.value.names).most_common()
    told = ", ".join(f"{count:,} {printable(name)}" for name, count in counts) or "nothing"
    at = "" if frame is None else f" at {frame.time:.2f} s"
    print(f"{printable(str(seen.file))}{at}  {told}{tags_text(tags)}", flush=True)


class _Drawn:
    """Writes pictures and videos with their boxes into a folder, under names that no other file of the run has."""

    def __init__(self, folder: Path, preprocess: Preprocess) -> None:
        from photovision.video.writer import Film

        self._folder, self._make, self._preprocess = folder, Film, preprocess
        self._taken: set[str] = set()
        self._film: Film | None = None

    def __call__(self, seen: Result[Detections], frame: Frame | None) -> None:
        """Draw one picture or frame."""
        from photovision.core.boxes import draw_regions
        from photovision.core.image import to_array
        from photovision.core.output import SIGNATURE, write_output
        from photovision.core.thumbnail import jpeg

        assert seen.file is not None
        assert seen.value is not None
        if frame is None:
            picture = draw_regions(to_array(self._preprocess.decode(seen.file)), seen.value)
            write_output(self._place(seen.file, "jpg"), jpeg(picture, 90, SIGNATURE), [seen.file])
            return
        if frame.index == 0 or self._film is None:
            self.close()
            self._film = self._make(self._place(seen.file, "mp4"), inputs=[seen.file])
        self._film.add(draw_regions(frame.image, seen.value), frame.time)

    def close(self) -> None:
        """Finish the video that is being written."""
        if self._film is not None:
            self._film.close()
        self._film = None

    def _place(self, file: str, ending: str) -> Path:
        from photovision.app.cli.output import free_name

        return self._folder / f"{free_name(Path(file).stem, self._taken, '.')}.boxes.{ending}"
