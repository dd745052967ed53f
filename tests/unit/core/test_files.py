"""Writing is whole or not at all, and refusals are explained."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from photovision.core.errors import UsageError
from photovision.core.files import new_folder, write_bytes, write_json


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
