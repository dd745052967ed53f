"""OnnxModel: an opened bundle that predicts; the base of the models of all tasks. It runs without torch."""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.folder import new_folder
from photovision.core.image import read_header
from photovision.core.inputs import Given, Source, as_sources, name_of, placed
from photovision.core.pictured import Pictured
from photovision.core.result import Prediction, Result, Size
from photovision.core.types import Image
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Engine, Precision, Session
from photovision.runtime.stream import stream

P = TypeVar("P", bound=Prediction)
Outputs = dict[str, np.ndarray]
"""Outputs of a graph by name; the rows of one image."""


class OnnxModel(Generic[P]):
    """An opened bundle; most tasks add `decode` alone.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.

    Attributes:
        task: name of the task of such models.
        batch_size: images, or windows of one, that a call of the network takes where nothing else is asked for.
        sized: whether `decode` needs the size of the image, which is then read from its header.

    Raises:
        ModelError: the bundle is for another task.
    """

    task: ClassVar[str]
    batch_size: ClassVar[int] = 8
    sized: ClassVar[bool] = True

    def __init__(self, bundle: Bundle, *, engine: Engine = "auto", precision: Precision | None = None) -> None:
        bundle.expect(self.task)
        self.bundle = bundle
        self.classes = bundle.classes
        self.preprocess = bundle.preprocess
        self._engine: Engine = engine
        self._precision = precision

    @property
    def info(self) -> dict[str, Any]:
        """The whole of bundle.json: classes, metrics, training arguments, licences."""
        return self.bundle.info

    @cached_property
    def session(self) -> Session:
        """The loaded graph; opened at first use."""
        return self._open_session()

    def _open_session(self) -> Session:
        return self.bundle.open_session(self._engine, self._precision, self.bundle.row.outputs or None)

    def with_session(self, session: Session) -> Self:
        """The same model, whose graph is run by another session."""
        other = copy(self)
        other.__dict__["session"] = session  # where `cached_property` keeps it
        return other

    def with_options(self) -> Self:
        """The same model with other choices for a prediction, those that its task has; the loaded graph is shared."""
        return self.with_session(self.session)

    def decode(self, outputs: Outputs, size: Size) -> P:
        """The prediction that the graph's outputs for one image of `size` mean; the one method most tasks write.

        Raises:
            ModelError: the outputs are not what such a graph should give.
        """
        raise NotImplementedError

    def predict(self, images: Given | Iterable[Given]) -> P | list[P]:
        """The prediction for one image, or for each of a list of images in order.

        Args:
            images: one image, or any iterable of images, as `photovision.core.inputs.as_source` takes them; an array
                (N, H, W, 3) counts as a list.

        A prediction knows its picture, for notebooks: one alone in any form, those of a list where they are files.

        Raises:
            UnreadableImage: an image cannot be decoded; `results` continues after such files.
        """
        sources, single = as_sources(images)
        if single:
            (source,) = sources
            (result,) = self._results(iter((source,)), self.batch_size)
            return _pictured(result, source)
        found: list[P] = []
        for number, result in enumerate(self._results(sources, self.batch_size), 1):
            if result.value is None:
                raise placed(cast("UnreadableImage", result.error), f"picture {number}")
            found.append(_pictured(result, result.file))
        return found

    def results(self, sources: Given | Iterable[Given], *, batch_size: int | None = None) -> Iterator[Result[P]]:
        """Predictions for any number of images in order, with flat memory; unreadable ones come with their error.

        Args:
            sources: as for `predict`.
            batch_size: images, or windows of one, a call of the network; None: the default of the task.

        Raises:
            UsageError: batch_size is below 1.
            ModelError: the graph is damaged.
        """
        return self._results(as_sources(sources)[0], self.batch_size if batch_size is None else batch_size)

    def stream(
        self, sources: Given | Iterable[Given], *, batch_size: int | None = None
    ) -> Iterator[P | UnreadableImage]:
        """`results` without files and sizes: predictions, or why an image could not be read."""
        return map(_value, self.results(sources, batch_size=batch_size))

    def with_outputs(self, sources: Given | Iterable[Given]) -> Iterator[tuple[Result[P], Outputs]]:
        """`results`, each beside the rows of the graph's outputs, which are empty for unreadable images."""
        items = (_Item(source) for source in as_sources(sources)[0])
        for read in stream(items, self._load, self.session, batch_size=self.batch_size):
            source, size = read.item.source, read.item.size
            yield self._result(source, size, read.error or self.decode(read.outputs, size)), read.outputs

    def _results(self, sources: Iterable[Source | UnreadableImage], batch_size: int) -> Iterator[Result[P]]:
        items = (_Item(source) for source in sources)
        for read in stream(items, self._load, self.session, batch_size=batch_size):
            source, size = read.item.source, read.item.size
            yield self._result(source, size, read.error or self.decode(read.outputs, size))

    def _result(self, source: Source | UnreadableImage, size: Size, value: P | UnreadableImage) -> Result[P]:
        if isinstance(value, UnreadableImage):
            return Result(name_of(source), (0, 0), None, value)
        return Result(name_of(source), size, value)

    def _load(self, item: _Item) -> Image:
        if isinstance(item.source, UnreadableImage):
            raise item.source
        image, item.size = self.input_of(item.source)
        return image

    def input_of(self, source: Source) -> tuple[Image, Size]:
        """The input of the network, uint8 RGB (H, W, 3), and the size of the upright image, (0, 0) unless `sized`."""
        if isinstance(source, np.ndarray):
            return self.preprocess.apply(source), (source.shape[0], source.shape[1])
        if not self.sized:
            return self.preprocess.load(source), (0, 0)
        try:
            content = source
            if not isinstance(content, bytes):
                with open_regular(content) as file:
                    content = file.read()
            size = read_header(content).size
            return self.preprocess.load(content), size
        except (OSError, DataError):
            return self.preprocess.load(source), (0, 0)  # raises again, with the name of the file

    def save(self, path: str | Path) -> None:
        """Copy the bundle to another folder, atomically; raises ModelError for a model in memory."""
        self.bundle.expect_files("saved")
        with new_folder(Path(path), "model", [self.bundle.path]) as folder:
            shutil.copytree(self.bundle.path, folder, dirs_exist_ok=True)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is opened at first use: no engine can be pickled or used by two copies."""
        opened = _opened_at_first_use(cast("Hashable", type(self)))
        return {name: value for name, value in vars(self).items() if name not in opened}

    def __repr__(self) -> str:
        number = len(self.classes)
        return f"{type(self).__name__}({str(self.bundle.path)!r}, {number} {'class' if number == 1 else 'classes'})"

    def _repr_html_(self) -> str:
        """What it tells apart, and how well: its card in short, for notebooks."""
        from photovision.runtime.model_html import short_card

        return short_card(self.bundle)


def _pictured(result: Result[P], picture: Any) -> P:
    """The prediction with its picture; raises UnreadableImage where there is none."""
    value: Any = result.value
    if value is None:
        raise cast("UnreadableImage", result.error)
    return cast("P", value.with_picture(picture) if isinstance(value, Pictured) else value)


def _value(result: Result[P]) -> P | UnreadableImage:
    return result.value if result.value is not None else cast("UnreadableImage", result.error)


@cache
def _opened_at_first_use(model: Hashable) -> frozenset[str]:
    members = (pair for kind in cast("type", model).__mro__ for pair in vars(kind).items())
    return frozenset(name for name, value in members if isinstance(value, cached_property))


@dataclass(eq=False, slots=True)
class _Item:
    """An image on its way through the network; its size is known once it is decoded."""

    source: Source | UnreadableImage
    size: Size = (0, 0)
