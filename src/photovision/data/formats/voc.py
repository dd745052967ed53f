"""Pascal VOC: one XML file a picture with boxes (Everingham et al., "The PASCAL visual object classes", IJCV 2010).

    data/Annotations/1.xml                 the boxes of JPEGImages/1.jpg; XML files beside the pictures are read, too
    data/JPEGImages/1.jpg
    data/ImageSets/Main/train.txt          names of the pictures of each split, without suffix

VOC counts pixels from 1 and includes the last one: xmin 1 to xmax 640 is the whole width of 640 pixels, which is read
as 0 to 640. Where a file of the folder has an xmin or ymin below 1, all count from 0 and are read as they are. Written
are VOC's own coordinates, to 0.001 of a pixel. Objects called difficult are not judged. A file that cannot be read is
left out by itself.
"""

from __future__ import annotations

import codecs
import math
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from photovision.core.errors import DataError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.regions import Detections
from photovision.data.annotation_reader import Gathered, leaves
from photovision.data.coordinates import number, rotated_box, size_of
from photovision.data.dataset import Dataset
from photovision.data.formats import Format, clean, ordered
from photovision.data.formats.folder import pictures_below
from photovision.data.formats.mask_files import without_masks
from photovision.data.formats.places import annotation_files, split_folder
from photovision.data.formats.split_names import split_named
from photovision.data.formats.streaming_parsers import Element, xml_elements
from photovision.data.formats.tree import files_of, list_files
from photovision.data.formats.writer import Placed, detections, place, shown
from photovision.data.read_options import DEFAULTS, ReadOptions

MARK = "pixels counted from 1"
_FOLDERS = ("JPEGImages", "images", "")
_MAX_FILE = 1 << 24
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ROOT = re.compile(rb"<annotation[\s>]")


class _Object(NamedTuple):
    name: str
    box: tuple[float, float, float, float]
    degrees: float
    crowd: bool
    where: str


def detects(path: Path) -> bool:
    """A folder with XML files in Annotations/ or beside its pictures that begin like VOC's."""
    return path.is_dir() and bool(_files(path))


def _begins(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            head = stream.read(2048)
            return _ROOT.search(head.replace(b"\0", b"") if head[:2] in _UTF_16 else head) is not None
    except OSError:
        return False


def read(path: Path, options: ReadOptions = DEFAULTS) -> Dataset:
    """Read all XML files of a folder; raises DataError where there are none, or none can be used."""
    files = _files(path) or (sorted(path.glob("*/*.xml")) if path.is_dir() else [])
    if not files:
        raise DataError(f"{path} holds no XML files: expected Annotations/*.xml beside JPEGImages/")
    found = Gathered(path, path, "voc")
    pictures = _Pictures(path)
    splits: dict[Path, dict[str, str]] = {}
    objects: dict[int, list[_Object]] = {}
    from_one = True
    for file in files:
        above = file.parent.parent
        named = splits.setdefault(above, _splits(above)) if above not in splits else splits[above]
        split = named.get(file.stem) or split_folder(file, path)
        try:
            from_one &= _file(found, pictures, file, split, objects)
        except DataError as error:
            found.problem(file.relative_to(path).as_posix(), "bad file", f"{error}; it is left out")
    classes = ordered(thing.name for some in objects.values() for thing in some)
    _place(found, objects, classes, 1.0 if from_one else 0.0)
    plain, masks = without_masks(list_files(pictures.root))
    for problem in masks:
        found.note(problem.id, problem.kind, problem.message)
    names = set(files_of(plain.pictures))
    for name in pictures.without(found.files):
        if name in names:
            found.unlabelled(name)
    return found.dataset(classes)


def _file(
    found: Gathered, pictures: _Pictures, file: Path, split: str | None, objects: dict[int, list[_Object]]
) -> bool:
    """Read the picture of a file and its objects; whether they count pixels from 1."""
    elements = list(xml_elements(file, "annotation", _MAX_FILE))
    # The mark of `write` lies in <source>, in an element of the same name.
    element = elements[0] if elements else None
    if element is None:
        raise DataError(f"{file}: expected <annotation> as VOC has it, found none")
    size = element.find("size")
    declared = size_of(_text(size, "height"), _text(size, "width")) if size is not None else None
    position = found.picture(pictures.of(file, element), declared, split=split)
    if position is None:
        return True
    marked = MARK in (_text(element.find("source"), "annotation") or "")
    objects[position] = _objects(found, position, file, element)
    return marked or all(min(thing.box[:2]) >= 1 for thing in objects[position])


def write(dataset: Dataset, path: Path) -> None:
    """Write `path`/JPEGImages, Annotations and ImageSets/Main, all or nothing."""
    with new_folder(path, "data set") as folder:
        names: dict[str, list[str]] = defaultdict(list)
        for placed in place(dataset, folder / "JPEGImages"):
            found = detections(placed.sample)
            if found is not None:
                write_text(folder / "Annotations" / f"{placed.file.stem}.xml", _document(placed, found))
            names[placed.split].append(placed.file.stem)
        for split, stems in names.items():
            if split:
                write_text(folder / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))


def _files(path: Path) -> list[Path]:
    """XML files in Annotations/, beside pictures, or in folders of splits; the first depth that has some of VOC's."""
    return annotation_files(path, (".xml",), _begins, all_beside=True)


class _Pictures:
    """Finds the picture of an XML file: by its name in the file, else by the name of the file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = ["/".join((*parts, name)) for parts, names in pictures_below(root).items() for name in names]
        self.known = set(self.files)
        self.by_stem: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            self.by_stem[Path(file).stem].append(file)

    def of(self, file: Path, element: Element) -> str:
        """Path below the root; a name that is not there where none is found."""
        name_in_file = (_text(element, "filename") or "").strip()
        own = file.parent.relative_to(self.root).as_posix()
        for folder in (*_FOLDERS, own):
            name = f"{folder}/{name_in_file}" if folder not in ("", ".") else name_in_file
            if name_in_file and not leaves(name_in_file) and name in self.known:
                return name
        alike = self.by_stem.get(file.stem, [])
        return alike[0] if alike else name_in_file or f"{file.stem}.jpg"

    def without(self, used: list[str]) -> list[str]:
        """Pictures that no XML file belongs to."""
        return sorted(self.known.difference(used))


def _splits(path: Path) -> dict[str, str]:
    """Name of a picture, without suffix -> its split; "trainval" says nothing that train and val do not say."""
    found: dict[str, str] = {}
    folder = path / "ImageSets" / "Main"
    for file in sorted(folder.glob("*.txt")) if folder.is_dir() else []:
        split = split_named(file.stem) if file.stem != "trainval" else None
        if split is not None:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            found.update((line.split()[0], split) for line in lines if line.strip())
    return found


def _objects(found: Gathered, position: int, file: Path, element: Element) -> list[_Object]:
    objects = []
    for place_, item in enumerate(element.iter("object")):
        where = f"{file.name}, object {place_ + 1}"
        name, box, turned = clean(_text(item, "name") or ""), item.find("bndbox"), item.find("robndbox")
        x1, y1, x2, y2 = (number(_text(box, side)) for side in ("xmin", "ymin", "xmax", "ymax"))
        degrees = 0.0
        if box is None and turned is not None:  # as roLabelImg writes it, with an angle in radians
            x, y, w, h, angle = (number(_text(turned, side)) for side in ("cx", "cy", "w", "h", "angle"))
            x1, y1, x2, y2, degrees = x - w / 2, y - h / 2, x + w / 2, y + h / 2, math.degrees(angle)
        if not name or any(map(math.isnan, (x1, y1, x2, y2, degrees))):
            found.fault(position, where, "expected a <name> and a <bndbox> of 4 finite numbers")
            continue
        if item.find("polygon") is not None:
            found.tally("polygons", where, "polygons are left out, their boxes are kept")
        objects.append(_Object(name, (x1, y1, x2, y2), degrees, (_text(item, "difficult") or "").strip() == "1", where))
    return objects


def _place(found: Gathered, things: dict[int, list[_Object]], classes: tuple[str, ...], first: float) -> None:
    label = {name: index for index, name in enumerate(classes)}
    for position, objects in things.items():
        for thing in objects:
            x1, y1, x2, y2 = thing.box
            box = (x1 - first, y1 - first, x2, y2)
            try:
                if thing.degrees:
                    shape = rotated_box(box, thing.degrees)
                    found.thing(position, label[thing.name], None, shape, crowd=thing.crowd)
                else:
                    found.thing(position, label[thing.name], box, crowd=thing.crowd)
            except DataError as error:
                found.fault(position, thing.where, error)


def _text(element: Element | None, name: str) -> str | None:
    return element.findtext(name) if element is not None else None


def _document(placed: Placed, found: Detections) -> str:
    height, width = placed.size
    lines = [
        "<annotation>",
        "  <folder>JPEGImages</folder>",
        f"  <filename>{escape(placed.file.name)}</filename>",
        f"  <source><annotation>{MARK}</annotation></source>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "  <segmented>0</segmented>",
    ]
    for row, (name, box) in enumerate(zip(found.names, found.boxes.tolist(), strict=True)):
        x1, y1, x2, y2 = (shown(value) for value in (box[0] + 1, box[1] + 1, box[2], box[3]))
        difficult = int(found.crowd is not None and bool(found.crowd[row]))
        edges = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        lines += [
            "  <object>",
            f"    <name>{escape(name)}</name>",
            f"    <pose>Unspecified</pose><truncated>0</truncated><difficult>{difficult}</difficult>",
            f"    <bndbox>{edges}</bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


FORMAT = Format(detects, read, write, frozenset(("boxes", "crowds", "several", "splits")), annotation_type="boxes")
