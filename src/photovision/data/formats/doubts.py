"""What speaks against reading a folder as one of class folders: then it is refused, unless that format is asked for.

Whatever no other reader recognises would else become a classifier of folder names: of "train" against "valid", or of
pictures that have boxes or other labels which nobody has read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from photovision.core.errors import DataError
from photovision.data.formats.layout import FolderLayout, is_container
from photovision.data.formats.locate import is_picture_name
from photovision.data.formats.mask_names import place_of
from photovision.data.formats.names import suggested
from photovision.data.formats.rows import SUFFIXES as TABLES
from photovision.data.formats.tree import Listing, Parts
from photovision.data.formats.unknown import KNOWN, why_unknown

DATA = frozenset(
    (
        *(".txt", ".json", ".xml", ".csv", ".tsv", ".jsonl", ".yaml", ".yml", ".mat", ".npy", ".npz", ".pkl", ".pts"),
        *(".h5", ".hdf5", ".parquet", ".tfrecord", ".record", ".lst", ".ann", ".geojson", ".dat", ".seg", ".rle"),
        *(".odgt", ".ndjson", ".manifest", ".xlsx"),
    )
)
"""Suffixes of files that may say what is in pictures."""
_ANNOTATIONS = re.compile(
    r"annot|bbox|bounding|boxes|instances|^via_|_classes|labels?(?![a-z])|coco|ground.?truth|polygon|landmark|keypoint"
)
_PARTS = re.compile(r"(?:^|[^a-z])(?:part|batch|chunk|shard|images?|imgs?|pictures?|photos?)[^a-z]*$")
_INSIST = "; --format folder takes the names of the folders as classes all the same"


def refuse_doubtful(listing: Listing, layout: FolderLayout) -> None:
    """Raise DataError, in one line with the reason and a way out, where the folders' names are hardly the classes."""
    path = listing.root
    reason = _splits_only(listing, layout) or _beside(listing) or _no_class(listing, layout) or _among(listing, layout)
    if reason:
        raise DataError(f"{path}: {reason}")


def _splits_only(listing: Listing, layout: FolderLayout) -> str:
    """Splits that hold pictures only: train/1.jpg, valid/2.jpg."""
    if not layout.empty:
        return ""
    named = ", ".join(layout.empty[:3])
    one = len(layout.empty) == 1
    unknown = _unknown(listing)
    return (
        f"{named} {'is a split' if one else 'are splits'} that {'holds' if one else 'hold'} pictures only, so where"
        f" are their labels? {unknown}Expected a folder per class inside, or a table or annotations that are known"
        f" here{_INSIST}{suggested(listing.root, listing.names())}"
    )


def _beside(listing: Listing) -> str:
    """A file of the same name for at least half the pictures: these are annotations."""
    stems: dict[str, str] = {}
    for name in _data_files(listing):
        stem = os.path.splitext(os.path.basename(name))[0]
        stems.setdefault(os.path.splitext(stem)[0] if is_picture_name(stem) else stem, name)
    pictures = [os.path.splitext(name)[0] for names in listing.pictures.values() for name in names]
    shared = [stem for stem in pictures if stem in stems]
    if len(shared) * 2 < len(pictures) or not stems:
        return ""
    suffix = os.path.splitext(stems[shared[0]])[1]
    return (
        f"{len(shared):,} of {len(pictures):,} pictures have a {suffix} file of their name, but no reader understands"
        f" these annotations (first {stems[shared[0]]}): convert them into a known format"
        f" ({KNOWN}), or remove them{_INSIST}"
    )


def _no_class(listing: Listing, layout: FolderLayout) -> str:
    """Folders whose names say only that pictures are inside."""
    labels = {label for label in layout.labels.values() if label}
    if not labels or not (all(_says_nothing(label) for label in labels) or _are_parts(labels)):
        return ""
    named = ", ".join(sorted("/".join(label) + "/" for label in labels)[:3])
    unknown = _unknown(listing)
    return (
        f"the pictures lie in {named}, which names no class, so where are their labels? {unknown}Expected a folder per"
        f" class, or a table or annotations that are known here{_INSIST}"
    )


def _says_nothing(label: Parts) -> bool:
    place = place_of(label[-1:])
    return is_container(label[-1]) or bool(place.role and not place.rest)


def _are_parts(labels: set[Parts]) -> bool:
    """Whether folders are called alike but for their numbers, as parts of one download: x_images_part_1, batch2."""
    stems = {re.sub(r"\d+", "#", "/".join(label).lower()) for label in labels}
    return len(labels) > 1 and len(stems) == 1 and bool(_PARTS.search(stems.pop()))


def _among(listing: Listing, layout: FolderLayout) -> str:
    """A file called like annotations in a folder of pictures, or in a folder that holds several such folders."""
    for name in _data_files(listing):
        folder, file = os.path.split(name)
        parts: Parts = tuple(folder.split("/")) if folder else ()
        if parts and _ANNOTATIONS.search(file.lower()) and (parts in listing.pictures or parts in _heads(layout)):
            return (
                f"{name} lies among the pictures, but no reader understands these annotations: convert them into a"
                f" known format ({KNOWN}), or remove them{_INSIST}"
            )
    return ""


def _heads(layout: FolderLayout) -> set[Parts]:
    """The folders of the splits."""
    return {parts[: depth + 1] for parts in layout.splits for depth in range(len(parts) - 1)}


def _data_files(listing: Listing) -> Iterator[str]:
    """Files that may be annotations, those called so first, a contest's sample of answers last."""
    names = [
        "/".join((*parts, name))
        for parts, files in listing.others.items()
        for name in files
        if os.path.splitext(name)[1].lower() in DATA
    ]
    yield from sorted(names, key=lambda name: ("submission" in name, not _ANNOTATIONS.search(name.lower())))


def unknown_file(listing: Listing) -> str:
    """What to say of a JSON or XML file that no reader took for annotations, as the end of a message, or ""."""
    name = next((name for name in _data_files(listing) if name.lower().endswith((".json", ".xml"))), "")
    return f"; {name} {why_unknown(listing.root / name)}" if name else ""


def _unknown(listing: Listing) -> str:
    name = next(_data_files(listing), "")
    if os.path.splitext(name)[1].lower() in TABLES:
        return f"If they are in the table {name}, give that file in place of the folder. "
    return f"{name} {why_unknown(listing.root / name)}. " if name else ""
