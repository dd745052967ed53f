"""predict, detect: models asked about pictures, wherever both are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Any, overload

import numpy as np

from photovision.core.data_frame import rows_frame
from photovision.core.inputs import Given, as_source, as_sources
from photovision.core.notebook import grid, paragraph, text
from photovision.core.pictured import Pictured
from photovision.core.result import Result
from photovision.core.sample_html import TILE
from photovision.data.image_paths import find_pictures, is_pattern
from photovision.engine.load import load_predicting, opened
from photovision.models.pretrained import ready

SHOWN = 24
"""Results that a notebook shows."""


class Results(Sequence[Result[Any]]):
    """Predictions for several pictures, in order, beside their files; unreadable ones hold their error.

    Args:
        model: that predicted.
        results: one for each picture.
        pictures: as they were given, in the same order, so that a notebook shows those that are no files, too; None
            where nobody holds them, as those of a generator.
    """

    def __init__(
        self, model: Any, results: Sequence[Result[Any]], pictures: Sequence[Given] | np.ndarray | None = None
    ) -> None:
        self.model, self._results, self._pictures = model, tuple(results), pictures

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> Result[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> Result[Any] | Results:
        if isinstance(index, slice):
            pictures = None if self._pictures is None else self._pictures[index]
            return Results(self.model, self._results[index], pictures)
        return self._results[index]

    def to_json(self) -> list[dict[str, Any]]:
        """What `photovision predict --json` prints, a document for each picture."""
        return [result.to_json() for result in self]

    def to_pandas(self) -> Any:
        """What `photovision predict --csv` prints, as a `pandas.DataFrame`; raises MissingExtra without pandas.

        A row for each picture of a classifier, for each box of a detector, for each class that a segmenter finds.
        Pictures that could not be read have one row, with the reason under "error".
        """
        lines = self.model.bundle.row.part("lines", "to_pandas")(self.model, 1)
        rows: list[list[Any]] = []
        for result in self:
            if result.value is None:
                rows.append([result.file, *[None] * len(lines.columns), str(result.error)])
            else:
                rows += [[result.file, *cells, None] for cells in lines.rows(result.value, result.size)]
        return rows_frame(("file", *lines.columns, "error"), rows)

    def __repr__(self) -> str:
        return f"Results({len(self)} of {self.model!r})"

    def _repr_html_(self) -> str:
        """Pictures with their predictions in a grid, for notebooks."""
        more = paragraph(f"the first {SHOWN} of {len(self):,}") if len(self) > SHOWN else ""
        pictures: Iterable[Any] = repeat(None) if self._pictures is None else self._pictures
        return more + grid(_tile(result, given) for result, given in islice(zip(self, pictures, strict=False), SHOWN))


def predict(
    model: Any,
    images: Given | Iterable[Given],
    *,
    threshold: float | None = None,
    tile: tuple[int, int] | None = None,
    overlap: float | None = None,
    top: int | None = None,
    batch_size: int | None = None,
) -> Any:
    """Ask a model about pictures.

    Args:
        model: an opened model of any task, its folder, or the name of a pretrained one.
        images: one picture, as `photovision.core.inputs.as_source` takes it; or several: a folder, a pattern such as
            `in/*.jpg`, a data set, or any iterable of pictures.
        threshold, tile, overlap, top: as of `photovision predict`, for tasks that have them.
        batch_size: pictures a call of the network; None: the default of the task.

    Returns:
        The prediction for one picture: `Classes`, `Detections`, `Segmentation` or `Anomaly`; for several, `Results`.

    Raises:
        UnreadableImage: the one picture cannot be decoded; among several it has its error in its result.
        UsageError: an option that such models do not have, or something that is no picture, such as an address.
        DataError: a folder or a pattern without pictures.
        ModelError: there is no model at the path.
    """
    given = {"threshold": threshold, "tile": tile, "overlap": overlap, "top": top}
    own = opened(model, "predict", "model")
    options = own.bundle.row.check_options("predict", given)
    own = own.with_options(**options) if options else own
    if isinstance(images, str | Path) and (Path(images).is_dir() or is_pattern(str(images))):
        images = find_pictures([str(images)])
    elif as_sources(images)[1]:
        return own.predict(images)
    held = images if isinstance(images, list | tuple | np.ndarray) else None
    return Results(own, list(own.results(images, batch_size=batch_size)), held)


def detect(
    images: Given | Iterable[Given],
    model: Any = None,
    *,
    threshold: float | None = None,
    tile: tuple[int, int] | None = None,
    overlap: float | None = None,
) -> Any:
    """Find objects in pictures.

    Args:
        images, threshold, tile, overlap: as for `predict`.
        model: a detector, its folder or its name; None: the ready one of 80 everyday things.

    Returns:
        `Detections` of one picture; for several, `Results`.

    Raises:
        ModelError: the model is no detector, or the weights of the ready one are not on this machine.
        UsageError, DataError, UnreadableImage: as for `predict`.
    """
    own = load_predicting(ready() if model is None else model, "boxes")
    return predict(own, images, threshold=threshold, tile=tile, overlap=overlap)


def _tile(result: Result[Any], given: Given | None) -> tuple[str, str]:
    """A picture with its prediction, and what stands below it."""
    name = text(Path(result.file).name) if result.file else ""
    if result.value is None:
        return "", f"{name} {text(result.error)}"
    label = getattr(result.value, "label", "")
    caption = f"<b>{text(label)}</b><br>{name}" if label else name
    picture = result.file if result.file is not None else given
    if not isinstance(result.value, Pictured) or picture is None:
        return "", caption
    return result.value.with_picture(as_source(picture)).html_picture(TILE), caption
