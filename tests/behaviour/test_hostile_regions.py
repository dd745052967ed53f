"""Hostile and odd input of detection, scenes and video: a clear line each, nothing lost, memory bounded."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from annotated import blob, dataset, objects, picture
from clips import draw, moving, write
from painter import painter_bundle
from PIL import Image
from spotter import spotter_bundle

from photovision.app.cli import run
from photovision.core.boxes import draw_regions
from photovision.data.convert import convert
from photovision.data.read import read_dataset
from photovision.engine.load import load
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter
from photovision.video import sources as frames
from photovision.video.reader import open_video
from photovision.video.watch import WatchRequest, watch

GIGA = 1_000_000_000


@pytest.fixture(scope="module")
def spotter(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(spotter_bundle(tmp_path_factory.mktemp("models") / "spotter"))


@pytest.fixture(scope="module")
def detector(spotter: str) -> Detector:
    found = load(spotter)
    assert isinstance(found, Detector)
    return found


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(painter_bundle(tmp_path_factory.mktemp("models") / "painter", tile=(64, 64)))


@pytest.fixture(scope="module")
def segmenter(painter: str) -> Segmenter:
    found = load(painter)
    assert isinstance(found, Segmenter)
    return found


def clip(path: Path, count: int = 12, **options: Any) -> Path:
    return write(path, moving([(0, lambda i: (10 + 3 * i, 40))], count), **options)


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on standard error, but for notes of progress."""
    return [line for line in capsys.readouterr().err.splitlines() if "watching" not in line]


def peak(*arguments: str, code: int = 0) -> int:
    """The largest resident set in bytes of a command, which ends with that exit code."""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    # Not getrusage: what it tells begins with the size of the process that started the command.
    script = (
        "import pathlib, sys; from photovision.app.cli import run; code = run(sys.argv[1:]);"
        "lines = pathlib.Path('/proc/self/status').read_text().splitlines();"
        "print(next(line for line in lines if line.startswith('VmHWM')), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return int(done.stderr.splitlines()[-1].split()[1]) * 1024


# Videos: what cannot be watched at all.


def _patched(path: Path, name: bytes, offset: int, content: bytes) -> None:
    """Write over bytes behind the first (or every) box or chunk of that name."""
    whole = bytearray(path.read_bytes())
    at = whole.find(name)
    assert at >= 0
    while at >= 0:
        whole[at + 4 + offset : at + 4 + offset + len(content)] = content
        at = whole.find(name, at + 4)
    path.write_bytes(whole)


def _truncated(path: Path) -> None:
    clip(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _absurd(path: Path) -> None:
    clip(path, codec="mjpeg", format="avi")
    whole = bytearray(path.read_bytes())
    at = whole.find(b"\xff\xc0")  # the frame header of every JPEG: height, width
    while at >= 0:
        whole[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
        at = whole.find(b"\xff\xc0", at + 2)
    path.write_bytes(whole)


NO_VIDEOS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no video\n" * 500),
    "a JPEG": lambda path: Image.new("RGB", (64, 48)).save(path, "JPEG"),
    "zeros": lambda path: path.write_bytes(bytes(100_000)),
    "its beginning": _truncated,
    "absurd frames": _absurd,
}


@pytest.mark.parametrize("kind", NO_VIDEOS)
def test_what_is_no_video_is_one_line_and_leaves_nothing(
    kind: str, tmp_path: Path, spotter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    NO_VIDEOS[kind](tmp_path / "a.mp4")
    files = ["-o", str(tmp_path / "out.mp4"), "--events", str(tmp_path / "e.jsonl"), "--record", str(tmp_path / "e.db")]
    assert run(["watch", str(tmp_path / "a.mp4"), "-m", spotter, *files]) == 2
    lines = told(capsys)
    assert len(lines) == 1
    assert "a.mp4" in lines[0]
    assert {file.name for file in tmp_path.iterdir()} == {"a.mp4"}


def test_detect_goes_on_behind_what_is_no_video(
    tmp_path: Path, spotter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, make in enumerate(NO_VIDEOS.values()):
        make(tmp_path / f"{number}.mp4")
    files = sorted(map(str, tmp_path.iterdir()))
    good = str(clip(tmp_path / "good.mp4", 3))
    assert run(["detect", spotter, *files, good, "--json", "-o", str(tmp_path / "drawn")]) == 2
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["file"] for answer in answers if "error" in answer] == files
    assert [answer["file"] for answer in answers if "error" not in answer] == [good] * 3
    assert [file.name for file in (tmp_path / "drawn").iterdir()] == ["good.boxes.mp4"]


def test_a_video_that_calls_itself_a_picture_is_a_picture_that_cannot_be_read(
    tmp_path: Path, spotter: str, painter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path / "a.mp4").rename(tmp_path / "a.jpg")
    for command in (["detect", spotter], ["detect", spotter, "--tile", "64"], ["predict", painter]):
        assert run([*command, str(tmp_path / "a.jpg"), "--json"]) == 2
        assert "not a picture" in json.loads(capsys.readouterr().out)["error"]


# Videos: what is odd and can be watched all the same.


def _ten_hours(path: Path) -> int:
    clip(path)
    _patched(path, b"mvhd", 16, struct.pack(">I", 36_000_000))
    _patched(path, b"mdhd", 16, struct.pack(">I", 2**31))
    _patched(path, b"tkhd", 20, struct.pack(">I", 36_000_000))
    return 12


def _sparse(path: Path) -> int:
    clip(path)
    with path.open("r+b") as file:
        file.truncate(40 * GIGA)  # ten hours' worth of nothing behind what is there
    return 12


def _no_rate(path: Path) -> int:
    clip(path)
    whole = bytearray(path.read_bytes())
    at = whole.find(b"stts") + 4
    (entries,) = struct.unpack(">I", whole[at + 4 : at + 8])
    for entry in range(entries):
        whole[at + 12 + 8 * entry : at + 16 + 8 * entry] = bytes(4)
    path.write_bytes(whole)
    return 12


def _avi_rate(scale: int, rate: int) -> Callable[[Path], int]:
    def make(path: Path) -> int:
        clip(path, codec="mjpeg", format="avi")
        _patched(path, b"avih", 4, bytes(4))
        _patched(path, b"strh", 24, struct.pack("<II", scale, rate))
        return 12

    return make


def _header_size(path: Path) -> int:
    clip(path)
    _patched(path, b"tkhd", 76, struct.pack(">II", 0xFFFF0000, 0xFFFF0000))
    _patched(path, b"mp4v", 24, struct.pack(">HH", 65_535, 65_535))
    return 12


def _changing(path: Path) -> int:
    sizes = [(96, 128), (64, 96), (200, 120), (17, 33)]
    parts = []
    for number, size in enumerate(sizes):
        part = path.with_name(f"{number}.ts")
        parts.append(write(part, [draw([], size)] * 5, codec="mpeg2video").read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return 15  # a decoder may hold back the last frames of a part


def _damaged_middle(path: Path) -> int:
    clip(path, 30, codec="mjpeg", format="avi")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3 : len(whole) // 3 + 3000] = bytes(3000)
    path.write_bytes(whole)
    return 15


ODD_VIDEOS: dict[str, Callable[[Path], int]] = {
    "one frame": lambda path: (clip(path, 1), 1)[1],
    "ten hours in its header": _ten_hours,
    "ten hours of nothing": _sparse,
    "no time between frames": _no_rate,
    "a rate of 0 / 0": _avi_rate(0, 0),
    "an endless rate": _avi_rate(1, 0xFFFFFFFF),
    "a rate near 0": _avi_rate(0xFFFFFFFF, 1),
    "absurd sides in its header": _header_size,
    "frames that change their size": _changing,
    "a hole in its middle": _damaged_middle,
}


@pytest.mark.parametrize("kind", ODD_VIDEOS)
def test_odd_videos_are_watched_to_their_end(kind: str, tmp_path: Path, detector: Detector) -> None:
    least = ODD_VIDEOS[kind](tmp_path / "a.mp4")
    out = tmp_path / "out.mp4"

    def look(images: Sequence[Any]) -> list[Any]:
        return detector.predict(list(images))  # type: ignore[return-value]

    found = watch(tmp_path / "a.mp4", look, WatchRequest({"a": ((0, 0.5), (1, 0.5))}), output=out)
    assert least <= found["frames"] <= 30
    with av.open(str(out)) as film:
        assert sum(1 for _ in film.decode(video=0)) == found["frames"]
    with open_video(tmp_path / "a.mp4") as video:
        times = [frame.time for frame in video]
    assert len(times) == found["frames"]
    assert times == sorted(times)
    assert all(np.isfinite(times))
    json.dumps(found, allow_nan=False)


def test_a_file_that_goes_on_in_nothing_ends_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty thousand million zeros behind a video without an index: a decoder would look through them for more."""
    monkeypatch.setattr(frames, "PATIENCE", 2.0)
    path = clip(tmp_path / "a.mkv", codec="ffv1")
    with path.open("r+b") as file:
        file.truncate(40 * GIGA)
    with open_video(path) as video:
        assert len(list(video)) == 12
        assert video.corrupt == 1


def test_memory_of_odd_videos_is_bounded(tmp_path: Path, spotter: str) -> None:
    _sparse(tmp_path / "a.mp4")
    assert peak("watch", str(tmp_path / "a.mp4"), "-m", spotter, "--json") < 0.8 * GIGA


# Annotations: through every command.

FINE = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}
HUGE = ("NaN", "-1e308", "9" * 400, '"x"', "null", "[[]]")


def _coco(folder: Path, text: str) -> Path:
    picture(folder / "images" / "a.jpg")
    (folder / "annotations.json").write_text(text, encoding="utf-8")
    return folder


def _with(value: str, place: str) -> str:
    """A COCO file of two objects, of which the second has an odd value at some place."""
    odd = {**FINE, "id": 2, place: "ODD"} if place != "bbox" else {**FINE, "id": 2, "bbox": [1, 1, "ODD", 5]}
    image = {"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}
    whole = {"images": [image], "categories": [{"id": 1, "name": "bolt"}], "annotations": [FINE, odd]}
    return json.dumps(whole).replace('"ODD"', value)


@pytest.mark.parametrize("place", ["bbox", "id", "image_id", "category_id", "segmentation", "track_id"])
def test_odd_values_never_take_a_command_down(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, value in enumerate(HUGE):
        folder = _coco(tmp_path / str(number), _with(value, place))
        out = tmp_path / f"{number}-out"
        code = run(["convert", str(folder), "--to", "cvat", "-o", str(out), "--json"])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        if code:
            assert (code, len(said.err.splitlines()), out.exists()) == (2, 1, False)
        else:
            assert 1 <= json.loads(said.out)["objects"] <= 2
            assert len(read_dataset(out)) == 1


HOSTILE: dict[str, Callable[[Path], object]] = {
    "coco, deep": lambda path: _coco(path, '{"images": ' + "[" * 99_999),
    "coco, empty": lambda path: _coco(path, ""),
    "coco, other encoding": lambda path: (_coco(path, ""), _encoded(path / "annotations.json", "{}", "utf-16")),
    "coco, outside": lambda path: _coco(path, _with("2", "id").replace("a.jpg", "../../../etc/passwd")),
    "coco, absolute": lambda path: _coco(path, _with("2", "id").replace("a.jpg", "/etc/passwd")),
    "voc, laughs": lambda path: _xml(path, "Annotations/a.xml", "<annotation><filename>&b;</filename></annotation>"),
    "voc, empty": lambda path: _xml(path, "Annotations/a.xml", ""),
    "cvat, laughs": lambda path: _xml(path, "annotations.xml", "<annotations><image name='&b;'/></annotations>"),
    "cvat, deep": lambda path: _xml(path, "annotations.xml", "<annotations>" + "<a>" * 99_999),
    "cvat, tracks without frames": lambda path: _xml(
        path, "annotations.xml", "<annotations><track label='x'><box frame='999999999'/></track></annotations>"
    ),
    "labelstudio, deep": lambda path: _text(path, "e.json", '[{"data": {}, "annotations": ' + "[" * 99_999),
    "labelstudio, outside": lambda path: _text(
        path, "e.json", '[{"data": {"image": "../../etc/passwd"}, "annotations": [{"result": []}]}]'
    ),
    "yolo, laughs": lambda path: _text(path, "data.yaml", "a: &a [x]\nb: &b [*a, *a]\nnames: *b"),
    "yolo, outside": lambda path: (
        path.mkdir(),
        (path / "data.yaml").write_text("names: [a]\ntrain: ../../../etc\nval: /etc"),
    ),
    "yolo, numbers": lambda path: _yolo(path, "0 .5 .5 1e308 nan\n" * 9),
    "masks, junk": lambda path: _masks(path, b"junk"),
    "masks, bomb": lambda path: _masks(path, png(100_000, 100_000)),
    "table, outside": lambda path: _text(path, "metadata.csv", "file_name,label\n/etc/passwd,a\n../b.jpg,b\n"),
    "table, other encoding": lambda path: (
        path.mkdir(),
        _encoded(path / "metadata.csv", "file_name,label\na.jpg,\xe9\n", "latin-1"),
    ),
    "table, zeros": lambda path: (path.mkdir(), (path / "metadata.csv").write_bytes(bytes(5000))),
    "a loop of links": lambda path: (path.mkdir(), (path / "round").symlink_to(path, target_is_directory=True)),
}


def _text(folder: Path, name: str, text: str) -> None:
    picture(folder / "images" / "a.jpg")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def _encoded(file: Path, text: str, encoding: str) -> None:
    file.write_bytes(text.encode(encoding))


def _xml(folder: Path, name: str, text: str) -> None:
    laughs = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' if "&b;" in text else ""
    picture(folder / "JPEGImages" / "a.jpg")
    _text(folder, name, laughs + text)


def _yolo(folder: Path, text: str) -> None:
    _text(folder, "data.yaml", "names: [a]\ntrain: images\nval: images\n")
    _text(folder, "labels/a.txt", text)


def _masks(folder: Path, content: bytes) -> None:
    picture(folder / "images" / "a.jpg")
    (folder / "masks").mkdir()
    (folder / "masks" / "a.png").write_bytes(content)


def _pipes(path: Path) -> None:
    """Named pipes instead of files: who opens one waits until somebody writes."""
    picture(path / "images" / "a.jpg")
    for name in ("annotations.json", "annotations.xml", "data.yaml", "a.xml", "b.jpg", "metadata.csv"):
        os.mkfifo(path / name)


HOSTILE["pipes"] = _pipes


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_data_is_one_line_from_every_command(
    kind: str, tmp_path: Path, spotter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    HOSTILE[kind](data)
    chosen = ["--from", kind.split(",")[0]] if "," in kind else []
    for command in (
        ["convert", str(data), *chosen, "--to", "coco"],
        ["check", str(data)],
        ["train", str(data)],
        ["evaluate", spotter, str(data)],
    ):
        assert run([*command, "-o", str(out)]) == 2, command
        said = capsys.readouterr()
        lines = [line for line in said.err.splitlines() if not line.startswith("checking pictures")]
        assert len(lines) == 1, said.err
        assert lines[0].startswith("photovision: ")
        assert not said.out
        assert not out.exists()


def test_marks_of_byte_order_are_read_over(tmp_path: Path) -> None:
    """Windows programs put one at the beginning of UTF-8 files."""
    found = [objects([(3, 4, 20, 30)], [0]), objects([(3, 4, 20, 30)], [1], [blob((40, 60), (3, 4, 20, 30))])]
    files = {
        "coco": "annotations/instances.json",
        "labelstudio": "export.json",
        "cvat": "annotations.xml",
        "voc": "Annotations/part0.xml",
        "yolo": "data.yaml",
        "masks": "classes.txt",
    }
    for name, file in files.items():
        convert(dataset(tmp_path / "data", found), name, tmp_path / name, lossy=True)
        before = read_dataset(tmp_path / name, format=name)
        path = tmp_path / name / file
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        after = read_dataset(tmp_path / name)
        assert (after.source, after.classes, len(after)) == (name, before.classes, 2), name
        assert [s.target for s in after.samples] == [s.target for s in before.samples]


@pytest.mark.slow
def test_a_million_annotations_on_one_picture(tmp_path: Path, spotter: str) -> None:
    rows = (f'{{"id":{n},"image_id":1,"category_id":1,"bbox":[{n % 50},1,5,5],"iscrowd":0}}' for n in range(1_000_000))
    images = ",".join(
        f'{{"id":{n},"file_name":"{name}.jpg","height":40,"width":60}}' for n, name in ((1, "a"), (2, "b"))
    )
    head = f'{{"images":[{images}],"categories":[{{"id":1,"name":"red"}}],"annotations":['
    _coco(tmp_path / "data", head + ",\n".join(rows) + "]}")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(
        tmp_path / "data/images/b.jpg"
    )
    data = tmp_path / "data"
    assert peak("convert", str(data), "--to", "yolo", "-o", str(tmp_path / "out")) < 2 * GIGA
    assert (tmp_path / "out" / "labels" / "a.txt").read_text().count("\n") == 1_000_000
    assert peak("check", str(data)) < 3 * GIGA
    assert peak("evaluate", spotter, str(data), code=2) < 2 * GIGA


# Pictures of one pixel, and of two hundred million.


def png(height: int, width: int) -> bytes:
    """A red PNG of any size, without its pixels ever being in memory."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(1)
    row = b"\0" + b"\xdc\x14\x14" * width
    pixels = b"".join(packer.compress(row) for _ in range(height if height * width <= 250_000_000 else 1))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", pixels + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def one_pixel_data(folder: Path, size: tuple[int, int]) -> Path:
    """COCO data whose pictures have one pixel, or one row or column of them."""
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for number in range(12):
        name = f"{number}.png"
        (folder / "images" / name).write_bytes(png(*size))
        images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        box = [0, 0, size[1], size[0]]
        boxes.append({"id": number, "image_id": number, "category_id": 1 + number % 2, "bbox": box})
    kinds = [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]
    document = {"images": images, "annotations": boxes, "categories": kinds}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_pictures_of_one_pixel_are_pictures(
    size: tuple[int, int], tmp_path: Path, detector: Detector, segmenter: Segmenter
) -> None:
    (tmp_path / "a.png").write_bytes(png(*size))
    for tile in (None, (64, 64)):
        seen = next(detector.with_options(tile=tile).results([tmp_path / "a.png"]))
        assert seen.size == size
        assert seen.value is not None
        assert len(seen.value)
        assert (seen.value.boxes >= 0).all()
        assert (seen.value.boxes <= [size[1], size[0]] * 2).all()
        assert draw_regions(np.zeros((*size, 3), np.uint8), seen.value).shape == (*size, 3)
    scene = next(segmenter.results([tmp_path / "a.png"]))
    assert scene.to_json()["areas"] == {"thing": 1.0}


def test_data_of_one_pixel_are_data(tmp_path: Path, spotter: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = one_pixel_data(tmp_path / "data", (1, 1))
    assert run(["evaluate", spotter, str(data), "-o", str(tmp_path / "report")]) == 0
    assert run(["check", str(data)]) == 0
    assert run(["convert", str(data), "--to", "yolo", "-o", str(tmp_path / "yolo")]) == 0
    again = read_dataset(tmp_path / "yolo")
    assert (len(again), len(again.problems)) == (12, 0)
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--tile", "4096"]])
def test_two_hundred_million_pixels_in_boxes(options: list[str], tmp_path: Path, spotter: str) -> None:
    (tmp_path / "a.png").write_bytes(png(10_000, 20_000))
    (tmp_path / "b.png").write_bytes(png(20_000, 15_000))  # more than the limit: refused by its header
    assert peak("detect", spotter, str(tmp_path / "a.png"), *options, "--json") < 3 * GIGA
    assert peak("detect", spotter, str(tmp_path / "b.png"), *options, "--json", code=2) < GIGA


@pytest.mark.slow
def test_two_hundred_million_pixels_in_masks_and_in_data(tmp_path: Path, painter: str) -> None:
    wide = png(10_000, 20_000)
    data = one_pixel_data(tmp_path / "data", (1, 1))
    (data / "images" / "0.png").write_bytes(wide)
    model = painter_bundle(tmp_path / "model")
    assert (
        peak("predict", str(model), str(data / "images" / "0.png"), "-o", str(tmp_path / "masks"), "--json") < 4 * GIGA
    )
    assert peak("check", str(data)) < 3 * GIGA
    assert peak("convert", str(data), "--to", "voc", "-o", str(tmp_path / "out")) < GIGA
    assert (tmp_path / "out" / "JPEGImages" / "0.png").stat().st_size == len(wide)


def test_nothing_of_an_older_result_is_lost_to_bad_input(
    tmp_path: Path, spotter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path / "a.mp4", 4)
    film, events = tmp_path / "film.mp4", tmp_path / "e.jsonl"
    command = ["watch", str(tmp_path / "a.mp4"), "-m", spotter, "-o", str(film), "--events", str(events)]
    assert run(command) == 0
    capsys.readouterr()
    before = film.read_bytes(), events.read_bytes()
    (tmp_path / "a.mp4").write_bytes(b"junk")
    assert run(command) == 2
    assert (film.read_bytes(), events.read_bytes()) == before
    assert len(told(capsys)) == 1
