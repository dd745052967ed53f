"""Names of splits as people write them: seg_train, training_set, train2017, Training, imgs_valid, X_test, TRAIN-1.

A name is one of a split where one of its words is, and the others say nothing of their own ("set", "images", numbers)
or are the same beside another split ("xray_train", "xray_test"). "training shoes" beside "test tube" are two classes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "holdout", "heldout"), "test"),
}
"""What people call the splits, in lower case -> what they are called here."""

_SHORT = {"tr": "train", "va": "val", "ts": "test", "te": "test"}
"""Endings such as imagesTr: only beside a word that says nothing."""
_PLAIN_WORDS = """
set sets subset data dataset datasets image images img imgs picture pictures pic pics photo photos frame frames
file files folder folders dir split part sample samples x y seg new final full raw original orig processed resized
cropped crops aug augmented clean small mini large rgb gray grey jpg jpeg png hr lr px input inputs
"""
_PLAIN = frozenset(_PLAIN_WORDS.split())
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_GLUED = re.compile(rf"({'|'.join(sorted(SPLIT_WORDS, key=len, reverse=True))})(sets?|data|images?|imgs?|pics?|dir)")


class SplitName(NamedTuple):
    """A split, and the words of the name that are not about it: none, or "xray" of "xray_train"."""

    split: str
    rest: str


def split_named(name: str) -> str | None:
    """The split that a name stands for by itself: "train", "val", "test", or None.

    Example:
        >>> split_named("seg_train"), split_named("TRAIN-1"), split_named("imagesTs"), split_named("training shoes")
        ('train', 'train', 'test', None)
    """
    found = _parsed(name)
    return found.split if found is not None and not found.rest else None


def split_folders(names: Iterable[str]) -> dict[str, SplitName]:
    """Those of the names of one folder's entries that stand for splits.

    Where their other words differ ("cats_train", "dogs_train", "cats_test" ...), these name the classes, and stay.

    Example:
        >>> sorted(name.split for name in split_folders(["xray_train", "xray_test"]).values())
        ['test', 'train']
        >>> split_folders(["training shoes", "test tube"])
        {}
    """
    parsed = {name: found for name in names if (found := _parsed(name)) is not None}
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for found in parsed.values():
        beside[found.rest.casefold()].add(found.split)
    kept = {name: one for name, one in parsed.items() if not one.rest or len(beside[one.rest.casefold()]) > 1}
    if len({one.rest.casefold() for one in kept.values()}) == 1:
        return {name: SplitName(one.split, "") for name, one in kept.items()}
    return kept


def _parsed(name: str) -> SplitName | None:
    splits, rest, plain = set(), [], 0
    for word in WORD.findall(name):
        lower = word.lower()
        glued = _GLUED.fullmatch(lower)
        split = SPLIT_WORDS.get(glued[1] if glued else lower) or (_SHORT.get(lower) if plain else None)
        if split is not None:
            splits.add(split)
        elif lower in _PLAIN or lower.isdecimal():
            plain += 1
        else:
            rest.append(word)
    if splits == {"train", "val"}:  # all that is learned from, as in train_val
        splits = {"train"}
    return SplitName(splits.pop(), " ".join(rest)) if len(splits) == 1 else None
