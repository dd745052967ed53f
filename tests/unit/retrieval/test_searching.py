"""An index finds pictures again after edits, says what they are, and stays true when the folder changes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from photographs import NAMES, photograph, write_photographs

import photovision as pv
from photovision.app.cli import run
from photovision.core.errors import DataError, ModelError, UnreadableImage, UsageError
from photovision.retrieval.edits import EDITS, EXPECTED
from photovision.retrieval.text import facts

BUNDLES = Path(__file__).parents[2] / "contract" / "bundles_0_1"
MODEL = BUNDLES / "classify" / "model"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pictures` and an index of them, `index`."""
    top = tmp_path_factory.mktemp("searched")
    write_photographs(top / "pictures")
    with pv.index(top / "pictures", top / "index", model=MODEL, check=1) as index:
        assert len(index) == len(NAMES)
    return top


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    shutil.copytree(made / "pictures", tmp_path / "pictures")
    with pv.index(tmp_path / "pictures", tmp_path / "index", model=MODEL, check=0):
        return tmp_path


def update(top: Path) -> tuple[pv.Index, dict[str, int]]:
    index = pv.index(top / "pictures", top / "index", check=0)
    return index, index.store.fact("last")


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_picture_is_found_first_and_named_for_what_it_is(made: Path, name: str) -> None:
    edited = EDITS[name](photograph("astronaut"), np.random.default_rng(0))
    with pv.Index(made / "index") as index:
        first = index.search(edited).results[0]
    assert Path(first.file).name == "astronaut.png"
    assert first.verdict in EXPECTED[name]


def test_a_file_is_the_same_file_and_in_another_format_the_same_picture(made: Path, tmp_path: Path) -> None:
    photograph("coffee").save(tmp_path / "coffee.bmp")
    found = pv.search(made / "index", made / "pictures" / "people" / "coffee.png", top=1)
    assert found.to_json()["results"][0]["verdict"] == "same_file"
    assert found.results[0].score == pytest.approx(1, abs=1e-2)
    assert pv.search(made / "index", tmp_path / "coffee.bmp", top=1).results[0].verdict == "same_picture"


def test_a_part_of_a_picture_is_searched_for(made: Path) -> None:
    picture = made / "pictures" / "people" / "astronaut.png"
    found = pv.search(made / "index", picture, crop=(80, 0, 240, 160), top=3)
    assert (Path(found.results[0].file).name, found.results[0].verdict) == ("astronaut.png", "crop")
    with pytest.raises(UsageError, match="inside the picture of 320 x 320 pixels"):
        pv.search(made / "index", picture, crop=(80, 0, 400, 160))


def test_results_are_as_many_as_asked_for_and_fall(made: Path) -> None:
    with pv.Index(made / "index") as index:
        results = index.search(made / "pictures" / "people" / "astronaut.png").results
        assert [one.verdict for one in results] == ["same_file"] + ["alike"] * (len(results) - 1)
        scores = [one.score for one in results]
        assert scores == sorted(scores, reverse=True)
        assert index.search(made / "pictures" / "people" / "astronaut.png", top=1).results == results[:1]
        with pytest.raises(UsageError, match="at least 1"):
            index.search(photograph("page"), top=0)
        with pytest.raises(UnreadableImage):
            index.search(made / "index" / "index.json")


def test_rates_of_wrong_verdicts_and_a_promise_are_stated(made: Path) -> None:
    with pv.Index(made / "index") as index:
        known = facts(index)
    assert known["limits"]["n"] == len(NAMES)
    assert known["limits"]["false_alarms"] == pytest.approx(1 / (len(NAMES) + 1))
    assert known["rates"]["pictures"] == 1
    assert all(known["rates"]["edits"][name]["n"] == 1 for name in EDITS)
    assert known["rates"]["missed"]["same_picture"] == [0, 4]
    assert known["rates"]["wrong"]["same_picture"] == [0, 1]


def test_what_is_less_alike_than_promised_is_nothing_like_it(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photograph("moon").save(own / "moon.png")
    with pv.Index(own / "index") as index:
        limits = index.store.fact("limits")
        nearest = max(one.score for one in index.search(own / "moon.png").results)
        with index.store.transaction():
            index.store.set_fact("limits", {**limits, "alike": nearest + 0.001})
    assert pv.search(own / "index", own / "moon.png").to_json() == {"query": str(own / "moon.png"), "results": []}
    assert run(["search", str(own / "index"), str(own / "moon.png")]) == 0
    assert capsys.readouterr().out == f"{own / 'moon.png'}: nothing like it\n"


def test_an_unchanged_folder_is_not_read_again(own: Path) -> None:
    index, last = update(own)
    index.close()
    assert last == {"new": 0, "changed": 0, "moved": 0, "gone": 0, "seen": len(NAMES)}


def test_every_file_is_indexed_or_listed_with_its_reason(own: Path) -> None:
    pictures = own / "pictures"
    photograph("rocket").save(pictures / "new.png")
    os.rename(pictures / "people" / "coffee.png", pictures / "moved.png")
    (pictures / "people" / "retina.png").unlink()
    photograph("moon").save(pictures / "people" / "astronaut.png")
    os.link(pictures / "things" / "coins.png", pictures / "things" / "z-linked.png")
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (pictures / "empty.jpg").touch()
    index, last = update(own)
    with index:
        left = {file: why for file, (_, _, why) in index.store.left_out().items()}
        assert set(left) == {"broken.jpg", "empty.jpg", "things/z-linked.png"}
        assert "another name of the same file: things/coins.png" in left.values()
        assert last["seen"] == len(index) + len(left)
        files = set(index.store.files())
        assert {"new.png", "moved.png"} <= files
        assert files.isdisjoint({"people/coffee.png", "people/retina.png"})
        assert (last["new"], last["changed"], last["moved"], last["gone"]) == (1, 1, 1, 1)
        assert Path(index.search(photograph("moon")).results[0].file).name == "astronaut.png"


def test_an_interrupted_run_keeps_what_it_had(own: Path) -> None:
    def stop(progress: pv.Progress) -> None:
        raise KeyboardInterrupt

    shutil.rmtree(own / "index")
    with pytest.raises(KeyboardInterrupt):
        pv.index(own / "pictures", own / "index", model=MODEL, check=0, listener=stop)
    index, last = update(own)
    with index:
        assert (last["new"], len(index)) == (0, len(NAMES))
        assert index.search(photograph("page")).results[0].verdict == "same_picture"


def test_another_model_is_refused_with_both_hashes(own: Path) -> None:
    other = own / "other"
    shutil.copytree(MODEL, other)
    description = json.loads((other / "bundle.json").read_text())
    preprocess = replace(pv.load(MODEL).preprocess, interpolation="bicubic")
    (other / "bundle.json").write_text(json.dumps({**description, "preprocess": preprocess.to_json()}))
    weights = json.loads((own / "index" / "index.json").read_text())["model"]["weights"]
    for act in (
        lambda: pv.index(own / "pictures", own / "index", model=other),
        lambda: pv.search(own / "index", photograph("page"), model=other),
    ):
        with pytest.raises(ModelError, match=f"weights {weights[:16]}, preprocessing .*not with .*weights") as caught:
            act()
        assert "\n" not in str(caught.value)
    graph = own / "index" / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b" ")
    with pytest.raises(ModelError, match=f"exchanged.*{weights[:16]}"):
        pv.search(own / "index", photograph("page"))


def test_a_model_without_embeddings_is_refused(own: Path) -> None:
    with pytest.raises(ModelError, match="gives no embedding"):
        pv.index(own / "pictures", own / "another", model=BUNDLES / "segment" / "model")


def test_what_is_no_index_is_refused(own: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no index"):
        pv.index(own / "pictures", own / "pictures" / "people", model=MODEL)
    with pytest.raises(UsageError, match=r"is the folder of the pictures itself"):
        pv.index(own / "pictures", own / "pictures", model=MODEL)
    (tmp_path / "other").mkdir()
    photograph("page").save(tmp_path / "other" / "page.png")
    with pytest.raises(UsageError, match="is an index of"):
        pv.index(tmp_path / "other", own / "index")
    with pytest.raises(DataError, match="neither an index nor a folder"):
        pv.search(tmp_path / "absent", photograph("page"))
    with pytest.raises(ModelError, match="is no index"):
        pv.Index(tmp_path / "other")
    for content in ("[]", "{", '{"format": "photovision-index", "version": 9}'):
        (own / "index" / "index.json").write_text(content)
        with pytest.raises(ModelError):
            pv.Index(own / "index")


def test_a_folder_is_searched_without_naming_an_index(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    found = pv.search(own / "pictures", photograph("coins"), model=MODEL)
    assert (Path(found.results[0].file).name, found.results[0].verdict) == ("coins.png", "same_picture")
    assert not list((own / "pictures").glob(".*"))


def test_a_tiny_folder_can_be_searched(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    photograph("page").save(tmp_path / "one" / "page.png")
    with pv.index(tmp_path / "one", tmp_path / "index", model=MODEL, check=0) as index:
        assert [one.verdict for one in index.search(photograph("page")).results] == ["same_picture"]


@pytest.mark.parametrize(("table", "column"), [("pictures", "vector"), ("embeddings", "value"), ("arrays", "value")])
def test_a_damaged_vector_is_noticed(own: Path, table: str, column: str) -> None:
    with pv.Index(own / "index") as index:
        (value,) = index.store._db.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()
        damaged = bytes([*value[:9], value[9] ^ 16, *value[10:]])
        with index.store.transaction():
            index.store._db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (damaged, value))
    with pv.Index(own / "index") as index:
        read = index.store.embeddings if table == "embeddings" else lambda: index.search(photograph("coffee"))
        with pytest.raises(ModelError, match="make it again"):
            read()


def test_an_update_without_a_check_keeps_the_error_rates(own: Path) -> None:
    with pv.Index(own / "index") as index, index.store.transaction():
        index.store.set_fact("rates", {"n": 7})
    for name in NAMES[:5]:
        next((own / "pictures").rglob(f"{name}.*")).unlink()
    with update(own)[0] as index:
        assert index.store.fact("measured")["count"] == len(index) == len(NAMES) - 5
        assert index.store.fact("rates") == {"n": 7}
