"""State: what the local page works on: one folder with its models and data sets, found when first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from photovision.app.web.discovery import (
    DEEPEST,
    MOST_FOLDERS,
    Skipped,
    annotation_type,
    find,
    folders_in,
    holds_pictures,
    models_in,
    skipped,
)
from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.task import Task, tasks

if TYPE_CHECKING:
    from photovision.data.dataset import AnnotationType
    from photovision.runtime.model import OnnxModel

    Model = OnnxModel[Any]


T = TypeVar("T")


class State:
    """What all views of the page share; safe to use from several threads.

    Args:
        folder: where models, data sets and reports lie; None for a page about given models only. Nothing outside it is
            ever read or written, but for the given models, those `beside` it, and links that a person followed.
        models: name -> bundle, in addition to those in `folder`.
        beside: folders whose models are offered, too, but nothing else of them; see `neighbours_of`.
        ready: whether ready models that are on this machine are offered, too, after all others.

    Attributes:
        ending: set when the page is about to end, so that answers without an end of their own find one.
        leaving: called when it ends.

    Example:
        >>> State(None, {}).models
        {}
    """

    def __init__(
        self,
        folder: Path | None,
        models: Mapping[str, Path] | None = None,
        *,
        beside: Sequence[Path] = (),
        ready: bool = False,
    ) -> None:
        self.folder = None if folder is None else folder.resolve()
        self._beside = tuple(beside)
        self._followed: dict[str, Path] = {}
        self._shared: dict[Callable[[State], object], object] = {}
        self.ending = threading.Event()
        self.leaving: list[Callable[[], None]] = []
        self._given = dict(models or {})
        self._offers_ready = ready
        self.ready = _ready() if ready else {}
        self._found: tuple[dict[str, Path], dict[str, Path]] | None = None
        self._types: dict[str, AnnotationType] = {}
        self._loaded: dict[str, tuple[int, Model]] = {}
        self._guard = threading.RLock()
        self._locks: dict[str, threading.RLock] = {}

    @property
    def models(self) -> dict[str, Path]:
        """Name -> folder of every bundle: given, in `folder` by relative path, beside it, and the ready ones last."""
        found = self._look()[0]
        given = {path.resolve() for path in self._given.values()}
        own = {**self._given, **{name: path for name, path in found.items() if path.resolve() not in given}}
        return {**own, **{name: path for name, path in self.ready.items() if name not in own}}

    @property
    def data(self) -> dict[str, Path]:
        """Name -> folder of every data set in `folder`, named by its relative path; the folder itself by its name."""
        return dict(self._look()[1])

    @property
    def skipped(self) -> list[Skipped]:
        """What lies in the folder and is neither a data set nor a model that is shown."""
        if self.folder is None:
            return []
        known = [*self.data.values(), *self.models.values(), *self._followed.values()]
        return skipped(self.folder, known)

    def is_beside(self, name: str) -> bool:
        """Whether a model lies outside the folder, and was found beside it."""
        path = self.path_of(name).resolve()
        inside = self.folder is not None and path.is_relative_to(self.folder)
        return not inside and name not in self._given and name not in self.ready

    def follow(self, name: str) -> None:
        """Show what a link in the folder leads to, since a person asked for it; until the page ends.

        Raises:
            DataError: there is no such link, or neither a data set nor a model behind it.
        """
        link = next((one for one in self.skipped if one.kind == "link" and one.name == name), None)
        if link is None or link.path is None:
            raise DataError(f"there is no link '{name}' here (any more): reload the page")
        if not any(find(link.path)):
            raise DataError(f"{link.path} holds neither a data set nor a model")
        with self._guard:
            self._followed[name] = link.path
        self.refresh()

    def annotation_type(self, name: str) -> AnnotationType:
        """What is known of the images of a data set; raises DataError where there is none of that name."""
        place = self.data_of(name)
        with self._guard:
            if name not in self._types:
                self._types[name] = annotation_type(place)
            return self._types[name]

    def task_of(self, name: str) -> Task | None:
        """The task that a data set teaches: the one that predicts what it holds; None where there is none."""
        known = self.annotation_type(name)
        return next((row for row in tasks() if row.annotation_type == known and row.has("page")), None)

    def tasks_of(self, name: str) -> list[Task]:
        """All tasks that can learn from a data set, the one that it teaches first."""
        first, known = self.task_of(name), self.annotation_type(name)
        rows = [row for row in tasks() if row.has("page") and row.has("learn") and row != first]
        others = [row for row in rows if row.annotation_type == known or known in row.learns_from]
        return others if first is None else [first, *others]

    def shared(self, make: Callable[[State], T]) -> T:
        """What several views work with, such as the catalogues of the data sets: make(state), made once."""
        with self._guard:
            if make not in self._shared:
                self._shared[make] = make(self)
            return cast("T", self._shared[make])

    def refresh(self) -> None:
        """Look again, after something was written."""
        with self._guard:
            self._found = None
            self._types = {}
            self.ready = _ready() if self._offers_ready else {}

    def end(self) -> None:
        """Let go of what is at work in threads of its own."""
        self.ending.set()
        for leave in self.leaving:
            leave()

    def warm(self) -> None:
        """Load the first model in a thread, so that the first picture need not wait for it."""

        def load() -> None:
            from photovision.core.errors import PhotovisionError

            for name in list(self.models)[:1]:
                if name in self.ready and not (self.ready[name] / "bundle.json").is_file():
                    return  # to make it takes seconds, and nobody has asked for it
                try:
                    with self.using(name) as model:
                        _ = model.session
                except PhotovisionError:  # the view that needs the model tells what is wrong with it
                    return

        # Not a daemon: a process that ends while a library is being loaded would crash.
        threading.Thread(target=load, name="warm").start()

    @contextmanager
    def using(self, name: str) -> Iterator[Model]:
        """A model for one thread at a time, since buffers are shared; loaded at first use and when it changed.

        It predicts as `Task.page_options` say. Raises ModelError where there is none of that name, or it cannot
        be read.
        """
        self.path_of(name)
        with self._lock(name):
            stamp = self.stamp(name)
            if self._loaded.get(name, (None,))[0] != stamp:
                self._loaded[name] = stamp, _opened(self.path_of(name))
            yield self._loaded[name][1]

    def stamp(self, name: str) -> int:
        """A number that changes when a model is trained again in its place; raises ModelError where it is gone."""
        if name in self.ready and not (self.ready[name] / "bundle.json").is_file():
            from photovision.models.pretrained import ready

            ready(name)  # made now, within seconds
        try:
            return (self.path_of(name) / "bundle.json").stat().st_mtime_ns
        except OSError as error:
            raise ModelError(f"the model '{name}' cannot be read ({error.strerror}): reload the page") from None

    def path_of(self, name: str) -> Path:
        """The bundle of that name; raises ModelError where there is none."""
        models = self.models
        if name not in models:
            raise ModelError(f"there is no model '{name}' here, only {', '.join(models) or 'none'}: reload the page")
        return models[name]

    def data_of(self, name: str) -> Path:
        """The data set of that name; raises DataError where there is none."""
        data = self.data
        if name not in data:
            raise DataError(f"there is no data set '{name}' here, only {', '.join(data) or 'none'}: reload the page")
        return data[name]

    @property
    def takes_folders(self) -> bool:
        """Whether new folders of pictures may be made in the folder; in a data set they would become part of it."""
        return self.folder is not None and self.folder not in self.data.values()

    def new_folder(self, name: str) -> Path:
        """Where a new folder of pictures of that name would lie; raises UsageError where there can be none."""
        if self.folder is not None and not self.takes_folders:
            raise UsageError(
                f"{self.folder.name} is a data set itself: start the page in the folder above to add others"
            )
        target = self.inside(name)
        if target.exists():
            raise UsageError(f"there is a {name} already: choose another name")
        return target

    def inside(self, relative: str) -> Path:
        """A path below `folder`, links resolved; raises UsageError for one that leaves it."""
        if self.folder is None:
            raise UsageError("the page was opened without a folder: start it with 'photovision ui FOLDER'")
        return within(self.folder, relative)

    def covers(self, path: Path) -> bool:
        """Whether a path lies in the folder of the page, or behind a link that a person followed."""
        tops = [*([] if self.folder is None else [self.folder]), *self._followed.values()]
        return any(path.resolve().is_relative_to(top.resolve()) for top in tops)

    def _lock(self, name: str) -> threading.RLock:
        with self._guard:
            return self._locks.setdefault(name, threading.RLock())

    def _look(self) -> tuple[dict[str, Path], dict[str, Path]]:
        with self._guard:
            if self._found is None:
                self._found = ({}, {}) if self.folder is None else find(self.folder)
                for name, place in self._followed.items():
                    for mine, behind in zip(self._found, find(place), strict=True):
                        mine |= {_below(name, place, path): path for path in behind.values()}
                self._add_beside(self._found[0])
            return self._found

    def _add_beside(self, models: dict[str, Path]) -> None:
        known = {path.resolve() for path in (*models.values(), *self._given.values())}
        for path in models_in(self._beside):
            if path not in known:
                name = path.name
                while name in models or name in self._given:
                    name = f"../{name}"
                models[name] = path


def _below(name: str, top: Path, path: Path) -> str:
    return name if path == top else f"{name}/{path.relative_to(top).as_posix()}"


def neighbours_of(folder: Path) -> list[Path]:
    """Where the models of a folder's data lie besides in it: the current folder, and beside a folder of data itself."""
    here = Path.cwd()
    around = [folder.resolve().parent] if folder.resolve() in find(folder.resolve())[1].values() else []
    return [place for place in (*around, here) if place.resolve() != folder.resolve()]


def within(folder: Path, relative: str) -> Path:
    """The path `relative` below `folder`, links resolved; raises UsageError for one that leaves the folder.

    Example:
        >>> within(Path("/tmp"), "../etc/passwd")
        Traceback (most recent call last):
        photovision.core.errors.UsageError: '../etc/passwd' is not inside the folder of this page
    """
    top = folder.resolve()
    try:
        path = (top / relative).resolve()
    except (OSError, ValueError):  # a NUL byte, or a name longer than the system takes
        path = top.parent
    if not path.is_relative_to(top):
        raise UsageError(f"{relative!r} is not inside the folder of this page")
    return path


def picture_folders(state: State) -> dict[str, Path]:
    """Name -> folder of images of any kind: the data sets, and the outermost other folders that hold pictures."""
    found, models = state.data, {path.resolve() for path in state.models.values()}
    known = {path.resolve() for path in found.values()}
    waiting, seen = [] if state.folder is None else [(state.folder, 0)], 0
    while waiting and state.folder is not None and seen < MOST_FOLDERS:
        place, depth = waiting.pop(0)
        seen += 1
        if place in known or place in models:
            continue
        if holds_pictures(place):
            name = place.relative_to(state.folder).as_posix() if place != state.folder else place.name
            found[name] = place
        elif depth < DEEPEST:
            waiting += [(child, depth + 1) for child in folders_in(place)]
    return found


def _opened(path: Path) -> Model:
    from photovision.engine.load import load
    from photovision.runtime.bundle import read_bundle

    row = read_bundle(path).row
    if not row.has("page"):
        raise ModelError(f"{path} is not for recognising: {row.text.command} uses {row.text.a_noun}")
    opened: Model = load(path, **row.page_options)
    return opened


def _ready() -> dict[str, Path]:
    """Ready models and published detectors that can be used at once, or made from weights that are here, by name."""
    from photovision.core.errors import PhotovisionError
    from photovision.models.checkpoints import CHECKPOINTS
    from photovision.models.import_checkpoint import kept
    from photovision.models.pretrained import place_of
    from photovision.models.weights import CLASSIFIERS, DETECTORS, locate

    found = {}
    for name in (*DETECTORS, *CLASSIFIERS):
        place = place_of(name)
        try:
            if (place / "bundle.json").is_file() or (find_spec("torch") and locate(name)):
                found[name] = place
        except PhotovisionError:  # weights that were altered are not offered
            continue
    return found | {name: kept(name) for name in CHECKPOINTS if (kept(name) / "bundle.json").is_file()}


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Models by the shortest end of their path that tells them apart.

    Example:
        >>> list(named([Path("a/model"), Path("b/model"), Path("c/other")]))
        ['a/model', 'b/model', 'other']
    """
    found: dict[str, Path] = {}
    resolved = list(dict.fromkeys(path.resolve() for path in paths))
    for path in resolved:
        for length in range(1, len(path.parts) + 1):
            name = "/".join(path.parts[-length:])
            if sum(tuple(name.split("/")) == other.parts[-length:] for other in resolved) == 1:
                break
        found[name] = path
    return found
