"""Tar shards: written with an index, read where they lie, also those of others and those at an address."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image as Pillow

from photovision.core.address import RemotePath, is_address, member_at
from photovision.core.errors import DataError, UsageError
from photovision.core.files import open_regular, read_file
from photovision.core.image import decode
from photovision.data.image_paths import find_pictures
from photovision.data.read import read_dataset
from photovision.data.scan import scan
from photovision.data.shard_index import INDEX, IndexWriter, ShardSamples
from photovision.data.shards import shards as write_shards
from photovision.data.unlabelled import read_unlabelled

N = 8


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(N):
        place = tmp_path / "pictures" / ("train" if number < 6 else "val") / ["cat", "dog"][number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.jpg").write_bytes(picture(number))
    return tmp_path / "pictures"


@pytest.fixture
def shards(folder: Path, tmp_path: Path) -> Path:
    done = write_shards(read_dataset(folder), tmp_path / "shards", size=1)
    assert (done.shards, done.pictures, done.left_out) == (2, N, ())
    return tmp_path / "shards"


def test_shards_are_the_data_that_they_were_made_of(folder: Path, shards: Path) -> None:
    one, other = read_dataset(folder), read_dataset(shards)
    assert other.source == "shards"
    assert other.classes == one.classes
    assert {name: list(rows) for name, rows in other.splits.items()} == {"train": list(range(6)), "val": [6, 7]}
    by_id = {sample.id: sample for sample in one}
    assert [(s.id, s.target) for s in other] == [(s.id, by_id[s.id].target) for s in other]
    assert other.labels.tolist() == [one.classes.index(sample.label) for sample in other]
    assert all(read_file(s.image) == read_file(by_id[s.id].image) for s in other)
    assert sorted(scan(one).digest) == sorted(scan(other).digest)
    assert other.fingerprint == read_dataset(shards).fingerprint != one.fingerprint


def test_the_index_for_other_programs_states_where_every_picture_lies(shards: Path) -> None:
    rows = pyarrow.parquet.read_table(shards / "index.parquet").to_pylist()
    assert [row["split"] for row in rows] == ["train"] * 6 + ["val"] * 2
    for row in rows:
        content = (shards / row["uri"]).read_bytes()[row["offset"] : row["offset"] + row["length"]]
        assert decode(content).size == (32, 24)
        assert row["id"].split("/")[1] == row["label"]
    with tarfile.open(shards / rows[0]["uri"]) as tar:
        assert [name.partition(".")[2] for name in tar.getnames()[:3]] == ["jpg", "cls", "json"]
        label = tar.extractfile("000000000.json")
        assert label is not None
        assert json.load(label)["labels"] == [rows[0]["label"]]


def test_equal_data_make_equal_shards(folder: Path, shards: Path, tmp_path: Path) -> None:
    write_shards(read_dataset(folder), tmp_path / "again", size=1)
    for one in shards.glob("*.tar"):
        assert one.read_bytes() == (tmp_path / "again" / one.name).read_bytes()


def other_shards(folder: Path, beside: str) -> Path:
    folder.mkdir()
    for number in range(4):
        with tarfile.open(folder / f"{number:03d}.tar", "w") as tar:
            for row in range(3):
                text = {"cls": f"{row % 2}", "txt": ["cat", "dog"][row % 2], "json": f'{{"label": {row % 2}}}'}
                for name, content in ((f"a/{row}.jpg", picture(row)), (f"a/{row}.{beside}", text[beside].encode())):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder


@pytest.mark.parametrize(("beside", "classes"), [("cls", ("0", "1")), ("txt", ("cat", "dog")), ("json", ("0", "1"))])
def test_shards_of_others_are_read_by_an_index_that_is_made_once(
    tmp_path: Path, cache: Path, beside: str, classes: tuple[str, ...]
) -> None:
    data = read_dataset(other_shards(tmp_path / "theirs", beside))
    assert (len(data), data.classes, data.labels.tolist()) == (12, classes, [0, 1, 0] * 4)
    (index,) = (cache / "indexes").glob("*.arrow")
    made = index.stat().st_mtime_ns
    assert read_dataset(tmp_path / "theirs").samples[11].id == "003.tar/a/2.jpg"
    assert index.stat().st_mtime_ns == made
    assert len(read_dataset(tmp_path / "theirs" / "002.tar")) == 3


def test_a_tar_of_class_folders_is_still_an_archive(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "pictures.tar", "w") as tar:
        tar.add(folder, "pictures")
    assert read_dataset(tmp_path / "pictures.tar").source == "folder"


def test_pictures_of_shards_are_found_and_lose_their_labels(shards: Path) -> None:
    assert [decode(path).size for path in find_pictures([str(shards)])] == [(32, 24)] * N
    found = read_unlabelled(shards)
    assert found.labelled == N
    assert [sample.target for sample in found.dataset] == [None] * N
    assert len(read_dataset(shards).split("val")) == 2
    assert len(pickle.loads(pickle.dumps(read_dataset(shards)))) == N  # noqa: S301 - our own


def test_a_damaged_picture_is_a_row_and_what_is_no_picture_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "train/cat/broken.jpg").write_bytes(picture(3)[:300])
    (folder / "train/cat/secret.jpg").write_bytes(b"not a picture")
    done = write_shards(read_dataset(folder), tmp_path / "out")
    assert [id for id, _ in done.left_out] == ["train/cat/secret.jpg"]
    data = read_dataset(tmp_path / "out")
    assert [problem.id for problem in data.problems] == ["train/cat/secret.jpg"]
    assert [problem.id for problem in scan(data).problems] == ["train/cat/broken.jpg"]


def test_a_cut_shard_is_one_line_for_each_picture_that_is_gone(shards: Path) -> None:
    tar = shards / "val-000000.tar"
    tar.write_bytes(tar.read_bytes()[:600])
    lost = scan(read_dataset(shards)).problems
    assert len(lost) == 2
    assert all("beyond the end of the shard" in problem.message for problem in lost)


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0nonsense", b"x" * 4000])
def test_a_damaged_index_is_refused_in_one_line(shards: Path, content: bytes) -> None:
    (shards / INDEX).write_bytes(content)
    with pytest.raises(DataError, match="is no index of shards"):
        read_dataset(shards)


def test_an_index_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    with IndexWriter(tmp_path / INDEX) as index:
        index.facts.shards = ["../secret.tar"]
        index.add(0, 0, 10, "a.jpg", -1)
    with pytest.raises(DataError, match="outside of its folder"):
        read_dataset(tmp_path)


def test_boxes_and_sizes_out_of_bounds_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="megabytes"):
        write_shards(read_dataset(folder), tmp_path / "out", size=0)


def test_a_large_index_is_mapped_and_makes_no_objects(tmp_path: Path) -> None:
    count = 40_000
    with IndexWriter(tmp_path / INDEX) as index:
        for row in range(count):
            index.add(0, row, 1, f"{row}.jpg", row % 2)
        index.facts.shards, index.facts.classes = ["a.tar"], ["x", "y"]
        index.facts.targets, index.facts.splits = [["x"], ["y"]], {"train": (0, count)}
    tracemalloc.start()
    data = read_dataset(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(data) == count
    assert data.samples[count - 1].id == f"{count - 1}.jpg"
    assert peak < 1 << 20, "more than a list of samples would take is a sign of one"
    assert np.bincount(data.subset(range(0, count, 2)).labels).tolist() == [count // 2]


def test_members_are_paths_and_only_addresses_lead_to_the_network(shards: Path) -> None:
    path = ShardSamples(shards / INDEX, shards)[0].image
    assert isinstance(path, Path)
    member = member_at(path)
    assert member is not None
    assert member.shard == shards / "train-000000.tar"
    assert is_address("s3://bucket/a")
    assert not is_address("a/b")
    assert not is_address("ftp://a")
    with pytest.raises(FileNotFoundError):
        open_regular("http:/127.0.0.1/a.jpg")


class Faulty(BaseHTTPRequestHandler):
    """Serves a folder with ranges; every fifth answer fails, every seventh stops early, "secret" is not allowed."""

    root = Path()
    asked: ClassVar[Counter[str]] = Counter()

    def do_HEAD(self) -> None:
        self._answer(b"", head=True)

    def do_GET(self) -> None:
        Faulty.asked["all"] += 1
        if "val" in self.path:
            self.send_error(403)
        elif Faulty.asked["all"] % 5 == 0:
            self.send_error(500)
        else:
            file = Faulty.root / self.path.lstrip("/")
            self._answer(file.read_bytes() if file.is_file() else None)

    def _answer(self, content: bytes | None, head: bool = False) -> None:
        if content is None:
            self.send_error(404)
            return
        span = self.headers.get("Range")
        if span:
            start, _, stop = span.removeprefix("bytes=").partition("-")
            content = content[int(start) : int(stop) + 1]
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = Faulty.asked["all"] % 7 == 0
        self.wfile.write(b"" if head else content[: len(content) // 2] if cut else content)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def store(shards: Path) -> Iterator[str]:
    Faulty.root, Faulty.asked = shards, Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_store_with_faults_gives_all_that_it_may_and_names_the_rest(
    folder: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr("photovision.core.address._PAUSE", 0.001)
    data = read_dataset(store)
    found = scan(data, workers=1)
    assert found.readable.tolist() == [True] * 6 + [False] * 2
    assert all("may not be read" in problem.message for problem in found.problems)
    first = data.samples[0]
    assert isinstance(first.image, RemotePath)
    assert read_file(first.image) == (folder / first.id).read_bytes()


def test_what_is_not_at_an_address_is_said_in_one_line() -> None:
    with pytest.raises(DataError, match=r"memory://nowhere/index\.arrow: is not there"):
        read_dataset("memory://nowhere")
