"""Index: the pictures of a folder, opened to be searched; a folder to own, with its own copy of the network.

    index.json       the folder of the pictures, and the model with its hashes
    model.onnx       the network, by which queries are seen as the pictures were
    pictures.sqlite  files, facts, vectors, limits and measured error rates
    *.faiss *.npy    of a large index the vectors in cells, which are made from the database whenever they are missing

It holds no pictures. Everything read from it is checked before use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError, ModelError, UnreadableImage, UsageError
from photovision.core.files import open_regular
from photovision.core.inputs import Given, as_source, name_of
from photovision.core.parallel import batched
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats
from photovision.retrieval.cells import in_cells
from photovision.retrieval.engine import EXACT, NOTHING, Searchable, exact
from photovision.retrieval.features import BATCH, FeatureModel, content_of, decoded
from photovision.retrieval.spaces import Spaces
from photovision.retrieval.store import IndexedFile, Store
from photovision.retrieval.verdicts import (
    ALIKE,
    SAME_FILE,
    SAME_OBJECT,
    SAME_PICTURE,
    VERDICTS,
    Query,
    check_pair,
    check_tilt,
)

INDEX_FILE, GRAPH_FILE, STORE_FILE = "index.json", "model.onnx", "pictures.sqlite"
FORMAT, VERSION = "photovision-index", 2
SPACES = ("likeness", "copies")
PRECISIONS = (None, "f32", "bf16")
CHECKED = 24
"""Pictures that are compared with a query pixel by pixel."""
TILTED = 2
"""Pictures that are compared with a query at other angles, where it is no copy of any as it is."""
MISSES = 3
"""Pictures in a row that are no copies, after which no more are looked for where one was found."""
_LARGEST_JSON = 1 << 20


class FoundPicture(NamedTuple):
    """A picture that a search found.

    Attributes:
        file: its path.
        score: cosine of centred features, -1 to 1, in the orientation that fits best.
        verdict: one of `photovision.retrieval.verdicts.VERDICTS`.
    """

    file: str
    score: float
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"file": self.file, "score": round(self.score, 4), "verdict": self.verdict}


class SearchResult(NamedTuple):
    """What a search found, best first; nothing where there is nothing like the picture."""

    query: str
    results: tuple[FoundPicture, ...]

    def to_json(self) -> dict[str, Any]:
        """What `photovision search --json` prints."""
        return {"query": self.query, "results": [one.to_json() for one in self.results]}


class Index:
    """An opened index; a context manager. It is used by one thread at a time.

    Args:
        path: its folder, which `photovision.index` made.

    Attributes:
        folder: of the pictures.

    Raises:
        ModelError: there is no index, or it is damaged, or its network was exchanged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.description = read_description(self.path)
        self.folder = Path(self.description["folder"])
        self.store = Store(self.path / STORE_FILE)

    def close(self) -> None:
        """Close its database."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.store)

    def __repr__(self) -> str:
        return f"Index({str(self.path)!r}, {len(self):,} pictures)"

    @cached_property
    def model(self) -> FeatureModel:
        """Its network; raises ModelError where it is another one than the pictures were seen by."""
        known = self.description["model"]
        preprocess = Preprocess.from_json(known["preprocess"])
        model = FeatureModel(self.path / GRAPH_FILE, preprocess, known["name"], known["precision"])
        try:
            if model.sha256 == known["weights"]:
                return model
        except OSError as error:
            raise ModelError(f"{model.graph} cannot be read ({error.strerror}): make the index again") from None
        raise ModelError(
            f"{model.graph} was exchanged: the index was made with weights {known['weights'][:16]}, these are"
            f" {model.sha256[:16]}; make the index again"
        )

    def expect_model(self, model: FeatureModel) -> None:
        """Refuse a model that sees pictures in another way; raises ModelError with both hashes."""
        known = self.description["model"]
        own = known["weights"], known["preprocess"]["hash"]
        given = model.sha256, model.preprocess.hash
        if own != given:
            raise ModelError(
                f"{self.path} was made with '{known['name']}' (weights {own[0][:16]}, preprocessing {own[1]}), not with"
                f" '{model.name}' (weights {given[0][:16]}, preprocessing {given[1]}): their vectors cannot be"
                " compared; leave --model out, or make another index with it"
            )

    @property
    def spaces(self) -> Spaces:
        """Where its vectors come from; raises ModelError where it was never finished."""
        arrays = [self.store.array(name) for name in ("mean", "basis", "scale")]
        if any(one is None for one in arrays):
            raise ModelError(f"{self.path} is not finished: run the same 'photovision index' command again")
        mean, basis, scale = (np.asarray(one, np.float32) for one in arrays)
        if basis.shape != (len(scale), len(mean)):
            raise ModelError(f"{self.path} is damaged: its spaces do not fit each other; make it again")
        return Spaces(mean, basis, scale)

    def search(self, picture: Given, *, top: int = 20, crop: Sequence[float] | None = None) -> SearchResult:
        """Pictures that show the same as a picture, or something like it.

        Args:
            picture: as `photovision.core.inputs.as_source` takes it.
            top: results at most.
            crop: (left, top, right, bottom) in pixels of the upright picture: only this part is searched for.

        Raises:
            UnreadableImage: it cannot be decoded.
            UsageError: top is below 1, or the crop lies outside the picture.
        """
        if not isinstance(top, int) or top < 1:
            raise UsageError(f"top should be a whole number of at least 1, got {top!r}")
        source = as_source(picture)
        return SearchResult(name_of(source) or "", self.find(self.query(source, crop), top))

    def query(self, source: str | Path | bytes | np.ndarray, crop: Sequence[float] | None = None) -> Query:
        """A picture made ready to be searched for."""
        if isinstance(source, np.ndarray):
            shown, size = Pillow.fromarray(source), source.shape[:2]
            return self.query_of(_cut(shown, size, crop))
        content = source if isinstance(source, bytes) else content_of(Path(source))
        try:
            facts, shown = self.model.facts_of(content)
        except UnreadableImage as error:
            raise UnreadableImage(str(error).replace("the picture", name_of(source) or "the picture", 1)) from None
        if crop is not None:
            return self.query_of(_cut(shown, facts.size, crop))
        return self.query_of(shown, content=facts.content, pixels=facts.pixels, taken=facts.taken)

    def query_of(self, picture: Pillow.Image, **facts: Any) -> Query:
        """A query from an RGB picture, and what is known of its file."""
        views = [picture if turns == 0 else picture.rotate(90 * turns, expand=True) for turns in range(4)]
        embeddings = self.model.embed(np.stack([self.model.shown(view) for view in views]))
        return Query(picture, self._spaces.vectors(embeddings), **facts)

    def find(self, query: Query, top: int) -> tuple[FoundPicture, ...]:
        """The results of a search, best first."""
        scores: dict[int, float] = {}
        verdicts: dict[int, str] = {}
        for same in self.store.equal(query.content, query.pixels) if query.content else ():
            verdicts[same.id] = SAME_FILE if same.content == query.content else SAME_PICTURE
        limits = self.store.fact("limits") or {}
        copies = self._copies(query, max(CHECKED, len(verdicts)))
        verdicts.update(self._checked(query, copies, verdicts))
        similar, ids = self.nearest("likeness").search(query.vectors[:1], top + len(verdicts) + 1)
        for score, number in zip(similar[0].tolist(), ids[0].tolist(), strict=True):
            if number in verdicts or number == NOTHING or score < limits.get("alike", -1.0):
                continue
            scores[number] = score
            verdicts[number] = _likeness(score, limits)
        return self._listed(query, verdicts, scores, top)

    def similar(self, pictures: Sequence[Pillow.Image], top: int) -> list[tuple[FoundPicture, ...]]:
        """What is like each of many RGB pictures, by their features alone; copies are not looked for."""
        limits, found = self.store.fact("limits") or {}, []
        for batch in batched(pictures, BATCH):
            shown = np.stack([self.model.shown(picture) for picture in batch])
            scores, ids = self.nearest("likeness").search(self._spaces.vectors(self.model.embed(shown)), top)
            files = self.store.pictures([number for number in np.unique(ids).tolist() if number != NOTHING])
            found += [
                tuple(
                    FoundPicture(str(self.folder / files[number].file), min(1.0, score), _likeness(score, limits))
                    for score, number in zip(row.tolist(), numbers.tolist(), strict=True)
                    if number in files and score >= limits.get("alike", -1.0)
                )
                for row, numbers in zip(scores, ids, strict=True)
            ]
        return found

    def _listed(
        self, query: Query, verdicts: dict[int, str], scores: dict[int, float], top: int
    ) -> tuple[FoundPicture, ...]:
        files = self.store.pictures(list(verdicts))
        unknown = [number for number in files if number not in scores]
        rows, vectors = self.store.vectors_of(unknown)
        for number, vector in zip(rows.tolist(), vectors, strict=True):
            scores[number] = float((query.vectors @ np.asarray(vector, np.float32)).max())
        order = sorted(files, key=lambda number: (VERDICTS.index(verdicts[number]), -scores.get(number, -1.0), number))
        return tuple(
            FoundPicture(str(self.folder / files[number].file), min(1.0, scores.get(number, -1.0)), verdicts[number])
            for number in order[:top]
        )

    def _copies(self, query: Query, count: int) -> dict[int, tuple[float, int]]:
        """Id -> (largest cosine in the space of copies, quarter turns of the query for it), best first."""
        scores, ids = self.nearest("copies").search(self._spaces.copies(query.vectors), count)
        found: dict[int, tuple[float, int]] = {}
        for turns in range(len(ids)):
            for score, number in zip(scores[turns].tolist(), ids[turns].tolist(), strict=True):
                if number != NOTHING and score > found.get(number, (-np.inf, 0))[0]:
                    found[number] = score, turns
        return dict(sorted(found.items(), key=lambda item: -item[1][0]))

    def _checked(
        self, query: Query, copies: dict[int, tuple[float, int]], known: dict[int, str]
    ) -> Iterator[tuple[int, str]]:
        """Ids and verdicts of those that are copies, pixel by pixel."""
        files, misses, hits = self.store.pictures(list(copies)), 0, len(known)
        order = [one for one in copies if one in files and one not in known][:CHECKED]
        for number in order:
            verdict = self._verdict(query, files[number], copies[number][1])
            hits, misses = hits + (verdict is not None), 0 if verdict else misses + 1
            if verdict is not None:
                yield number, verdict
            if hits and misses >= MISSES:
                return
        for number in order[:TILTED] if not hits else ():
            verdict = self._verdict(query, files[number], None)
            if verdict is not None:
                yield number, verdict

    def _verdict(self, query: Query, file: IndexedFile, turns: int | None) -> str | None:
        """What a picture is of the query after quarter turns; None for turns: after a tilt."""
        try:
            other = decoded(self.folder / file.file, self.model.preprocess)
        except UnreadableImage:  # it is not there any more
            return None
        if turns is None:
            return check_tilt(query, other, file.taken)
        return check_pair(query, other, turns, file.taken).verdict

    @cached_property
    def _spaces(self) -> Spaces:
        return self.spaces

    def transform(self, space: str) -> Callable[[Floats], Floats]:
        """From vectors of its database to those of the space "likeness" or "copies"."""
        return self._spaces.copies if space == "copies" else _unchanged

    def nearest(self, space: str) -> Searchable:
        """Its vectors in the space "likeness" or "copies"."""
        known: dict[str, Searchable] = self.__dict__.setdefault("_opened", {})
        if space not in known:
            transform = self.transform(space)
            if len(self) >= EXACT:
                known[space] = in_cells(self.path / space, self.store, transform)
            else:
                ids, vectors = self.store.vectors()
                known[space] = exact(ids, transform(vectors))
        return known[space]


def read_description(path: Path) -> dict[str, Any]:
    """The checked contents of index.json; raises ModelError where there is none, or none of this version."""
    file = path / INDEX_FILE
    try:
        with open_regular(file) as opened:
            found = json.loads(opened.read(_LARGEST_JSON))
    except (OSError, DataError):
        raise ModelError(f"{path} is no index: make one with 'photovision index PICTURES -o {path}'") from None
    except ValueError:
        raise ModelError(f"{file} is damaged: make the index again in another folder") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ModelError(f"{file} does not describe an index of pictures: name a folder that 'photovision index' made")
    if found.get("version") != VERSION:
        raise ModelError(
            f"{file} is of version {found.get('version')!r}, this Photovision reads {VERSION}: make the index again in"
            " another folder"
        )
    model = found["model"] if isinstance(found.get("model"), dict) else {}
    texts = (found.get("folder"), model.get("name"), model.get("weights"))
    known = isinstance(model.get("preprocess"), dict) and all(isinstance(text, str) for text in texts)
    if not known or model.get("precision") not in PRECISIONS:
        raise ModelError(f"{file} is damaged: make the index again in another folder")
    return found


def is_index(path: str | Path) -> bool:
    """Whether there is an index at a path."""
    return (Path(path) / INDEX_FILE).is_file()


def _cut(picture: Pillow.Image, size: Sequence[int], crop: Sequence[float] | None) -> Pillow.Image:
    """The part of a picture, which may be decoded smaller than its file's `size`, (H, W)."""
    if crop is None:
        return picture
    height, width = size
    if len(crop) != 4 or not (0 <= crop[0] < crop[2] <= width and 0 <= crop[1] < crop[3] <= height):
        asked = ", ".join(f"{side:g}" for side in crop)
        raise UsageError(
            f"the crop should be left, top, right, bottom inside the picture of {width} x {height} pixels, got {asked}"
        )
    across, down = picture.width / width, picture.height / height
    left, top = int(crop[0] * across), int(crop[1] * down)
    return picture.crop((left, top, max(left + 1, round(crop[2] * across)), max(top + 1, round(crop[3] * down))))


def _likeness(score: float, limits: Mapping[str, Any]) -> str:
    """The verdict on a picture that is no copy, by its similarity and `SimilarityLimits`."""
    same_object = limits.get("same_object")
    return SAME_OBJECT if same_object is not None and score >= same_object else ALIKE


def _unchanged(vectors: Floats) -> Floats:
    return vectors
