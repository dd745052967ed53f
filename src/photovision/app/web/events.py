"""Events: the file that a command writes while it works, as a sequence: stages, rungs, curves and a log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_POINTS = 240
"""Points of one curve; of more every second one is left out."""
MOST_LINES = 60


@dataclass
class Story:
    """What happened so far.

    Attributes:
        stages: name -> the latest of it: done, total, line, when it began.
        rungs: rungs that were climbed, as `Rung.to_json` gives them.
        curves: stage -> {"loss": [(epoch, loss)], "val": [(epoch, share)]}.
        log: lines for people, the latest last.
    """

    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    rungs: list[dict[str, Any]] = field(default_factory=list)
    curves: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> Story:
        """Read a file of events; a line that is not whole yet is passed over."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return cls()
        return cls().read(lines)

    def read(self, lines: Iterable[str]) -> Story:
        """Take in lines of JSON.

        Example:
            >>> line = '{"time": 1, "stage": "x", "done": 1, "total": 4, "line": "", "facts": {"epoch": 1, "loss": 2}}'
            >>> Story().read([line, line[:9]]).curves
            {'x': {'loss': [(1, 2)], 'val': []}}
        """
        for line in lines:
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue
        return self

    def to_json(self) -> dict[str, Any]:
        """For the page; `stage` is the latest one."""
        curves = {name: {part: _thinned(points) for part, points in c.items()} for name, c in self.curves.items()}
        stages = [{"name": name, **stage} for name, stage in self.stages.items()]
        return {
            "stages": stages,
            "stage": max(stages, key=lambda stage: stage["time"], default=None),
            "rungs": self.rungs,
            "curves": curves,
            "log": self.log[-MOST_LINES:],
        }

    def _take(self, event: dict[str, Any]) -> None:
        facts = event["facts"]
        if "rung" in facts:
            self.rungs.append({key: value for key, value in facts["rung"].items() if key not in ("plan", "curve")})
            self.log.append({"time": event["time"], "text": f"{event['stage']}: {event['line']}"})
            return
        if "waiting" in facts:
            return
        known = self.stages.get(event["stage"])
        fresh = known is None
        began = event["time"] if known is None else known["began"]
        shown = {key: event[key] for key in ("done", "total", "line", "time")}
        self.stages[event["stage"]] = {"began": began, **shown}
        if fresh or (event["done"] >= event["total"] and event["line"]):
            line = f": {event['line']}" if event["line"] else ""
            self.log.append({"time": event["time"], "text": f"{event['stage']}{line}"})
        if "loss" in facts:
            curve = self.curves.setdefault(event["stage"], {"loss": [], "val": []})
            curve["loss"].append((facts["epoch"], facts["loss"]))
            whole = int(facts["epoch"])
            if "val" in facts and (not curve["val"] or curve["val"][-1][0] != whole):
                curve["val"].append((whole, facts["val"]))


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = -(-len(points) // MOST_POINTS) or 1
    return points[::step] if step == 1 or not points else [*points[:-1:step], points[-1]]
