"""Which folders of pictures stand for classes and which for splits.

cat/1.jpg                     train/cat/1.jpg, val/cat/2.jpg       seg_train/seg_train/cat/1.jpg
cat/train/1.jpg, cat/test/2.jpg                                    cats_train/1.jpg, cats_test/2.jpg
train/images/cat/1.jpg        test/3.jpg, pred/4.jpg: unlabelled, beside splits with class folders
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from photovision.core.errors import DataError
from photovision.data.formats.split_names import SplitName, split_folders, split_named
from photovision.data.formats.tree import Parts

CONTAINERS = frozenset(
    (
        *("images", "image", "img", "imgs", "jpegimages", "pictures", "pics", "photos", "photo", "frames", "data"),
        *("dataset", "obj_train_data", "files", "jpg", "jpeg", "png", "raw", "samples", "input", "inputs", "upload"),
        *("uploads", "default", "rgb", "color", "originals", "leftimg8bit"),
    )
)
"""Names of folders, in lower case, that say only that pictures are inside."""
_UNLABELLED = re.compile(
    r"(?:^|[\W\d_])(pred|preds|predict|prediction|predictions|unlabell?ed|unsup|unknown)(?:$|[\W\d_])"
)


@dataclass(frozen=True)
class FolderLayout:
    """What folders mean.

    Attributes:
        labels: folder -> the parts of its class's name; none where its pictures have no label.
        splits: folder -> "train", "val" or "test"; folders without a split are not in it.
        empty: names of the split folders at the top, where they hold pictures only.
    """

    labels: Mapping[Parts, Parts]
    splits: Mapping[Parts, str]
    empty: tuple[str, ...] = ()


def is_container(name: str) -> bool:
    """Whether a folder's name says only that pictures are inside ("images", "obj_train_data", "photos2")."""
    return name.lower().rstrip("0123456789_- ") in CONTAINERS


def layout_of(path: Path, folders: Collection[Parts]) -> FolderLayout:
    """What the folders of pictures below `path` mean; raises DataError where splits and classes are mixed."""
    top = _wrapper(folders)
    rest = {parts: parts[top:] for parts in folders}
    level, found = _split_level(path, rest.values())
    if level is None:
        return FolderLayout(rest, {}, tuple(sorted(found)))
    labels: dict[Parts, Parts] = {}
    splits: dict[Parts, str] = {}
    for parts, inner in rest.items():
        name = found.get(inner[level]) if len(inner) > level else None
        if name is None:
            labels[parts] = ()
            continue
        splits[parts] = name.split
        own = (name.rest,) if name.rest else ()
        labels[parts] = (*inner[:level], *own, *inner[level + 1 :])
    kept = _unwrapped(labels, splits)
    if not any(kept.values()):  # below the splits are only folders such as images/
        return FolderLayout(rest, {}, tuple(sorted(found)))
    return FolderLayout(kept, splits)


def _wrapper(folders: Collection[Parts]) -> int:
    """How many folders at the top merely wrap the rest, as archives often do (data/dataset/cat/1.jpg)."""
    depth = 0
    while True:
        heads = {parts[: depth + 1] for parts in folders}
        if len(heads) > 1:
            return depth
        head = next(iter(heads))
        if head in folders or len(head) <= depth or split_named(head[-1]):
            return depth
        depth += 1


def _split_level(path: Path, folders: Iterable[Parts]) -> tuple[int | None, dict[str, SplitName]]:
    """The level of folders that names splits, with what they are; without a level, splits that hold pictures only."""
    folders = list(folders)
    heads = {parts[0] for parts in folders if parts}
    found = split_folders(heads)
    deeper = {parts[0] for parts in folders if len(parts) > 1}
    named = all(name.rest for name in found.values())  # cats_train, dogs_train: with the classes
    if any(name.rest for name in found.values()) and not named:  # train beside train_lab
        found = {head: name for head, name in found.items() if not name.rest}
    if found and (named or not deeper.isdisjoint(found)):
        _no_others(path, found, [head for head in sorted(heads - set(found)) if not _UNLABELLED.search(head.lower())])
        return 0, found
    for level in range(1, max(map(len, folders), default=0)):
        lower = split_folders({parts[level] for parts in folders if len(parts) > level})
        below: defaultdict[Parts, set[str]] = defaultdict(set)
        for parts in folders:
            if len(parts) > level and parts[level] in lower:
                below[parts[:level]].add(lower[parts[level]].split)
        others = ["/".join(parts) for parts in folders if parts and not (len(parts) > level and parts[level] in lower)]
        if lower and (not others or any(len(splits) > 1 for splits in below.values())):
            _no_others(path, lower, others)
            return level, lower
    return None, found if set(found) == heads else {}


def _no_others(path: Path, found: Mapping[str, SplitName], others: list[str]) -> None:
    if others:
        raise DataError(
            f"{path} mixes split folders ({', '.join(sorted(found))}) with other folders of pictures"
            f" ({', '.join(others[:3])}): keep only split folders, or only class folders, at that level"
        )


def _unwrapped(labels: Mapping[Parts, Parts], splits: Mapping[Parts, str]) -> dict[Parts, Parts]:
    """Labels without folders that only wrap the classes of a split: train/images/cat, seg_train/seg_train/cat."""
    kept = dict(labels)
    for split in set(splits.values()):
        mine = [parts for parts, own in splits.items() if own == split]
        while len(heads := {kept[parts][:1] for parts in mine}) == 1 and (head := heads.pop()):
            if not is_container(head[0]) and split_named(head[0]) != split:
                break
            kept |= {parts: kept[parts][1:] for parts in mine}
    ends = {label[-1] for label in kept.values() if len(label) > 1}
    if len(ends) == 1 and is_container(next(iter(ends))):  # train/cat/images/1.jpg
        kept |= {parts: label[:-1] for parts, label in kept.items() if len(label) > 1}
    return kept
