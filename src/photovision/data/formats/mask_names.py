"""Which picture files are masks, by their names and folders, and of which pictures.

images/1.jpg        masks/1.png, Masks/1_mask.png, labels/1.png, annotations/train/1.png, SegmentationClass/1.png
train/images/1.jpg  train/masks/1.png           train/1.jpg     train_masks/1_mask.gif, trainannot/1.png
benign/1.png        benign/1_mask.png, benign/1_mask_1.png (several of one picture)
images/1.jpg        masks/1/a.png, masks/1/b.png (a file for every object)
7/images/7.png      7/masks/a.png, 7/masks/b.png (the same, a folder for every picture)
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from photovision.data.formats.split_names import WORD, SplitName, split_folders, split_named
from photovision.data.formats.tree import Listing, Parts, common_parts

_MASK_WORDS = """
mask masks segmentation segmentations segm segmap segmaps gt groundtruth truth label labels labelmap labelmaps
annotation annotations annot annots lab labs matte mattes trimap trimaps manual gtfine gtcoarse
"""
_MASK = frozenset(_MASK_WORDS.split())
_OBJECT = frozenset(("object", "objects", "instance", "instances"))
_IMAGE = frozenset(("image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "jpegimages", "rgb"))
_SILENT = frozenset(("jpeg", "jpg", "png", "class", "ground", "fine", "coarse", "left", "bit", "raw", "seg", "stage"))
_GLUED = re.compile(r"(train|val|valid|test)(annot|annotations?|labels?|masks?|gt|images?|imgs?)", re.IGNORECASE)
_WORDS = (
    r"(?:seg(?:mentation)?|masks?|labels?|gt(?:fine)?|ground_?truth|annot(?:ation)?s?|matte|trimap|manual"
    r"|label(?:train)?ids)"
)
_LAST = re.compile(rf"(.+?)(?:[ _\-.(\[]+|(?<=\d))({_WORDS}(?:[ _\-.]*{_WORDS})*)(?:[ _\-.(\[]*(\d+))?[)\]]?")
_SEPARATOR = re.compile(r"[ _\-.]")
_HINT = re.compile("seg|mask|label|gt|truth|annot|matte|trimap|manual")
_FIRST = re.compile(rf"({_WORDS})(?:[ _\-.]+|(?=\d))(.+)")
_PICTURE = re.compile(r"(.+?)[ _\-.]+(?:img|image|rgb|sat|photo|orig|original|input|leftimg8bit|0000|training|test)")
_PICTURE_FIRST = re.compile(r"(?:img|image|photo|pic|picture|sat)(?:[ _\-.]+|(?=\d))(.+)")


class MaskPlace(NamedTuple):
    """What the folders of a file tell: its role ("mask", "objects", "image" or ""), its split, and all other words."""

    role: str
    split: str | None
    rest: Parts


class MaskName(NamedTuple):
    """A file that may be a mask: what distinguishes it from other masks of its picture, with its number."""

    file: str
    kind: str
    number: str


@dataclass
class Paired:
    """Pictures with their masks.

    Attributes:
        masks: picture -> its masks with a class for every pixel; paths below the root.
        objects: picture -> its masks that tell objects apart, one file with numbers or a file for every object.
        pictures: all pictures that are no masks.
        places: picture -> what its folders tell.
        spare: masks that belong to no picture.
        apart: pictures whose masks are a file for every object.
    """

    masks: dict[str, list[MaskName]] = field(default_factory=dict)
    objects: dict[str, list[MaskName]] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    places: dict[str, MaskPlace] = field(default_factory=dict)
    spare: list[str] = field(default_factory=list)
    apart: set[str] = field(default_factory=set)


def place_of(parts: Parts, splits: Mapping[str, SplitName] | None = None) -> MaskPlace:
    """What the folders above a file tell.

    Args:
        parts: their names.
        splits: what names stand for that are splits beside others only, see `split_folders`.

    Example:
        >>> place_of(("train_masks",)), place_of(("images", "val", "aachen"))
        (MaskPlace(role='mask', split='train', rest=()), MaskPlace(role='image', split='val', rest=('aachen',)))
    """
    role, split, rest = "", None, []
    for part in parts:
        words = _words(part)
        lower = [word.lower() for word in words]
        own = _own(words)
        named = (splits or {}).get(own)
        split = split or (named.split if named is not None else split_named(own))
        marked = any(word in _MASK for word in lower)
        if any(word in _OBJECT for word in lower) and (marked or len(words) == 1):
            role = "objects"
        elif marked:
            role = role if role == "objects" else "mask"
        elif not role and any(word in _IMAGE for word in lower):
            role = "image"
        if named is not None or split_named(own):
            rest += [named.rest.casefold()] if named is not None and named.rest else []
        elif own and (not own.isdecimal() or len(words) == 1):
            rest.append(part.casefold() if len(own.split()) == len(words) else own.casefold())
    return MaskPlace(role, split, tuple(rest))


def _words(part: str) -> list[str]:
    return WORD.findall(_GLUED.sub(r"\1 \2", part))


def _own(words: Sequence[str]) -> str:
    """A folder's words but those that tell what kind of files it holds."""
    return " ".join(word for word in words if word.lower() not in _MASK | _OBJECT | _IMAGE | _SILENT)


def pair(listing: Listing) -> Paired:
    """Tell masks from pictures, and put together what belongs together; nothing is opened."""
    found = Paired()
    masks: list[tuple[str, MaskPlace, str]] = []
    beside: list[tuple[str, MaskPlace, str]] = []
    splits = split_folders({_own(_words(part)) for parts in listing.pictures for part in parts})
    top = common_parts(listing.pictures)
    marked_above = place_of(top).role != ""
    for parts, names in listing.pictures.items():
        place = place_of(parts, splits)
        if marked_above:  # a name above all pictures marks none: Dataset_BUSI_with_GT
            place = place._replace(role=place_of(parts[len(top) :], splits).role)
        folder = "".join(f"{part}/" for part in parts)
        bare = {name: (stem := name.rpartition(".")[0].casefold() or name.casefold(), _bare(stem)) for name in names}
        marked = place.role in ("mask", "objects")
        stems = {stem for stem, own in bare.values() if own is None}
        if any(own is not None for _, own in bare.values()):
            stems |= set(map(_picture_stem, stems))
        for name, (stem, own) in bare.items():
            if marked:
                masks.append((folder + name, place, stem))
            elif own is not None and not stems.isdisjoint((own[0], _picture_stem(own[0]))):
                beside.append((folder + name, place, stem))
            else:
                found.pictures.append(folder + name)
                found.places[folder + name] = place
    if not masks and not beside:
        beside = _graded(listing, found)
    if masks or beside:
        _Pairing(found).run([*masks, *beside])
    return found


def _graded(listing: Listing, found: Paired) -> list[tuple[str, MaskPlace, str]]:
    """Files beside pictures whose names go on in the same few ways: 1.jpg, 1_1stHO.png, 1_2ndHO.png, 2.jpg, ..."""
    taken: list[tuple[str, MaskPlace, str]] = []
    for parts, names in listing.pictures.items():
        stems = {name.rpartition(".")[0].casefold(): name for name in names}
        ways: dict[str, list[str]] = defaultdict(list)
        for stem in stems:
            base = next((key for key in _beginnings(stem) if key in stems), None)
            if base is not None:
                ways[stem[len(base) :]].append(stem)
        bases = len(stems) - sum(map(len, ways.values()))
        if bases < 2 or any(len(some) < 0.9 * bases for some in ways.values()):
            continue
        place = place_of(parts)
        taken += [("/".join((*parts, stems[stem])), place, stem) for some in ways.values() for stem in some]
    others = {file for file, _, _ in taken}
    found.pictures = [file for file in found.pictures if file not in others]
    return taken


class _Pairing:
    """Masks looked up by split, folders and stem, then by less where that leaves no doubt."""

    def __init__(self, found: Paired) -> None:
        self.found = found
        self.exact: dict[tuple[str | None, Parts, str], str] = {}
        self.loose: dict[tuple[Parts, str], set[str]] = defaultdict(set)
        self.stems: dict[str, set[str]] = defaultdict(set)
        self.folders: dict[tuple[str | None, Parts], list[str]] = defaultdict(list)
        for file in found.pictures:
            place = found.places[file]
            stem = _stem(file)
            self.folders[place.split, place.rest].append(file)
            for key in (stem, _picture_stem(stem)):
                self.exact.setdefault((place.split, place.rest, key), file)
                self.loose[place.rest, key].add(file)
                self.stems[key].add(file)

    def run(self, masks: Sequence[tuple[str, MaskPlace, str]]) -> None:
        for file, place, stem in masks:
            name, picture, apart = self._picture(file, place, stem)
            if picture is None:
                self.found.spare.append(file)
                continue
            if apart:
                self.found.apart.add(picture)
            kind = self.found.objects if apart or place.role == "objects" else self.found.masks
            kind.setdefault(picture, []).append(name)

    def _picture(self, file: str, place: MaskPlace, stem: str) -> tuple[MaskName, str | None, bool]:
        folder = os.path.dirname(file)
        for key, kind, number in _keys(stem):
            if (picture := self._lookup(place, key)) is not None:
                return MaskName(file, f"{folder if place.role else ''}|{kind}", number), picture, False
        alone = [one for one in self.folders[place.split, place.rest] if self.found.places[one].role == "image"]
        own = alone[0] if place.rest and place.role and len(alone) == 1 else None  # 7/masks/a.png, 7/images/7.png
        if place.rest and own is None:  # masks/1/a.png, images/1.jpg
            own = self._lookup(MaskPlace("", place.split, place.rest[:-1]), place.rest[-1])
        for key in _beginnings(stem):
            if (picture := self.exact.get((place.split, place.rest, key))) is not None:
                rest = stem[len(key) :].strip(" _-.")
                number = rest if rest.isdecimal() else ""
                return MaskName(file, f"{folder}|{rest if not number else ''}", number), picture, bool(own and number)
        return MaskName(file, folder, stem), own, own is not None

    def _lookup(self, place: MaskPlace, key: str) -> str | None:
        exact = self.exact.get((place.split, place.rest, key))
        if exact is not None:
            return exact
        for several in (self.loose.get((place.rest, key), set()), self.stems.get(key, set())):
            if len(several) == 1:
                (only,) = several
                known = self.found.places[only]
                if place.split in (None, known.split) or known.split is None:
                    return only
        return None


def _keys(stem: str) -> Iterator[tuple[str, str, str]]:
    """Stems that the picture of a mask may have, with the words and the number that the mask has beside it."""
    yield stem, "", ""
    bare = _bare(stem)
    if bare is not None:
        yield bare
        yield _picture_stem(bare[0]), bare[1], bare[2]
    yield _picture_stem(stem), "", ""


def _bare(stem: str) -> tuple[str, str, str] | None:
    """A stem without the words that mark masks, these words, and a number after them; None where there are none.

    Example:
        >>> _bare("x_seg_mask"), _bare("benign (1)_mask_1"), _bare("mask_7"), _bare("masked")
        (('x', 'seg_mask', ''), ('benign (1)', 'mask', '1'), ('7', 'mask', ''), None)
    """
    if _HINT.search(stem) is None:  # which is much quicker than what follows
        return None
    if (last := _LAST.fullmatch(stem)) is not None:
        return last[1], last[2], last[3] or ""
    first = _FIRST.fullmatch(stem)
    return (first[2], first[1], "") if first is not None else None


def _picture_stem(stem: str) -> str:
    """A stem without the words that mark pictures: x_img, x_leftImg8bit, image12."""
    found = _PICTURE.fullmatch(stem) or _PICTURE_FIRST.fullmatch(stem)
    return found[1] if found is not None else stem


def _beginnings(stem: str) -> Iterator[str]:
    """What precedes each separator of a stem, the longest first."""
    for match in reversed(list(_SEPARATOR.finditer(stem))):
        if match.start():
            yield stem[: match.start()]


def _stem(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0].casefold()
