"""Archives as data sets: read like their folders, unpacked once, within bounds, and never outside of the cache."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import threading
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from pictures import make_folder

from photovision.core.errors import DataError
from photovision.data import archive_members, archives
from photovision.data.read import read_dataset


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "archives"


def packed(tmp_path: Path, kind: str, *wrap: str) -> Path:
    folder = tmp_path / "made"
    for split in ("train", "test"):
        make_folder(folder.joinpath(*wrap) / split, per_class=2, seed=len(split))
    name = shutil.make_archive(str(tmp_path / "flowers"), kind, folder)
    shutil.rmtree(folder)
    return Path(name)


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "bztar", "xztar"])
def test_an_archive_is_read_like_its_folder(kind: str, tmp_path: Path, cache: Path) -> None:
    file = packed(tmp_path, kind, "flowers")
    data = read_dataset(file)
    assert (data.source, data.classes, len(data)) == ("folder", ("circle", "square"), 8)
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 4, "test": 4}
    assert data.samples[0].id == "flowers/test/circle/000.png"
    assert not data.problems
    assert [entry.name for entry in cache.iterdir() if entry.is_dir()] == [data.samples[0].image.parents[3].name]  # type: ignore[union-attr]


def test_it_is_unpacked_once_and_again_when_it_changes(tmp_path: Path, cache: Path) -> None:
    file = packed(tmp_path, "zip")
    first = archives.unpacked(file)
    mark = next(first.rglob("*.png")).stat().st_ino
    assert archives.unpacked(file) == first
    assert next(first.rglob("*.png")).stat().st_ino == mark
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("train/ring/1.png", b"x")
    assert archives.unpacked(file) != first
    assert "ring" in read_dataset(file).classes


def test_two_that_need_it_at_once_get_one_whole_folder(tmp_path: Path, cache: Path) -> None:
    file = packed(tmp_path, "gztar")
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(read_dataset(file)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [8] * 6
    assert len([entry for entry in cache.iterdir() if entry.is_dir()]) == 1


def test_what_an_interrupted_command_left_goes_and_so_does_what_is_old(tmp_path: Path, cache: Path) -> None:
    file = packed(tmp_path, "zip")
    folder = archives.unpacked(file)
    shutil.rmtree(folder)
    (cache / f".{folder.name}.abc").mkdir()
    (cache / "other-old").mkdir()
    os.utime(cache / "other-old", (0, time.time() - archives.MONTH - 9))
    (cache / "other-new").mkdir()
    archives.unpacked(file)
    assert sorted(entry.name for entry in cache.iterdir() if entry.is_dir()) == sorted([folder.name, "other-new"])


def test_archives_in_archives_are_unpacked_too(tmp_path: Path) -> None:
    for split in ("train", "test"):
        make_folder(tmp_path / "made" / split, per_class=1)
        shutil.make_archive(str(tmp_path / "outer" / split), "zip", tmp_path / "made" / split)
    file = shutil.make_archive(str(tmp_path / "all"), "tar", tmp_path / "outer")
    data = read_dataset(file)
    assert (sorted(data.splits), data.classes) == (["test", "train"], ("circle", "square"))


def evil_tar(tmp_path: Path) -> Path:
    file = tmp_path / "evil.tar"
    with tarfile.open(file, "w") as archive:
        for name in ("a/1.png", "b/2.png", "../out.png", "/tmp/photovision-evil.png", "a/../../up.png", "a/1.png"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
        for name, kind, target in (
            ("a/link.png", tarfile.SYMTYPE, "/etc/passwd"),
            ("out", tarfile.SYMTYPE, "/tmp"),
            ("a/hard.png", tarfile.LNKTYPE, "/etc/passwd"),
            ("a/pipe.png", tarfile.FIFOTYPE, ""),
            ("a/null.png", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        info = tarfile.TarInfo("out/through.png")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    return file


def evil_zip(tmp_path: Path) -> Path:
    file = tmp_path / "evil.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("a/1.png", "b/2.png", "../out.png", "/tmp/photovision-evil.png", "c:\\x.png", "..\\up.png", "a"):
            archive.writestr(name, "x")
        link = zipfile.ZipInfo("a/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return file


@pytest.mark.parametrize("make", [evil_tar, evil_zip])
def test_nothing_is_written_outside_and_links_are_left_out(make, tmp_path: Path, cache: Path) -> None:  # type: ignore[no-untyped-def]
    data = read_dataset(make(tmp_path))
    folder = next(entry for entry in cache.iterdir() if entry.is_dir())
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")
    assert files == ["a/1.png", "b/2.png", "out/through.png"][: len(files)]
    assert not [p for p in folder.rglob("*") if p.is_symlink()]
    assert not Path("/tmp/photovision-evil.png").exists()
    assert {entry.name for entry in tmp_path.iterdir()} == {"cache", make(tmp_path).name}
    said = " ".join(problem.message for problem in data.problems)
    assert "leading out of the archive" in said
    assert "a link, device or pipe" in said


def bomb(tmp_path: Path, kind: str) -> Path:
    file = tmp_path / f"bomb.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a/1.png", "w") as member:
            for _ in range(40):
                member.write(bytes(1 << 20))
        return file
    with tarfile.open(file, f"w:{kind.removeprefix('tar.')}") as archive:
        info = tarfile.TarInfo("a/.DS_Store")  # not even unpacked
        info.size = 40 << 20
        archive.addfile(info, io.BytesIO(bytes(40 << 20)))
    return file


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_bombs_are_refused_before_they_fill_disk_or_memory(
    kind: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_members, "_ALWAYS", 8 << 20)
    file = bomb(tmp_path, kind)
    tracemalloc.start()
    with pytest.raises(DataError, match="far more than pictures do"):
        read_dataset(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20
    assert not [entry for entry in cache.iterdir() if entry.is_dir()]


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "MAX_MEMBERS", 5)
    for kind in ("zip", "tar"):
        with pytest.raises(DataError, match="more than 5 files"):
            read_dataset(packed(tmp_path, kind))


def test_a_header_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 6 << 30
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(DataError, match="no whole archive"):
        read_dataset(tmp_path / "x.tar")


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "bztar", "xztar"])
def test_damaged_archives_are_one_line(kind: str, tmp_path: Path, cache: Path) -> None:
    file = packed(tmp_path, kind)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"nonsense" * 99, whole[:64]):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"no whole archive|cannot be unpacked|no pictures were found") as caught:
            read_dataset(file)
        assert "\n" not in str(caught.value)
    assert not [entry for entry in cache.iterdir() if entry.name.startswith(".") and entry.is_dir()]


def test_a_damaged_member_costs_itself_only(tmp_path: Path) -> None:
    file = packed(tmp_path, "zip")
    with zipfile.ZipFile(file) as archive:
        info = next(one for one in archive.infolist() if one.filename.endswith("circle/001.png"))
    content = bytearray(file.read_bytes())
    content[info.header_offset + 60 : info.header_offset + 90] = bytes(30)
    file.write_bytes(content)
    data = read_dataset(file)
    assert len(data) == 7
    assert [(p.kind, p.message) for p in data.problems] == [("left out of the archive", "1 damaged")]


def test_what_cannot_be_unpacked_here_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.rar").write_bytes(b"Rar!\x1a\x07\x01\x00")
    (tmp_path / "x.7z").write_bytes(b"7z\xbc\xaf\x27\x1c00")
    (tmp_path / "renamed.zip").write_bytes(b"7z\xbc\xaf\x27\x1c00")
    for name in ("x.rar", "x.7z", "renamed.zip"):
        with pytest.raises(DataError, match=r"zip and tar are.*unpack it first"):
            read_dataset(tmp_path / name)
    file = packed(tmp_path, "zip")
    content = bytearray(file.read_bytes())
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 8] |= 1
        at = content.find(b"PK\x01\x02", at + 4)
    file.write_bytes(content)
    with pytest.raises(DataError, match="encrypted: unpack it with its password"):
        read_dataset(file)


def test_a_folder_that_holds_only_an_archive_names_it(tmp_path: Path) -> None:
    file = packed(tmp_path, "zip")
    (tmp_path / "down").mkdir()
    file.rename(tmp_path / "down" / "x.zip")
    with pytest.raises(DataError, match=r"1 \.zip.*give the archive itself"):
        read_dataset(tmp_path / "down")
