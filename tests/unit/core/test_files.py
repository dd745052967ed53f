"""Writing is whole or not at all, and refusals are explained."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from photovision.core.errors import DataError, UsageError
from photovision.core.files import new_folder, open_regular, write_bytes, write_json


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


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with new_folder(target) as folder:
        write_json(folder / "a.json", 1)
    with new_folder(target) as folder:
        write_json(folder / "b.json", 2)
    assert [file.name for file in target.iterdir()] == ["b.json"]
    with pytest.raises(UsageError, match="cannot write"), new_folder(target) as folder:
        write_json(folder / "c.json" / "below" / "a.json", write_json(folder / "c.json", 3))
    assert [file.name for file in target.iterdir()] == ["b.json"]
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
