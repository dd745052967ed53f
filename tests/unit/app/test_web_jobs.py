"""Jobs of the page: a command in its own process, one at a time, followed, cancelled, found again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pictures import make_folder

import photovision
from photovision.app.web.events import Story
from photovision.app.web.jobs import Jobs
from photovision.app.web.server import create_app
from photovision.app.web.training import Training, command, task_of
from photovision.app.web.workspace import State
from photovision.core.errors import UsageError
from photovision.core.subprocesses import python_command, python_environment

HOME = "http://127.0.0.1:8707"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_folder(tmp_path / "home" / "shapes", per_class=12)
    return tmp_path / "home"


def until(client: TestClient, state: str, seconds: float = 60) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        told: dict[str, Any] = client.get("/api/training/job").json()
        if told["state"] == state:
            return told
        assert told["state"] == "running", told
        time.sleep(0.05)
    raise AssertionError(f"the job did not become {state}")


def test_a_check_is_followed_to_its_end_and_its_findings_are_shown(home: Path) -> None:
    (home / "shapes" / "circle" / "003.png").write_bytes(b"broken")
    client = TestClient(create_app(State(home)), base_url=HOME)
    assert client.get("/api/training/job").json() == {"state": None}
    began = client.post("/api/training/check", json={"data": "shapes"}).json()
    assert began["state"] == "running"
    second = client.post("/api/training/check", json={"data": "shapes"})
    assert second.status_code == 400
    assert "still under way" in second.json()["error"]
    told = until(client, "done")
    assert told["stages"][0]["name"] == "checking pictures"
    assert told["stages"][0]["done"] == 24
    summary = client.get("/api/browse/summary", params={"data": "shapes", "anew": True}).json()
    assert summary["examined"]["kinds"] == {"unreadable": 1}
    assert [one["name"] for one in client.get("/api/reports/list").json()["reports"]] == ["check:shapes"]
    # Another page of the same folder finds the job, and what was found.
    again = TestClient(create_app(State(home)), base_url=HOME)
    assert again.get("/api/training/job").json()["state"] == "done"


def test_a_job_is_interrupted_and_goes_on(home: Path) -> None:
    jobs = Jobs(home)
    jobs.start("check", "the check", ["check", str(home / "shapes")], {})
    with pytest.raises(UsageError, match="still under way"):
        jobs.start("check", "another", ["check", str(home / "shapes")], {})
    jobs.cancel()
    jobs.wait(30)
    assert jobs.job is not None
    assert jobs.job.state == "stopped"
    jobs.again()
    jobs.wait(60)
    assert jobs.job.state == "done"


def test_a_job_that_fails_says_why(home: Path) -> None:
    jobs = Jobs(home)
    jobs.start("check", "the check", ["check", str(home / "nowhere")], {})
    jobs.wait(60)
    assert jobs.job is not None
    told = jobs.job.status()
    assert told["state"] == "failed"
    assert "does not exist: check the path of the data" in told["error"]


def test_what_was_under_way_when_the_page_ended_can_be_gone_on_with(home: Path) -> None:
    jobs = Jobs(home)
    jobs.folder.mkdir(parents=True)
    told = {"kind": "train", "title": "x", "arguments": ["train"], "facts": {}, "began": 1.0, "state": "running"}
    (jobs.folder / "job.json").write_text(json.dumps({**told, "ended": None}))
    found = Jobs(home).job
    assert found is not None
    assert (found.state, found.arguments) == ("stopped", ["train"])
    assert Jobs(home / "shapes").job is None, "jobs of other folders are not ours"


def test_a_second_page_follows_the_command_of_the_first_and_lets_it_live(home: Path) -> None:
    first, second = Jobs(home), Jobs(home)
    job = first.start("check", "the check", ["check", str(home / "shapes"), "--labels"], {})
    third = Jobs(home)
    for other in (second, third):
        found = other.look()
        assert found is not None
        assert found.state == "running"
        with pytest.raises(UsageError, match="under way"):
            other.start("check", "another", ["check", str(home / "shapes")], {})
    third.end()  # a page that ends takes its own command with it, and no other
    first.wait(120)
    for other in (second, third):
        other.wait(10)
        assert other.job is not None
        assert other.job.state == "done"
    assert job.state == "done"
    second.start("check", "another", ["check", str(home / "shapes")], {})
    second.wait(60)
    assert first.look() is not None
    assert first.job is not None
    assert first.job.title == "another"


def test_a_second_page_may_cancel(home: Path) -> None:
    first = Jobs(home)
    first.start("check", "the check", ["check", str(home / "shapes"), "--labels"], {})
    second = Jobs(home)
    second.cancel()
    for jobs in (first, second):
        jobs.wait(30)
        assert jobs.job is not None
        assert jobs.job.state == "stopped"


def test_a_command_whose_page_was_killed_is_found_and_not_doubled(home: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from photovision.app.web.jobs import Jobs;"
        f"Jobs(Path({str(home)!r})).start('check', 'the check', ['check', {str(home / 'shapes')!r}, '--labels'], {{}});"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    jobs = Jobs(home)
    assert jobs.job is not None
    assert jobs.job.state == "running"
    with pytest.raises(UsageError, match="under way"):
        jobs.start("check", "another", ["check", str(home / "shapes")], {})
    jobs.wait(120)
    assert jobs.job.state == "done"


def test_code_in_the_current_folder_is_not_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's data set with modules that are called like libraries, opened where it lies."""
    for module in ("typer", "numpy", "PIL", "photovision", "json", "sitecustomize", "usercustomize"):
        (home / f"{module}.py").write_text(f"open({str(home / 'RAN')!r}, 'w').write({module!r})\nraise SystemExit(3)")
    monkeypatch.chdir(home)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *filter(None, [os.environ.get("PYTHONPATH")])]))
    jobs = Jobs(home)
    jobs.start("check", "the check", ["check", str(home / "shapes")], {})
    jobs.wait(60)
    assert jobs.job is not None
    assert jobs.job.state == "done", jobs.job.status()
    done = subprocess.run(
        python_command("photovision", "--help"), env=python_environment(), capture_output=True, check=False
    )
    assert done.returncode == 0
    assert not (home / "RAN").exists()


@pytest.mark.parametrize(
    "name", ["../outside", "/tmp/outside", ".hidden", "a/../../b", "a\nb", ".", "-x", "shapes/../.."]
)
def test_models_are_written_nowhere_else(home: Path, name: str) -> None:
    client = TestClient(create_app(State(home)), base_url=HOME)
    found = client.post("/api/training/start", json={"data": "shapes", "name": name})
    assert found.status_code == 400
    assert client.get("/api/training/job").json() == {"state": None}


def test_a_model_is_replaced_only_if_that_was_said(home: Path) -> None:
    from colours import colour_bundle

    colour_bundle(home / "model")
    client = TestClient(create_app(State(home)), base_url=HOME)
    found = client.post("/api/training/start", json={"data": "shapes", "name": "model"})
    assert found.status_code == 400
    assert "there is a model model already" in found.json()["error"]
    assert client.get("/api/training/options").json()["robust"][-1] == "augmix"


def test_a_person_chooses_what_pictures_with_classes_become(home: Path) -> None:
    state = State(home)
    client = TestClient(create_app(state), base_url=HOME)
    (data,) = client.get("/api/recognise/overview").json()["data"]
    assert data["tasks"] == ["classify", "anomaly", "embed"]
    wish = Training(data="shapes", name="m", task="anomaly")
    row = task_of(state, wish)
    assert row is not None
    assert row.name == "anomaly"
    assert command(wish, home, home / "m")[4:6] == ["--minutes", "5.0"]
    assert command(wish, home, home / "m")[6:8] == ["--task", "anomaly"]
    found = client.post("/api/training/start", json={"data": "shapes", "name": "m", "task": "detect"})
    assert found.status_code == 400
    assert found.json()["error"] == "shapes teaches classify, anomaly, embed, not 'detect'"


@pytest.mark.slow
def test_a_training_climbs_to_its_end(home: Path) -> None:
    client = TestClient(create_app(State(home)), base_url=HOME)
    wish = {"data": "shapes", "name": "models/first", "minutes": 0.1}
    assert client.post("/api/training/start", json=wish).json()["facts"]["model"] == "models/first"
    told = until(client, "done", 170)
    assert told["rungs"][0]["name"] == "handcrafted"
    assert told["rungs"][0]["val"]["low"] < told["rungs"][0]["val"]["value"]
    assert (home / "models" / "first" / "bundle.json").is_file()
    assert "models/first" in [one["name"] for one in client.get("/api/recognise/overview").json()["models"]]
    assert "models/first" in [one["name"] for one in client.get("/api/reports/list").json()["reports"]]


def test_events_become_a_story() -> None:
    def event(stage: str, done: int, line: str = "", **facts: Any) -> str:
        return json.dumps({"time": 7.0, "stage": stage, "done": done, "total": 9, "line": line, "facts": facts})

    steps = [event("fine-tuned", i % 9, epoch=i / 10, loss=1.0, val=0.5, best=0.5) for i in range(2000)]
    rung = event("fine-tuned", 1, "val 50%", rung={"name": "fine-tuned", "val": {"value": 0.5}, "plan": {"a": 1}})
    told = Story().read([*steps, rung, "not whole {", '{"time": 1}']).to_json()
    assert len(told["curves"]["fine-tuned"]["loss"]) <= 241
    assert told["curves"]["fine-tuned"]["loss"][-1][0] == 199.9
    assert [point[0] for point in told["curves"]["fine-tuned"]["val"]] == list(range(200))
    assert told["rungs"] == [{"name": "fine-tuned", "val": {"value": 0.5}}]
    assert [line["text"] for line in told["log"]] == ["fine-tuned", "fine-tuned: val 50%"]
    assert told["stage"]["name"] == "fine-tuned"


def test_a_copy_that_is_not_installed_is_found_by_its_processes(tmp_path: Path) -> None:
    source = Path(photovision.__file__).parents[1]
    code = (
        f"import sys; sys.path.insert(0, {str(source)!r}); import subprocess\n"
        "from photovision.core.subprocesses import python_command, python_environment\n"
        "environment = python_environment(('HOME',))\n"
        "assert 'SECRET' not in environment\n"
        f"assert {str(source)!r} in environment.get('PYTHONPATH', '') or {source.name!r} == 'site-packages'\n"
        "done = subprocess.run(python_command('photovision', '--version'), cwd='/', env=environment)\n"
        "sys.exit(done.returncode)"
    )
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**variables, "SECRET": "x"}, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("body", [b'{"data": "\\ud800"}', b'{"data": {"\\ud800": 1}}', b'["\\udfff"]'])
def test_half_a_character_is_a_mistake_not_a_fault(home: Path, body: bytes) -> None:
    app = create_app(State(home))
    routes = ("/api/browse/labels", "/api/training/start")
    with TestClient(app, HOME) as client:
        for path in routes:
            answer = client.post(path, content=body, headers={"content-type": "application/json"})
            assert answer.status_code in (400, 404, 409, 413, 415, 422, 501), path
            assert answer.json()["error"]
