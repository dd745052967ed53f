"""Masks: pictures whose pixels are classes or objects, beside the photographs.

    data/JPEGImages/1.jpg                           or images/
    data/SegmentationClass/1.png                    or masks/, labels/, annotations/: a class for every pixel
    data/SegmentationObject/1.png                   or instances/: a number for every object, 0 for none, 8 or 16 bits
    data/masks/1/a.png, data/masks/1/b.png          or 1/images/1.png, 1/masks/*.png: a file for every object
    data/classes.txt                                names of the values 0, 1, 2 ..., a line each; else numbers are names
    data/labelmap.txt                               for masks of RGB colours: what they mean (see colours.py); else the
                                                    colours found are names, and black is background
    data/ImageSets/Segmentation/train.txt           names of the pictures of each split

255 is for pixels that nobody judges. Where objects are told apart the data are for detection, with a mask for every
object, else for segmentation. Written is Pascal VOC's layout. Masks are read at once, for they are the labels; pictures
are not.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import new_folder, write_text
from photovision.core.geometry import upright_values
from photovision.core.image import COLOUR, SUFFIXES, decode_values, read_header
from photovision.core.parallel import in_order
from photovision.core.regions import IGNORE, Detections, LabelMap, Segmentation
from photovision.core.shapes import Rle
from photovision.core.types import Ints
from photovision.data.annotated import Gathered, unique_classes
from photovision.data.dataset import Dataset, FileSamples
from photovision.data.formats import SPLIT_WORDS, Format
from photovision.data.formats.colours import BACKGROUND, colour_name, read_colours, value_names
from photovision.data.formats.placing import Placed, detections, place, segmentation
from photovision.data.read_options import DEFAULTS, ReadOptions

OBJECT = "object"
_PICTURES = ("JPEGImages", "images", "imgs")
_CLASSES = ("SegmentationClass", "masks", "labels", "annotations")
_OBJECTS = ("SegmentationObject", "instances")
_MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif")


def detects(path: Path) -> bool:
    """A folder of pictures beside a folder of masks of the same names, or folders each with images/ and masks/."""
    if not path.is_dir():
        return False
    pictures = _folder(path, _PICTURES)
    if pictures is None:
        inner = [entry for entry in sorted(path.iterdir())[:20] if entry.is_dir()]
        return bool(inner) and any((e / "images").is_dir() and (e / "masks").is_dir() for e in inner)
    sides = [folder for folder in (_folder(path, _OBJECTS), _folder(path, _CLASSES)) if folder is not None]
    return any(_mask_of(folder, file.stem) for folder in sides for file in sorted(pictures.iterdir())[:5])


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read pictures and masks of a folder; raises DataError where there are none, or a mask makes no sense."""
    if not path.is_dir():
        raise DataError(f"{path} should be a folder with images/ and masks/")
    pairs = _pairs(path)
    if not any(pair.masks for pair in pairs):
        raise DataError(f"{path} holds no masks that go with its pictures: expected images/1.jpg and masks/1.png")
    found = Gathered(path, path, "masks")
    names, colours = _names(path), read_colours(path)
    for name in _spare(path, {pair.file.stem for pair in pairs}):
        found.problem(name, "no picture", "a mask without its picture")
    kept = [pair for pair in pairs if pair.masks]
    for pair in pairs:
        if not pair.masks:
            found.unlabelled(pair.name)
    if any(pair.objects for pair in kept):
        return _objects(found, kept, names, colours)
    return _semantic(found, kept, names, colours)


def write(dataset: Dataset, path: Path) -> None:
    """Write Pascal VOC's layout with classes.txt, all or nothing; raises DataError for more than 254 classes."""
    first = () if dataset.task == "segment" else (BACKGROUND,)
    if len(dataset.classes) + len(first) > IGNORE:
        raise DataError(f"masks of 8 bits hold at most {IGNORE} classes, got {len(dataset.classes)}: use coco")
    with new_folder(path) as folder:
        names: dict[str, list[str]] = defaultdict(list)
        for placed in place(dataset, folder / "JPEGImages"):
            _write_masks(folder, placed)
            names[placed.split].append(placed.file.stem)
        write_text(folder / "classes.txt", "".join(f"{name}\n" for name in (*first, *dataset.classes)))
        for split, stems in names.items():
            if split:
                text = "".join(f"{stem}\n" for stem in stems)
                write_text(folder / "ImageSets" / "Segmentation" / f"{split}.txt", text)


@dataclass(frozen=True)
class _Pair:
    """A picture and its masks: whether they tell objects apart, and the mask of classes beside them, if any."""

    file: Path
    name: str
    masks: tuple[Path, ...]
    objects: bool = False
    classes: Path | None = None
    split: str | None = None


@dataclass(frozen=True)
class MaskFile:
    """A LabelSource: the classes of a picture's pixels in a mask file.

    Attributes:
        path: the file.
        values: the value that stands for each class.
        orientation: how the picture is turned by EXIF where the mask lies on stored pixels; else 1.
        colours: whether palette indices stand for colours.
    """

    path: Path
    values: tuple[int, ...]
    orientation: int = 1
    colours: bool = False

    def load(self) -> LabelMap:
        """int32 (H, W); raises DataError where the file cannot be read."""
        stored = upright_values(decode_values(self.path, self.colours), self.orientation).astype(np.int32)
        if max(self.values, default=0) >= COLOUR:
            return self._of_colours(stored)
        table = np.full(max(int(stored.max()), *self.values, IGNORE) + 1, -1, dtype=np.int32)
        table[IGNORE] = IGNORE
        table[list(self.values)] = np.arange(len(self.values))
        if stored.min() < 0:
            raise DataError(f"{self.path} should hold values of 0 or more, got {stored.min()}")
        return table[stored]

    def _of_colours(self, stored: LabelMap) -> LabelMap:
        """As with numbers, without a table of 16 million colours."""
        order = np.argsort(self.values)
        ordered = np.asarray(self.values, dtype=np.int32)[order]
        places = np.minimum(np.searchsorted(ordered, stored), len(ordered) - 1)
        found = np.where(ordered[places] == stored, order[places], np.where(stored == IGNORE, IGNORE, -1))
        return found.astype(np.int32)

    def digest(self) -> bytes:
        """Changes when the file's content changes."""
        return hashlib.sha256(self.path.read_bytes()).digest() + repr((self.values, self.orientation)).encode()


def _folder(path: Path, names: Iterable[str]) -> Path | None:
    return next((path / name for name in names if (path / name).is_dir()), None)


def _mask_of(folder: Path | None, stem: str) -> tuple[Path, ...]:
    """The mask file of that name, or all in the folder of that name."""
    if folder is None:
        return ()
    if (folder / stem).is_dir():
        return tuple(file for file in sorted((folder / stem).iterdir()) if file.suffix.lower() in _MASKS)
    return tuple(file for suffix in _MASKS if (file := folder / f"{stem}{suffix}").is_file())[:1]


def _pairs(path: Path) -> list[_Pair]:
    splits = _splits(path)
    pictures = _folder(path, _PICTURES)
    if pictures is None:
        return [
            _Pair(file, file.relative_to(path).as_posix(), tuple(sorted((entry / "masks").glob("*.png"))), True)
            for entry in sorted(path.iterdir())
            if (entry / "images").is_dir()
            for file in sorted((entry / "images").iterdir())
            if file.suffix.lower() in SUFFIXES
        ]
    objects, classes = _folder(path, _OBJECTS), _folder(path, _CLASSES)
    pairs = []
    for file in sorted(pictures.iterdir()):
        if file.suffix.lower() not in SUFFIXES or file.name.startswith("."):
            continue
        numbered, by_class = _mask_of(objects, file.stem), _mask_of(classes, file.stem)
        apart = bool(numbered) or (classes is not None and (classes / file.stem).is_dir())
        beside = by_class[0] if numbered and by_class else None
        name = file.relative_to(path).as_posix()
        pairs.append(_Pair(file, name, numbered or by_class, apart, beside, splits.get(file.stem)))
    return pairs


def _spare(path: Path, stems: set[str]) -> list[str]:
    folders = [folder for folder in (_folder(path, _OBJECTS), _folder(path, _CLASSES)) if folder is not None]
    files = (file for folder in folders for file in sorted(folder.iterdir()))
    return [f.relative_to(path).as_posix() for f in files if f.suffix.lower() in _MASKS and f.stem not in stems]


def _splits(path: Path) -> dict[str, str]:
    folder = path / "ImageSets" / "Segmentation"
    lists = (
        {file: SPLIT_WORDS.get(file.stem.lower()) for file in sorted(folder.glob("*.txt"))} if folder.is_dir() else {}
    )
    return {
        line.strip(): split
        for file, split in lists.items()
        if split is not None
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    }


def _names(path: Path) -> list[str] | None:
    file = path / "classes.txt"
    if not file.is_file():
        return None
    return file.read_text(encoding="utf-8-sig", errors="replace").splitlines()


def _semantic(found: Gathered, pairs: list[_Pair], names: list[str] | None, colours: dict[int, str] | None) -> Dataset:
    """Masks are decoded once for the classes that occur; the labels themselves are loaded when asked for."""
    seen: list[tuple[_Pair, Ints, int]] = []
    for pair, values in in_order(pairs, partial(_values, colours=colours is not None)):
        if isinstance(values, DataError):
            found.problem(pair.name, "bad mask", str(values))
        elif found.picture(pair.name, split=pair.split) is not None:
            seen.append((pair, *values))
    present = sorted({value for _, values, _ in seen for value in values.tolist()} - {IGNORE})
    named_values = value_names(found.path, present, names, colours)
    values_of = tuple(named_values)
    classes = unique_classes(list(named_values.values()), found.path)
    index = {value: number for number, value in enumerate(values_of)}
    targets, regions = [], []
    for pair, shown, orientation in seen:
        named = (classes[number] for number in sorted(index[value] for value in shown.tolist() if value != IGNORE))
        targets.append(tuple(name for name in named if name != BACKGROUND))
        mask = MaskFile(pair.masks[0], values_of, orientation, colours is not None)
        regions.append(Segmentation(mask, classes))
    if not seen:
        raise DataError(f"{found.path}: no mask can be read")
    samples = FileSamples(found.root, found.files, targets, found.columns(), regions)
    splits = {name: tuple(positions) for name, positions in found.splits.items()}
    problems = found.told(True)
    return Dataset(samples, classes, splits, True, problems, "masks", task="segment", notes=found.told(False))


def _values(pair: _Pair, colours: bool) -> tuple[Ints, int] | DataError:
    """The values that occur in a mask, and how it is to be turned."""
    try:
        stored = decode_values(pair.masks[0], colours)
        orientation = _turn(pair.file, stored.shape)
        return np.unique(stored).astype(np.int64), orientation
    except DataError as error:
        return error


def _turn(file: Path, size: tuple[int, ...]) -> int:
    """The EXIF orientation to turn a mask by: 1 where it is as large as the upright picture."""
    try:
        header = read_header(file.read_bytes())
    except (OSError, UnreadableImage):
        return 1  # the scan will tell that the picture cannot be read
    if header.size == size:
        return 1
    if header.orientation in (5, 6, 7, 8) and header.size == size[::-1]:
        return header.orientation
    raise DataError(f"the mask has {size[0]} x {size[1]} pixels, the picture {header.size[0]} x {header.size[1]}")


def _objects(found: Gathered, pairs: list[_Pair], names: list[str] | None, colours: dict[int, str] | None) -> Dataset:
    things = [name for name in colours.values() if name != BACKGROUND] if colours else []
    things = things or [name for name in names or [] if name != BACKGROUND] or [OBJECT]
    first = 1 if names is None or BACKGROUND in names[:1] else 0
    labels = {first + label: label for label in range(len(things))}
    if colours:
        labels = {value: things.index(name) for value, name in colours.items() if name != BACKGROUND}
    for pair, masks in in_order(pairs, partial(_instances, colours=colours is not None)):
        if isinstance(masks, DataError):
            found.problem(pair.name, "bad mask", str(masks))
            continue
        position = found.picture(pair.name, split=pair.split)
        for shape, value in masks if position is not None else ():
            label = labels.get(value) if pair.classes is not None else 0
            if label is not None:
                found.thing(position, label, None, shape)  # type: ignore[arg-type]
            else:
                fault = f"an object of the class {colour_name(value)}, which no table names"
                found.fault(position, pair.masks[0].name, fault)
    return found.dataset(things)


def _instances(pair: _Pair, colours: bool) -> list[tuple[Rle, int]] | DataError:
    """The mask of every object with the value of its class (0 where only one class is known)."""
    try:
        turned = {mask: decode_values(mask) for mask in pair.masks}
        by_class = decode_values(pair.classes, colours) if pair.classes else None
        orientation = _turn(pair.file, next(iter(turned.values())).shape)
        classes = upright_values(by_class, orientation) if by_class is not None else None
        found = []
        for stored in turned.values():
            values = upright_values(stored if len(turned) == 1 and not _single(pair) else stored > 0, orientation)
            found += [(shape, _majority(classes, shape)) for shape in objects_of(values.astype(np.int32))]
        return found
    except DataError as error:
        return error


def _single(pair: _Pair) -> bool:
    """Whether every file is one object."""
    return pair.masks[0].parent.name not in _OBJECTS


def _majority(classes: np.ndarray | None, shape: Rle) -> int:
    if classes is None:
        return 0
    values, counts = np.unique(classes[shape.bitmap(classes.shape)], return_counts=True)
    return int(values[counts.argmax()])


def objects_of(numbers: LabelMap) -> list[Rle]:
    """The mask of every object of an int32 (H, W) picture in which each has its own number above 0.

    Example:
        >>> [shape.box for shape in objects_of(np.int32([[0, 2], [0, 2]]))]
        [(1.0, 0.0, 2.0, 2.0)]
    """
    height, width = numbers.shape
    flat = numbers.T.ravel()
    order = np.argsort(flat, kind="stable")
    values, starts = np.unique(flat[order], return_index=True)
    found = []
    for value, places in zip(values.tolist(), np.split(order, starts[1:]), strict=True):
        if value <= 0:
            continue
        breaks = np.flatnonzero(np.diff(places) > 1)
        first, last = places[np.append(0, breaks + 1)], places[np.append(breaks, len(places) - 1)] + 1
        edges = np.concatenate([[0], np.stack([first, last], axis=1).ravel(), [height * width]])
        counts = np.diff(edges)
        found.append(Rle((height, width), (counts if counts[-1] else counts[:-1]).astype(np.int64)))
    return found


def _write_masks(folder: Path, placed: Placed) -> None:
    name = f"{placed.file.stem}.png"
    semantic, objects = segmentation(placed.sample), detections(placed.sample)
    if semantic is not None:
        _save(folder / "SegmentationClass" / name, semantic.labels.astype(np.uint8))
    elif objects is not None:
        numbers, classes = flatten(objects, placed.size)
        _save(folder / "SegmentationObject" / name, numbers)
        _save(folder / "SegmentationClass" / name, classes)


def flatten(found: Detections, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """uint16 (H, W) numbers of the objects and uint8 (H, W) classes, both from 1; later objects cover earlier ones."""
    if len(found) > 65535:
        raise DataError(f"masks of 16 bits hold at most 65,535 objects a picture, got {len(found):,}: use coco")
    numbers, classes = np.zeros(size, dtype=np.uint16), np.zeros(size, dtype=np.uint8)
    for row in range(len(found)):
        one = Detections(
            found.boxes[row : row + 1], found.labels[row : row + 1], masks=found.masks and (found.masks[row],)
        )
        inside = one.bitmaps(size)[0]
        numbers[inside], classes[inside] = row + 1, int(found.labels[row]) + 1
    return numbers, classes


def _save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(values).save(path)


FORMAT = Format(
    detects, read, write, frozenset(("boxes", "masks", "several", "splits", "segmentation", "spare classes"))
)
