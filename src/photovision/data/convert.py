"""Conversion between formats: what the target holds goes over unchanged, what it cannot hold is reported before it is
lost.

Formats differ in what they hold. Each names it in `Format.holds`, in the words of `WORDS` below; `missing` compares
that with what a data set has, and `reduced` takes away what the format has no place for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.files import read_file
from photovision.core.output import check_folder
from photovision.core.regions import IGNORE, Detections, Regions, Segmentation
from photovision.core.shapes import Polygons, Rle, Shape
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.formats import FORMATS, Format
from photovision.data.read import as_dataset
from photovision.data.session_corrections import ALONE

WORDS = {
    "boxes": "{n} objects with their boxes (only the classes of each picture are kept)",
    "outlines": "{n} polygons (they become {less})",
    "parts": "{n} outlines of several polygons (they become {less})",
    "masks": "{n} masks (they become boxes)",
    "bare boxes": "{n} boxes without a mask (they become filled rectangles)",
    "overlaps": "{n} objects that others cover (what is covered goes)",
    "box sizes": "{n} boxes that differ from their outlines or masks (they become those of the outlines)",
    "crowds": "{n} marks of objects that are not judged (crowd, difficult)",
    "tracks": "{n} numbers of tracked objects",
    "attributes": "{n} attributes of pictures, such as their group, video or capture session",
    "splits": "the splits of {n} pictures",
    "segmentation": "{n} pictures with a class for every pixel (each class becomes one object; 255 goes)",
    "several": "the classes of {n} pictures that show several or none (these pictures cannot be placed)",
    "plain": "{n} pictures that have a class but no boxes or masks (they would be left out)",
    "unknown": "{n} pictures of unknown content",
    "spare classes": "{n} classes that no picture shows",
}
"""What a data set may have beside one class a picture -> how its loss is reported."""


SESSION = "session"
"""The attribute that holds capture sessions stated by hand; `train --sessions-by session` obeys it."""
NEAR = 0.05
"""Pixels by which a box may differ from that of its outline: so far programs round."""


@dataclass(frozen=True)
class Converted:
    """What a conversion did.

    Attributes:
        pictures, objects: how many were written.
        source, target: names of the formats.
        lost: sentences on what the target has no place for.
        left_out: pictures and files that could not be read, in the words of their problems.
    """

    pictures: int
    objects: int
    source: str
    target: str
    lost: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def convert(data: Dataset | str | Path, target: str, path: str | Path, *, lossy: bool = False) -> Converted:
    """Write a data set to the new folder `path` in another format, pictures included, all or nothing.

    Args:
        data: what is written, or its path.
        target: one of `FORMATS.names()`.
        path: a folder that does not exist, or is empty.
        lossy: convert although the format cannot hold everything.

    Raises:
        UsageError: the format cannot hold everything and `lossy` is not set, or the folder is not empty.
        DataError: a picture is gone, or a class name is none for the format.
    """
    form: Format = FORMATS.load(target)
    check_folder(Path(path), "data set")
    dataset = with_sessions(as_dataset(data))
    lost = missing(dataset, form)
    if lost and not lossy:
        raise UsageError(f"{target} cannot hold {'; '.join(lost)}: choose another format, or add --lossy")
    kept = reduced(dataset, form) if lost else dataset
    if not len(kept):
        raise UsageError(f"nothing would be left in the format {target}: choose another one")
    form.write(kept, Path(path))
    objects = sum(len(r) for s in kept.samples if isinstance(r := s.annotations, Detections))
    left_out = tuple(f"{problem.id}: {problem.message}" for problem in dataset.problems)
    return Converted(len(kept), objects if "boxes" in form.holds else 0, dataset.source, target, tuple(lost), left_out)


def with_sessions(dataset: Dataset) -> Dataset:
    """The data set with the capture sessions that people stated as the attribute "session", which tables can hold."""
    if not dataset.sessions:
        return dataset

    def placed(sample: Sample) -> Sample:
        session = dataset.sessions.get(sample.id, ALONE)
        return sample if session == ALONE else replace(sample, groups={**sample.groups, SESSION: session})

    return replace(dataset, samples=tuple(map(placed, dataset.samples)))


def missing(dataset: Dataset, form: Format) -> list[str]:
    """What the data set has and the format cannot hold, as words for people."""
    less = "masks" if "masks" in form.holds else "boxes" if "boxes" in form.holds else "classes"
    found = _features(dataset, form)
    words = {name: text for name, text in WORDS.items() if found[name] and name not in form.holds}
    if "boxes" in words:  # nothing of the objects is kept, so their parts need not be told
        words = {
            n: t for n, t in words.items() if n not in ("outlines", "parts", "masks", "crowds", "tracks", "box sizes")
        }
    return [text.format(n=f"{found[name]:,}", less=less) for name, text in words.items()]


def _features(dataset: Dataset, form: Format) -> Counter[str]:
    """How often each of WORDS occurs."""
    found: Counter[str] = Counter()
    shown: set[str] = set()
    for sample in dataset.samples:
        found["attributes"] += len(sample.groups)
        found["unknown"] += sample.target is None
        found["plain"] += sample.target is not None and sample.annotations is None
        found["several"] += sample.target is not None and len(sample.target) != 1
        shown.update(sample.target or ())
        found["segmentation"] += isinstance(sample.annotations, Segmentation)
        if isinstance(sample.annotations, Detections):
            found.update(_of_objects(sample.annotations, form))
    found["splits"] = sum(map(len, dataset.splits.values()))
    found["spare classes"] = len(set(dataset.classes) - shown) if dataset.annotation_type != "masks" else 0
    return found


def _of_objects(regions: Detections, form: Format) -> Counter[str]:
    found: Counter[str] = Counter(boxes=len(regions))
    drawn = "masks" in form.holds and "outlines" not in form.holds  # on one picture, over each other
    every = regions.masks or (None,) * len(regions)
    found["bare boxes"] = sum(shape is None for shape in every) if drawn else 0
    for row, shape in enumerate(regions.masks or ()):
        if isinstance(shape, Polygons):
            found["outlines"] += 1
            found["parts"] += len(shape.parts) > 1
        found["masks"] += isinstance(shape, Rle)
        if shape is not None and _as(shape, form):
            found["box sizes"] += bool(np.abs(np.array(shape.box) - regions.boxes[row]).max() > NEAR)
    found["crowds"] = 0 if regions.crowd is None else int(regions.crowd.sum())
    found["tracks"] = 0 if regions.track_ids is None else int((regions.track_ids >= 0).sum())
    if drawn:
        found["overlaps"] = _covered(regions)
    return found


def _as(shape: Shape, form: Format) -> bool:
    """Whether the format has a place for the shape, as it is or as a mask."""
    return "masks" in form.holds or (isinstance(shape, Polygons) and len(shape.parts) == 1 and "outlines" in form.holds)


def _covered(regions: Detections) -> int:
    """How many masks share pixels with others."""
    shapes = [shape for shape in regions.masks or () if isinstance(shape, Rle)]
    if len(shapes) < 2:
        return 0
    seen = np.zeros(shapes[0].size, dtype=bool)
    covered = 0
    for shape in shapes:
        inside = shape.bitmap(seen.shape)
        covered += bool((seen & inside).any())
        seen |= inside
    return covered


def reduced(dataset: Dataset, form: Format) -> Dataset:
    """The data set without what the format has no place for."""
    kept = [
        (position, _less(sample, form))
        for position, sample in enumerate(dataset.samples)
        if ("several" in form.holds or len(sample.target or ()) == 1)
        and ("unknown" in form.holds or sample.target is not None)
        and ("plain" in form.holds or sample.target is None or sample.annotations is not None)
    ]
    moved = {position: row for row, (position, _) in enumerate(kept)}
    splits = {n: tuple(moved[p] for p in rows if p in moved) for n, rows in dataset.splits.items()}
    several = dataset.multilabel and "several" in form.holds
    return replace(
        dataset,
        samples=tuple(sample for _, sample in kept),
        splits=splits if "splits" in form.holds else {},
        multilabel=several,
    )


def _less(sample: Sample, form: Format) -> Sample:
    regions: Regions | None = sample.annotations
    if isinstance(regions, Segmentation) and "segmentation" not in form.holds:
        regions = as_objects(regions)
    if isinstance(regions, Detections):
        shapes = tuple(_fitting(shape, sample, form) for shape in regions.masks or ())
        some = any(shape is not None for shape in shapes)
        regions = replace(
            regions,
            masks=shapes if some else None,
            crowd=regions.crowd if "crowds" in form.holds else None,
            track_ids=regions.track_ids if "tracks" in form.holds else None,
        )
    return replace(sample, annotations=regions, groups=sample.groups if "attributes" in form.holds else {})


def _fitting(shape: Shape | None, sample: Sample, form: Format) -> Shape | None:
    if isinstance(shape, Rle):
        return shape if "masks" in form.holds else None
    if shape is None or ("outlines" in form.holds and (len(shape.parts) == 1 or "parts" in form.holds)):
        return shape
    return Rle.of(shape.bitmap(_size(sample))) if "masks" in form.holds else None


def _size(sample: Sample) -> tuple[int, int]:
    from photovision.core.image import read_header

    if isinstance(sample.image, np.ndarray):
        return sample.image.shape[0], sample.image.shape[1]
    return read_header(read_file(sample.image)).size


def as_objects(segmentation: Segmentation) -> Detections:
    """One object with a mask for every class that occurs, but for "background" and what nobody judges."""
    labels = segmentation.labels
    names = segmentation.classes
    found = [int(v) for v in np.unique(labels) if v != IGNORE and names[int(v)] != "background"]
    masks = tuple(Rle.of(labels == value) for value in found)
    boxes = np.array([mask.box for mask in masks], dtype=np.float32).reshape(-1, 4)
    return Detections(boxes, np.array(found, dtype=np.int64), names, masks=masks or None)


def counted(parts: Converted) -> Iterator[str]:
    """What a conversion did, a line each."""
    objects = f" with {parts.objects:,} objects" if parts.objects else ""
    yield f"{parts.pictures:,} pictures{objects} from {parts.source} to {parts.target}"
    yield from (f"lost: {sentence}" for sentence in parts.lost)
    if parts.left_out:
        yield f"left out: {len(parts.left_out):,} files, first {parts.left_out[0]}"
