"""Visual search: edits of pictures found again, and speed and recall with a million vectors.

    python benchmarks/search.py edits PICTURES [--pictures 1500] [--queries 150]
    python benchmarks/search.py vectors PICTURES [--vectors 1000000]
    python benchmarks/search.py duplicates PICTURES [--pictures 300]
    python benchmarks/search.py files PICTURES [--files 100000] [--vectors 1000000]

`edits` indexes a random part of the pictures (seed 0) and searches for ten edits of some of them: a JSON line an
edit, with the share that is found first and the share with the right verdict, and Wilson intervals. `vectors` takes
the vectors of an index of the pictures, jitters them to as many as asked for (real neighbours, not noise), and prints
what building, searching and memory cost, recall@10 against an exact search, and the ratio to plain faiss with the
same index in this run. `duplicates` lays copies (saved again, smaller, brighter, grey) and frames of a burst
(moved by 1.5% of the width, with noise) beside the pictures, and counts which of them are grouped. `files` takes the
time of looking through a folder in which nothing has changed, and of adding a picture to a database of a thousand and
of many.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter, map_coordinates

from photovision.core.preprocess import Preprocess
from photovision.core.progress import silent
from photovision.core.types import Floats, Ints
from photovision.data.image_paths import walk
from photovision.data.near_duplicates import signature
from photovision.retrieval.build import index
from photovision.retrieval.duplicates import MOVABLE, duplicates_in
from photovision.retrieval.edits import EDITS, EXPECTED
from photovision.retrieval.engine import approximate, exact, merged, write_nearest
from photovision.retrieval.features import PictureFacts, decoded
from photovision.retrieval.index import STORE_FILE, Index
from photovision.retrieval.store import FileFacts, Store
from photovision.trust.metrics.statistics import wilson

JITTER = 0.1
"""Length of the noise that is added to a vector of length 1."""
NEIGHBOURS = 10
QUERIES = 2000
PART = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["edits", "vectors", "duplicates", "files"])
    parser.add_argument("pictures_folder", type=Path)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=100_000)
    asked = parser.parse_args()
    files = sorted(walk(asked.pictures_folder))
    random.Random(0).shuffle(files)
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "pictures"
        folder.mkdir()
        if asked.what == "files":
            many_files(Path(files[0]), folder, Path(top) / "index", asked.files, asked.vectors)
            return
        for number, file in enumerate(files[: asked.pictures]):
            os.symlink(os.path.abspath(file), folder / f"{number:06d}{Path(file).suffix}")
        truth = with_copies(folder) if asked.what == "duplicates" else {}
        began = time.perf_counter()
        with index(folder, Path(top) / "index", check=0, listener=silent) as made:
            seconds = time.perf_counter() - began
            show(indexed=len(made), seconds=round(seconds, 1), per_second=round(len(made) / seconds, 1))
            if asked.what == "duplicates":
                grouped(made, truth)
            elif asked.what == "edits":
                edits(made, asked.queries)
            else:
                vectors(made, asked.vectors)


def show(**facts: Any) -> None:
    """One JSON line."""
    print(json.dumps(facts), flush=True)


def edits(made: Index, queries: int) -> None:
    """Search for every edit of some pictures."""
    files = list(made.store.pictures().values())[:queries]
    for place, (name, edit) in enumerate(EDITS.items()):
        first = right = 0
        began = time.perf_counter()
        for number, file in enumerate(files):
            edited = edit(
                decoded(made.folder / file.file, made.model.preprocess), np.random.default_rng([place, number])
            )
            results = made.find(made.query_of(edited), 10)
            hit = bool(results) and results[0].file == str(made.folder / file.file)
            first += hit
            right += hit and results[0].verdict in EXPECTED[name]
        n, seconds = len(files), time.perf_counter() - began
        found = {what: [k / n, *wilson(k, n)] for what, k in (("first", first), ("verdict", right))}
        show(edit=name, n=n, **found, seconds_a_query=round(seconds / n, 3))


def vectors(made: Index, count: int) -> None:
    """Build and search an index of many vectors."""
    _, own = made.store.vectors()
    rows = made.spaces.copies(own)
    queries = jittered(rows, QUERIES, 2)
    many: Any = jittered(rows, count, 1).astype(np.float16)
    ids = np.arange(count)
    began = time.perf_counter()
    built = approximate(ids, many)
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as top:
        write_nearest(built, Path(top) / "cells")
        size = sum(file.stat().st_size for file in Path(top).iterdir()) / 1e6
    show(vectors=count, built=round(seconds, 1), mb=round(size, 1), threads=os.environ.get("OMP_NUM_THREADS"))
    truth = nearest_of_all(ids, many, queries)
    began = time.perf_counter()
    _, found = built.search(queries, 10)
    batched = len(queries) / (time.perf_counter() - began)
    began = time.perf_counter()
    built.index.search(queries, 10)
    plain = len(queries) / (time.perf_counter() - began)
    began = time.perf_counter()
    for query in queries[:200]:
        built.search(query[None], 10)
    single = 200 / (time.perf_counter() - began)
    recall = float(
        np.mean([len(set(one) & set(two)) / 10 for one, two in zip(found.tolist(), truth.tolist(), strict=True)])
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    show(
        recall_at_10=recall,
        batched=round(batched),
        single=round(single),
        to_plain_faiss=round(batched / plain, 3),
        peak_mb=peak,
    )


def nearest_of_all(ids: Ints, many: Floats, queries: Floats) -> Ints:
    """int64 (Q, 10): ids of the nearest vectors, found by comparing all, part by part."""
    best = None
    for start in range(0, len(ids), PART):
        part = exact(ids[start : start + PART], many[start : start + PART]).search(queries, 10)
        best = part if best is None else merged(best, part, 10)
    assert best is not None
    return best[1]


COPIED = ("saved again (JPEG 20)", "quarter size", "1.5 times as bright", "grey")


def with_copies(folder: Path) -> dict[str, str]:
    """Lay copies and frames of a burst beside every picture; name of a copy -> name of what it is of."""
    truth = {}
    for number, file in enumerate(sorted(folder.iterdir())):
        picture = decoded(file, Preprocess((224, 224)))
        for place, name in enumerate(COPIED):
            copy = folder / f"copy-{number:06d}-{place}.png"
            EDITS[name](picture, np.random.default_rng(number)).save(copy)
            truth[copy.name] = file.name
        frame = next_frame(picture, np.random.default_rng(number))
        frame.save(folder / f"frame-{number:06d}.png")
    return truth


def next_frame(picture: Pillow.Image, rng: np.random.Generator) -> Pillow.Image:
    """The next frame of a burst: what is seen has moved by 1.5% of the width, everywhere in another way."""
    values, width = np.asarray(picture, np.float32), picture.width
    fields = [gaussian_filter(rng.normal(size=values.shape[:2]), width / 8) for _ in range(2)]
    grid = np.mgrid[: values.shape[0], : values.shape[1]]
    places = [place + 0.015 * width * field / field.std() for place, field in zip(grid, fields, strict=True)]
    bands = [map_coordinates(values[..., band], places, order=1, mode="nearest") for band in range(3)]
    return Pillow.fromarray(np.clip(np.stack(bands, -1) + rng.normal(0, 4, values.shape), 0, 255).astype(np.uint8))


def grouped(made: Index, truth: dict[str, str]) -> None:
    """Which copies, and what else, `duplicates` says could be moved away."""
    began, pairs = time.perf_counter(), []
    for group in duplicates_in(made, silent):
        pairs += [(Path(group.kept).name, Path(one.file).name) for one in group.duplicates if one.verdict in MOVABLE]
    origin = {**truth, **{name: name for name in truth.values()}}
    right = sum(one in origin and origin.get(one) == origin.get(two) for one, two in pairs)
    shares = {"precision": (right, len(pairs)), "recall": (right, len(truth))}
    found = {name: [k / max(n, 1), *wilson(k, n), n] for name, (k, n) in shares.items()}
    show(**found, seconds=round(time.perf_counter() - began, 1))


def many_files(picture: Path, folder: Path, place: Path, count: int, rows: int) -> None:
    """Time looking through a folder again, and adding pictures to databases of two sizes."""
    shutil.copy(picture, folder / f"picture{picture.suffix}")
    index(folder, place, check=0, listener=silent).close()
    rng = np.random.default_rng(0)
    with Index(place) as made:
        width = len(made.spaces.scale)
    look = signature(decoded(picture, Preprocess((224, 224))))

    def add(store: Store, number: int, facts: FileFacts) -> None:
        vector, digest = rng.normal(size=width).astype(np.float32), rng.bytes(32)
        store.add(f"{number:07d}.jpg", facts, PictureFacts(digest, digest, (300, 400), look, None), vector, vector[:0])

    with contextlib.closing(Store(place / STORE_FILE)) as store, store.transaction():
        for number in range(count):
            file = folder / f"{number:07d}.jpg"
            file.write_bytes(b"%d" % number)
            add(store, number, FileFacts.of(file))
        store.set_fact("measured", {"last_id": count + 1, "count": count + 1, "check": 0})
    began = time.perf_counter()
    index(folder, place, check=0, listener=silent).close()
    show(files=count, looked_through_again=round(time.perf_counter() - began, 2))
    facts, sizes = FileFacts(1, 1, 1, 1), {}
    with contextlib.closing(Store(place.parent / "rows.sqlite", create=True)) as store:
        for size in (1000, rows):
            with store.transaction():
                for number in range(len(store), size):
                    add(store, number, facts)
            times = []
            for batch in range(60):
                began = time.perf_counter()
                with store.transaction():
                    for number in range(32):
                        add(store, 10_000_000 + 32 * batch + number + size, facts)
                times.append((time.perf_counter() - began) / 32)
            sizes[size] = round(1e6 * float(np.median(times)), 1)
    show(microseconds_to_add_a_picture=sizes)


def jittered(rows: Floats, count: int, seed: int) -> Floats:
    """float32 (count, K) of norm 1: each between a row and one of its neighbours, moved a little.

    Rows that were merely moved would all be equally far from their copies: any ten of these were the nearest.
    """
    rng = np.random.default_rng(seed)
    near = np.argsort(-(rows @ rows.T), axis=1)[:, 1 : NEIGHBOURS + 1]
    found = np.empty((count, rows.shape[1]), np.float32)
    for start in range(0, count, 50_000):
        one = rng.integers(len(rows), size=min(50_000, count - start))
        other = near[one, rng.integers(near.shape[1], size=len(one))]
        share = rng.random((len(one), 1), dtype=np.float32)
        noise = rng.normal(size=(len(one), rows.shape[1])).astype(np.float32)
        drawn = share * rows[one] + (1 - share) * rows[other]
        drawn += JITTER * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        found[start : start + len(drawn)] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return found


if __name__ == "__main__":
    main()
