"""A model grows by new pictures: promoted where it helps, refused where it does not, rolled back in one step."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from served import served

import photovision as pv
from photovision.app.cli import run
from photovision.engine.update.ledger import Ledger
from photovision.service.settings import Settings

OLD = Path(__file__).parents[2] / "contract" / "bundles_0_1" / "classify" / "model"
GROUND = {"disc": (225, 130, 60), "square": (60, 130, 225)}


def draw(kind: str, seed: int) -> np.ndarray:
    """A disc, a square or stripes on a grainy ground, uint8 (32, 32, 3)."""
    rng = np.random.default_rng((seed, len(kind)))
    ground = rng.uniform(40, 110, 3) + rng.normal(0, 9, (32, 32, 1))
    rows, columns = np.mgrid[:32, :32]
    if kind == "stripes":
        ground[:, columns[0] // int(rng.integers(3, 6)) % 2 == 0] = rng.integers(150, 250, 3)
    else:
        side, (y, x) = rng.uniform(12, 20), rng.uniform(0, 12, 2)
        inside = (rows - y >= 0) & (rows - y < side) & (columns - x >= 0) & (columns - x < side)
        if kind == "disc":
            inside = np.hypot(rows - y - side / 2, columns - x - side / 2) < side / 2
        ground[inside] = np.array(GROUND[kind]) + rng.integers(-25, 25, 3)
    return np.clip(ground, 0, 255).astype(np.uint8)


def data(folder: Path, kinds: tuple[str, ...], count: int, seed: int) -> Path:
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(draw(kind, seed * 1000 + number)).save(folder / kind / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of versions with its first one, a golden set beside it, and new pictures with a third class."""
    top = tmp_path_factory.mktemp("update")
    data(top / "golden", ("disc", "square"), 20, 1)
    data(top / "new", ("disc", "square", "stripes"), 40, 2)
    report = pv.update(OLD, top / "new", output=top / "versions", golden=top / "golden", listener=pv.silent)
    assert report.data["promoted"], report.assessment
    return top


@pytest.fixture
def top(started: Path, tmp_path: Path) -> Path:
    shutil.copytree(started, tmp_path / "top", symlinks=True)
    return tmp_path / "top"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_a_new_class_is_learned_and_the_old_version_kept(top: Path) -> None:
    model = pv.load(top / "versions")
    assert model.classes == ("disc", "square", "stripes")
    assert model.bundle.name == "versions"
    right = [model.predict(draw(kind, 5000 + k)).best == kind for kind in model.classes for k in range(10)]
    assert np.mean(right) > 0.9
    found = pv.versions(top / "versions")
    assert [one["event"] for one in found["events"]] == ["created", "promoted"]
    assert os.readlink(top / "versions" / "current") == f"versions/{found['current']}"
    assert model.info["updates"][0]["pictures"] > 60
    assert pv.evaluate(top / "versions", top / "golden", listener=pv.silent).metrics["accuracy"].value > 0.9


def test_the_same_pictures_again_change_nothing(top: Path) -> None:
    before = pv.versions(top / "versions")
    report = pv.update(top / "versions", top / "new", listener=pv.silent)
    assert not report.data["promoted"]
    assert "nothing to learn" in report.title
    assert pv.versions(top / "versions") == before


def test_rolling_back_takes_no_time_and_brings_the_same_bytes(top: Path) -> None:
    folder = top / "versions"
    first = contents(folder / "versions" / pv.versions(folder)["events"][0]["version"])
    began = time.monotonic()
    pv.rollback(folder)
    assert time.monotonic() - began < 1
    assert contents(folder / "current") == first
    assert pv.load(folder).classes == ("disc", "square")
    # What was rolled back is not learned again by the next run of a job.
    assert not pv.update(folder, top / "new", listener=pv.silent).data["promoted"]
    with pytest.raises(pv.UsageError, match="first version"):
        pv.rollback(folder)


def test_wrong_labels_are_refused_once_and_the_verdict_is_kept(top: Path) -> None:
    bad = data(top / "bad", ("disc", "square", "stripes"), 40, 3)
    for number in range(12):  # 20% of all
        for kind, other in (("disc", "square"), ("square", "disc")):
            file = bad / kind / f"{number:03d}.png"
            file.rename(bad / other / f"moved-{kind}-{number:03d}.png")
    report = pv.update(top / "versions", bad, listener=pv.silent)
    assert not report.data["promoted"]
    assert report.data["reasons"][0].startswith("new labels: about "), report.tables[0].rows
    count = len(pv.versions(top / "versions")["events"])
    again = pv.update(top / "versions", bad, listener=pv.silent)
    assert again.data["reasons"] == report.data["reasons"]
    assert len(pv.versions(top / "versions")["events"]) == count


def test_pictures_like_the_golden_set_are_never_learned_from(top: Path) -> None:
    twins = top / "twins"
    for file in (top / "golden").rglob("*.png"):
        target = twins / file.parent.name / f"{file.stem}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).resize((40, 40)).save(target, quality=95)
    report = pv.update(top / "versions", twins, listener=pv.silent)
    assert report.data["pictures"] < 20
    assert any("like those of the golden set" in line for line in report.summary)


def test_a_link_that_a_crash_left_behind_is_set_right(top: Path) -> None:
    folder, now = top / "versions", pv.versions(top / "versions")["current"]
    first = pv.versions(folder)["events"][0]["version"]
    (folder / "current").unlink()
    (folder / "current").symlink_to(f"versions/{first}")
    assert pv.versions(folder)["current"] == now
    assert os.readlink(folder / "current") == f"versions/{now}"


def test_a_golden_set_that_was_changed_is_noticed(top: Path) -> None:
    file = top / "versions" / "golden.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(pv.ModelError, match="golden set that was frozen"):
        pv.update(top / "versions", data(top / "more", ("disc", "stripes"), 20, 8), listener=pv.silent)


def test_the_command_ends_with_1_where_nothing_is_promoted_and_that_is_asked_for(
    top: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = data(top / "more", ("disc", "square"), 15, 6)
    assert run(["update", str(top / "versions"), str(more), "--json", "--fail-on-refusal"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["promoted"] is False
    assert found["reasons"]
    assert run(["versions", str(top / "versions"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["current"] == found["version"]
    assert run(["rollback", str(top / "versions")]) == 0
    assert "Version in use" in capsys.readouterr().out


def test_a_service_follows_the_version_in_use_and_shows_what_became_of_updates(top: Path) -> None:
    folder = top / "versions"

    def loaded() -> list[str]:
        return list(client.get("/v2/models/m").json()["versions"])

    with served(Settings({"m": folder, "plain": OLD}, watch=0.05)) as client:
        before = loaded()
        found = client.get("/v2/models/m/updates").json()
        assert found["current"] == pv.versions(folder)["current"]
        assert [one["event"] for one in found["events"]] == ["created", "promoted"]
        assert client.get("/v2/models/plain/updates").status_code == 404
        pv.rollback(folder)
        until = time.monotonic() + 10
        while loaded() == before and time.monotonic() < until:
            time.sleep(0.05)
        assert len(loaded()) == 2
        assert client.get("/v2/models/m/updates").json()["events"][-1]["event"] == "rolled back"


def test_what_is_missing_is_named_in_one_line(top: Path, tmp_path: Path) -> None:
    with pytest.raises(pv.UsageError, match="--golden"):
        pv.update(OLD, top / "new", listener=pv.silent)
    with pytest.raises(pv.UsageError, match="leave out golden"):
        pv.update(top / "versions", top / "new", golden=top / "golden", listener=pv.silent)
    with pytest.raises(pv.ModelError, match="no folder of versions"):
        pv.rollback(OLD)
    with pytest.raises(pv.UsageError, match="not empty"):
        pv.update(OLD, top / "new", output=top, golden=top / "golden", listener=pv.silent)
    shutil.rmtree(tmp_path / "v", ignore_errors=True)
    with pytest.raises(pv.DataError):
        pv.update(OLD, top / "new", output=tmp_path / "v", golden=top / "new", listener=pv.silent)
    assert not (tmp_path / "v").exists()


def test_a_damaged_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(pv.ModelError, match="damaged"):
        Ledger(tmp_path)
