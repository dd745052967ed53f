"""Versions of a model: loaded while requests run, rolled back, refused when broken; no request notices."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from colours import colour_bundle
from served import colour_file, served
from spotter import spotter_bundle
from starlette.testclient import TestClient

from photovision.core.errors import ModelError, UsageError
from photovision.core.folder import new_folder
from photovision.service import state
from photovision.service.models import content_name
from photovision.service.settings import Settings, named_models

JPEG = {"content-type": "image/jpeg"}
LOAD = "/v2/repository/models/m/load"
OTHER = ("rot", "grün", "blau")


def put(folder: Path, called: Sequence[str] = ()) -> str:
    """Write a bundle in place of what is there, as a training does; returns its version."""
    with new_folder(folder, "model") as fresh:
        colour_bundle(fresh / "x", called=called)
        for file in (fresh / "x").iterdir():
            shutil.move(file, fresh)
        (fresh / "x").rmdir()
    return content_name(folder)


def label(client: TestClient, **query: str) -> str:
    answer = client.post("/predict", content=colour_file("red"), headers=JPEG, params=query)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["predictions"][0]["label"])


def eventually(check: Callable[[], bool], seconds: float = 5) -> bool:
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_replaced_folder_is_loaded_and_can_be_rolled_back(tmp_path: Path) -> None:
    first = put(tmp_path / "m")
    with served(Settings({"m": tmp_path / "m"}, manage=True, watch=0.05)) as client:
        assert label(client) == "red"
        second = put(tmp_path / "m", OTHER)
        assert eventually(lambda: label(client) == "rot")
        assert client.get("/v2/models/m").json()["versions"] == [first, second]
        told = client.post(f"/v2/repository/models/m/versions/{first}/load")
        assert told.json() == {"name": "m", "version": first}
        assert label(client) == "red"
        time.sleep(0.3)  # several looks at the folder, which still holds the second version
        assert label(client) == "red"
        assert client.post(LOAD).json()["version"] == second
        assert label(client) == "rot"
        text = client.get("/metrics").text
        assert f'photovision_model_info{{model="m",version="{second}"}} 1.0' in text
        assert f'photovision_model_info{{model="m",version="{first}"}} 0.0' in text


def test_only_some_versions_are_kept(tmp_path: Path) -> None:
    put(tmp_path / "m")
    with served(Settings({"m": tmp_path / "m"}, manage=True, watch=0, keep=2)) as client:
        for number in range(3):
            put(tmp_path / "m", (f"a{number}", "b", "c"))
            assert client.post(LOAD).status_code == 200
        index = client.post("/v2/repository/index").json()
        assert [entry["state"] for entry in index] == ["KEPT", "READY"]
        assert label(client) == "a2"
        assert f'version="{index[0]["version"]}"' in client.get("/metrics").text
        assert client.get("/metrics").text.count("photovision_model_info{") == 2


@pytest.mark.parametrize("harm", ["graph", "json", "gone"])
def test_a_broken_version_is_refused_and_the_old_one_goes_on(tmp_path: Path, harm: str) -> None:
    put(tmp_path / "m")
    with served(Settings({"m": tmp_path / "m"}, manage=True, watch=0)) as client:
        put(tmp_path / "m", OTHER)
        if harm == "graph":
            (tmp_path / "m" / "model.onnx").write_bytes(b"not a graph")
        elif harm == "json":
            (tmp_path / "m" / "bundle.json").write_text("{")
        else:
            shutil.rmtree(tmp_path / "m")
        answer = client.post(LOAD)
        assert answer.status_code == 422
        assert len(answer.json()["error"]) > 20
        assert label(client) == "red"
        assert 'photovision_model_loads_total{model="m",outcome="failed"} 1.0' in client.get("/metrics").text
        shutil.rmtree(tmp_path / "m", ignore_errors=True)  # a damaged folder is not replaced: it could be anybody's
        put(tmp_path / "m", OTHER)
        assert client.post(LOAD).status_code == 200
        assert label(client) == "rot"


ODD = [
    {"parity": []}, {"parity": "x"}, {"classes": {"a": 1}}, {"classes": [["a"]]}, {"preprocess": []}, {"task": {}},
    {"precision": []}, {"graph": ["model.onnx"]}, {"graph": 7}, {"doubt": [1]}, {"instances": {}}, {"temperature": "x"},
]  # fmt: skip


def test_odd_bundles_never_end_the_watch(tmp_path: Path) -> None:
    put(tmp_path / "m")
    with served(Settings({"m": tmp_path / "m"}, manage=True, watch=0.02)) as client:
        for odd in ODD:
            put(tmp_path / "m", OTHER)
            file = tmp_path / "m" / "bundle.json"
            file.write_text(json.dumps({**json.loads(file.read_text()), **odd}))
            assert client.post(LOAD).status_code in (200, 422), odd  # some are harmless
            time.sleep(0.06)
        put(tmp_path / "m", ("last", "b", "c"))
        assert eventually(lambda: label(client) == "last")


def test_a_background_task_that_fails_is_logged_counted_and_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "RESTART", 0.02)
    put(tmp_path / "m")
    log = io.StringIO()
    with served(Settings({"m": tmp_path / "m"}, watch=0.02), log) as client:
        client.app.state.service.models._shelves["broken"] = None  # type: ignore[attr-defined]
        put(tmp_path / "m", OTHER)
        assert eventually(lambda: label(client) == "rot")
        count = 'photovision_task_failures_total{task="models"}'
        assert eventually(lambda: count in client.get("/metrics").text)
        del client.app.state.service.models._shelves["broken"]  # type: ignore[attr-defined]
    assert '"event": "task failed", "task": "models"' in log.getvalue()


def test_no_request_is_lost_while_versions_change(tmp_path: Path) -> None:
    put(tmp_path / "m")
    with served(Settings({"m": tmp_path / "m"}, manage=True, watch=0, keep=1)) as client:
        said: list[str] = []
        failed: list[BaseException] = []
        done = threading.Event()

        def ask() -> None:
            try:
                while not done.is_set():
                    said.append(label(client))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(4):
            put(tmp_path / "m", OTHER if number % 2 == 0 else ())
            assert client.post(LOAD).status_code == 200
        done.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert set(said) == {"red", "rot"}


def test_models_are_asked_by_name(tmp_path: Path) -> None:
    put(tmp_path / "a")
    put(tmp_path / "b", OTHER)
    with served(Settings(named_models([str(tmp_path / "a"), f"german={tmp_path / 'b'}"]))) as client:
        assert (label(client), label(client, model="german")) == ("red", "rot")


def test_a_service_does_not_start_with_a_model_that_cannot_answer(tmp_path: Path) -> None:
    put(tmp_path / "m")
    (tmp_path / "m" / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError), served(Settings({"m": tmp_path / "m"})):
        pass


def test_a_detector_takes_a_classifiers_place_without_a_pause(tmp_path: Path) -> None:
    first = put(tmp_path / "m")
    with served(Settings({"m": tmp_path / "m"}, manage=True, watch=0)) as client:
        said: list[str] = []
        failed: list[BaseException] = []
        done = threading.Event()

        def ask() -> None:
            try:
                while not done.is_set():
                    answer = client.post("/predict", content=colour_file("red"), headers=JPEG)
                    assert answer.status_code == 200, answer.text
                    said.extend({"label", "boxes"} & set(answer.json()["predictions"][0]))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        shutil.rmtree(tmp_path / "m")
        spotter_bundle(tmp_path / "m")
        assert eventually(lambda: len(said) > 5)
        assert client.post(LOAD).status_code == 200
        assert client.post("/predict?top=3", content=colour_file("red"), headers=JPEG).status_code == 422
        count = len(said)
        assert eventually(lambda: len(said) > count + 5)
        assert said[-1] == "boxes"
        assert client.get("/v2/models/m").json()["parameters"]["task"] == "detect"
        assert client.post(f"/v2/repository/models/m/versions/{first}/load").status_code == 200
        assert label(client, top="3") == "red"
        done.set()
        for thread in threads:
            thread.join()
    assert not failed


def test_models_that_no_service_answers_for_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "m")
    file = tmp_path / "m" / "bundle.json"
    file.write_text(file.read_text().replace('"classify"', '"cut"'))
    refused = pytest.raises(UsageError, match="'serve' is not available for a prompted segmenter")
    with refused, served(Settings({"m": tmp_path / "m"})):
        pass
