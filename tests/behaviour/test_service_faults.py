"""The service survives what the world does to it; `make test-all` brings all of it, `make test` a part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import faults
from tests.colours import add_doubt, colour_bundle
from tests.faults import Running, running
from tests.spotter import spotter_bundle

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")


@pytest.fixture(scope="module", params=["classifier", "detector"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle: one with sets and a gate, and one that finds boxes."""
    folder = tmp_path_factory.mktemp("faults") / "model"
    return add_doubt(colour_bundle(folder)) if request.param == "classifier" else spotter_bundle(folder)


boxes_slowly = pytest.mark.parametrize(
    "model", ["classifier", pytest.param("detector", marks=pytest.mark.slow)], indirect=True, scope="module"
)


@pytest.fixture(scope="module")
def service(model: Path) -> Iterator[Running]:
    """One service for all troubles but those that end it; each must leave it answering."""
    with running(model, settings="[limits]\nread_timeout = 2\nqueue = 64") as started:
        yield started


def survives_uploads(service: Running, count: int, seed: int) -> None:
    found = faults.mutated(service, count, seed)
    assert sum(found["statuses"].values()) == count
    assert not found["faults"]
    assert set(found["statuses"]) <= {"200", "400", "413", "415", "422", "503"}
    assert found["statuses"]["200"] > count / 10, "many mutated pictures are still pictures"
    assert found["statuses"]["422"] > count / 10, "many are not"
    assert found["memory_growth_mb"] < 100
    assert found["file_growth"] < 20
    assert found["answers"]


def test_mutated_uploads(service: Running) -> None:
    survives_uploads(service, 630, 1)


@pytest.mark.slow
def test_ten_thousand_mutated_uploads(service: Running) -> None:
    survives_uploads(service, 12_600, 2)


def test_requests_that_are_hardly_http(service: Running) -> None:
    found = faults.broken_requests(service, 200, 3)
    assert not found["faults"]
    assert found["answers"]


@boxes_slowly
def test_slow_clients_are_closed_and_keep_nobody_waiting(service: Running) -> None:
    found = faults.slow_clients(service, 20, 15)
    assert sum(found["ends"].values()) == 20
    assert "still open" not in found["ends"]
    assert found["others_slowest_ms"] < 2000


def test_clients_that_leave_are_forgotten(service: Running) -> None:
    found = faults.disconnections(service, 100, 4)
    assert found["answers"]
    assert found["queue"] == 0
    assert found["file_growth"] < 20


def recovers(service: Running, clients: int, seconds: float) -> None:
    found = faults.overload(service, clients, seconds)
    assert not found["faults"]
    assert found["statuses"]["200"] > 0
    assert found["statuses"]["503"] > 0, "the load was no overload"
    assert found["memory_growth_mb"] < 200
    assert found["queue"] == 0


@boxes_slowly
def test_overload_is_refused_and_passes(service: Running) -> None:
    recovers(service, 300, 2)


@pytest.mark.slow
def test_a_minute_of_overload(service: Running) -> None:
    recovers(service, 640, 60)


@boxes_slowly
def test_kill_9_loses_no_answered_prediction(model: Path, tmp_path: Path) -> None:
    found = faults.killed(model, tmp_path, 1)
    assert found["answered"] >= 100
    assert found["lost"] == 0
    assert found["database"] == "ok"
    assert found["answers"]


@boxes_slowly
@pytest.mark.parametrize("required", [False, True])
def test_a_full_disk_is_told_and_spoils_nothing(model: Path, tmp_path: Path, required: bool) -> None:
    found = faults.full_disk(model, tmp_path, required=required)
    assert found["failures"] > 0
    assert "degraded" in found["ready"]
    assert found["live"] == 200
    assert found["database"] == "ok"
    assert found["rows"] > 0
    if required:
        assert found["statuses"]["200"] == found["rows"], "an answer without its row"
        assert found["statuses"]["503"] > 0
    else:
        assert found["statuses"] == {"200": 600}
