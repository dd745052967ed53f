"""Predictions are recorded before they are answered; what happens when they cannot be."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from colours import add_doubt, colour_bundle
from painter import painter_bundle
from PIL import Image
from served import colour_file, file_of, served
from spotter import scene, spotter_bundle
from starlette.testclient import TestClient

from photovision.app.cli import run
from photovision.core.errors import PhotovisionError, UsageError
from photovision.service import recorder as keeping
from photovision.service.record import Record, Row
from photovision.service.settings import Limits, Settings

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_doubt(colour_bundle(tmp_path_factory.mktemp("models") / "colours"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'predictions.db'}"


def rows(url: str) -> list[Any]:
    with Record.open(url) as record:
        return list(record.read())


def break_record(client: TestClient, broken: list[bool], error: Exception | None = None) -> None:
    """Let writing fail for as long as `broken` is not empty, as on a full disk."""
    recorder = client.app.state.service.recorder  # type: ignore[attr-defined]
    write = recorder._writer.write

    def failing(rows: Sequence[Any]) -> None:
        if broken:
            raise error or PhotovisionError("no space left")
        write(rows)

    recorder._writer.write = failing


def ask(client: TestClient) -> int:
    return client.post("/predict", content=colour_file("red"), headers=JPEG).status_code


def test_every_answer_is_in_the_record_when_it_arrives(bundle: Path, url: str) -> None:
    with served(Settings({"colours": bundle}, record=url)) as client:
        files = [("file", ("anna.jpg", colour_file("blue"))), ("file", ("b.jpg", b"broken"))]
        told = client.post("/predict", files=files).json()
        (row,) = rows(url)
        assert (row.id, row.model, row.version) == (told["id"], "colours", told["version"])
        first = told["predictions"][0]
        assert (row.label, row.best, list(row.prediction_set)) == ("blue", "blue", first["set"])
        assert row.prob == pytest.approx(first["prob"], abs=1e-5)
        assert row.embedding.shape == (3,)
        assert 0 < row.seconds < 5
        assert row.kept is None
    assert b"anna" not in Path(url.removeprefix("sqlite:///")).read_bytes()


def test_pictures_are_kept_where_a_folder_is_given(bundle: Path, url: str, tmp_path: Path) -> None:
    content = colour_file("green")
    with served(Settings({"colours": bundle}, record=url, record_pictures=tmp_path / "kept")) as client:
        assert client.post("/predict", content=content, headers=JPEG).status_code == 200
    files = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [content]


def test_answers_go_on_without_a_record_and_say_so(bundle: Path, url: str) -> None:
    broken = [True]
    with served(Settings({"colours": bundle}, record=url)) as client:
        break_record(client, broken)
        assert ask(client) == 200
        ready = client.get("/v2/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert "photovision_record_failures_total 1.0" in client.get("/metrics").text
        broken.clear()
        assert ask(client) == 200
        assert client.get("/v2/health/ready").json()["status"] == "ok"
    assert len(rows(url)) == 1


@pytest.mark.parametrize("required", [False, True])
def test_a_record_that_fails_in_an_unforeseen_way_is_counted_and_recovers(
    bundle: Path, url: str, required: bool
) -> None:
    broken, limits = [True], Limits(queue=4, files=4)
    with served(Settings({"colours": bundle}, record=url, record_required=required, limits=limits)) as client:
        break_record(client, broken, OSError(116, "Stale file handle"))
        assert [ask(client) for _ in range(6)] == [503 if required else 200] * 6
        assert "photovision_record_failures_total 6.0" in client.get("/metrics").text
        assert client.app.state.service.models.get().batcher.pending == 0  # type: ignore[attr-defined]
        broken.clear()
        assert ask(client) == 200
        assert client.get("/v2/health/ready").json()["status"] == "ok"


def test_a_service_that_must_record_becomes_ready_again_without_being_asked(
    bundle: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "RETRY", 0.05)
    broken = [True]
    with served(Settings({"colours": bundle}, record=url, record_required=True)) as client:
        check = client.app.state.service.recorder._writer.check  # type: ignore[attr-defined]

        def checked() -> None:
            if broken:
                raise OSError(5, "Input/output error")
            check()

        client.app.state.service.recorder._writer.check = checked  # type: ignore[attr-defined]
        break_record(client, broken)
        assert ask(client) == 503
        time.sleep(0.2)
        assert client.get("/v2/health/ready").status_code == 503
        broken.clear()
        until = time.monotonic() + 5
        while client.get("/v2/health/ready").status_code == 503:
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_what_is_recorded_is_its_owners_alone(bundle: Path, tmp_path: Path, umask: int) -> None:
    folder = tmp_path / "kept"
    old = os.umask(umask)
    try:
        with Record.open(f"sqlite:///{tmp_path}/private.db", pictures=folder) as record:
            record.write([Row("1", datetime.now(UTC), "m", "1", "a", "a", 0.5, picture=b"\xff\xd8\xffpicture")])
            made = [tmp_path / f"private.db{suffix}" for suffix in ("", "-wal", "-shm")]
            assert [stat.S_IMODE(file.stat().st_mode) for file in made] == [0o600] * 3
    finally:
        os.umask(old)
    inside = sorted(folder.rglob("*"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *inside)] == [0o700, 0o700, 0o600]


def test_answers_are_refused_where_the_record_is_required(bundle: Path, url: str) -> None:
    broken = [True]
    with served(Settings({"colours": bundle}, record=url, record_required=True)) as client:
        break_record(client, broken)
        refused = client.post("/predict", content=colour_file("red"), headers=JPEG)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert client.get("/v2/health/ready").status_code == 503
        broken.clear()
        assert ask(client) == 200
        assert client.get("/v2/health/ready").status_code == 200


def test_boxes_are_in_the_record_and_come_out_for_other_programs(
    url: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"spots": spotter_bundle(tmp_path / "spots"), "masks": painter_bundle(tmp_path / "masks"), "c": bundle}
    street = file_of(Image.fromarray(scene((90, 120), [("green", (0, 0, 60, 60))])), "PNG")
    with served(Settings(models, record=url, watch=0)) as client:
        told = client.post("/predict", content=street, headers=JPEG).json()["predictions"][0]
        blank = file_of(Image.new("RGB", (64, 64)))
        assert client.post("/predict?tile=32", content=blank, headers=JPEG).status_code == 200
        shares = client.post("/predict?model=masks", content=blank, headers=JPEG).json()["predictions"][0]
        assert client.post("/predict?model=c", content=colour_file("red"), headers=JPEG).status_code == 200
    first, nothing, masks, colour = rows(url)
    assert first.found == {"size": [90, 120], "boxes": told["boxes"]}
    mean = sum(box["score"] for box in told["boxes"]) / len(told["boxes"])
    assert (first.label, first.prob) == ("green", pytest.approx(mean, abs=1e-6))
    assert (nothing.label, nothing.prob, nothing.found) == ("", 0.0, {"size": [64, 64], "boxes": []})
    assert masks.found == {"size": [64, 64], "areas": shares["areas"]}
    assert (masks.label, colour.label, colour.found) == ("background", "red", None)
    assert run(["record", "export", url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["model"] for line in lines] == ["spots", "spots", "masks", "c"]
    assert lines[0]["boxes"] == told["boxes"]
    assert "label" not in lines[0]
    assert (lines[3]["label"], lines[3]["set"]) == ("red", ["red"])
    assert run(["record", "export", url, "--served-as", "c"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert run(["drift", str(models["spots"]), url]) == 2
    assert "keeps no predictions for held-out pictures" in capsys.readouterr().err


def test_a_record_that_cannot_be_opened_stops_the_start(bundle: Path) -> None:
    with pytest.raises(PhotovisionError), served(Settings({"m": bundle}, record="nonsense://x")):
        pass
    with pytest.raises(UsageError, match="--record"):
        Settings({"m": bundle}, record_required=True)
