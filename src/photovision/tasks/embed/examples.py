"""Examples: queries beside what was found for them, wrong and right, for the first screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.report import RIGHT, WRONG, Figure
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image, Sample
from photovision.data.dataset import Dataset
from photovision.tasks.embed.evaluation import RetrievalEvaluation
from photovision.tasks.embed.model import EmbeddingModel

SHOWN, FOUND = 8, 4
"""Queries, half of them wrong where there are so many, and results of each."""
_SIDE, _GAP, _FRAME = 112, 6, 4
_GREEN, _RED, _WHITE = (46, 125, 50), (198, 40, 40), (255, 255, 255)
_SAME = 0.97
"""Cosine from which on a file is taken for the training image of its name."""
_NOTE = (
    f"Each query, and on its right the first {FOUND} results: framed green where they are of its class, red where not."
)


def examples(model: EmbeddingModel, evaluation: RetrievalEvaluation) -> list[Figure]:
    """Queries with what was found; nothing where no picture can be read.

    Training pictures are shown where they still lie beside the queries, in the folder of their data set.
    """
    pictures, missing = [], False
    for row in _chosen(evaluation):
        query = _small(evaluation.samples[row])
        if query is None:
            continue
        found = [
            _result(model, evaluation, row, place) for place in range(min(FOUND, evaluation.ranking.found.shape[1]))
        ]
        missing |= any(image is None for image in found)
        shown = [_framed(image, evaluation, row, place) for place, image in enumerate(found) if image is not None]
        gap = np.full((_SIDE, _GAP, 3), 255, np.uint8)
        strip = np.concatenate([part for image in (_framed_by(query, _WHITE), *shown) for part in (image, gap)][:-1], 1)
        pictures.append((jpeg(strip), _caption(evaluation, row)))
    if not pictures:
        return []
    right = evaluation.right
    title = "Wrong and right" if right.any() and not right.all() else "Right" if right.all() else "Wrong"
    more = " Training pictures that do not lie beside the queries are only named." if missing else ""
    return [Figure(title, pictures=tuple(pictures), note=f"{_NOTE}{more}", wide=True, first=True)]


def _chosen(evaluation: RetrievalEvaluation) -> list[int]:
    """Rows to show: the wrong results of highest similarity, then right ones over the range of similarity."""
    order = np.argsort(-evaluation.ranking.similarity[:, 0], kind="stable")
    wrong, right = order[~evaluation.right[order]], order[evaluation.right[order]]
    few = wrong[: max(SHOWN // 2, SHOWN - len(right))]
    spread = np.linspace(0, len(right) - 1, min(SHOWN - len(few), len(right))).astype(int)
    return [int(row) for row in np.concatenate([few, right[spread]])]


def _result(model: EmbeddingModel, evaluation: RetrievalEvaluation, row: int, place: int) -> Image | None:
    """A result, where its picture is at hand."""
    number = int(evaluation.ranking.found[row, place])
    if not evaluation.gallery.learned:
        return _small(evaluation.gallery.samples[number])
    known, file = model.references, _beside(evaluation.samples[row], evaluation.gallery.ids[number])
    if known is None or file is None:
        return None
    # Another picture may have the name of a training picture: the model has to see in it what it remembers.
    sample = Sample(evaluation.gallery.ids[number], file)
    vectors, _ = model.vectors(Dataset((sample,), ()))
    close = np.isfinite(vectors).all() and float(vectors[0] @ known.embeddings[number].astype(np.float32)) >= _SAME
    return _small(sample) if close else None


def _beside(query: Sample, id: str) -> Path | None:
    """The file of another sample of the query's data set; None where its place is not known."""
    if not isinstance(query.image, (str, Path)) or ".." in Path(id).parts or Path(id).is_absolute():
        return None
    path, own = Path(query.image), Path(query.id)
    if path.parts[-len(own.parts) :] != own.parts:
        return None
    file = path.parents[len(own.parts) - 1] / id
    return file if file.is_file() and not file.is_symlink() else None


def _small(sample: Sample) -> Image | None:
    """The upright picture in a white square, uint8 (_SIDE - 2 _FRAME, ..., 3); None where it cannot be read."""
    side = _SIDE - 2 * _FRAME
    try:
        picture = open_sample(sample, (side, side))
    except UnreadableImage:
        return None
    picture.thumbnail((side, side))
    image, square = to_array(picture), np.full((side, side, 3), 255, np.uint8)
    top, left = (side - image.shape[0]) // 2, (side - image.shape[1]) // 2
    square[top : top + image.shape[0], left : left + image.shape[1]] = image
    return square


def _framed(image: Image, evaluation: RetrievalEvaluation, row: int, place: int) -> Image:
    label = evaluation.gallery.labels[int(evaluation.ranking.found[row, place])]
    return _framed_by(image, _GREEN if label == evaluation.labels[row] else _RED)


def _framed_by(image: Image, colour: tuple[int, int, int]) -> Image:
    framed = np.full((_SIDE, _SIDE, 3), np.array(colour, np.uint8), np.uint8)
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = image
    return framed


def _caption(evaluation: RetrievalEvaluation, row: int) -> str:
    found = [evaluation.gallery.labels[int(number)] for number in evaluation.ranking.found[row, :FOUND]]
    mark = RIGHT if evaluation.right[row] else WRONG
    return f"{mark}{evaluation.labels[row]}\nfound: {', '.join(found)}"
