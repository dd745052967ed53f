"""A disk that fills up: one line that says so, nothing finished is lost, and the same command goes on afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from colours import colour_bundle, colour_folder
from pictures import make_folder
from PIL import Image
from small_disk import fill, resize, small_disk

from photovision.app.cli import run
from photovision.app.progress import with_events
from photovision.core.errors import PhotovisionError, UsageError
from photovision.core.files import explained, write_bytes
from photovision.core.page import write_report
from photovision.core.preprocess import Preprocess
from photovision.core.progress import Progress, silent
from photovision.core.report import Report
from photovision.data.augment.image import Augment
from photovision.data.read import read_dataset
from photovision.engine.load import load
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.learn import checkpoint
from photovision.models.backbones import Backbone
from photovision.tasks.classify.linear_probe import Features, open_features
from photovision.video.event_log import EventLog
from tests.replacing import whole, write

MUCH = np.random.default_rng(0).integers(0, 256, 400_000, dtype=np.uint8)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 300) as folder:
        yield folder


def save_safetensors(folder: Path) -> None:
    from safetensors.torch import save_file

    with explained(folder):
        save_file({"a": torch.from_numpy(MUCH)}, folder / "a.safetensors")


def save_graph(folder: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    tensor = numpy_helper.from_array(MUCH, "a")
    with explained(folder):
        onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [tensor])), str(folder / "a.onnx"))


def save_picture(folder: Path) -> None:
    with explained(folder):
        Image.fromarray(MUCH.reshape(400, -1)).save(folder / "a.png")


def save_film(folder: Path) -> None:
    from photovision.video.writer import Film

    with Film(folder / "a.mp4") as film:
        for number in range(60):
            film.add(np.roll(MUCH[:120_000], number * 977).reshape(200, 200, 3), number / 25)


def save_events(folder: Path) -> None:
    with with_events(silent, folder / "e.jsonl") as listener:
        for number in range(5000):
            listener(Progress(f"stage {number}", 0, 1, "x" * 200))


def save_log(folder: Path) -> None:
    with EventLog("clip", folder / "e.jsonl") as log:
        for number in range(5000):
            log.write({"event": "enter", "number": number, "text": "x" * 200})


def save_base(folder: Path) -> None:
    with EventLog("clip", None, folder / "e.db") as log:
        log.end({"text": "x" * 400_000})


def work_of(folder: Path, output: str = "m") -> WorkDir:
    return WorkDir(folder / output, {"seed": 0}, Accelerator())


WRITERS: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda folder: write_bytes(folder / "a", MUCH.tobytes()),
    "array": lambda folder: work_of(folder).array("a", lambda: MUCH),
    "value": lambda folder: work_of(folder).value("a", MUCH.tolist),
    "checkpoint": lambda folder: checkpoint.save(folder / "a.pt", {"a": torch.from_numpy(MUCH)}),
    "safetensors": save_safetensors,
    "graph": save_graph,
    "picture": save_picture,
    "film": save_film,
    "events": save_events,
    "log": save_log,
    "database": save_base,
    "report": lambda folder: write_report(Report("check", "t", ("x" * 400_000,)), folder),
}


@pytest.mark.parametrize("left", [0, 4096, 40_000])
@pytest.mark.parametrize("name", WRITERS)
def test_whatever_is_written_says_that_the_disk_is_full(disk: Path, name: str, left: int) -> None:
    filler = fill(disk, left)
    with pytest.raises(PhotovisionError, match=r"no space left on the disk|disk is full|disk I/O error"):
        WRITERS[name](disk)
    filler.unlink()
    resize(disk, 20_000)
    WRITERS[name](disk / "again" if name in ("log", "database") else disk)


@pytest.mark.parametrize("left", [0, 4096, 8192, 12_288])
def test_a_model_that_cannot_be_replaced_stays(disk: Path, left: int) -> None:
    write(disk / "m", 1)
    filler = fill(disk, left)
    with pytest.raises(UsageError, match="no space left"):
        write(disk / "m", 2)
    assert whole(disk / "m") == 1
    filler.unlink()
    write(disk / "m", 3)
    assert whole(disk / "m") == 3
    assert sorted(entry.name for entry in disk.iterdir()) == ["m"]


def features(disk: Path) -> Features:
    splits = type("Splits", (), {"dataset": read_dataset(disk.parent / "data")})
    run = TrainingRun(TrainConfig(), splits, work_of(disk))  # type: ignore[arg-type]
    source = Backbone("small_resnet", "none", Preprocess((32, 32)))
    torch.manual_seed(0)
    return open_features(run, source)


def test_maps_of_pictures_that_do_not_fit_end_in_words_and_not_in_a_signal(disk: Path) -> None:
    data = read_dataset(colour_folder(disk.parent / "data", per_class=40))
    resize(disk, 20_000)
    own = features(disk)
    own.open()
    needed = own.bytes_of_view(len(data))
    filler = fill(disk, needed // 2)
    with pytest.raises(UsageError, match="no space left"):
        own.compute(data, "train", None, 0)
    filler.unlink()
    found, maps = own.compute(data, "train", None, 0)
    assert len(found) == len(maps) == len(data)
    assert maps.nbytes == needed
    assert np.isfinite(maps).all()
    again = features(disk).compute(data, "train", None, 0)  # nothing is computed twice
    assert np.array_equal(again[1], maps)
    assert features(disk).run.work.resumed
    assert own.compute(data, "train", Augment(flip=True), 1)[1].shape == maps.shape


def test_a_command_says_so_and_leaves_the_model(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = colour_bundle(disk.parent / "m")
    export = ["export", str(model), "--to", "onnx", "-o", str(disk / "e")]
    filler = fill(disk, 4096)
    assert run(export) == 2
    assert "no space left on the disk" in capsys.readouterr().err
    filler.unlink()
    assert run(export) == 0
    fill(disk, 2048)
    with pytest.raises(UsageError, match="no space left"):
        load(model).save(disk / "copy")
    assert sorted(entry.name for entry in disk.iterdir()) == ["e", "filler"]


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["none", "auto"])
def test_a_training_on_a_disk_of_any_size(tmp_path: Path, weights: str) -> None:
    data = make_folder(tmp_path / "data", per_class=60, size=32)
    options = ["--weights", weights, "--size", "64", "--epochs", "2", "--minutes", "3"]
    command = [sys.executable, "-m", "photovision", "train", str(data), *options, "-o", str(tmp_path / "disk" / "m")]
    endings: list[int] = []
    with small_disk(tmp_path / "disk", 40) as disk:
        size, finished = 40, {}
        while not endings or endings[-1]:
            done = subprocess.run(command, capture_output=True, text=True)
            endings.append(done.returncode)
            assert done.returncode in (0, 2), (size, done.stderr)
            if done.returncode == 2:
                lines = [line for line in done.stderr.splitlines() if line.startswith("photovision: ")]
                assert "no space left on the disk" in lines[-1], done.stderr
                assert "Traceback" not in done.stderr
                now = {file.name: file.stat().st_mtime_ns for file in (disk / ".m.work").glob("*.np*")}
                now = {name: at for name, at in now.items() if "part" not in name}
                assert {name: now.get(name) for name in finished} == finished  # nothing finished is done again
                finished = now
            size *= 2
            assert size < 500_000
            resize(disk, size)
        assert sorted(entry.name for entry in disk.iterdir()) == ["m"]
    print(json.dumps({"endings": endings, "last_kib": size}))
    assert -signal.SIGBUS not in endings
    assert len(endings) > 3
    assert os.path.isdir(tmp_path)
