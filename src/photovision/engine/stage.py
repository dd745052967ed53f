"""Rung: one way of learning, with what it reached and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from photovision.core.report import Metric


@dataclass(frozen=True)
class StageResult:
    """What one step of the ladder reached.

    Attributes:
        name: "handcrafted", "frozen", "fine-tuned" or "from scratch".
        val: the figure that selects.
        seconds: of learning, everything included.
        megabytes: of the model on disk.
        ms_per_picture: of one answer for one decoded picture, median; None until measured.
        macs: multiply-adds for one picture; None for handcrafted features.
        params: number of learned numbers.
        note: how it was learned, in one line.
        curve: one entry a validation: epoch, seconds, loss, val.
        plan: every choice, enough to repeat it.
        test: the same figure on test, measured once, after selection.
    """

    name: str
    val: Metric
    seconds: float
    megabytes: float
    ms_per_picture: float | None
    macs: int | None
    params: int
    note: str
    curve: tuple[Mapping[str, float], ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    test: Metric | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **vars(self),
            "val": self.val.to_json(),
            "test": self.test.to_json() if self.test else None,
            "curve": [dict(entry) for entry in self.curve],
            "plan": dict(self.plan),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> StageResult:
        """Read what `to_json` wrote."""
        test = Metric.from_json(value["test"]) if value.get("test") else None
        fields = {**value, "val": Metric.from_json(value["val"]), "test": test, "curve": tuple(value["curve"])}
        return cls(**fields)


STAGE_COLUMNS = ("", "stage", "val", "test", "seconds")


def stage_rows(info: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Rows of `STAGE_COLUMNS`, one for each stage of the training in bundle.json; "*" marks the chosen one."""
    rows: list[tuple[object, ...]] = []
    for stage in info["rungs"]:
        scores = [Metric.from_json(stage[split]) if stage[split] else None for split in ("val", "test")]
        rows.append(("*" if stage["name"] == info["chosen"] else "", stage["name"], *scores, round(stage["seconds"])))
    return rows
