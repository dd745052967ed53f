"""Models: what is served under which name; versions come and go while requests are answered.

A version is named by its content. A new one is loaded and tried beside the old one, then takes its place between two
requests; the old one answers what it has begun and stays loaded, so that rolling back takes no time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photovision.core.errors import MissingExtra, ModelError, PhotovisionError
from photovision.engine.load import load
from photovision.engine.wire import Wire
from photovision.runtime.bundle import in_use, read_bundle
from photovision.runtime.neighbours import REFERENCES_FILE
from photovision.runtime.session import Engine
from photovision.runtime.uncertainty import GATE_FILE
from photovision.service.batching import Batcher
from photovision.service.capacity import processors
from photovision.service.decode_pool import DecodePool
from photovision.service.decoding import Decoders
from photovision.service.http_error import Refusal
from photovision.service.limits import Room
from photovision.service.logs import Journal
from photovision.service.metrics import Metrics
from photovision.service.recorder import Recorder
from photovision.service.settings import Settings

Signature = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, eq=False)
class Version:
    """One loaded version of a model.

    Attributes:
        model: the name it is served under.
        name: 12 hex digits of the SHA-256 of its files.
        wire: the model, and how its predictions go out.
        batcher: answers its pictures.
        loaded: seconds since the epoch.
    """

    model: str
    name: str
    wire: Wire[Any]
    batcher: Batcher
    loaded: float


@dataclass(eq=False)
class ModelSlot:
    """The versions of one model that are loaded, the oldest first, and which of them answers.

    Attributes:
        path: the bundle's folder.
        versions: by name.
        current: the one that answers; None before the first is loaded.
        seen: what the folder looked like when it was last loaded or refused.
        before: what it looked like at the last look.
    """

    path: Path
    versions: dict[str, Version] = field(default_factory=dict)
    current: Version | None = None
    seen: Signature = ()
    before: Signature = ()
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Models:
    """All models of a service.

    Args:
        settings: of the service.
        metrics: where loads and versions are counted.
        journal: where they are reported.

    Attributes:
        recorder: what keeps their answers; set before `start`.
    """

    def __init__(self, settings: Settings, metrics: Metrics, journal: Journal) -> None:
        self._settings, self._metrics, self._journal = settings, metrics, journal
        self.recorder: Recorder | None = None
        self._shelves = {name: ModelSlot(path) for name, path in settings.models.items()}
        self._decoders: Decoders | None = None
        self._lookers: Decoders | None = None
        self._pool: DecodePool | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The models' names, the default one first."""
        return tuple(self._shelves)

    def get(self, model: str | None = None, version: str | None = None) -> Version:
        """The version that answers for `model` (the first one if None), or one that is loaded by name.

        Raises:
            Refusal: there is none of that name (404).
        """
        shelf = self._shelf(model)
        found = shelf.current if version is None else shelf.versions.get(version)
        if found is None:
            raise Refusal(404, "no version of that name is loaded: GET /v2/models/{model} lists them", "unknown")
        return found

    def versions(self, model: str) -> tuple[str, ...]:
        """The loaded versions of a model, the oldest first."""
        return tuple(self._shelf(model).versions)

    def current(self, model: str) -> str:
        """The name of the version that answers."""
        return self.get(model).name

    def place(self, model: str) -> Path:
        """The folder that a model is served from; raises Refusal (404)."""
        return self._shelf(model).path

    async def start(self) -> None:
        """Load every model; raises ModelError for one that cannot be."""
        limits, count = self._settings.limits, processors()
        self._decoders = Decoders(count)
        # One more than there are cores, so that the network has work while they put together what it said.
        self._lookers = Decoders(count + 1, "looking")
        self._pool = DecodePool(
            count, Room(limits.decode_room), seconds=limits.decode_seconds, patience=limits.timeout / 2
        )
        for name in self.names:
            await self.load(name)

    async def load(self, model: str) -> Version:
        """Load what lies in the model's folder and let it answer from now on.

        Raises:
            Refusal: no model of that name (404).
            PhotovisionError: the bundle cannot be served; the version that answered goes on.
        """
        shelf = self._shelf(model)
        async with shelf.lock:
            signature = await asyncio.to_thread(_signature, shelf.path)
            shelf.seen = signature
            try:
                version = await self._opened(model, shelf)
            except Exception as error:  # of a stranger's bundle anything
                self._metrics.loads.labels(model, "failed").inc()
                self._journal.event("load failed", model=model, error=str(error)[:500])
                if isinstance(error, PhotovisionError):
                    raise
                if isinstance(error, ModuleNotFoundError) and error.name:
                    raise MissingExtra(error.name, f"the model {shelf.path}") from None
                what = f"{type(error).__name__}: {str(error)[:200]}"
                raise ModelError(f"the model {shelf.path} is not understood ({what}): train or copy it again") from None
            self._answer_by(model, shelf, version)
            return version

    async def roll_back(self, model: str, version: str) -> Version:
        """Let a version that is still loaded answer again; raises Refusal (404) where it is not."""
        shelf = self._shelf(model)
        async with shelf.lock:
            found = self.get(model, version)
            self._answer_by(model, shelf, found)
            return found

    async def watch(self) -> None:
        """Look at the folders again and again, and load what has changed and then stayed as it is for one look."""
        while True:
            await asyncio.sleep(self._settings.watch)
            for name, shelf in self._shelves.items():
                signature = await asyncio.to_thread(_signature, shelf.path)
                settled, shelf.before = signature == shelf.before, signature
                if signature and settled and signature != shelf.seen:
                    with contextlib.suppress(PhotovisionError):  # it was logged and counted; the old version stays
                        await self.load(name)

    def threads(self) -> dict[str, Decoders]:
        """The threads that work for all models, by what they do."""
        found = {"decoding": self._decoders, "windows": self._lookers}
        if self._pool is not None:
            found["costly"] = self._pool.threads
        return {name: threads for name, threads in found.items() if threads is not None}

    def networks(self) -> Iterator[Batcher]:
        """What runs the networks of all loaded versions."""
        for shelf in tuple(self._shelves.values()):
            for version in tuple(shelf.versions.values()):
                yield version.batcher

    @property
    def restarts(self) -> int:
        """How often a decoding process had to be ended and started again."""
        return 0 if self._pool is None else self._pool.restarts

    def close(self) -> None:
        """End all threads once what is under way is answered."""
        for shelf in self._shelves.values():
            for version in shelf.versions.values():
                version.batcher.close()
        self._shelves = {name: ModelSlot(shelf.path) for name, shelf in self._shelves.items()}
        for threads in (self._decoders, self._lookers, self._pool):
            if threads is not None:
                threads.close()

    def _shelf(self, model: str | None) -> ModelSlot:
        shelf = self._shelves.get(self.names[0] if model is None else model)
        if shelf is None:
            raise Refusal(404, f"no model of that name; there are {', '.join(self.names)}"[:500], "unknown")
        return shelf

    async def _opened(self, model: str, shelf: ModelSlot) -> Version:
        """The version in the folder; the one that is loaded already, if its content is the same."""
        name = await asyncio.to_thread(content_name, shelf.path)
        if name in shelf.versions:
            return shelf.versions[name]
        wire = await asyncio.to_thread(open_wire, shelf.path, self._settings.engine)
        assert self._decoders is not None
        assert self._lookers is not None
        batcher = Batcher(
            model,
            wire,
            self._decoders,
            self._lookers,
            asyncio.get_running_loop(),
            batch_size=self._settings.batch_size,
            max_wait=self._settings.max_wait,
            limits=self._settings.limits,
            metrics=self._metrics,
            pool=self._pool,
            keep=None if self.recorder is None else self.recorder.of(model, name, wire),
        )
        try:
            await asyncio.to_thread(_warm, batcher, shelf.path)
            if await asyncio.to_thread(content_name, shelf.path) != name:
                raise ModelError(f"{shelf.path} changed while it was read: load it again when it is complete")
        except BaseException:
            batcher.close()
            raise
        return Version(model, name, wire, batcher, time.time())

    def _answer_by(self, model: str, shelf: ModelSlot, version: Version) -> None:
        """Swap, in one step of the event loop, so that no request sees anything between."""
        old = tuple(shelf.versions)
        previous, shelf.current = shelf.current, version
        shelf.versions[version.name] = version
        removable = [one for one in shelf.versions.values() if one not in (version, previous)]
        while len(shelf.versions) > self._settings.keep:
            gone = removable.pop(0) if removable else previous
            if gone is None or gone is version:
                break
            del shelf.versions[gone.name]
            gone.batcher.close()
        self._metrics.show_versions(model, old, tuple(shelf.versions), version.name)
        self._metrics.watch_queue(model, lambda: sum(one.batcher.pending for one in shelf.versions.values()))
        self._metrics.loads.labels(model, "done").inc()
        self._journal.event("model answers", model=model, version=version.name)


def content_name(folder: Path) -> str:
    """12 hex digits of the SHA-256 of the files that a bundle answers by; raises ModelError where one is missing."""
    digest = hashlib.sha256()
    try:
        for file in _files(folder):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    except OSError as error:
        raise ModelError(f"the model {folder} cannot be read ({error.strerror}): copy it again") from None
    return digest.hexdigest()[:12]


def _files(folder: Path) -> list[Path]:
    bundle = read_bundle(folder)
    graph = bundle.graph
    beside = (graph.with_suffix(".bin"), bundle.path / GATE_FILE, bundle.path / REFERENCES_FILE)
    return [bundle.path / "bundle.json", graph, *(file for file in beside if file.is_file())]


def _signature(folder: Path) -> Signature:
    """What the files look like from outside; empty where they are not there, as while a folder is replaced."""
    found = []
    try:
        for file in sorted(in_use(folder).iterdir()):
            if file.suffix in (".json", ".onnx", ".xml", ".bin", ".safetensors"):
                facts = file.stat()
                found.append((file.name, facts.st_size, facts.st_mtime_ns, facts.st_ino))
    except OSError:
        return ()
    return tuple(found)


def open_wire(folder: Path, engine: Engine) -> Wire[Any]:
    """Open a bundle of any task that is served, and read all that it answers by: its files may be replaced later.

    Raises:
        ModelError: it is missing, foreign, damaged or too new.
        UsageError: its task is not served.
        MissingExtra: a library that such models need is not installed.
    """
    make = read_bundle(folder).row.part("wire", "serve")
    wire: Wire[Any] = make(load(folder, engine=engine))
    _ = wire.model.session
    return wire


def _warm(batcher: Batcher, folder: Path) -> None:
    try:
        batcher.warm_up()
    except Exception as error:  # engines raise untyped errors
        raise ModelError(f"the model {folder} cannot answer ({str(error)[:200]}): train or copy it again") from None
