"""Nobody is enrolled without a ground or matches after its end, and whoever is forgotten is gone to the last byte."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from faces_of import PlantedFaces, astronaut, london, needs_weights, planted
from PIL import Image as Pillow

from photovision.app.cli import run
from photovision.core.errors import ModelError, UsageError
from photovision.faces.forget import forget
from photovision.faces.identify import identify
from photovision.faces.register import FaceStore

pytest.importorskip("cryptography", reason="needs the library cryptography")

GROUND = {"purpose": "the door", "basis": "consent", "until": (date.today() + timedelta(days=30)).isoformat()}


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, settings included."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PHOTOVISION_FACES_KEY", raising=False)
    return tmp_path


@pytest.fixture
def store(top: Path) -> Iterator[FaceStore]:
    """Ada (1) and Grace (2) are enrolled from three pictures each."""
    with FaceStore(top / "store", create=True, recogniser=PlantedFaces()) as opened:
        for number, name in ((1, "Ada King"), (2, "Grace Hopper")):
            opened.enroll(name, [planted(number, noise=noise) for noise in (1, 2, 3)], **GROUND)
        yield opened


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"purpose": None}, "without a purpose"),
        ({"purpose": "  "}, "without a purpose"),
        ({"basis": None}, "without a legal basis"),
        ({"basis": "curiosity"}, "consent, contract, law, got curiosity"),
        ({"until": None}, "for ever"),
        ({"until": "soon"}, "a date such as"),
        ({"until": "2020-01-01"}, "in the future"),
    ],
)
def test_nobody_is_enrolled_without_a_ground(store: FaceStore, change: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        store.enroll("Alan", [planted(3)], **{**GROUND, **change})
    assert "Alan" not in store.entries()


def test_poor_pictures_are_refused_with_reasons_and_the_others_taken(store: FaceStore) -> None:
    pictures = [planted(3), planted(3, noise=4), planted(3, blurred=True), planted(), planted(3, 4), planted(5), b"no"]
    found = store.enroll("Alan", pictures, **GROUND)
    assert len(found.entry.templates) == 2
    assert [found.refused[f"picture {number}"].split(":")[0] for number in range(3, 7)] == [
        "the face is blurred", "it has no face", "it has 2 faces, expected one",
        "it resembles the other pictures no more than one of another person",
    ]  # fmt: skip
    assert "picture 7" in found.refused
    with pytest.raises(UsageError, match="no picture is good enough: picture 1: it has no face"):
        store.enroll("Kurt", [planted()], **GROUND)
    with pytest.raises(UsageError, match="different people"):
        store.enroll("Kurt", [planted(8), planted(9)], **GROUND)
    with pytest.raises(UsageError, match="enrolled already"):
        store.enroll("Ada King", [planted(6)], **GROUND)


def test_known_people_get_their_names_and_strangers_none(store: FaceStore) -> None:
    found = identify(store, planted(2, 7, 1, noise=9))
    assert [(face.verdict, face.name) for face in found.faces] == [
        ("same", "Grace Hopper"), ("unknown", None), ("same", "Ada King"),
    ]  # fmt: skip
    assert found.facts["fpir"] == pytest.approx(0.01)
    assert found.facts["fmr"] == pytest.approx(0.00501, abs=1e-4)
    assert identify(store, planted()).faces == ()


def test_two_faces_never_get_one_name(store: FaceStore) -> None:
    faces = identify(store, planted(1, 1, 1, noise=5)).faces
    assert sorted(face.name or "" for face in faces) == ["", "", "Ada King"]


def test_a_poor_face_is_not_named_but_suggested(store: FaceStore) -> None:
    (face,) = identify(store, planted(1, blurred=True)).faces
    assert (face.verdict, face.name, face.candidate) == ("unsure", None, "Ada King")
    assert "blurred" in face.reasons[0]


def test_who_has_expired_is_listed_and_no_longer_recognised(store: FaceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(date):
        @classmethod
        def today(cls) -> Later:
            return cls.fromordinal(date.today().toordinal() + 31)

    monkeypatch.setattr("photovision.faces.entry.date", Later)
    assert identify(store, planted(1, 2)).faces[0].verdict == "unknown"
    assert [entry.to_json()["expired"] for entry in store.people()] == [True, True]


def test_a_forgotten_person_is_gone_to_the_last_byte(store: FaceStore) -> None:
    entry = store.entry("Ada King")
    sealed = store._db.entries()[entry.pseudonym]
    proof = forget(store, "Ada King")
    assert proof.files == 2
    assert proof.patterns > 10
    stored = b"".join(path.read_bytes() for path in store.path.rglob("*") if path.is_file())
    for trace in (b"Ada King", b"Grace Hopper", b"the door", entry.templates.tobytes(), sealed[20:60]):
        assert trace not in stored
    assert entry.pseudonym.encode() in stored  # the log goes on naming it
    assert identify(store, planted(1)).faces[0].verdict == "unknown"
    assert identify(store, planted(2)).faces[0].name == "Grace Hopper"
    with pytest.raises(UsageError, match="nobody is enrolled as 'Ada King'"):
        forget(store, "Ada King")


def test_the_proof_finds_what_is_left(store: FaceStore) -> None:
    (store.path / "notes.txt").write_text("Ada King likes tea")
    with pytest.raises(ModelError, match=r"the name of Ada King is still in .*notes\.txt"):
        forget(store, "Ada King")


@pytest.mark.parametrize("name", ["people", "same", "SQLite", "photovision-faces", "subject", "log", "enroll"])
def test_a_person_is_forgotten_whatever_they_are_called(store: FaceStore, name: str) -> None:
    store.enroll(name, [planted(3)], **GROUND)
    identify(store, planted(3))
    assert forget(store, name).files == 2
    (store.path / "notes.txt").write_text(f"'{name}' likes tea, \"{name}\" was here")
    store.enroll(name, [planted(3)], **GROUND)
    with pytest.raises(ModelError, match=rf"the name of {name} is still in .*notes\.txt"):
        forget(store, name)


def test_who_was_forgotten_cannot_be_put_back_without_the_key(store: FaceStore, top: Path) -> None:
    shutil.copy(store.path / "faces.sqlite", top / "older.sqlite")
    store.enroll("Alan", [planted(3)], **GROUND)
    forget(store, "Ada King")
    back = "INSERT OR IGNORE INTO people SELECT * FROM older.people"
    for change in (back, "DELETE FROM people", f"{back}; INSERT OR REPLACE INTO facts SELECT * FROM older.facts"):
        shutil.copytree(store.path, top / "tried", dirs_exist_ok=True)
        with sqlite3.connect(top / "tried" / "faces.sqlite") as database:
            database.execute("ATTACH ? AS older", (str(top / "older.sqlite"),))
            database.executescript(change)
        database.close()
        with FaceStore(top / "tried", recogniser=PlantedFaces()) as tried:
            for use in (lambda opened: identify(opened, planted(1)), FaceStore.people, FaceStore.active):
                with pytest.raises(ModelError, match="by somebody"):
                    use(tried)
    assert [entry.name for entry in store.people()] == ["Alan", "Grace Hopper"]


def test_a_store_in_which_nobody_was_enrolled_leaves_nothing(top: Path) -> None:
    top.joinpath("mine").mkdir()
    for place, left in (("store", False), ("mine", True)):
        with (
            pytest.raises(UsageError, match="no picture is good enough"),
            FaceStore(top / place, create=True, recogniser=PlantedFaces()) as opened,
        ):
            opened.enroll("Ada King", [planted()], **GROUND)
        assert (top / place).exists() == left
    assert not any(path.is_file() for path in top.rglob("*"))


def test_only_the_owner_reads_a_store(store: FaceStore) -> None:
    assert {path.stat().st_mode & 0o777 for path in store.path.iterdir()} == {0o600}


def test_every_use_is_logged_without_names(store: FaceStore) -> None:
    identify(store, planted(1, 7))
    store.people()
    store.lookalikes()
    exported = store.export("Ada King")
    rows = store.log()
    assert [row.event for row in rows] == ["enroll", "enroll", "identify", "list", "lookalikes", "export"]
    assert rows[2].details["faces"] == 2
    assert [one["subject"] for one in rows[2].details["found"]] == [store.entry("Ada King").pseudonym]
    assert [row["event"] for row in exported["log"]] == ["enroll", "identify", "export"]
    assert np.array(exported["templates"]).shape == (3, 128)
    assert not any(name in json.dumps([row.to_json() for row in rows]) for name in ("Ada", "Grace", "door"))


@pytest.mark.parametrize(
    "change",
    [
        "DROP TRIGGER log_is; UPDATE log SET details = '{}' WHERE n = 2",
        "DROP TRIGGER log_stays; DELETE FROM log WHERE n = 2",
        "DROP TRIGGER log_stays; DELETE FROM log WHERE n = 3",
        "INSERT INTO log VALUES (4, '2026', 'list', 'x', '{}', 'forged')",
    ],
)
def test_a_log_that_was_changed_is_noticed(store: FaceStore, change: str) -> None:
    store.people()
    assert len(store.log()) == 3
    with sqlite3.connect(store.path / "faces.sqlite") as database:
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            database.execute("UPDATE log SET details = '{}'")
        database.executescript(change)
    database.close()
    with pytest.raises(ModelError, match="log"):
        store.log()


def test_without_its_key_a_store_is_closed(store: FaceStore, top: Path) -> None:
    assert store.key_file.stat().st_mode & 0o777 == 0o600
    assert not store.key_file.is_relative_to(store.path)
    (top / "other.key").write_text("ab" * 32)
    for key, message in ((top / "other.key", "is not the key of"), (top / "none.key", "cannot be read")):
        with pytest.raises(ModelError, match=message), FaceStore(store.path, key=key) as opened:
            opened.entries()
    with pytest.raises(UsageError, match="inside the store"):
        FaceStore(store.path, key=store.path / "key")


def test_another_store_of_the_same_key_is_of_no_use_in_this_one(store: FaceStore, top: Path) -> None:
    with FaceStore(top / "other", key=store.key_file, create=True, recogniser=PlantedFaces()) as other:
        other.enroll("Eve", [planted(7)], **GROUND)
    with sqlite3.connect(store.path / "faces.sqlite") as database:
        database.execute("ATTACH ? AS other", (str(top / "other" / "faces.sqlite"),))
        database.execute("INSERT INTO people SELECT * FROM other.people")
    database.close()
    with pytest.raises(ModelError, match="put back by somebody"):
        store.entries()
    shutil.copy(top / "other" / "faces.sqlite", store.path)
    with pytest.raises(ModelError, match="is not the key of"):
        FaceStore(store.path)


@needs_weights
def test_a_picture_that_lies_on_its_side_is_not_enrolled(top: Path) -> None:
    with (
        FaceStore(top / "store", create=True) as store,
        pytest.raises(UsageError, match="no picture is good enough: picture 1: the face stands on its side"),
    ):
        store.enroll("Eileen", [np.rot90(astronaut()[:260, 100:360])], **GROUND)


def test_templates_of_other_networks_are_refused_with_both_hashes(store: FaceStore) -> None:
    description = json.loads((store.path / "faces.json").read_text())
    description["recogniser"]["weights"] = "0" * 64
    (store.path / "faces.json").write_text(json.dumps(description))
    with pytest.raises(
        ModelError, match=r"other weights or another alignment \([0-9a-f]{16}\) than .* \([0-9a-f]{16}\)"
    ):
        FaceStore(store.path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 9999, b'{"format": "photovision-faces", "version": 9}'])
def test_what_is_no_store_is_refused(top: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match="no store of faces"):
        FaceStore(top)
    (top / "faces.json").write_bytes(content)
    with pytest.raises(ModelError):
        FaceStore(top)


def test_a_folder_of_the_users_is_not_made_a_store(top: Path) -> None:
    (top / "mine").mkdir()
    (top / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="not empty"):
        FaceStore(top / "mine", create=True)


def test_people_who_look_alike_are_named(store: FaceStore) -> None:
    assert store.lookalikes() == []
    found = store.enroll("Ada's twin", [planted(1, noise=77)], **GROUND)
    assert found.lookalikes == ("Ada King",)
    ((first, second, score),) = store.lookalikes()
    assert {first, second} == {"Ada King", "Ada's twin"}
    assert score > 0.8


@needs_weights
def test_the_commands(top: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Pillow.fromarray(astronaut()).save(top / "eileen.png")
    Pillow.fromarray(np.ascontiguousarray(astronaut()[:, ::-1])).save(top / "mirrored.jpg")
    store, picture = str(top / "staff"), str(top / "eileen.png")
    assert run(["faces", "enroll", store, "Eileen", picture]) == 2
    assert "without a purpose" in capsys.readouterr().err
    assert not os.path.exists(store)
    ground = ["--purpose", "the door", "--basis", "consent", "--until", GROUND["until"]]
    assert run(["faces", "enroll", store, "Eileen", picture, *ground, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 1
    assert run(["faces", "identify", store, str(top / "mirrored.jpg"), "--json"]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["verdict"], line["name"], line["enrolled"]) == ("same", "Eileen", 1)
    for command in (["list", store], ["lookalikes", store], ["export", store, "Eileen"], ["log", store, "--json"]):
        assert run(["faces", *command]) == 0
    assert json.loads("[" + capsys.readouterr().out.rpartition("\n[")[2])[0]["event"] == "enroll"
    assert run(["faces", "forget", store, "Eileen", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == 0
    assert run(["faces", "identify", store, picture]) == 0
    assert "unknown" in capsys.readouterr().out


@needs_weights
def test_real_people_are_found_and_strangers_are_not(shared_data: Path, top: Path) -> None:
    people = london(shared_data, 4)
    enrolled = dict(list(people.items())[:2])
    with FaceStore(top / "store", create=True) as opened:
        for name, (neutral, _) in enrolled.items():
            opened.enroll(name, [neutral], **GROUND)
        for name, (_, smiling) in people.items():
            (face,) = identify(opened, smiling).faces
            assert face.name == (name if name in enrolled else None)
    shutil.rmtree(top / "store")
