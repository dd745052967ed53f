"""Variants: a rung learned again, fairly or robustly; what it brought, in words and drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from photovision.core.curves import CurvePoint, points
from photovision.core.drawing import percent
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.data.augment.image import Augment
from photovision.data.corruptions import names
from photovision.data.corruptions.augmix import AUGMIX

Fair = Literal["", "group-balanced", "reweighted", "GroupDRO"]


@dataclass(frozen=True)
class Variant:
    """A change to how a rung learns.

    Attributes:
        name: of the rung that comes of it; "" keeps the rung's own.
        fair: how groups are minded.
        corruptions: that half of the training views get.
        augmix: whether training views are mixed by AugMix.
    """

    name: str = ""
    fair: Fair = ""
    corruptions: tuple[str, ...] = ()
    augmix: bool = False

    @property
    def disturbed(self) -> str:
        """By what training views are disturbed: "corruptions", "augmix" or ""."""
        return "augmix" if self.augmix else "corruptions" if self.corruptions else ""

    @property
    def told(self) -> str:
        """What is changed, as the end of a note on the rung."""
        views = {"": "", "corruptions": "; half of the varied views corrupted", "augmix": "; views mixed by AugMix"}
        fair = f"; {self.fair}, kept by the group served worst on validation" if self.fair else ""
        return views[self.disturbed] + fair

    def of(self, augment: Augment) -> Augment:
        """The augmentation with what this variant adds to it."""
        return replace(augment, corruptions=self.corruptions, augmix=self.augmix) if self.disturbed else augment


PLAIN = Variant()


def corruptions_of(asked: Sequence[str]) -> tuple[str, ...]:
    """The corruptions among what was asked for, families written out; raises UsageError for unknown names."""
    return names([name for name in asked if name != AUGMIX])


def robust_variants(asked: Sequence[str]) -> list[Variant]:
    """The variants that corruptions and AugMix, asked for by name, make.

    Example:
        >>> [variant.name for variant in robust_variants(["fog", "augmix"])]
        ['robust', 'AugMix']
    """
    corruptions = corruptions_of(asked)
    found = [Variant("robust", corruptions=corruptions)] if corruptions else []
    return [*found, Variant("AugMix", augmix=True)] if AUGMIX in asked else found


def fair_variants(frozen: bool, base: Variant = PLAIN) -> list[Variant]:
    """The variants that are fair to groups, on top of `base`.

    For a linear head on frozen features, a convex problem solved to its end, weights on samples and on losses are the
    same, and GroupDRO does not apply.
    """
    kinds: tuple[Fair, ...] = ("reweighted",) if frozen else ("group-balanced", "reweighted", "GroupDRO")
    return [replace(base, name=kind, fair=kind) for kind in kinds]


def finding(found: Mapping[str, Any] | None) -> Finding:
    """What fair and robust training brought, measured on test pictures.

    A gain is claimed only where its 95% interval lies above 0, for the one variant, and in the one group, that
    validation had settled before.

    Args:
        found: what the bundle stores under "variants"; None or empty where neither was asked for.
    """
    if not found:
        return Finding()
    parts = [tell(found[key]) for key, tell in (("robust", _robust), ("fair", _fair)) if key in found]
    return Finding(
        tuple(sentence for part in parts for sentence in part.summary),
        {name: metric for part in parts for name, metric in part.metrics.items()},
        [table for part in parts for table in part.tables],
        [figure for part in parts for figure in part.figures],
        [warning for part in parts for warning in part.warnings],
        {"variants": dict(found)},
    )


def _fair(found: Mapping[str, Any]) -> Finding:
    title, attribute = f"Fair by {found['attribute']}", found["attribute"]
    if not found.get("rungs"):
        return Finding((f"{title}: {found['reason']}",), warnings=(f"{title}: not measured, for want of pictures.",))
    plain, kept = found["rungs"][0], _kept(found)
    worst, before, after = found["worst"], _metric(plain, "test", "worst_group"), _metric(kept, "test", "worst_group")
    lines = [f"{title}: {found['reason']}"]
    metrics, warnings = {"fair_worst_group": after}, []
    if kept is not plain:
        gain, cost = _metric(kept, "gain", "worst_group"), _metric(kept, "gain", "accuracy")
        metrics["fair_gain"] = gain
        shown = _above(gain)
        lines.append(
            f"On test pictures '{worst}', which validation had found to be served worst, is served"
            f" better by '{kept['name']}' than by '{plain['name']}': {_signed(gain)}; over all pictures accuracy"
            f" changes by {_signed(cost)}. The lowest accuracy of any group is {percent(after.value)}, before"
            f" {percent(before.value)}."
        )
        if not shown:
            warnings.append(
                f"A gain for '{worst}' by '{kept['name']}' is not shown on test pictures ({_signed(gain)}):"
                " more pictures of this group would tell."
            )
    else:
        warnings.append(
            f"Fair training by {attribute} brought nothing that the validation pictures can show:"
            f" '{plain['name']}' is kept without change."
        )
    return Finding(tuple(lines), metrics, _fair_tables(found, title), _fair_figures(found, title), warnings)


def _fair_tables(found: Mapping[str, Any], title: str) -> list[Table]:
    columns = ("rung", "validation", "its worst group", "test", "its worst group", "its gap", "gain in the worst")
    rows = [
        (
            _starred(rung, found),
            *(_metric(rung, split, name) for split in ("val", "test") for name in ("accuracy", "worst_group")),
            _metric(rung, "test", "gap"),
            _metric(rung, "gain", "worst_group") if rung.get("gain") else None,
        )
        for rung in found["rungs"]
    ]
    how = "the mean over classes that all groups have" if found["balanced"] else "the share of right answers"
    note = (
        f"* is kept. A group's accuracy is {how}; groups of fewer than 10 pictures are not judged. The gap lies between"
        f" the groups served best and worst; the gain is for '{found['worst']}', against the first row, paired."
    )
    kept = _kept(found)
    groups = [
        (name, size["train"], size["val"], size["test"], *(_group(rung, name) for rung in (found["rungs"][0], kept)))
        for name, size in found["sizes"].items()
    ]
    heads: tuple[str, ...] = (
        "group",
        "train",
        "validation",
        "test",
        f"{found['rungs'][0]['name']} (test)",
        f"{kept['name']} (test)",
    )
    heads = heads if kept is not found["rungs"][0] else heads[:-1]
    return [
        Table(title, columns, tuple(rows), note),
        Table(f"{title}: the groups", heads, tuple(row[: len(heads)] for row in groups), "Pictures of each group."),
    ]


def _fair_figures(found: Mapping[str, Any], title: str) -> list[Figure]:
    drawn = points(
        [_point(rung, "accuracy", "worst_group", i) for i, rung in enumerate(found["rungs"])],
        f"{title}: accuracy against the accuracy of the group served worst",
        "accuracy on test",
        "worst group on test",
    )
    note = "Up is fairer, right is better over all. Whiskers are 95% intervals; they overlap where the same pictures"
    return [Figure(title, svg=drawn, note=note + " decide, so the table's paired gains are what to judge by.")]


def _robust(found: Mapping[str, Any]) -> Finding:
    title = "Robust training"
    plain, kept = found["rungs"][0], _kept(found)
    named, severity = _some(found["corruptions"]), found["severity"]
    after, before = _metric(kept, "test", "corrupted"), _metric(plain, "test", "corrupted")
    lines = [
        f"{title}: {found['reason']}",
        f"Test pictures after corruption ({named}; severity {severity}, one corruption each):"
        f" {percent(before.value)} right by '{plain['name']}', where the same pictures as they are give"
        f" {percent(_metric(plain, 'test', 'clean_part').value)}.",
    ]
    metrics, warnings = {"robust_corrupted_accuracy": after}, []
    if kept is not plain:
        gain, cost = _metric(kept, "gain", "corrupted"), _metric(kept, "gain", "clean")
        metrics["robust_gain"] = gain
        lines[-1] += (
            f" '{kept['name']}': {percent(after.value)}, {_signed(gain)}; on pictures as they are {_signed(cost)}."
        )
        if kept["gain"].get("recovered"):
            lines[-1] += f" Of what corruption costs it wins back {_spoken(_metric(kept, 'gain', 'recovered'))}."
        if not _above(gain):
            warnings.append(
                f"A gain by '{kept['name']}' on corrupted test pictures is not shown ({_signed(gain)}): it was seen on"
                " validation pictures only."
            )
        lines.append(
            "It learned from the same kinds of corruption; what it gains on other kinds is not measured here."
            if found["seen"]
            else "It learned from none of these corruptions."
        )
    else:
        warnings.append(f"Robust training brought nothing worth its price: '{plain['name']}' is kept without change.")
    return Finding(tuple(lines), metrics, [_robust_table(found, title)], [_robust_figure(found, title)], warnings)


def _robust_table(found: Mapping[str, Any], title: str) -> Table:
    columns = ("rung", "validation", "corrupted", "test", "corrupted", "gain corrupted", "gain as they are")
    rows = [
        (
            _starred(rung, found),
            *(_metric(rung, split, name) for split in ("val", "test") for name in ("clean", "corrupted")),
            *(_metric(rung, "gain", name) if rung.get("gain") else None for name in ("corrupted", "clean")),
        )
        for rung in found["rungs"]
    ]
    note = "* is kept. Gains are on test pictures against the first row, paired: the same pictures, equally corrupted."
    return Table(title, columns, tuple(rows), note)


def _robust_figure(found: Mapping[str, Any], title: str) -> Figure:
    drawn = points(
        [_point(rung, "clean", "corrupted", i) for i, rung in enumerate(found["rungs"])],
        f"{title}: accuracy as they are against accuracy after corruption",
        "accuracy on test",
        "after corruption",
    )
    return Figure(title, svg=drawn, note="Up is more robust, right is better on pictures as they are. 95% intervals.")


def _kept(found: Mapping[str, Any]) -> Mapping[str, Any]:
    kept: Mapping[str, Any] = next(rung for rung in found["rungs"] if rung["name"] == found["kept"])
    return kept


def _metric(rung: Mapping[str, Any], part: str, name: str) -> Metric:
    return Metric.from_json(rung[part][name])


def _group(rung: Mapping[str, Any], name: str) -> Metric | None:
    value = rung["test"]["groups"].get(name)
    return Metric.from_json(value) if value else None


def _starred(rung: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    return f"{rung['name']} *" if rung["name"] == found["kept"] else str(rung["name"])


def _point(rung: Mapping[str, Any], across: str, up: str, number: int) -> CurvePoint:
    x, y = _metric(rung, "test", across), _metric(rung, "test", up)
    return CurvePoint(x.value, y.value, rung["name"], x.low, x.high, y.low, y.high, number)


def _above(gain: Metric) -> bool:
    return gain.low is not None and gain.low > 0


def _signed(gain: Metric) -> str:
    text = f"{gain.value * 100:+.1f} points"
    if gain.low is None or gain.high is None:
        return text
    return f"{text} (95% interval {gain.low * 100:+.1f} to {gain.high * 100:+.1f})"


def _spoken(share: Metric) -> str:
    if share.low is None or share.high is None:
        return percent(share.value)
    return f"{percent(share.value)} (95% interval {share.low * 100:.0f} to {share.high * 100:.0f}%)"


def _some(words: Sequence[str], most: int = 6) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
