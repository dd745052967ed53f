"""A service with a store of people compares, identifies and covers faces; without one it has no such routes."""

from __future__ import annotations

import io
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from faces_of import astronaut, needs_weights
from PIL import Image as Pillow
from served import file_of, served

from photovision.core.errors import ModelError
from photovision.faces.register import FaceStore
from photovision.service.app import create_app
from photovision.service.keys import new_key, write_keys
from photovision.service.settings import Settings

MODEL = Path(__file__).parents[2] / "contract" / "bundles_0_1" / "classify" / "model"


@needs_weights
def test_faces_are_compared_identified_and_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography", reason="needs the library cryptography")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with FaceStore(tmp_path / "store", create=True) as store:
        until = date.today() + timedelta(days=9)
        store.enroll("Eileen", [astronaut()], purpose="the door", basis="consent", until=until)
    face = file_of(Pillow.fromarray(astronaut()))
    nobody = file_of(Pillow.fromarray(np.full((90, 90, 3), 120, np.uint8)), "PNG")
    with served(Settings({"model": MODEL}, faces=tmp_path / "store")) as client:
        two = client.post("/faces/verify?fmr=0.0001", files=[("file", ("a.jpg", face)), ("file", ("b.png", nobody))])
        assert (two.status_code, two.json()["verdict"], two.json()["fmr"]) == (200, "no face", 1e-4)
        found = client.post("/faces/identify", files={"file": ("a.jpg", face)}).json()
        assert [(one["verdict"], one["name"]) for one in found["faces"]] == [("same", "Eileen")]
        hidden = client.post("/faces/blur", content=face, headers={"content-type": "image/jpeg"})
        assert hidden.headers["content-type"] == "image/png"
        assert client.post("/faces/identify", files={"file": ("a.png", hidden.content)}).json()["faces"] == []
        for path, files, status in (
            ("/faces/verify", {"file": ("a.jpg", face)}, 400),
            ("/faces/identify", {"file": ("a.jpg", face[:300])}, 422),
            ("/faces/identify?fpir=2", {"file": ("a.jpg", face)}, 422),
            ("/faces/identify?fpir=0.01&fmr=0.01", {"file": ("a.jpg", face)}, 409),
        ):
            refused = client.post(path, files=files)
            assert (refused.status_code, "error" in refused.json()) == (status, True), path
        assert "/faces/verify" in client.get("/openapi.json").json()["paths"]
    with FaceStore(tmp_path / "store") as store:
        assert [row.event for row in store.log()] == ["enroll", "identify", "blur", "identify"]
    with Pillow.open(io.BytesIO(hidden.content)) as picture:
        assert not picture.info


@needs_weights
def test_the_register_is_for_administrators_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography", reason="needs the library cryptography")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    face = {"file": ("a.jpg", file_of(Pillow.fromarray(astronaut())))}
    until = (date.today() + timedelta(days=9)).isoformat()
    with FaceStore(tmp_path / "store", create=True) as store:
        store.enroll("Eileen", [astronaut()], purpose="the door", basis="consent", until=until)
    (owner, one), (guest, other) = new_key("anna", admin=True), new_key("otto")
    write_keys(tmp_path / "keys.json", {one.id: one, other.id: other})
    calls = [("POST", "/faces/enroll"), ("POST", "/faces/forget"), ("GET", "/faces/export")]
    calls = [*((way, f"{path}?name=Eileen") for way, path in calls), ("GET", "/faces/people"), ("GET", "/faces/log")]
    with served(Settings({"model": MODEL}, faces=tmp_path / "store")) as client:
        assert [client.request(*call).status_code for call in calls] == [403] * 5
    with served(Settings({"model": MODEL}, faces=tmp_path / "store", keys=tmp_path / "keys.json")) as client:
        assert [client.request(*call).status_code for call in calls] == [401] * 5
        client.headers["authorization"] = f"Bearer {guest}"
        assert [client.request(*call).status_code for call in calls] == [403] * 5
        client.headers["authorization"] = f"Bearer {owner}"
        ground = {"name": "Collins", "purpose": "the lab", "basis": "consent", "until": until}
        refused = client.post("/faces/enroll", params={**ground, "basis": "curiosity"}, files=face)
        assert (refused.status_code, "legal basis" in refused.json()["error"]) == (409, True)
        found = client.post("/faces/enroll", params=ground, files=face).json()
        assert (found["name"], found["pictures"], found["lookalikes"]) == ("Collins", 1, ["Eileen"])
        assert [entry["name"] for entry in client.get("/faces/people").json()["people"]] == ["Collins", "Eileen"]
        assert len(client.get("/faces/export", params={"name": "Collins"}).json()["templates"]) == 1
        assert client.post("/faces/forget", params={"name": "Eileen"}).json()["found"] == 0
        assert client.get("/faces/people").json()["people"][0]["name"] == "Collins"
        events = [row["event"] for row in client.get("/faces/log").json()["rows"]]
        assert events == ["enroll", "enroll", "list", "export", "forget", "list"]


def test_without_a_store_there_are_no_faces(tmp_path: Path) -> None:
    paths = create_app(Settings({"model": MODEL})).openapi()["paths"]
    assert not [path for path in paths if path.startswith("/faces")]
    with pytest.raises(ModelError, match="no store of faces"):
        create_app(Settings({"model": MODEL}, faces=tmp_path))
