"""Labels from the names of files: cat.0.jpg, Abyssinian_12.jpg, 0042-rose-front.jpg.

    name            what precedes the number at the end: "cat" of cat.0.jpg, "great_pyrenees" of great_pyrenees_12.jpg
    {label}_#       the label, _ and a number; # is a number, * anything, all else is itself
    #-{label}-*     "rose" of 0042-rose-front.jpg; the label is as short as the pattern allows
    */{label}_#     a pattern with / is about the whole path, else it is about the file's name without its suffix

That is all there is to a pattern, so that no name of a file can keep it busy for long, as regular expressions allow.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from photovision.core.errors import DataError, UsageError
from photovision.data.dataset import Dataset, FileSamples, Problem
from photovision.data.formats import clean, ordered
from photovision.data.formats.locate import shown
from photovision.data.formats.split_names import split_folders
from photovision.data.formats.tree import Tree

_RULE = r"(?P<label>.*[^\W\d_])[\W_]*\d+\)?"
_PARTS = {"{label}": "(?P<label>.+?)", "*": ".*?", "#": r"\d+"}
_MOST_STARS, _LONGEST = 2, 200
_HINTED = 0.9
"""Share of names that have to follow the rule before it is suggested."""


def pattern_of(label_from: str) -> re.Pattern[str]:
    """The pattern as a regular expression with the group "label"; raises UsageError where it is none.

    Example:
        >>> pattern_of("#-{label}-*").fullmatch("0042-rose-front")["label"]
        'rose'
        >>> pattern_of("name").fullmatch("great_pyrenees_12")["label"]
        'great_pyrenees'
    """
    if label_from == "name":
        return re.compile(_RULE)
    if label_from.count("{label}") != 1 or label_from.count("*") > _MOST_STARS or len(label_from) > _LONGEST:
        raise UsageError(
            f"label_from should be 'name', or a pattern with one {{label}} and at most {_MOST_STARS} * such as"
            f" '{{label}}_#' (# is a number, * anything), got '{shown(label_from)}'"
        )
    parts = re.split(r"(\{label\}|\*|#)", label_from)
    return re.compile("".join(_PARTS.get(part) or re.escape(part) for part in parts), re.DOTALL)


def read_names(path: Path, pictures: Tree, label_from: str) -> Dataset:
    """The pictures with the labels that their names tell; folders named like splits at the top are splits.

    Raises DataError where most names do not fit the pattern.
    """
    pattern = pattern_of(label_from)
    heads = {parts[0] if parts else "" for parts in pictures}
    named = split_folders(heads)
    splits: dict[str, list[int]] = {}
    files: list[str] = []
    labels: list[str] = []
    problems = []
    for parts, names in pictures.items():
        for name in names:
            file = "/".join((*parts, name))
            label = _label(pattern, file, "/" in label_from)
            if not label:
                message = f"its name does not tell its label, as it does not fit '{shown(label_from)}'"
                problems.append(Problem(file, "unlabelled", message))
                continue
            if set(named) == heads:
                splits.setdefault(named[parts[0]].split, []).append(len(files))
            files.append(file)
            labels.append(label)
    if len(problems) > len(files):
        raise DataError(
            f"{len(problems):,} of {len(problems) + len(files):,} names of pictures in {path} do not fit"
            f" '{shown(label_from)}', first '{shown(problems[0].id)}': choose another pattern with --label-from"
        )
    classes = ordered(labels)
    targets = {label: (label,) for label in classes}
    samples = FileSamples(path, files, [targets[label] for label in labels])
    note = Problem(path.name, "reading", f"labels are taken from the names of the files, by '{shown(label_from)}'")
    kept = {split: tuple(positions) for split, positions in splits.items()}
    return Dataset(samples, classes, kept, False, tuple(problems), "folder", notes=(note,))


def suggested(path: Path, names: Iterable[str]) -> str:
    """A sentence on how to take labels from names that look like labels with numbers; "" where they do not.

    Example:
        >>> suggested(Path("pets"), [f"{kind}_{i}.jpg" for kind in ("cat", "dog") for i in range(4)])
        "; their names look like labels ('cat', 'dog'): if they are, add --label-from name"
    """
    stems = {name: os.path.splitext(name.rpartition("/")[2])[0] for name in names}
    # numbers alone are the pictures of a test that nobody labelled, as in test1/7.jpg beside train/cat.0.jpg
    found = [_label(pattern_of("name"), name, False) for name, stem in stems.items() if not stem.isdecimal()]
    counts = Counter(label for label in found if label)
    if counts.total() < _HINTED * len(found) or not 2 <= len(counts) <= len(found) / 2:
        return ""
    first = ", ".join(f"'{shown(label)}'" for label, _ in counts.most_common(3))
    return f"; their names look like labels ({first}): if they are, add --label-from name"


def _label(pattern: re.Pattern[str], file: str, whole: bool) -> str:
    stem = os.path.splitext(file if whole else file.rpartition("/")[2])[0]
    found = pattern.fullmatch(stem)
    return clean(found["label"]) if found else ""
