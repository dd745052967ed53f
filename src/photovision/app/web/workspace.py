"""State: what the local page works on: one folder with its models and data sets, found when first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.core.errors import DataError, ModelError, UsageError
from photovision.core.image import SUFFIXES
from photovision.core.task import Task, tasks

if TYPE_CHECKING:
    from photovision.data.dataset import AnnotationType
    from photovision.data.formats import Format
    from photovision.runtime.model import OnnxModel

    Model = OnnxModel[Any]

DEEPEST, MOST_FOLDERS = 4, 2000
"""How far below the folder models and data sets are looked for, and in how many folders at most."""
_TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


class State:
    """What all views of the page share; safe to use from several threads.

    Args:
        folder: where models, data sets and reports lie; None for a page about given models only. Nothing outside it is
            ever read or written, but for the given models.
        models: name -> bundle, in addition to those in `folder`.
        ready: whether ready detectors that are on this machine are offered, too, after all others.

    Attributes:
        ending: set when the page is about to end, so that answers without an end of their own find one.
        leaving: called when it ends.

    Example:
        >>> State(None, {}).models
        {}
    """

    def __init__(self, folder: Path | None, models: Mapping[str, Path] | None = None, *, ready: bool = False) -> None:
        self.folder = None if folder is None else folder.resolve()
        self.ending = threading.Event()
        self.leaving: list[Callable[[], None]] = []
        self._given = dict(models or {})
        self.ready = _ready() if ready else {}
        self._found: tuple[dict[str, Path], dict[str, Path]] | None = None
        self._types: dict[str, AnnotationType] = {}
        self._loaded: dict[str, tuple[int, Model]] = {}
        self._guard = threading.RLock()
        self._locks: dict[str, threading.RLock] = {}

    @property
    def models(self) -> dict[str, Path]:
        """Name -> folder of every bundle: the given ones, those in `folder` by their relative path, the ready ones."""
        found = self._look()[0]
        given = {path.resolve() for path in self._given.values()}
        own = {**self._given, **{name: path for name, path in found.items() if path not in given}}
        return {**own, **{name: path for name, path in self.ready.items() if name not in own}}

    @property
    def data(self) -> dict[str, Path]:
        """Name -> folder of every data set in `folder`, named by its relative path; the folder itself by its name."""
        return dict(self._look()[1])

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

    def refresh(self) -> None:
        """Look again, after something was written."""
        with self._guard:
            self._found = None
            self._types = {}

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

    def inside(self, relative: str) -> Path:
        """A path below `folder`, links resolved; raises UsageError for one that leaves it."""
        if self.folder is None:
            raise UsageError("the page was opened without a folder: start it with 'photovision ui FOLDER'")
        return within(self.folder, relative)

    def _lock(self, name: str) -> threading.RLock:
        with self._guard:
            return self._locks.setdefault(name, threading.RLock())

    def _look(self) -> tuple[dict[str, Path], dict[str, Path]]:
        with self._guard:
            if self._found is None:
                self._found = ({}, {}) if self.folder is None else find(self.folder)
            return self._found


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


def find(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Models and data sets in `folder` and below it, name -> path, sorted; links are not followed."""
    models: dict[str, Path] = {}
    data: dict[str, Path] = {}
    waiting, seen = [(folder, 0)], 0
    while waiting and seen < MOST_FOLDERS:
        place, depth = waiting.pop(0)
        seen += 1
        name = place.relative_to(folder).as_posix() if place != folder else folder.name or str(folder)
        if (place / "bundle.json").is_file():
            models[name] = place
            continue
        children = _folders(place)
        if _is_data(place, children):
            data[name] = place
            # Models may lie beside class folders, but no data set lies inside another.
            models |= {c.relative_to(folder).as_posix(): c for c in children if (c / "bundle.json").is_file()}
        elif depth < DEEPEST:
            waiting += [(child, depth + 1) for child in children]
    return models, data


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
        if _holds_pictures(place):
            name = place.relative_to(state.folder).as_posix() if place != state.folder else place.name
            found[name] = place
        elif depth < DEEPEST:
            waiting += [(child, depth + 1) for child in _folders(place)]
    return found


def annotation_type(place: Path) -> AnnotationType:
    """What is known of the images of a data set, by the format that it lies in."""
    known = next((form for form in _formats() if form.detects(place)), None)
    return "labels" if known is None else known.annotation_type


def _is_data(place: Path, children: list[Path]) -> bool:
    from photovision.data.formats.split_names import split_named

    if _only_holds(place, children):  # the formats would find what lies in it, but that is shown by itself
        return False
    if any((place / name).is_file() for name in _TABLES):
        return True
    if any(split_named(child.name) and _folders(child) for child in children):
        return True
    if sum(_holds_pictures(child) for child in children if not (child / "bundle.json").is_file()) >= 2:
        return True
    return _is_annotated(place) or _has_masks(children)


def _only_holds(place: Path, children: list[Path]) -> bool:
    """Whether a folder holds nothing but others, none of which is called like a part of a data set."""
    from photovision.data.formats.layout import is_container
    from photovision.data.formats.mask_names import place_of
    from photovision.data.formats.split_names import split_named

    if any(entry.is_file() for entry in _entries(place)) or any(map(_holds_pictures, children)) or _has_masks(children):
        return False
    return not any(split_named(c.name) or is_container(c.name) or place_of((c.name,)).role for c in children)


def _is_annotated(place: Path) -> bool:
    """Whether a file of boxes lies in a folder, or it is a layout of good images and defects."""
    try:
        return any(form.detects(place) for form in _formats() if form.annotation_type in ("boxes", "defects"))
    except OSError:  # a folder that may not be read holds nothing for us
        return False


def _formats() -> list[Format]:
    from photovision.data.formats import FORMATS

    return [FORMATS.load(name) for name in FORMATS.names()]


def _has_masks(children: list[Path]) -> bool:
    """Whether most folders hold one picture with its masks each, as a data set of microscopy does."""
    inner = sum((child / "images").is_dir() and (child / "masks").is_dir() for child in children)
    return 2 * inner > len(children)


def _holds_pictures(place: Path) -> bool:
    return any(entry.suffix.lower() in SUFFIXES for entry in _entries(place))


def _folders(place: Path) -> list[Path]:
    return sorted(entry for entry in _entries(place) if entry.is_dir() and not entry.is_symlink())


def _entries(place: Path) -> Iterator[Path]:
    try:
        yield from (entry for entry in place.iterdir() if not entry.name.startswith("."))
    except OSError:  # a folder that may not be read holds nothing for us
        return


def _opened(path: Path) -> Model:
    from photovision.engine.load import load
    from photovision.runtime.bundle import read_bundle

    row = read_bundle(path).row
    if not row.has("page"):
        raise ModelError(f"{path} is not for recognising: {row.text.command} uses {row.text.a_noun}")
    opened: Model = load(path, **row.page_options)
    return opened


def _ready() -> dict[str, Path]:
    """Ready and published detectors that can be used at once, or made from weights that are here: name -> folder."""
    from photovision.core.errors import PhotovisionError
    from photovision.models.checkpoints import CHECKPOINTS
    from photovision.models.import_checkpoint import kept
    from photovision.models.pretrained import place_of
    from photovision.models.weights import DETECTORS, locate

    found = {}
    for name in DETECTORS:
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
