"""Writing is whole or not at all, and refusals are explained."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from photovision.core.errors import DataError, UsageError
from photovision.core.files import explained, open_regular, write_bytes


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.bin"
    write_bytes(target, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="no space left on the disk"):
        write_bytes(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_path_below_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"cannot write .* choose another folder"):
        write_bytes(tmp_path / "file" / "below", b"x")


def test_only_regular_files_are_opened_and_nothing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "hidden").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"content"
    for path, kind in (
        (tmp_path / "pipe", "a pipe"),
        (tmp_path / "hidden", "a pipe"),
        (tmp_path / "socket", "a socket"),
        (tmp_path, "a folder"),
        (Path(os.devnull), "a device"),
    ):
        with pytest.raises(DataError, match=f"is {kind}, not a regular file"):
            open_regular(path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nowhere")


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_refusal_of_the_system_is_one_line(number: int) -> None:
    if number in (errno.EPIPE, errno.ESHUTDOWN):
        pytest.skip("the end of a pipe is the command line's business")
    with pytest.raises(UsageError, match="model") as caught, explained(Path("model")):
        raise OSError(number, os.strerror(number), "model")
    assert "\n" not in str(caught.value)
    assert ("no space left" in str(caught.value)) == (number in (errno.ENOSPC, errno.EDQUOT))


@pytest.mark.parametrize(
    "error",
    [
        OSError("567000 requested and 260064 written"),  # numpy.save
        OSError("encoder error -2 when writing image file"),  # Pillow
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),  # safetensors
    ],
    ids=["numpy", "pillow", "safetensors"],
)
def test_a_library_that_hides_a_full_disk_does_not_hide_it(error: Exception) -> None:
    with pytest.raises(UsageError, match="no space left"), explained(Path("model")):
        raise error


def test_other_errors_of_libraries_are_left_as_they_are() -> None:
    class NetworkDown(OSError):
        """As of requests, whose errors are OSErrors without a number."""

    for error in (NetworkDown("name resolution"), ValueError("shape"), BrokenPipeError(errno.EPIPE, "pipe")):
        with pytest.raises(type(error)), explained(Path("model")):
            raise error


@pytest.mark.parametrize("length", [1, 180, 181, 250, 255])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, length: int) -> None:
    for name in ("a" * length, "é" * (length // 2) + "a" * (length % 2)):
        write_bytes(tmp_path / name, b"x")
        assert (tmp_path / name).read_bytes() == b"x"
    with pytest.raises(UsageError, match="choose a shorter name"):
        write_bytes(tmp_path / ("a" * 256), b"x")


def test_permissions_are_right_from_the_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(os.fstat(handle).st_mode & 0o777), fsync(handle)))
    write_bytes(tmp_path / "keys.json", b"secret", mode=0o600)
    assert seen[0] == 0o600
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
