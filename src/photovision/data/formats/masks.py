"""Masks: pictures whose pixels are classes or objects, beside the photographs.

    data/JPEGImages/1.jpg                           or images/, and all that mask_names.py knows
    data/SegmentationClass/1.png                    or masks/, labels/, annotations/: a class for every pixel
    data/SegmentationObject/1.png                   or instances/: a number for every object, 0 for none, 8 or 16 bits
    data/masks/1/a.png, data/masks/1/b.png          or 1/images/1.png, 1/masks/*.png: a file for every object
    data/classes.txt                                names of the values 0, 1, 2 ..., a line each; else numbers are names
    data/labelmap.txt                               for masks of RGB colours: what they mean (see colours.py); else the
                                                    colours found are names, and black is background
    data/ImageSets/Segmentation/train.txt           names of the pictures of each split

255 is for pixels that nobody judges, but where only 0 is beside it, or values that are no numbers of classes. Where
objects are separate the data are for detection, with a mask for every object, else for segmentation. Written is
Pascal VOC's layout. Masks are read at once, for they are the labels; pictures are not.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.geometry import upright_values
from photovision.core.parallel import in_order
from photovision.core.regions import IGNORE, Detections, Segmentation
from photovision.core.shapes import Rle
from photovision.data.annotation_reader import Gathered, unique_classes
from photovision.data.dataset import Dataset, FileSamples
from photovision.data.formats import Format
from photovision.data.formats.colours import (
    BACKGROUND,
    FILES,
    OBJECT,
    colour_name,
    read_colours,
    value_names,
    value_table,
)
from photovision.data.formats.mask_files import (
    LOSSY,
    MaskFile,
    Survey,
    are_masks,
    black_and_white,
    objects_of,
    read_values,
    survey,
    turn,
)
from photovision.data.formats.mask_names import MaskName, Paired, pair
from photovision.data.formats.split_names import split_named
from photovision.data.formats.tree import Listing, common_parts, list_files, stays_inside
from photovision.data.formats.writer import Placed, detections, place, segmentation
from photovision.data.read_options import DEFAULTS, ReadOptions


def detects(path: Path) -> bool:
    """A folder of pictures with masks of the same names, where the folders of the pictures are not classes."""
    if not path.is_dir():
        return False
    paired = pair(list_files(path))
    return not _of_classes(paired) and are_masks(path, paired)


def _of_classes(paired: Paired) -> bool:
    """Whether the folders of the pictures are their classes: masks are then more that is known of them.

    Folders that all have numbers are those of patients or scenes.
    """
    places = [paired.places[name] for name in paired.pictures]
    top = len(common_parts(place.rest for place in places))
    heads = {place.rest[top : top + 1] for place in places}
    return (
        len(heads) > 1
        and not all(any(letter.isdecimal() for letter in "".join(head)) for head in heads)
        and () not in heads
        and len(places) >= 2 * len(heads)
        and not any(place.role == "image" for place in places)
    )


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read pictures and masks of a folder; raises DataError where there are none, or a mask makes no sense."""
    if not path.is_dir():
        raise DataError(f"{path} should be a folder with images/ and masks/")
    listing = list_files(path)
    paired = pair(listing)
    home = _home(listing)
    pairs = _pairs(listing, paired, _splits(home))
    kept = [pair_ for pair_ in pairs if pair_.masks]
    if not kept:
        raise DataError(f"{path} holds no masks that go with its pictures: expected images/1.jpg and masks/1.png")
    found = Gathered(path, path, "masks")
    for problem in listing.left_out():
        found.problem(problem.id, problem.kind, problem.message)
    for name in paired.spare:
        found.problem(name, "no picture", "a mask without its picture")
    for pair_ in pairs:
        if not pair_.masks:
            found.unlabelled(pair_.name)
    _note_files(found, kept, paired)
    names, colours = _names(home), read_colours(home)
    if any(pair_.objects for pair_ in kept):
        return _objects(found, kept, names, colours)
    return _semantic(found, kept, names, colours)


def write(dataset: Dataset, path: Path) -> None:
    """Write Pascal VOC's layout with classes.txt, all or nothing; raises DataError for more than 254 classes."""
    first = () if dataset.annotation_type != "boxes" else (BACKGROUND,)
    if len(dataset.classes) + len(first) > IGNORE:
        raise DataError(f"masks of 8 bits hold at most {IGNORE} classes, got {len(dataset.classes)}: use coco")
    with new_folder(path, "data set") as folder:
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
    """A picture and its masks.

    Attributes:
        file, name: the picture, and its path below the root.
        masks: the files.
        objects: whether they tell objects apart.
        apart: whether every file is one object.
        classes: the mask of classes beside them, if any.
        split: "train", "val" or "test".
    """

    file: Path
    name: str
    masks: tuple[Path, ...]
    objects: bool = False
    apart: bool = False
    classes: Path | None = None
    split: str | None = None


def _pairs(listing: Listing, paired: Paired, splits: dict[str, str]) -> list[_Pair]:
    root = listing.root
    found = []
    for name in paired.pictures:
        objects, classes = (_chosen(some.get(name, [])) for some in (paired.objects, paired.masks))
        files = tuple(root / mask.file for mask in objects or classes)
        apart = name in paired.apart
        beside = root / classes[0].file if objects and classes else None
        split = splits.get(Path(name).stem) or paired.places[name].split
        found.append(_Pair(root / name, name, files, bool(objects), apart, beside, split))
    return found


def _chosen(masks: list[MaskName]) -> list[MaskName]:
    """The masks of one kind: of those by several people, or in several forms, the first."""
    if not masks:
        return []
    first = min({mask.kind for mask in masks}, key=lambda kind: ("labelids" not in kind, kind))
    return sorted(mask for mask in masks if mask.kind == first)


def _note_files(found: Gathered, pairs: list[_Pair], paired: Paired) -> None:
    """Say which of several masks are used, and that JPEG is lossy."""
    used = {file for pair_ in pairs for file in (*pair_.masks, pair_.classes)}
    named = [mask.file for some in (paired.objects, paired.masks) for masks in some.values() for mask in masks]
    if others := [name for name in named if found.path / name not in used]:
        found.note(others[0], "masks", f"of several kinds of masks the first is used, {len(others):,} others are not")
    if several := [pair_.name for pair_ in pairs if len(pair_.masks) > 1 and not pair_.apart]:
        found.note(
            several[0], "several masks", f"{len(several):,} pictures have several masks, which are laid together"
        )
    if lossy := [pair_.masks[0] for pair_ in pairs if pair_.masks[0].suffix.lower() in LOSSY]:
        name = lossy[0].relative_to(found.path).as_posix()
        found.note(
            name, "JPEG", f"{len(lossy):,} masks are JPEG, which is lossy: what is brighter than 127 is the object"
        )


def _home(listing: Listing) -> Path:
    """The folder of the tables of names and splits: the uppermost that holds one, else the root."""
    known = {"classes.txt", "_classes.csv", *FILES}
    if any(not stays_inside(listing.root, listing.root / name) for name in known):
        raise DataError(f"{listing.root} holds a link to a table of classes elsewhere: put the table itself there")
    homes = [parts for parts, names in listing.others.items() if known.intersection(names)]
    homes += [parts[:-2] for parts in listing.others if parts[-2:] == ("ImageSets", "Segmentation")]
    return listing.root.joinpath(*min(homes, key=len, default=()))


def _splits(path: Path) -> dict[str, str]:
    folder = path / "ImageSets" / "Segmentation"
    files = [file for file in sorted(folder.glob("*.txt")) if file.is_file()] if folder.is_dir() else []
    lists = {file: split_named(file.stem) for file in files if file.stem != "trainval"}
    return {
        line.strip(): split
        for file, split in lists.items()
        if split is not None
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    }


def _names(path: Path) -> list[str] | None:
    file, values = path / "classes.txt", path / "_classes.csv"
    if file.is_file():
        return file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return value_table(values) if values.is_file() else None


def _semantic(found: Gathered, pairs: list[_Pair], names: list[str] | None, colours: dict[int, str] | None) -> Dataset:
    """Masks are decoded once for the classes that occur; the labels themselves are loaded when asked for."""
    seen: list[tuple[_Pair, Survey]] = []
    errors = []
    for pair_, known in in_order(pairs, partial(_survey, colours=colours is not None)):
        if isinstance(known, DataError):
            errors.append(f"{pair_.name}: {known}")
            found.problem(pair_.name, "bad mask", str(known))
        elif found.picture(pair_.name, split=pair_.split) is not None:
            seen.append((pair_, known))
    if not seen:
        first = f": {len(errors):,} cannot be used, first {errors[0]}" if errors else ""
        raise DataError(f"{found.path}: no mask can be read{first}")
    snap = colours is None and black_and_white([known for _, known in seen])
    present = [0, IGNORE] if snap else sorted({value for _, known in seen for value in known.values.tolist()})
    if snap:
        found.note(seen[0][0].name, "black and white", "masks are smoothed or of several kinds: the nearer counts")
    named_values = value_names(found.path, present, names, colours)
    if IGNORE in named_values and len(named_values) > 2:
        found.note(found.path.name, "255", f"255 is taken as the class '{named_values[IGNORE]}'")
    values_of = tuple(named_values)
    classes = unique_classes(list(named_values.values()), found.path)
    index = {value: number for number, value in enumerate(values_of)}
    targets, regions = [], []
    for pair_, known in seen:
        shown = [0, IGNORE] if snap else known.values.tolist()
        named = (classes[number] for number in sorted(index[value] for value in shown if value in index))
        targets.append(tuple(name for name in named if name != BACKGROUND))
        regions.append(
            Segmentation(MaskFile(pair_.masks, values_of, known.orientation, colours is not None, snap), classes)
        )
    samples = FileSamples(found.root, found.files, targets, found.columns(), regions)
    splits = {name: tuple(positions) for name, positions in found.splits.items()}
    problems = found.told(True)
    return Dataset(samples, classes, splits, True, problems, "masks", annotation_type="masks", notes=found.told(False))


def _survey(pair_: _Pair, colours: bool) -> Survey | DataError:
    return survey(pair_.file, pair_.masks, colours)


def _objects(found: Gathered, pairs: list[_Pair], names: list[str] | None, colours: dict[int, str] | None) -> Dataset:
    things = [name for name in colours.values() if name != BACKGROUND] if colours else []
    things = things or [name for name in names or [] if name != BACKGROUND] or [OBJECT]
    first = 1 if names is None or BACKGROUND in names[:1] else 0
    labels = {first + label: label for label in range(len(things))}
    if colours:
        labels = {value: things.index(name) for value, name in colours.items() if name != BACKGROUND}
    for pair_, masks in in_order(pairs, partial(_instances, colours=colours is not None)):
        if isinstance(masks, DataError):
            found.problem(pair_.name, "bad mask", str(masks))
            continue
        position = found.picture(pair_.name, split=pair_.split)
        for shape, value in masks if position is not None else ():
            label = labels.get(value) if pair_.classes is not None else 0
            if label is not None:
                found.thing(position, label, None, shape)  # type: ignore[arg-type]
            else:
                fault = f"an object of the class {colour_name(value)}, which no table names"
                found.fault(position, pair_.masks[0].name, fault)
    return found.dataset(things)


def _instances(pair: _Pair, colours: bool) -> list[tuple[Rle, int]] | DataError:
    """The mask of every object with the value of its class (0 where only one class is known)."""
    try:
        turned = {mask: read_values(mask) for mask in pair.masks}
        by_class = read_values(pair.classes, colours) if pair.classes else None
        orientation = turn(pair.file, next(iter(turned.values())).shape)
        classes = upright_values(by_class, orientation) if by_class is not None else None
        found = []
        for stored in turned.values():
            values = upright_values(stored > 0 if pair.apart else stored, orientation)
            found += [(shape, _majority(classes, shape)) for shape in objects_of(values.astype(np.int32))]
        return found
    except DataError as error:
        return error


def _majority(classes: np.ndarray | None, shape: Rle) -> int:
    if classes is None:
        return 0
    values, counts = np.unique(classes[shape.bitmap(classes.shape)], return_counts=True)
    return int(values[counts.argmax()])


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
    detects,
    read,
    write,
    frozenset(("boxes", "masks", "several", "splits", "segmentation", "spare classes")),
    annotation_type="masks",
)
