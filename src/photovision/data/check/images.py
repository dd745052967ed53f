"""The doctor: what a careful person would want to know about a dataset before training on it."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage
from photovision.core.image import open_sample
from photovision.core.phrases import count
from photovision.core.report import Assessment, Figure, Report, Table
from photovision.core.system import provenance
from photovision.core.types import Ints
from photovision.data.check import values as value_check
from photovision.data.check.contents import classes_text, duplicates_text, files_text
from photovision.data.corrections import NAME
from photovision.data.dataset import SPLITS, Dataset, Problem
from photovision.data.scan import Scan
from photovision.data.split import Splits

NAMED = 20
"""Files of one kind that are named in the report; all are counted."""
SHOWN = 12
TINY_CLASS = 10
SKEWED = 10.0
SMALL_SIDE = 32
BLANK_CONTRAST = 2.0
LONG = 3.0
HARMLESS = ("not used", "masks")
"""Kinds of notes that are no reason to worry."""
_THUMB = 160


@dataclass
class _Findings:
    """What was found so far, in the order of the report."""

    summary: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _View:
    """The dataset as int64 (N,): `codes` into `targets` (-1 unknown) and `side` 0 to 2 into SPLITS (-1 none)."""

    dataset: Dataset
    scan: Scan
    splits: Splits
    codes: Ints
    targets: tuple[tuple[str, ...], ...]
    side: Ints

    def name(self, position: int) -> str:
        """A picture as the report names it."""
        code, side = int(self.codes[position]), int(self.side[position])
        label = ", ".join(self.targets[code]) or "no class" if code >= 0 else "unlabelled"
        return f"{self.dataset.samples[position].id} ({label}{f', {SPLITS[side]}' if side >= 0 else ''})"


def check(dataset: Dataset, scan: Scan, splits: Splits) -> Report:
    """Examine a dataset: counts, sizes, broken and duplicate files, leaks, conflicting labels and skew.

    Nothing is decoded but the few pictures that are shown. Warnings are what should be looked at before training; a
    sound dataset has none.

    Args:
        dataset: N pictures.
        scan: what `scan(dataset)` found.
        splits: what `make_splits(dataset, scan)` made.

    Returns:
        a report of kind "check"; `data` has the counts, and the ids of broken files and of duplicate groups.

    Example:
        >>> from photovision.data.read import dataset_from_arrays
        >>> from photovision.data.scan import scan
        >>> from photovision.data.split import make_splits
        >>> noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        >>> data = dataset_from_arrays(noise, ["a", "b"] * 20)
        >>> found = scan(data)
        >>> check(data, found, make_splits(data, found)).summary[0]
        '40 pictures of 2 classes: 28 in train, 6 in val, 6 in test.'
    """
    view = _view(dataset, scan, splits)
    findings = _Findings()
    for examine in (_counts, _broken, _notes, _corrections, _duplicates, _class_names, _sizes, _kinds):
        examine(view, findings)
    return Report(
        kind="check",
        title=f"{count(len(dataset), 'picture')}, checked before training",
        assessment=assessed(findings.warnings),
        summary=tuple(findings.summary),
        tables=findings.tables,
        figures=findings.figures,
        warnings=findings.warnings,
        provenance={**provenance(), "data": dataset.fingerprint},
        data=findings.data,
    )


def assessed(warnings: Sequence[str]) -> Assessment:
    """What the warnings of a check come to."""
    if not warnings:
        return Assessment("good", "Ready to train", "Nothing was found that should be looked at first.")
    n = len(warnings)
    return Assessment("care", f"{count(n, 'thing')} to look at before training", f"First: {warnings[0]}")


def _view(dataset: Dataset, scan: Scan, splits: Splits) -> _View:
    known: dict[tuple[str, ...], int] = {}
    codes = np.fromiter(
        (-1 if s.target is None else known.setdefault(s.target, len(known)) for s in dataset.samples),
        dtype=np.int64,
        count=len(dataset),
    )
    side = np.full(len(dataset), -1)
    for number, positions in enumerate((splits.train, splits.val, splits.test)):
        side[positions] = number
    return _View(dataset, scan, splits, codes, tuple(known), side)


def _counts(view: _View, found: _Findings) -> None:
    per_class = np.zeros((len(view.dataset.classes), 3), dtype=np.int64)
    index = {name: row for row, name in enumerate(view.dataset.classes)}
    used = view.side >= 0
    pairs, amounts = np.unique(np.stack([view.codes[used], view.side[used]]), axis=1, return_counts=True)
    for code, side, amount in zip(*pairs.tolist(), amounts.tolist(), strict=True):
        for name in view.targets[code]:
            per_class[index[name], side] += amount
    total = per_class.sum(axis=1)
    found.summary += _contents(view, dict(zip(index, total.tolist(), strict=True)))
    by_class = dict(zip(index, per_class.tolist(), strict=True))
    rows = tuple((name, *row, sum(row)) for name, row in by_class.items())
    found.tables.append(Table("Pictures of each class", ("class", *SPLITS, "all"), rows))
    found.data["classes"] = {name: dict(zip(SPLITS, row, strict=True)) for name, row in by_class.items()}
    found.data["pictures"] = len(view.dataset)
    present = total[total > 0]
    ratio = float(present.max() / present.min()) if len(present) else 1.0
    found.data["imbalance"] = ratio
    if ratio >= SKEWED:
        ranked = sorted((amount, name) for name, amount in zip(index, total.tolist(), strict=True) if amount)
        (few, least), (much, most) = ranked[0], ranked[-1]
        found.warnings.append(
            f"The classes are skewed: '{most}' has {much:,} pictures, '{least}' {few:,} ({ratio:,.0f} to 1): look at"
            " balanced accuracy, not at accuracy."
        )
    tiny = [name for name, row in by_class.items() if row[0] < TINY_CLASS]
    if tiny:
        found.warnings.append(
            f"{_so_many(tiny, 'class', 'classes')} with fewer than {TINY_CLASS} pictures to learn from."
        )
    for number, name in enumerate(SPLITS[1:], 1):
        absent = [name for name, row in by_class.items() if row[number] == 0 and sum(row) > 0]
        if absent and (view.side == number).any():
            found.warnings.append(f"{_so_many(absent, 'class', 'classes')} without a picture in {name}.")


def _contents(view: _View, sizes: Mapping[str, int]) -> list[str]:
    """What there is, in sentences; of objects the doctor for boxes speaks."""
    parts = ", ".join(f"{(view.side == n).sum():,} in {name}" for n, name in enumerate(SPLITS))
    first = f"{count(len(view.dataset), 'picture')} of {count(len(sizes), 'class', 'classes')}: {parts}."
    several = " A picture may have several classes." if view.dataset.multilabel else ""
    each = classes_text(sizes) + several if view.dataset.annotation_type == "labels" else ""
    return [text for text in (first, each, files_text(view.scan), *view.splits.notes) if text]


def _broken(view: _View, found: _Findings) -> None:
    problems = [*view.dataset.problems, *view.scan.problems]
    found.data["problems"] = [{"id": p.id, "kind": p.kind, "message": p.message} for p in problems]
    if not problems:
        found.summary.append("Every picture can be read.")
        return
    by_kind: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind].append(problem)
    for kind, members in by_kind.items():
        found.warnings.append(f"{_so_many([p.id for p in members], 'file', 'files')}, left out: {kind}.")
    named = [p for members in by_kind.values() for p in members[:NAMED]]
    note = f"The first {NAMED} of each kind are named; report.json has all {len(problems):,}."
    rows = tuple((p.id, p.kind, p.message) for p in named)
    found.tables.append(Table("Files left out", ("file", "kind", "what is wrong"), rows, note))


def _notes(view: _View, found: _Findings) -> None:
    """What was odd about files that are used, and which files are not."""
    found.data["reading"] = view.dataset.reading
    notes = [note for note in view.dataset.notes if note.kind != "reading"]  # said when the data are read
    if view.dataset.annotation_type in ("boxes", "masks"):  # boxes_doctor tells of them
        return
    found.data["notes"] = [{"id": note.id, "kind": note.kind, "message": note.message} for note in notes]
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for note in notes:
        kinds[note.kind].append(note)
    for kind, some in kinds.items():
        first = f"{some[0].id}: {some[0].message}."
        many = f" ({kind}, {len(some):,} times, first)" if len(some) > 1 else ""
        (found.summary if kind in HARMLESS else found.warnings).append(f"Noted while reading{many}: {first}")


def _corrections(view: _View, found: _Findings) -> None:
    """What people decided about labels, which the data follow."""
    every = view.dataset.corrections
    if not every:
        return
    found.data["corrections"] = [{**vars(c), "was": list(c.was), "label": list(c.label)} for c in every]
    applied = [c for c in every if c.applied]
    changed, out = (sum(c.decision == name for c in applied) for name in ("label", "leave out"))
    found.summary.append(
        f"{NAME} corrects {changed:,} {'label' if changed == 1 else 'labels'} and leaves out {out:,}"
        f" {'picture' if out == 1 else 'pictures'}."
    )
    if stale := [c.id for c in every if not c.applied]:
        found.warnings.append(
            f"{_so_many(stale, 'correction', 'corrections')} in {NAME} that the data do not fit any more, not applied."
        )
    rows = tuple((c.id, ", ".join(c.was), ", ".join(c.label) or c.decision, c.time) for c in applied[:NAMED])
    if rows:
        note = f"The first {NAMED} of {len(applied):,}; {NAME} beside the pictures has all."
        found.tables.append(Table("Labels corrected by hand", ("file", "was", "now", "when"), rows, note))


def _duplicates(view: _View, found: _Findings) -> None:
    groups = _groups(view.scan.duplicates)
    digests = view.scan.digest[view.scan.readable]
    exact = len(digests) - len(np.unique(digests))
    conflicts = [group for group in groups if len(set(view.codes[group].tolist()) - {-1}) > 1]
    leaks = [group for group in groups if len(set(view.side[group].tolist()) - {-1}) > 1]
    found.data |= {
        "exact_copies": exact,
        "duplicate_groups": [[view.dataset.samples[i].id for i in group] for group in groups],
        "conflicts": [[view.name(i) for i in group] for group in conflicts],
        "leaked": [view.dataset.samples[int(i)].id for i in view.splits.leaked],
    }
    found.summary.append(duplicates_text([[view.dataset.samples[i].id for i in group] for group in groups], exact))
    if not groups:
        return
    if conflicts:
        found.warnings.append(
            f"{_so_many([view.name(g[0]) for g in conflicts], 'picture', 'pictures')} with a copy that has another"
            " label: at least one of the labels is wrong, or several are true."
        )
    if leaks:
        found.warnings.append(
            f"{_so_many([view.name(g[0]) for g in leaks], 'picture', 'pictures')} with a copy in another split: scores"
            " on them flatter the model."
        )
    for title, chosen in (
        ("The same picture with different labels", conflicts),
        ("The same picture in different splits", leaks),
        ("The same picture more than once", [g for g in groups if g not in conflicts and g not in leaks]),
    ):
        if chosen:
            found.figures.append(_figure(view, title, chosen))


def _groups(numbers: Ints) -> list[list[int]]:
    """Positions of the members of every group of at least two, largest group first."""
    order = np.argsort(numbers, kind="stable")
    _, starts, sizes = np.unique(numbers[order], return_index=True, return_counts=True)
    several = np.flatnonzero(sizes > 1)
    ranked = several[np.argsort(-sizes[several], kind="stable")]
    return [order[starts[i] : starts[i] + sizes[i]].tolist() for i in ranked]


def _figure(view: _View, title: str, groups: Sequence[Sequence[int]]) -> Figure:
    pictures = []
    for group in groups[:SHOWN]:
        # The first member beside the one that differs from it, where one does.
        first = group[0]
        differs = (i for i in group if (view.codes[i], view.side[i]) != (view.codes[first], view.side[first]))
        other = next(differs, group[1])
        more = f" and {len(group) - 2:,} more" if len(group) > 2 else ""
        pictures.append((_pair(view, first, other), f"{view.name(first)} | {view.name(other)}{more}"))
    return Figure(title, pictures=tuple(pictures), note=f"{len(groups):,} groups, {len(pictures)} of them shown.")


def _pair(view: _View, *positions: int) -> bytes:
    """Two thumbnails side by side, as JPEG."""
    page = Pillow.new("RGB", (_THUMB * len(positions) + 4, _THUMB), "white")
    for place, position in enumerate(positions):
        try:
            picture = open_sample(view.dataset.samples[position], (_THUMB, _THUMB))
        except UnreadableImage:  # it was changed since it was scanned
            continue
        scale = _THUMB / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
        page.paste(picture.resize((width, height), Pillow.Resampling.BILINEAR), (place * (_THUMB + 4), 0))
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _class_names(view: _View, found: _Findings) -> None:
    alike = defaultdict(list)
    for name in view.dataset.classes:
        alike["".join(c for c in name.casefold() if c.isalnum() or not c.isascii()) or name].append(name)
    for names in alike.values():
        if len(names) > 1:
            shown = ", ".join(f"'{name}'" for name in names)
            found.warnings.append(f"The class names {shown} differ only in case or spacing: are they one class?")


def _sizes(view: _View, found: _Findings) -> None:
    scan = view.scan
    good = scan.readable
    if not good.any():
        return
    stretch = scan.stretch[good]
    rows = []
    for name, values in (("height", scan.height[good]), ("width", scan.width[good]), ("width / height", stretch)):
        low, middle, high = np.percentile(values, (0, 50, 100)).tolist()
        rows.append((name, *((low, middle, high) if name == "width / height" else map(round, (low, middle, high)))))
    rows.append(("file size in kB", *(float(v) / 1000 for v in np.percentile(scan.bytes[good], (0, 50, 100)))))
    found.tables.append(Table("Sizes of the upright pictures", ("", "smallest", "median", "largest"), tuple(rows)))
    for chosen, what in (
        (np.minimum(scan.height, scan.width) < SMALL_SIDE, f"with a side below {SMALL_SIDE} pixels"),
        (scan.contrast < BLANK_CONTRAST, "almost blank"),
        (
            np.maximum(scan.stretch, 1 / np.maximum(scan.stretch, 1e-9)) > LONG,
            f"more than {LONG:g} times as long as wide",
        ),
    ):
        positions = np.flatnonzero(good & chosen)
        if len(positions):
            names = [view.dataset.samples[int(i)].id for i in positions[:3]]
            found.warnings.append(f"{_so_many(names, 'picture', 'pictures', len(positions))} {what}.")


def _kinds(view: _View, found: _Findings) -> None:
    scan = view.scan
    counts = np.bincount(scan.kind[scan.readable], minlength=len(scan.kinds)).tolist()
    rows = [(*kind, count) for kind, count in zip(scan.kinds, counts, strict=True)]
    rows.sort(key=lambda row: -int(row[-1]))
    found.tables.append(Table("File formats", ("format", "pixels", "pictures"), tuple(rows)))
    rotated = int(scan.rotated.sum())
    found.data["rotated"] = rotated
    values = value_check.examine(scan, [sample.id for sample in view.dataset.samples] if scan.number.any() else [])
    found.summary += values.summary
    found.warnings += values.warnings
    found.data["value_ranges"] = values.data
    if rotated:
        are = "picture is" if rotated == 1 else "pictures are"
        found.summary.append(
            f"{rotated:,} {are} turned upright by the orientation in EXIF or XMP; other programs may not do that."
        )


def _so_many(names: Iterable[str], one: str, many: str, count: int | None = None) -> str:
    """ "3 files (a, b, c)", "1 file (a)" or "9 files (first a, b, c)"."""
    names = list(names)
    count = count or len(names)
    first = "first " if count > 3 else ""
    return f"{count:,} {one if count == 1 else many} ({first}{', '.join(names[:3])})"
