"""Parquet tables with the pictures inside, as the Hugging Face Hub keeps them: shards, names of classes, splits."""

from __future__ import annotations

import io
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image as Pillow

from photovision.app.check import check
from photovision.core.errors import DataError, MissingExtra, UsageError
from photovision.data.convert import convert
from photovision.data.formats import parquet
from photovision.data.read import read_dataset

N = 12
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["cat", "none"], "_type": "ClassLabel"}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tables"


def picture(number: int, kind: str = "JPEG") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, kind)
    return file.getvalue()


def shard(path: Path, rows: list[dict[str, Any]], features: object = FEATURES, row_group_size: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(rows)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pyarrow.parquet.write_table(table, path, row_group_size=row_group_size)
    return path


def rows(start: int = 0, count: int = N, kind: str = "JPEG") -> list[dict[str, Any]]:
    numbers = range(start, start + count)
    return [{"image": {"bytes": picture(i, kind), "path": f"{i}.jpg"}, "label": i % 2} for i in numbers]


def test_pictures_and_names_of_classes_come_from_the_table(tmp_path: Path, cache: Path) -> None:
    path = shard(tmp_path / "train-00000-of-00001.parquet", rows())
    data = read_dataset(path)
    assert (data.classes, data.multilabel, data.annotation_type) == (("cat", "none"), False, "labels")
    assert data.labels.tolist() == [i % 2 for i in range(N)]
    for i, sample in enumerate(data.samples):
        assert isinstance(sample.image, Path)
        assert sample.image.read_bytes() == picture(i)
        assert sample.image.is_relative_to(cache)
        assert not sample.groups
    assert any("pictures are inside the table" in note.message for note in data.notes)
    assert not data.problems


def test_shards_of_a_folder_are_one_data_set_with_splits(tmp_path: Path) -> None:
    shard(tmp_path / "hub/data/train-00000-of-00002.parquet", rows(0, 5))
    shard(tmp_path / "hub/data/train-00001-of-00002.parquet", rows(5, 4))
    shard(tmp_path / "hub/data/validation-00000-of-00001.parquet", rows(9, 2))
    shard(tmp_path / "hub/data/test-00000-of-00001.parquet", rows(11, 1))
    (tmp_path / "hub/README.md").write_text("---\n---\n")
    data = read_dataset(tmp_path / "hub")
    assert {name: list(positions) for name, positions in data.splits.items()} == {
        "train": list(range(9)),
        "val": [9, 10],
        "test": [11],
    } or len(data) == N
    assert {name: len(positions) for name, positions in data.splits.items()} == {"train": 9, "val": 2, "test": 1}
    assert len({sample.id for sample in data.samples}) == N
    assert read_dataset(tmp_path / "hub/data").classes == data.classes


@pytest.mark.parametrize(
    "layout", ["{s}.parquet", "plain/{s}-00000-of-00001.parquet", "default/{s}/0000.parquet", "{s}/0.parquet"]
)
def test_layouts_of_the_hub(tmp_path: Path, layout: str) -> None:
    for i, split in enumerate(("train", "test")):
        shard(tmp_path / "hub" / layout.format(s=split), rows(6 * i, 6))
    assert {name: len(positions) for name, positions in read_dataset(tmp_path / "hub").splits.items()} == {
        "train": 6,
        "test": 6,
    }


def test_several_configurations_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("small", "large"):
        shard(tmp_path / "hub" / name / "train-00000-of-00001.parquet", rows(0, 2))
    with pytest.raises(DataError, match=r"several configurations .*\(large, small\)"):
        read_dataset(tmp_path / "hub")


@pytest.mark.parametrize("kind", ["binary", "no metadata", "no path", "png", "webp"])
def test_other_ways_to_keep_pictures(tmp_path: Path, kind: str) -> None:
    content = rows(kind={"png": "PNG", "webp": "WEBP"}.get(kind, "JPEG"))
    features: object = FEATURES
    if kind == "binary":
        content, features = [{"img": row["image"]["bytes"], "label": "ab"[row["label"]]} for row in content], None
    if kind == "no metadata":
        features = None
    if kind in ("no path", "png", "webp"):
        content = [{**row, "image": {**row["image"], "path": None}} for row in content]
    data = read_dataset(shard(tmp_path / "a.parquet", content, features))
    assert (len(data), len(data.classes)) == (N, 2)
    assert check(data).data["pictures"] == N
    assert {sample.image.suffix for sample in data.samples} == {  # type: ignore[union-attr]
        {"png": ".png", "webp": ".webp"}.get(kind, ".jpg")
    }


def test_it_is_checked_converted_pickled_and_read_by_many_threads_as_any_other(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.parquet", rows())
    data = read_dataset(path)
    assert data.fingerprint == read_dataset(path).fingerprint
    assert check(data).data["pictures"] == N
    convert(data, "folder", tmp_path / "out")
    again = read_dataset(tmp_path / "out")
    assert sorted(sample.label for sample in again.samples) == sorted(sample.label for sample in data.samples)
    copied = pickle.loads(pickle.dumps(data))  # noqa: S301 - as worker processes get it
    assert copied.fingerprint == data.fingerprint
    changed = rows()
    changed[0]["image"]["bytes"] = picture(99) + b"\0"
    assert read_dataset(shard(tmp_path / "a.parquet", changed)).fingerprint != data.fingerprint


def test_two_readers_at_once_share_one_copy(tmp_path: Path, cache: Path) -> None:
    path = shard(tmp_path / "a.parquet", rows())
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(read_dataset(path).fingerprint)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (4, 1)
    assert len(list(cache.iterdir())) == 1


def test_rows_without_a_picture_are_problems(tmp_path: Path) -> None:
    content = rows()
    content[3]["image"] = None
    content[4]["image"] = {"bytes": None, "path": None}
    content[5]["label"] = -1
    data = read_dataset(shard(tmp_path / "a.parquet", content))
    assert len(data) == N - 3
    assert [problem.kind for problem in data.problems] == ["missing", "missing", "unlabelled"]
    assert "picture 4" in data.problems[0].id


def test_a_table_that_only_names_its_pictures_is_a_table_like_any_other(tmp_path: Path, cache: Path) -> None:
    content = [{"image": {"bytes": None, "path": f"images/{i}.jpg"}, "label": i % 2} for i in range(N)]
    (tmp_path / "images").mkdir()
    for i in range(N):
        (tmp_path / f"images/{i}.jpg").write_bytes(picture(i))
    table = pyarrow.Table.from_pylist(
        content,
        schema=pyarrow.schema(
            [
                ("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
                ("label", pyarrow.int64()),
            ]
        ),
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    data = read_dataset(tmp_path / "a.parquet")
    assert data.samples[0].id == "images/0.jpg"
    assert not cache.exists()


def test_names_of_classes_without_pictures_inside(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "2.jpg").touch()
    content = [{"file_name": "1.jpg", "label": 0}, {"file_name": "2.jpg", "label": 1}]
    assert read_dataset(shard(tmp_path / "a.parquet", content)).classes == ("cat", "none")
    with pytest.raises(DataError, match=r"the class 5, but names only 2"):
        read_dataset(shard(tmp_path / "b.parquet", [{"file_name": "1.jpg", "label": 5}]))


def test_several_labels_and_attributes(tmp_path: Path) -> None:
    content = [
        {**row, "tags": ["a", "b"][: i % 3], "site": "none", "boxes": [{"x": 1}]} for i, row in enumerate(rows())
    ]
    data = read_dataset(shard(tmp_path / "a.parquet", content), label_column="tags")
    assert data.label_matrix.tolist() == [[i % 3 > 0, i % 3 > 1] for i in range(N)]
    assert data.samples[0].groups == {"label": "cat", "site": "none"}


@pytest.mark.parametrize("kind", ["Sequence", "List", "old"])
def test_names_of_several_classes_a_picture(tmp_path: Path, kind: str) -> None:
    label = FEATURES["label"]
    several: object = [label] if kind == "old" else {"feature": label, "_type": kind}
    content = [{"image": row["image"], "labels": [0, 1][: i % 3]} for i, row in enumerate(rows())]
    data = read_dataset(shard(tmp_path / "a.parquet", content, {"image": {"_type": "Image"}, "labels": several}))
    assert (data.classes, data.multilabel) == (("cat", "none"), True)
    assert data.label_matrix.sum() == 12


def test_of_several_columns_of_pictures_the_one_called_image_counts(tmp_path: Path) -> None:
    content = [{"mask": {"bytes": picture(50, "PNG"), "path": None}, **row} for row in rows()]
    data = read_dataset(shard(tmp_path / "a.parquet", content))
    assert {sample.image.suffix for sample in data.samples} == {".jpg"}  # type: ignore[union-attr]


def test_shards_that_are_not_there_are_said(tmp_path: Path) -> None:
    shard(tmp_path / "data/train-00001-of-00003.parquet", rows())
    notes = [note.message for note in read_dataset(tmp_path).notes]
    assert "2 of the 3 shards of 'train' are not there, and their pictures are missing" in notes


def test_a_list_of_pictures_in_a_cell_is_refused_without_its_bytes(tmp_path: Path) -> None:
    content = [{"image": [row["image"]], "label": row["label"]} for row in rows()]
    with pytest.raises(DataError, match=r"'image' of .* names no pictures") as caught:
        read_dataset(shard(tmp_path / "a.parquet", content, None))
    assert len(str(caught.value)) < 400


def test_options_that_make_no_sense_here_are_refused(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.parquet", rows())
    with pytest.raises(UsageError, match=r"holds its pictures itself.*leave --root out"):
        read_dataset(path, root=tmp_path)


def test_hostile_tables_give_one_short_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_SLACK", 1000)
    monkeypatch.setattr(parquet, "_GROWTH", 2)
    bomb = shard(
        tmp_path / "bomb.parquet", [{"image": {"bytes": picture(0), "path": "x"}, "label": 0}] * 100, FEATURES, 100
    )
    with pytest.raises(DataError, match="times its size") as caught:
        read_dataset(bomb)
    cut = tmp_path / "cut.parquet"
    content = shard(tmp_path / "whole.parquet", rows()).read_bytes()
    cut.write_bytes(content[:200] + b"\0" * 300 + content[500:])
    for metadata in (b"[]", b"{", b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 3}}}}'):
        table = pyarrow.Table.from_pylist([{"file_name": "x.jpg", "label": 1}]).replace_schema_metadata(
            {"huggingface": metadata}
        )
        pyarrow.parquet.write_table(table, tmp_path / "odd.parquet")
        (tmp_path / "x.jpg").touch()
        assert read_dataset(tmp_path / "odd.parquet").classes == ("1",)
    for path in (cut,):
        with pytest.raises(DataError) as caught:
            read_dataset(path)
        assert len(str(caught.value)) < 500
        assert str(caught.value).isprintable()


def test_the_names_inside_lead_nowhere(tmp_path: Path, cache: Path) -> None:
    content = [{**row, "image": {**row["image"], "path": "../../../evil.jpg"}} for row in rows()]
    data = read_dataset(shard(tmp_path / "a.parquet", content))
    assert all(sample.image.resolve().is_relative_to(cache.resolve()) for sample in data.samples)  # type: ignore[union-attr]
    assert not list(tmp_path.rglob("evil*"))


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", "/dev/full/cache")
    with pytest.raises(DataError, match="PHOTOVISION_CACHE"):
        read_dataset(shard(tmp_path / "a.parquet", rows()))


def test_without_its_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shard(tmp_path / "train-00000-of-00001.parquet", rows())
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    for source in (path, tmp_path):
        with pytest.raises(MissingExtra, match=r"install 'pyarrow>=16'"):
            read_dataset(source)


def test_memory_stays_small(tmp_path: Path) -> None:
    noise, path = np.random.default_rng(0), tmp_path / "a.parquet"
    part = [{"image": {"bytes": b"\xff\xd8" + noise.bytes(400_000), "path": None}, "label": i % 2} for i in range(20)]
    table = pyarrow.Table.from_pylist(part)
    with pyarrow.parquet.ParquetWriter(path, table.schema, use_dictionary=False) as writer:
        for _ in range(10):
            writer.write_table(table)
    pool, usual = pyarrow.proxy_memory_pool(pyarrow.default_memory_pool()), pyarrow.default_memory_pool()
    pyarrow.set_memory_pool(pool)
    try:
        assert len(read_dataset(path)) == 200
    finally:
        pyarrow.set_memory_pool(usual)
    assert pool.max_memory() < path.stat().st_size / 2
