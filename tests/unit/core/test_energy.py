"""Energy is read from counters where there are any, and estimated from busy cores where there are none."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from photovision.core.energy import HIGH_WATTS, LOW_WATTS, WATTS, Energy, Meter


def counter(top: Path, number: str, name: str, microjoules: int, limit: int = 262_143_328_850) -> Path:
    """A folder like those below /sys/class/powercap."""
    folder = top / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    for file, text in (("name", name), ("max_energy_range_uj", str(limit)), ("energy_uj", str(microjoules))):
        (folder / file).write_text(f"{text}\n")
    return folder / "energy_uj"


def test_packages_and_memory_are_added_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    first, second = counter(tmp_path, "0", "package-0", 1_000_000), counter(tmp_path, "1", "package-1", 5_000_000)
    inside, memory = counter(tmp_path, "0:0", "core", 0), counter(tmp_path, "0:1", "dram", 0)
    around = counter(tmp_path, "2", "psys", 0)
    meter = Meter(counters=tmp_path)
    for file, more in ((first, 3_601_000_000), (second, 3_605_000_000), (memory, 1_800_000_000)):
        file.write_text(str(more))
    inside.write_text("9000000000")
    around.write_text("9000000000")
    found = meter.read()
    assert found.watt_hours == pytest.approx(2.5)
    assert found.low is None
    assert found.high is None
    assert "dram, package-0, package-1" in found.method
    assert "measured" in found.method


def test_a_counter_that_starts_again_is_followed(tmp_path: Path) -> None:
    file = counter(tmp_path, "0", "package-0", 7_000_000_000, limit=7_200_000_000)
    meter = Meter(counters=tmp_path)
    file.write_text("1600000000")  # 200 J to the end, 1,600 J from the start
    assert meter.read().watt_hours == pytest.approx(0.5)
    file.write_text("200000000")  # round once more
    assert meter.read().watt_hours == pytest.approx(0.5 + (7200 - 1600 + 200) / 3600)


def test_nothing_is_counted_where_nothing_was_used(tmp_path: Path) -> None:
    counter(tmp_path, "0", "package-0", 123)
    assert Meter(counters=tmp_path).read().watt_hours == 0


def test_without_counters_busy_cores_are_multiplied_by_a_stated_power(tmp_path: Path) -> None:
    meter = Meter(counters=tmp_path / "none")
    started = time.process_time()
    while time.process_time() - started < 0.3:
        sum(range(1000))
    found = meter.read()
    assert 0.2 * WATTS / 3600 < found.watt_hours < 30 * WATTS / 3600
    assert found.low == pytest.approx(found.watt_hours * LOW_WATTS / WATTS)
    assert found.high == pytest.approx(found.watt_hours * HIGH_WATTS / WATTS)
    for part in ("estimated", "7 W a core", "3.5 to 15 W", "not counted"):
        assert part in found.method


def test_waiting_costs_next_to_nothing_in_the_estimate(tmp_path: Path) -> None:
    meter = Meter(counters=tmp_path)
    time.sleep(0.3)
    assert meter.read().watt_hours < 0.2 * WATTS / 3600


def test_counters_that_stand_still_while_cores_are_busy_are_not_believed(tmp_path: Path) -> None:
    counter(tmp_path, "0", "package-0", 123)
    meter = Meter(counters=tmp_path)
    started = time.process_time()
    while time.process_time() - started < 1.1:
        sum(range(1000))
    found = meter.read()
    assert found.watt_hours > 0
    assert "estimated" in found.method


@pytest.mark.parametrize("spoilt", ["name", "energy_uj", "max_energy_range_uj"])
def test_unreadable_counters_lead_to_the_estimate(tmp_path: Path, spoilt: str) -> None:
    file = counter(tmp_path, "0", "package-0", 0).with_name(spoilt)
    file.unlink()
    assert "estimated" in Meter(counters=tmp_path).read().method


def test_a_counter_that_disappears_leads_to_the_estimate(tmp_path: Path) -> None:
    file = counter(tmp_path, "0", "package-0", 0)
    meter = Meter(counters=tmp_path)
    file.unlink()
    assert "estimated" in meter.read().method


def test_earlier_work_is_added_and_both_methods_are_told(tmp_path: Path) -> None:
    file = counter(tmp_path, "0", "package-0", 0)
    earlier = Energy.from_json(json.loads(json.dumps(Energy(2.0, 1.0, 4.0, "estimated: guesswork").to_json())))
    meter = Meter(earlier, tmp_path)
    file.write_text("3600000000")
    found = meter.read()
    assert (found.watt_hours, found.low, found.high) == (3.0, 2.0, 5.0)
    assert found.method.startswith("estimated: guesswork; and measured")
    assert (found + found).method == found.method
    assert str(found) == "3 Wh (2 to 5)"
