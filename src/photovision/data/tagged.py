"""Labels of whole pictures from annotation programs: a classification data set, or attributes beside objects.

A project may ask several questions ("weather", "quality"). The question that `label_column` names gives the classes,
else the one that most pictures answer, the first of equals; the answers to the others become attributes.
"""

from __future__ import annotations

from collections.abc import Sequence

from photovision.core.errors import DataError
from photovision.data.annotation_reader import Gathered
from photovision.data.dataset import Dataset, FileSamples
from photovision.data.formats import clean, ordered
from photovision.data.read_options import ReadOptions

SEPARATOR = "|"
"""Stands between the answers where a picture has several and they become an attribute."""


def objects_or_tags(found: Gathered, classes: Sequence[str], options: ReadOptions, empty_is_none: bool) -> Dataset:
    """Detection where there is an object, classification where there are only labels of whole pictures.

    Args:
        found: pictures with objects, labels, or both.
        classes: names of the classes of the objects, in their order.
        options: `label_column` names the question that gives the classes; `multilabel` as everywhere.
        empty_is_none: whether a picture without an answer shows none of several classes, since somebody looked at it;
            where False, or where pictures have one class each, it is unlabelled.

    Raises:
        DataError: there is next to nothing of use, or an option does not fit the data.
    """
    if not found.tags or len(found.objects):
        if options.label_column is not None or options.multilabel is not None:
            raise DataError(
                f"{found.path} holds objects, so labels of whole pictures cannot be chosen: leave out --label-column"
                " and --multilabel"
            )
        _as_attributes(found, list(found.tags))
        return found.dataset(classes)
    found.check()
    question = _question(found, options.label_column)
    _as_attributes(found, [other for other in found.tags if other != question])
    answers = found.tags[question]
    several = any(len(names) > 1 for names in answers.values())
    if several and options.multilabel is False:
        raise DataError(f"{found.path} gives several labels to some pictures: leave out the wish for one label")
    return _classification(found, answers, several or options.multilabel is True, empty_is_none)


def _question(found: Gathered, wanted: str | None) -> str:
    if wanted is not None and wanted not in found.tags:
        raise DataError(
            f"{found.path} has no labels called '{wanted}'; it has: {', '.join(found.tags)[:200]}: choose one of these"
        )
    return wanted if wanted is not None else max(found.tags, key=lambda name: len(found.tags[name]))


def _as_attributes(found: Gathered, questions: Sequence[str]) -> None:
    for question in questions:
        answers = {position: SEPARATOR.join(names) for position, names in found.tags[question].items()}
        key = clean(question) or "label"
        while key in found.attributes:
            key += "_"
        found.attributes[key] = answers
        found.note(
            found.path.name,
            "labels of whole pictures",
            f"'{clean(question)}' is kept as an attribute of {len(answers):,} pictures, not as their class",
        )


def _classification(
    found: Gathered, answers: dict[int, tuple[str, ...]], multilabel: bool, empty_is_none: bool
) -> Dataset:
    kept = [i for i in range(len(found.files)) if answers.get(i) or (multilabel and empty_is_none)]
    row = {position: place for place, position in enumerate(kept)}
    for position, file in enumerate(found.files):
        if position not in row:
            found.unlabelled(file)
    if blank := [position for position in kept if not answers.get(position)]:
        found.note(
            found.files[blank[0]],
            "no labels",
            f"an annotator gave no label: taken to show none of the classes; so are {len(blank):,} pictures in all",
        )
    same: dict[tuple[str, ...], tuple[str, ...]] = {}
    targets = [same.setdefault(names, names) for names in (tuple(sorted(answers.get(i, ()))) for i in kept)]
    columns = {key: [column[i] for i in kept] for key, column in found.columns().items()}
    samples = FileSamples(found.root, [found.files[i] for i in kept], targets, columns)
    splits = {name: tuple(row[i] for i in rows if i in row) for name, rows in found.splits.items()}
    classes = ordered(name for names in same for name in names)
    return Dataset(samples, classes, splits, multilabel, found.told(True), found.format, notes=found.told(False))
