"""A folder is replaced whole: whatever fails, whoever is killed, and however many write at once."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from colours import colour_bundle, colour_picture

from photovision.core import folder as writer
from photovision.core.errors import ModelError, UsageError
from photovision.core.files import beside
from photovision.core.folder import new_folder, recover, reserved
from photovision.core.lock import Lock
from photovision.core.output import check_folder
from photovision.engine.load import load
from tests import replacing
from tests.replacing import at_call, whole, write

ROOT = Path(__file__).resolve().parents[3]
both_ways = pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two moves"])


@pytest.fixture
def way(exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchange:  # as on a network drive or another system
        monkeypatch.setattr(writer, "_exchanged", lambda one, other: False)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of waits for a disk would take minutes."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as top:
        yield Path(top)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@both_ways
@pytest.mark.usefixtures("way")
def test_a_model_is_replaced_whole(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "m", number)
        assert whole(tmp_path / "m") == number
        assert names(tmp_path) == ["m"]


@both_ways
@pytest.mark.usefixtures("way")
def test_an_error_in_the_filling_leaves_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "m", 1)
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "m", "model") as folder:
        (folder / str(1 // 0)).touch()
    assert whole(tmp_path / "m") == 1
    assert names(tmp_path) == ["m"]


@both_ways
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_any_call_to_the_system_may_fail(memory: Path, number: int) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    write(memory / "m", 0)
    last = position = 0
    came = True
    while came:
        with contextlib.suppress(UsageError):  # and nothing but a line of words
            came = at_call(memory / "m", last + 1, position, fail)
        assert whole(memory / "m") in (last, last + 1), position
        write(memory / "m", last + 2)  # the next writer gets through, and tidies up
        assert names(memory) == ["m"], position
        last, position = last + 2, position + 1
    assert position > 60


@both_ways
@pytest.mark.usefixtures("way")
def test_a_process_may_be_killed_at_any_call_to_the_system(memory: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from tests import replacing; from photovision.core import folder\n"
        f"if {writer._exchanged.__name__ == '<lambda>'}: folder._exchanged = lambda one, other: False\n"
        "path = Path(sys.argv[1]); replacing.write(path, 0); last = position = missing = 0\n"
        "while True:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        came = replacing.at_call(path, last + 1, position, lambda: os._exit(9)); os._exit(0)\n"
        "    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "    missing += not path.exists(); folder.recover(path)\n"
        "    assert replacing.whole(path) in (last, last + 1), position\n"
        "    replacing.write(path, last + 2)\n"
        "    assert os.listdir(path.parent) == [path.name], (position, os.listdir(path.parent))\n"
        "    last, position = last + 2, position + 1\n"
        "    if ended == 0: break\n"
        "print(position, missing)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(memory / "m")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls, missing = map(int, done.stdout.split())
    assert calls > 60
    assert missing == (0 if writer._exchanged.__name__ != "<lambda>" else 1)  # between the moves, then put back


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments_never_leaves_half_a_model(count: int, memory: Path) -> None:
    command = [sys.executable, "-m", "tests.replacing", str(count), str(memory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for figures in json.loads(done.stdout).values():
        assert figures["torn"] == figures["left"] == 0
        assert figures["old"] + figures["new"] == count // 2


@both_ways
@pytest.mark.usefixtures("way")
def test_two_writers_and_two_readers(memory: Path, exchange: bool) -> None:
    path, stop = memory / "m", threading.Event()
    write(path, 0)

    def read() -> int:
        found = 0
        while not stop.is_set():
            try:
                found += whole(path) >= 0
            except OSError as error:  # a file of the old model that is being read is gone
                if exchange and error.filename == str(path):
                    raise  # two moves leave a gap between them, an exchange does not
        return found

    def replace(first: int) -> None:
        for number in range(first, first + 60):
            write(path, number)

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for writer_ in [pool.submit(replace, 1000), pool.submit(replace, 2000)]:
                writer_.result()
        finally:
            stop.set()  # else readers read for ever where a writer failed
        assert sum(reader.result() for reader in readers) > 20
    assert whole(path) in (1059, 2059)
    assert names(memory) == ["m"]


def test_a_folder_that_another_writer_replaces_meanwhile_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, aside, listed, moments = tmp_path / "m", tmp_path / "aside", os.listdir, []
    write(path, 1)

    def moved_away(folder: Path) -> list[str]:
        found = listed(folder)
        if not moments:  # the older model leaves between two looks at its files, as between two moves
            moments.append(path.rename(aside))
        return found

    monkeypatch.setattr(os, "listdir", moved_away)
    assert check_folder(path, "model") == path
    assert moments
    (aside / "bundle.json").unlink()
    with pytest.raises(UsageError, match="is not a model that Photovision wrote"):
        check_folder(aside, "model")


def test_a_file_put_in_at_the_last_moment_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = writer._exchanged
    write(tmp_path / "m", 1)

    def late(one: Path, other: Path) -> bool:
        if not (one / "thesis.txt").exists():
            (other / "thesis.txt").write_text("years")
        return own(one, other)

    monkeypatch.setattr(writer, "_exchanged", late)
    with pytest.raises(UsageError, match=r"thesis\.txt"):
        write(tmp_path / "m", 2)
    assert (tmp_path / "m" / "thesis.txt").read_text() == "years"
    assert json.loads((tmp_path / "m" / "bundle.json").read_text())["number"] == 1
    assert names(tmp_path) == ["m"]


def test_everything_is_on_the_disk_before_it_is_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, int]] = []
    fsync, rename, exchanged = os.fsync, os.rename, writer._exchanged
    monkeypatch.setattr(os, "fsync", lambda handle: (events.append(("sync", os.fstat(handle).st_ino)), fsync(handle)))
    monkeypatch.setattr(os, "rename", lambda a, b: (events.append(("move", os.stat(a).st_ino)), rename(a, b)))
    monkeypatch.setattr(
        writer, "_exchanged", lambda a, b: (events.append(("move", os.stat(a).st_ino)), exchanged(a, b))[1]
    )
    for number in range(2):
        events.clear()
        with new_folder(tmp_path / "m", "model") as folder:
            (folder / "bundle.json").write_text('{"format": "photovision"}')
            (folder / "model.onnx").write_bytes(bytes([number]))
        inside = {entry.stat().st_ino for entry in (tmp_path / "m").iterdir()} | {(tmp_path / "m").stat().st_ino}
        moved = events.index(("move", (tmp_path / "m").stat().st_ino))
        assert inside <= {inode for what, inode in events[:moved] if what == "sync"}
        assert ("sync", tmp_path.stat().st_ino) in events[moved:]


def test_what_a_crash_between_two_moves_left_is_found_again(tmp_path: Path) -> None:
    write(tmp_path / "m", 1)
    (tmp_path / "m").rename(f"{beside(tmp_path / 'm', 'photovision-abcdefgh')}.old")
    (tmp_path / ".m.photovision-abcdefgh").mkdir()
    recover(tmp_path / "m")
    assert whole(tmp_path / "m") == 1
    assert names(tmp_path) == ["m"]


def test_hidden_folders_of_other_names_are_left_alone(tmp_path: Path) -> None:
    for name in (".m.backup01", ".m.old", ".mm.photovision-abcdefgh", ".m2.work"):
        (tmp_path / name).mkdir()
    write(tmp_path / "m", 1)
    assert len(names(tmp_path)) == 5


@pytest.mark.parametrize("length", [170, 200, 250, 255])
def test_names_of_any_length(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("m" * length)
    with reserved(path, "model"):
        write(path, 1)
        write(path, 2)
    assert whole(path) == 2
    with pytest.raises(UsageError, match="choose a shorter name"):
        write(tmp_path / ("m" * 256), 1)


def test_a_second_run_is_refused_by_the_living_and_not_by_the_dead(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from photovision.core.folder import reserved\n"
        "with reserved(Path(sys.argv[1]), 'model'): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "m")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with (
            pytest.raises(UsageError, match=rf"another run \(process {process.pid}\) is writing"),
            reserved(tmp_path / "m", "model"),
        ):
            pass
        process.kill()
        process.wait()
    with reserved(tmp_path / "m", "model"):
        write(tmp_path / "m", 1)  # the run that holds it may write
    assert names(tmp_path) == ["m"]


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_folders_are_still_whole_and_nothing_of_others_is_tidied_away(tmp_path: Path) -> None:
    other = beside(tmp_path / "m", "photovision-abcdefgh")
    other.mkdir()
    write(tmp_path / "m", 1)
    write(tmp_path / "m", 2)
    assert whole(tmp_path / "m") == 2
    assert other.is_dir()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    assert lock.take(wait=False)
    script = "import time; print('up', flush=True); time.sleep(60)"
    read, send = os.pipe()
    child = os.fork()
    if child == 0:  # outlives its parent, as a worker does
        os.write(send, b"x")
        os.execv(sys.executable, [sys.executable, "-c", script])
    os.read(read, 1)
    assert os.path.exists(tmp_path / "lock")
    os.close(lock._handle or -1)  # as the system does when the parent is killed
    lock._handle = None
    try:
        assert Lock(tmp_path / "lock").take(wait=False)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(read)
        os.close(send)


def test_the_harness_notices_a_mixture(tmp_path: Path) -> None:
    write(tmp_path / "m", 1)
    (tmp_path / "m" / replacing.FILES[0]).write_bytes(b"of another")
    with pytest.raises(AssertionError, match="not of model 1"):
        whole(tmp_path / "m")


def test_a_model_that_is_replaced_while_it_is_in_use_is_never_mixed_with_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "m"
    pictures = [np.asarray(colour_picture(name, 7)) for name in ("red", "green")]

    def put(names: tuple[str, ...], called: tuple[str, ...]) -> None:
        made = colour_bundle(tmp_path / "made", names, called=called)
        with new_folder(path, "model") as folder:
            shutil.copytree(made, folder, dirs_exist_ok=True)
        shutil.rmtree(made)

    put(("red", "green"), ("rouge", "vert"))
    early, late = load(path), load(path)
    assert [one.label for one in early.predict(pictures)] == ["rouge", "vert"]
    put(("green", "red"), ("grün", "rot"))
    assert [one.label for one in early.predict(pictures)] == ["rouge", "vert"]  # its graph was open
    with pytest.raises(ModelError, match="was replaced by another model"):
        late.predict(pictures)  # else it would give the new graph's answers the old names
    assert [one.label for one in load(path).predict(pictures)] == ["rot", "grün"]


def test_a_reader_puts_back_what_a_crash_left(tmp_path: Path) -> None:
    colour_bundle(tmp_path / "m").rename(f"{beside(tmp_path / 'm', 'photovision-abcdefgh')}.old")
    assert load(tmp_path / "m").classes == ("red", "green", "blue")
    with pytest.raises(ModelError, match="no model at"):
        load(tmp_path / "other")
