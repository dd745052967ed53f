"""Visual search: edits of pictures found again, and speed and recall with a million vectors.

    python benchmarks/search.py edits PICTURES [--pictures 1500] [--queries 150]
    python benchmarks/search.py vectors PICTURES [--vectors 1000000]

`edits` indexes a random part of the pictures (seed 0) and searches for ten edits of some of them: a JSON line an
edit, with the share that is found first and the share with the right verdict, and Wilson intervals. `vectors` takes
the vectors of an index of the pictures, jitters them to as many as asked for (real neighbours, not noise), and prints
what building, searching and memory cost, recall@10 against an exact search, and the ratio to plain faiss with the
same index in this run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.progress import silent
from photovision.core.types import Floats
from photovision.data.image_paths import walk
from photovision.retrieval.build import index
from photovision.retrieval.edits import EDITS, EXPECTED
from photovision.retrieval.engine import approximate, exact
from photovision.retrieval.features import decoded
from photovision.retrieval.index import Index
from photovision.trust.metrics.statistics import wilson

JITTER = 0.1
"""Length of the noise that is added to a vector of length 1."""
NEIGHBOURS = 10
QUERIES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["edits", "vectors"])
    parser.add_argument("pictures_folder", type=Path)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    asked = parser.parse_args()
    files = sorted(walk(asked.pictures_folder))
    random.Random(0).shuffle(files)
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "pictures"
        folder.mkdir()
        for number, file in enumerate(files[: asked.pictures]):
            os.symlink(os.path.abspath(file), folder / f"{number:06d}{Path(file).suffix}")
        began = time.perf_counter()
        with index(folder, Path(top) / "index", check=0, listener=silent) as made:
            seconds = time.perf_counter() - began
            show(indexed=len(made), seconds=round(seconds, 1), per_second=round(len(made) / seconds, 1))
            if asked.what == "edits":
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
    many, queries = jittered(made.spaces.copies(own), count, 1), jittered(made.spaces.copies(own), QUERIES, 2)
    ids = np.arange(count)
    began = time.perf_counter()
    built = approximate(ids, many)
    show(vectors=count, built=round(time.perf_counter() - began, 1), threads=os.environ.get("OMP_NUM_THREADS"))
    _, truth = exact(ids, many).search(queries, 10)
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
