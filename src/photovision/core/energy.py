"""Energy: what a piece of work took, measured where the processor counts it, else estimated, and always by what method.

Linux shows the counters of Intel and AMD processors (RAPL) under /sys/class/powercap, to users who may read them. They
count everything that runs on the machine. Where there are none, as in most containers, the seconds that processor cores
were busy for this process are multiplied by an assumed power.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COUNTERS = Path("/sys/class/powercap")
WATTS = 7.0
"""Assumed power of a busy core: the thermal design power of current processors divided by their cores."""
LOW_WATTS, HIGH_WATTS = 3.5, 15.0
"""The same for large server processors (AMD EPYC 9654: 360 W, 96 cores) and for desktop ones of few cores."""

_JOULES = 3600.0  # in a watt-hour
_SECONDS = 30.0  # between two looks at the counters, which start again from 0 after as little as 260,000 joules
_MEASURED = (
    "measured by the processor's own counters (RAPL: {zones}), with everything else that ran on the machine; graphics"
    " cards, disks, power supply and cooling are not counted"
)
_ESTIMATED = (
    "estimated: {seconds:,.0f} seconds of busy processor cores times {watts:g} W a core, assumed from the thermal"
    " design power of current processors ({low:g} to {high:g} W, which the range spans); memory, graphics cards, disks,"
    " power supply and cooling are not counted"
)


@dataclass(frozen=True)
class Energy:
    """Electrical energy with the method by which it is known.

    Attributes:
        watt_hours: the amount.
        low, high: between which the assumptions put it; None where it was measured and nothing was assumed.
        method: how it was measured or estimated, and what is not counted.

    Example:
        >>> print(Energy(0.5, 0.25, 1.0, "estimated") + Energy(1.5, 0.75, 3.0, "estimated"))
        2 Wh (1 to 4)
    """

    watt_hours: float
    low: float | None
    high: float | None
    method: str

    def __add__(self, other: Energy) -> Energy:
        """Both amounts; where one is measured and the other estimated, the method names both."""
        bounds = ((_or(self.low, self), _or(other.low, other)), (_or(self.high, self), _or(other.high, other)))
        exact = self.low is None and other.low is None
        low, high = (None, None) if exact else (sum(bounds[0]), sum(bounds[1]))
        methods = dict.fromkeys((*self.method.split("; and "), *other.method.split("; and ")))
        return Energy(self.watt_hours + other.watt_hours, low, high, "; and ".join(methods))

    def __str__(self) -> str:
        spread = "" if self.low is None or self.high is None else f" ({_digits(self.low)} to {_digits(self.high)})"
        return f"{_digits(self.watt_hours)} Wh{spread}"

    def to_json(self) -> dict[str, Any]:
        """`{"watt_hours", "low", "high", "method"}`."""
        return vars(self).copy()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Energy:
        """Read what `to_json` wrote."""
        return cls(float(value["watt_hours"]), value.get("low"), value.get("high"), str(value["method"]))


class Meter:
    """Counts the energy from its making on.

    Args:
        earlier: what an interrupted part of the same work took; `read` includes it.
        counters: folder of the RAPL counters.

    Example:
        >>> meter = Meter(counters=Path("/none"))
        >>> meter.read().method.startswith("estimated")
        True
    """

    def __init__(self, earlier: Energy | None = None, counters: Path = COUNTERS) -> None:
        self._earlier = earlier
        self._busy = _busy_seconds()
        self._zones = [zone for folder in _zones(counters) if (zone := _Zone.open(folder)) is not None]
        self._lock = threading.Lock()
        if self._zones:
            threading.Thread(target=_watch, args=(weakref.ref(self),), daemon=True).start()

    def read(self) -> Energy:
        """The energy up to now."""
        measured, busy = self._measured(), _busy_seconds() - self._busy
        stuck = measured is not None and not measured.watt_hours and busy > 1  # as in virtual machines
        now = _estimated(busy) if measured is None or stuck else measured
        return now if self._earlier is None else self._earlier + now

    def _measured(self) -> Energy | None:
        with self._lock:
            if not self._zones or not all(zone.look() for zone in self._zones):
                return None
            joules = sum(zone.micro for zone in self._zones) / 1e6
        names = ", ".join(sorted(zone.name for zone in self._zones))
        return Energy(joules / _JOULES, None, None, _MEASURED.format(zones=names))


class _Zone:
    """One counter and what it has counted: microjoules, starting again from 0 above `limit`."""

    def __init__(self, folder: Path, name: str, limit: int, start: int) -> None:
        self._file, self.name, self._limit, self._last = folder / "energy_uj", name, limit, start
        self.micro = 0

    @classmethod
    def open(cls, folder: Path) -> _Zone | None:
        try:
            limit, start = (int((folder / name).read_text()) for name in ("max_energy_range_uj", "energy_uj"))
            return cls(folder, (folder / "name").read_text().strip(), limit, start)
        except (OSError, ValueError):  # only root may read the counters of most systems
            return None

    def look(self) -> bool:
        """Add what was counted since the last look; False where the counter cannot be read any more."""
        try:
            now = int(self._file.read_text())
        except (OSError, ValueError):
            return False
        self.micro += now - self._last if now >= self._last else self._limit - self._last + now
        self._last = now
        return True


def _zones(counters: Path) -> list[Path]:
    """Processor packages and memory. Zones inside a package, and "psys" around all, would count it twice."""
    found = []
    for folder in sorted(counters.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
        except OSError:
            continue
        if name.startswith(("package", "dram")):
            found.append(folder)
    return found


def _watch(owner: weakref.ref[Meter]) -> None:
    """Look so often that a counter which starts again is never missed, as long as the meter is in use."""
    pause = threading.Event()
    while not pause.wait(_SECONDS):
        meter = owner()
        if meter is None:
            return
        meter._measured()
        del meter


def _busy_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _estimated(seconds: float) -> Energy:
    hours = seconds / 3600
    method = _ESTIMATED.format(seconds=seconds, watts=WATTS, low=LOW_WATTS, high=HIGH_WATTS)
    return Energy(hours * WATTS, hours * LOW_WATTS, hours * HIGH_WATTS, method)


def _or(bound: float | None, energy: Energy) -> float:
    return energy.watt_hours if bound is None else bound


def _digits(watt_hours: float) -> str:
    """Two digits are all that such figures deserve."""
    return f"{watt_hours:,.0f}" if watt_hours >= 10 else f"{watt_hours:.2g}"
