"""Duplicates are found and moved, never deleted; what is merely alike stays, and what is forgotten leaves no byte."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from photographs import photograph, write_photographs
from test_registration import burst

import photovision as pv
from photovision.app.cli import run
from photovision.core.errors import DataError, UsageError
from photovision.retrieval.edits import EDITS
from photovision.retrieval.store import packed
from photovision.retrieval.trash import read_moves

MODEL = Path(__file__).parents[2] / "contract" / "bundles_0_1" / "classify" / "model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs; copies of one: its file, smaller, and mirrored; a burst of another; and an index beside them."""
    pictures = write_photographs(tmp_path / "pictures")
    shutil.copy(pictures / "people" / "coffee.png", pictures / "coffee-again.png")
    rng = np.random.default_rng(0)
    EDITS["quarter size"](photograph("astronaut"), rng).save(pictures / "astronaut-small.png")
    EDITS["saved again (JPEG 20)"](photograph("astronaut"), rng).save(pictures / "astronaut.jpg", quality=60)
    EDITS["mirrored"](photograph("astronaut"), rng).save(pictures / "astronaut-mirrored.png")
    burst(photograph("rocket"), 0.02).save(pictures / "rocket-2.png")
    os.link(pictures / "things" / "rocket.png", pictures / "rocket-linked.png")
    with pv.index(pictures, tmp_path / "index", model=MODEL, check=0):
        return tmp_path


def test_copies_are_grouped_each_with_its_verdict(folder: Path) -> None:
    found = {Path(group.kept).name: group.duplicates for group in pv.duplicates(folder / "index")}
    assert set(found) == {"astronaut.png", "coffee.png"}  # the largest, and of two the older one
    astronaut = {Path(one.file).name: one.verdict for one in found["astronaut.png"]}
    assert astronaut["astronaut-small.png"] == astronaut["astronaut.jpg"] == "same_picture"
    assert astronaut.get("astronaut-mirrored.png", "turned") == "turned"
    assert [(Path(one.file).name, one.verdict) for one in found["coffee.png"]] == [("coffee-again.png", "same_file")]


def test_copies_of_every_kind_are_found_among_few_pictures(tmp_path: Path) -> None:
    pictures = write_photographs(tmp_path / "pictures")
    edits = ("saved again (JPEG 20)", "quarter size", "1.5 times as bright", "grey")
    for number, name in enumerate(edits):
        for of in ("astronaut", "coffee"):
            EDITS[name](photograph(of), np.random.default_rng(0)).save(pictures / f"{of}-{number}.png")
    with pv.index(pictures, tmp_path / "index", model=MODEL, check=0):
        pass
    groups = pv.duplicates(tmp_path / "index", listener=pv.silent)
    found = {Path(one.file).name.split("-")[0].split(".")[0] for group in groups for one in group.duplicates}
    assert found == {"astronaut", "coffee"}
    assert sum(len(group.duplicates) for group in groups) >= 2 * len(edits) - 1


def test_duplicates_are_moved_only_when_asked_for_and_moved_back(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def files() -> set[str]:
        return {path.relative_to(folder / "pictures").as_posix() for path in (folder / "pictures").rglob("*.*")}

    before, index, trash = files(), str(folder / "index"), str(folder / "trash")
    assert run(["duplicates", index]) == 0
    assert files() == before
    assert "same file" in capsys.readouterr().out
    assert run(["duplicates", index, "--apply", "--to", trash, "--json"]) == 0
    moved = json.loads(capsys.readouterr().out)["moved"]
    gone = before - files()
    assert len(moved) == len(gone) == 3
    assert {"astronaut-small.png", "astronaut.jpg"} < gone
    assert all(Path(move["target"]).is_file() and not Path(move["source"]).exists() for move in moved)
    assert run(["duplicates", index, "--apply", "--to", trash]) == 2  # it is not empty
    assert run(["duplicates", "--undo", trash]) == 0
    assert files() == before


def test_a_file_is_never_its_own_duplicate(folder: Path) -> None:
    pictures = folder / "pictures"
    (pictures / "z-link.png").symlink_to(pictures / "people" / "camera.png")
    with pv.index(pictures, folder / "index", check=0) as index:
        names = {*index.store.left_out()}
    for pair in ({"things/rocket.png", "rocket-linked.png"}, {"people/camera.png", "z-link.png"}):
        assert len(names & pair) == 1  # whichever comes first is indexed
    for group in pv.duplicates(folder / "index"):
        assert not any(os.path.samefile(group.kept, one.file) for one in group.duplicates)


def test_moves_that_a_stranger_wrote_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trash = folder / "trash"
    (trash / "files").mkdir(parents=True)
    outside = str(trash / "files" / ".." / ".." / "index" / "index.json")
    for moved in ([["a", outside]], [["a"]], "x"):
        (trash / "undo.json").write_text(json.dumps({"format": "photovision-moved", "moved": moved}))
        with pytest.raises(DataError, match="lists no moved files"):
            read_moves(trash)
    assert run(["duplicates", str(folder / "index"), "--to", str(trash)]) == 2
    assert run(["duplicates", str(folder / "index"), "--undo", str(trash)]) == 2
    assert run(["duplicates"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_what_is_forgotten_leaves_no_byte(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(folder / "cache"))
    place, file = folder / "index", folder / "pictures" / "people" / "coffee.png"
    with pv.Index(place) as index:
        known = {one.file: one for one in index.store.pictures().values()}["people/coffee.png"]
        other = next(one for one in index.store.pictures().values() if one.file == "things/chelsea.png")
        _, vectors = index.store.vectors_of([known.id])
        ids, embeddings = index.store.embeddings()
        embedding = packed(embeddings[ids.tolist().index(known.id)])
    traces = [b"people/coffee.png", known.pixels, packed(vectors[0]), embedding]

    def stored() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(place.iterdir()) if path.is_file())

    assert all(trace in stored() for trace in traces)
    assert run(["forget", str(place), str(file)]) == 0
    told = capsys.readouterr()
    assert told.out == "1 picture forgotten\n"
    assert "takes it up again" in told.err
    assert file.is_file()
    copy = folder / "pictures" / "coffee-again.png"
    assert pv.forget(place, [copy])[0].content == known.content
    assert not any(trace in stored() for trace in [*traces, known.content])
    assert other.content in stored()
    with pv.Index(place) as index:
        assert index.search(file).results == () or index.search(file).results[0].verdict == "alike"
    with pytest.raises(UsageError, match=r"is not in the index .*; did you mean"):
        pv.forget(place, ["people/astronau.png"])
