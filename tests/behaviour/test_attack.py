"""A service of 2 GiB outlives the costliest uploads; `make test-all` brings all of them, `make test` a part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import attack
from tests.attack import Group, contained
from tests.colours import add_doubt, colour_bundle
from tests.faults import Running
from tests.hostile_uploads import UPLOADS

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Running, Group]]:
    with contained(add_doubt(colour_bundle(tmp_path / "m"))) as found:
        yield found


def outlives(figures: dict[str, object]) -> None:
    statuses = figures["statuses"]
    assert isinstance(statuses, dict)
    assert not [status for status in statuses if status.startswith("5") and status != "503"], statuses
    assert figures["alive"]
    assert figures["peak_pss_mb"] < 2048
    group = figures["group"]
    assert isinstance(group, dict)
    assert group.get("killed", 0) == 0
    honest = figures["honest_beside"]
    assert isinstance(honest, dict)
    assert set(honest) <= {"200"}, honest


def test_costly_uploads_at_once_end_nothing(service: tuple[Running, Group]) -> None:
    outlives(attack.run(*service, attack.QUICK, 20, calm=1.0))


@pytest.mark.slow
def test_a_hundred_of_the_costliest_uploads_at_once(service: tuple[Running, Group]) -> None:
    figures = attack.run(*service, tuple(UPLOADS), 100)
    outlives(figures)
    assert figures["slower"] <= 3
    assert figures["recovered_s"] <= 5
