"""Build: an index made of a folder of pictures, or brought up to date; what is done stays done when interrupted."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ModelError, UnreadableImage, UsageError
from photovision.core.files import explained, write_json
from photovision.core.lock import Lock
from photovision.core.output import placed
from photovision.core.parallel import batched
from photovision.core.progress import Listener, Progress, visible
from photovision.core.types import Floats
from photovision.data.image_paths import walk
from photovision.engine.progress import narrated
from photovision.retrieval.features import BATCH, FeatureModel, PictureFacts, content_of, feature_model
from photovision.retrieval.index import FORMAT, GRAPH_FILE, INDEX_FILE, STORE_FILE, VERSION, Index, is_index
from photovision.retrieval.measure import CHECKED_PICTURES, measure
from photovision.retrieval.spaces import FITTED_ON, Spaces, fit_spaces
from photovision.retrieval.store import FileFacts, Store

LOCK = ".lock"
_STAGE = "indexing"
_ALIAS = "another name of the same file"


@dataclass(frozen=True)
class _UnreadFile:
    """A file that is new or was changed."""

    file: str
    facts: FileFacts


@dataclass
class _Survey:
    """What lies in the folder, beside what the index knows.

    Attributes:
        todo: files to read.
        gone: path -> id of pictures whose file is not there any more.
        seen: picture files in all.
        aliases: path -> the path under which the same file is indexed.
    """

    todo: list[_UnreadFile] = field(default_factory=list)
    gone: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    aliases: dict[str, tuple[str, FileFacts]] = field(default_factory=dict)
    forgotten_notes: list[str] = field(default_factory=list)


@narrated
def index(
    folder: str | Path,
    output: str | Path,
    *,
    model: str | Path | None = None,
    check: int = CHECKED_PICTURES,
    listener: Listener = visible,
) -> Index:
    """Index the pictures of a folder, or bring an index of it up to date.

    Files that did not change are not read again, moved ones are recognised by their content, and those that are gone
    leave the index. Interrupted, it loses the last few pictures at most: run it again.

    Args:
        folder: of pictures, searched to the bottom.
        output: folder of the index.
        model: whose features are taken: the folder or name of a classifier, detector or segmenter; "imagenet" if None.
        check: pictures whose edits are searched for, to measure how often verdicts are wrong; 0 measures none.
        listener: of its progress.

    Returns:
        The opened index.

    Raises:
        DataError: the folder holds no pictures, or none that can be read.
        ModelError: the index was made with another model.
        UsageError: something else is in the way, or another run is writing the index.
    """
    if check < 0:
        raise UsageError(f"check should be a number of pictures, 0 or more, got {check}")
    top = Path(folder)
    if not top.is_dir():
        raise DataError(f"{folder} is not a folder: give a folder of pictures")
    place = _place(Path(output), top)
    if next(walk(top), None) is None and not is_index(place):
        raise DataError(f"the folder {folder} holds no pictures: check the path")
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        lock = Lock(place / LOCK)
        if not lock.take(wait=False):
            raise UsageError(f"another run (process {lock.holder()}) is writing {output}: wait for its end")
    try:
        _begin(place, top, model)
        opened = Index(place)
        try:
            _update(opened, listener)
            measure(opened, check, listener)
        except BaseException:
            opened.close()
            raise
        return opened
    finally:
        lock.release()


def _place(output: Path, folder: Path) -> Path:
    """Where the index lies; raises UsageError where something else is."""
    place = placed(output)
    if os.path.realpath(folder) == str(place):
        raise UsageError(f"{output} is the folder of the pictures itself: choose another folder with --output")
    if is_index(place) or not os.path.lexists(place):
        return place
    if not place.is_dir():
        raise UsageError(f"{output} exists and is not a folder: choose another name with --output")
    others = sorted(set(os.listdir(place)) - {LOCK})
    if others:
        raise UsageError(
            f"{output} holds {others[0]} and is no index of Photovision: choose another folder with --output"
        )
    return place


def _begin(place: Path, folder: Path, model: str | Path | None) -> None:
    """Write what does not change, where it is not there yet; refuse another model or another folder."""
    root = os.path.realpath(folder)
    if not is_index(place):
        features = feature_model(model)
        facts = {
            "format": FORMAT,
            "version": VERSION,
            "folder": root,
            "made": datetime.now(UTC).isoformat("T", "seconds"),
        }
        write_json(place / INDEX_FILE, {**facts, "model": features.identity})
        _copy_graph(features, place)
        Store(place / STORE_FILE, create=True).close()
        return
    Store(place / STORE_FILE, create=True).close()  # a run may have ended before it was there
    with Index(place) as known:
        if not (place / GRAPH_FILE).is_file() or model is not None:
            features = feature_model(model)
            known.expect_model(features)
            if not (place / GRAPH_FILE).is_file():
                _copy_graph(features, place)
        if str(known.folder) != root:
            raise UsageError(
                f"{place} is an index of {known.folder}, not of {root}: choose another folder with --output"
            )


def _copy_graph(features: FeatureModel, place: Path) -> None:
    target = place / GRAPH_FILE
    part = place / f".{GRAPH_FILE}.part"
    shutil.copyfile(features.graph, part)
    os.replace(part, target)


def _update(opened: Index, listener: Listener) -> None:
    store = opened.store
    found = _survey(opened.folder, store)
    known = {"new": 0, "changed": 0, "moved": 0, "gone": 0}
    before = set(store.files())
    _recognise(opened.folder, store, found, known)
    with store.transaction():
        store.remove_files(found.forgotten_notes)
        for file, (other, facts) in found.aliases.items():
            store.leave_out(file, facts, f"{_ALIAS}: {other}")
    _read_all(opened, found, listener, before, known)
    with store.transaction():
        known["gone"] = len(store.remove_files(found.gone))
        if store.array("mean") is None or len(store.embeddings()[0]):
            fit(store)
        store.set_fact("last", {**known, "seen": found.seen})
    if not len(store):
        reasons = [reason for _, _, reason in store.left_out().values()]
        raise DataError(f"none of the {found.seen} pictures in {opened.folder} can be read: {reasons[0]}")


def _survey(folder: Path, store: Store) -> _Survey:
    """Look through the folder without reading a picture."""
    found, known, notes = _Survey(), store.files(), store.left_out()
    names: dict[tuple[int, int], str] = {}
    missing, unnoted = dict(known), dict(notes)
    for path in walk(folder):
        file = os.path.relpath(path, folder).replace(os.sep, "/")
        found.seen += 1
        try:
            facts = FileFacts.of(path)
        except OSError:
            facts = FileFacts(0, 0, 0, 0)
        missing_entry, note = missing.pop(file, None), unnoted.pop(file, None)
        first = names.setdefault((facts.device, facts.inode), file)
        if first != file and facts.inode:
            found.aliases[file] = first, facts
        elif (missing_entry is None or missing_entry[1] != facts) and not _still_left_out(note, facts):
            found.todo.append(_UnreadFile(file, facts))
    found.gone = {file: number for file, (number, _) in missing.items()}
    found.forgotten_notes = list(unnoted)
    return found


def _still_left_out(note: tuple[int, int, str] | None, facts: FileFacts) -> bool:
    """Whether a file that could not be read is as it was; another name of a file may have become the only one."""
    return note is not None and note[:2] == (facts.bytes, facts.modified) and not note[2].startswith(_ALIAS)


def _recognise(folder: Path, store: Store, found: _Survey, known: dict[str, int]) -> None:
    """Files that were moved or touched: the same content, which is not looked at again."""
    sizes = {facts.bytes for _, facts in store.files().values()}
    left = []
    here = {change.file for change in found.todo}
    with store.transaction():
        for change in found.todo:
            same = []
            if change.facts.bytes in sizes:
                try:
                    content = hashlib.sha256(content_of(folder / change.file)).digest()
                except UnreadableImage:
                    content = b""
                same = [one for one in store.with_content(content) if one.file == change.file or one.file in found.gone]
            if not same:
                left.append(change)
                continue
            store.same_file(same[0].id, change.file, change.facts)
            known["moved"] += same[0].file not in here
            found.gone.pop(same[0].file, None)
    found.todo = left


def _read_all(opened: Index, found: _Survey, listener: Listener, before: set[str], known: dict[str, int]) -> None:
    store, done, total = opened.store, 0, len(found.todo)
    spaces = _frozen(store)
    # In an order that has nothing to do with folders: the spaces are fitted on the first of many.
    todo = sorted(found.todo, key=lambda one: hashlib.sha256(os.fsencode(one.file)).digest())
    for batch in batched(_stream(opened, todo), BATCH):
        with store.transaction():
            for change, facts, embedding in batch:
                if isinstance(facts, UnreadableImage):
                    reason = str(facts).replace(f"{opened.folder / change.file}: ", "", 1)
                    store.leave_out(change.file, change.facts, reason.removeprefix("the picture: "))
                    continue
                vector = None if spaces is None else spaces.vectors(embedding[None])[0]
                store.add(change.file, change.facts, facts, vector, embedding if spaces is None else embedding[:0])
                known["changed" if change.file in before else "new"] += 1
            if spaces is None and len(store) >= FITTED_ON:
                fit(store)
                spaces = _frozen(store)
        done += len(batch)
        listener(Progress(_STAGE, done, total))


def _stream(
    opened: Index, todo: list[_UnreadFile]
) -> Iterator[tuple[_UnreadFile, PictureFacts | UnreadableImage, Floats]]:
    files = (opened.folder / change.file for change in todo)
    for change, (_, facts, embedding) in zip(todo, opened.model.stream(files), strict=True):
        yield change, facts, embedding


def fit(store: Store) -> None:
    """Fit the spaces to the embeddings that are kept, and make the vectors of their pictures; in a transaction."""
    ids, embeddings = store.embeddings()
    if not len(ids):
        return  # they stay as they are, or there are none yet
    wide = np.asarray(embeddings, np.float32)
    spaces = fit_spaces(wide)
    for name, value in spaces.arrays().items():
        store.set_array(name, value)
    store.set_vectors(ids, spaces.vectors(wide))
    if len(ids) >= FITTED_ON:
        store.drop_embeddings()
        store.set_fact("frozen", True)


def _frozen(store: Store) -> Spaces | None:
    """The spaces, where they change no more."""
    if not store.fact("frozen"):
        return None
    arrays: Any = [store.array(name) for name in ("mean", "basis", "scale")]
    if any(one is None for one in arrays):
        raise ModelError(f"{store.path} is damaged: it has no spaces; make the index again in another folder")
    return Spaces(*arrays)
