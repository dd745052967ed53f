"""One work list for any number of processes: every picture once, whoever is killed, and the same result."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest
from colours import colour_bundle, colour_folder

import photovision as pv
from photovision.app.cli import main
from photovision.core.errors import DataError, UsageError
from photovision.core.lock import Lock
from photovision.core.subprocesses import python_command, python_environment
from photovision.data.read import read_dataset
from photovision.data.shards import shards as write_shards
from photovision.engine import work_list
from photovision.engine.work_list import WorkList, new_work, open_work, summary_of, work_on
from photovision.engine.workers import work_with


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier, pictures of three colours, one of them damaged, and the same as shards."""
    root = tmp_path_factory.mktemp("place")
    colour_bundle(root / "model")
    colour_folder(root / "colours")
    first = next((root / "colours").rglob("*.png"))
    (first.parent / "zz-damaged.png").write_bytes(first.read_bytes()[:40])
    write_shards(read_dataset(root / "colours"), root / "shards")
    return root


@pytest.fixture
def work(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkList:
    monkeypatch.setattr(work_list, "UNIT", 3)
    return new_work(tmp_path / "out", place / "model", str(place / "colours"))


def code_of(arguments: list[str]) -> object:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def ids(work: WorkList) -> Counter[str]:
    """How often each picture has a row."""
    tables = [pyarrow.parquet.read_table(work.result(unit)) for unit in sorted(work.finished())]
    return Counter(name for table in tables for name in table.column("id").to_pylist())


def test_every_picture_is_answered_once_as_by_predict(place: Path, work: WorkList) -> None:
    assert work_on(work) == len(work.units) > 3
    data = read_dataset(place / "colours")
    assert ids(work) == Counter({sample.id: 1 for sample in data})
    found = summary_of(work)
    assert (found["pictures"], found["unreadable"]) == (len(data), 1)
    assert found["unreadable_first"][0]["id"].endswith("zz-damaged.png")
    table = pyarrow.parquet.read_table(work.result(0)).to_pylist()
    (alone,) = pv.predict(place / "model", [place / "colours" / table[0]["id"]])
    assert json.loads(table[0]["prediction"]) == {**alone.to_json(), "file": table[0]["id"]}
    assert work_on(open_work(work.folder)) == 0


def test_a_killed_process_costs_its_unit_at_most_and_the_result_is_the_same(place: Path, work: WorkList) -> None:
    alone = new_work(work.folder.parent / "alone", place / "model", str(place / "colours"))
    work_on(alone)
    command = python_command("photovision.engine.workers", str(work.folder))
    joined = subprocess.Popen(command, env=python_environment(), stdin=subprocess.DEVNULL)
    while not work.finished() and joined.poll() is None:
        time.sleep(0.005)
    joined.send_signal(signal.SIGKILL)
    joined.wait()
    known = {unit: work.result(unit).stat().st_mtime_ns for unit in work.finished()}
    work_on(work)
    assert all(work.result(unit).stat().st_mtime_ns == time for unit, time in known.items())
    assert set(ids(work).values()) == {1}
    assert summary_of(work)["digest"] == summary_of(alone)["digest"]


def test_several_processes_share_the_work_and_what_another_holds_is_waited_for(work: WorkList) -> None:
    held = Lock(work.folder / ".000001.lock")
    assert held.take(wait=False)
    helper = threading.Timer(0.3, held.release)
    helper.start()
    work_with(work, 2)
    helper.join()
    assert set(ids(work).values()) == {1}
    assert not list(work.folder.glob(".*.lock"))


@pytest.mark.parametrize("units", [1, 3])
def test_shards_are_units_and_more_processes_than_units_do_no_harm(place: Path, tmp_path: Path, units: int) -> None:
    shards = place / "shards"
    if units == 3:
        shards = tmp_path / "three"
        shards.mkdir()
        for number in range(3):
            shutil.copy(place / "shards" / "data-000000.tar", shards / f"{number}.tar")
    out = tmp_path / "out"
    work = new_work(out, place / "model", str(shards))
    assert len(work.units) == units
    threads = [threading.Thread(target=work_on, args=(work,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(ids(work).values()) == {1}
    assert len(ids(work)) == len(read_dataset(shards))


def test_a_list_of_other_data_options_or_a_changed_model_is_refused(place: Path, work: WorkList) -> None:
    again = new_work(work.folder, place / "model", str(place / "colours"))
    assert again == work
    with pytest.raises(UsageError, match="another model, other data or options"):
        new_work(work.folder, place / "model", str(place / "colours"), choices={"top": 2})
    with pytest.raises(UsageError, match="holds no work list"):
        open_work(place)
    with pytest.raises(UsageError, match="is not empty"):
        new_work(place, place / "model", str(place / "colours"))
    changed = WorkList(**{**vars(work), "fingerprint": "0"})
    with pytest.raises(DataError, match="changed since"):
        work_on(changed)


def test_the_command_line_resumes_and_names_what_is_lost(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(place / "model"), str(place / "shards"), "--results", str(tmp_path / "out")]
    assert code_of(command) == 2
    out, error = capsys.readouterr()
    assert "pictures predicted" in out
    assert "1 picture could not be read" in error
    assert "zz-damaged.png" in error
    assert code_of(["worker", str(tmp_path / "out"), "--json"]) == 2
    assert '"unreadable": 1' in capsys.readouterr().out
    assert code_of([*command, "--csv"]) == 2
    assert "leave out --csv" in capsys.readouterr().err
    assert code_of([*command[:3], "--workers", "2"]) == 2
    assert "--workers is for --results" in capsys.readouterr().err
    assert os.listdir(tmp_path / "out" / "results") == ["000000.parquet"]
