"""Unfinished work belongs to one training: it is resumed by the same one, and never taken from another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator
from colours import colour_bundle, colour_folder

from photovision.core.errors import UsageError
from photovision.core.folder import reserved
from photovision.core.progress import Progress
from photovision.data.read import read_dataset
from photovision.engine.calibrate import calibrate_on
from photovision.engine.load import load
from photovision.engine.train import train
from photovision.engine.workdir import WorkDir


def never() -> np.ndarray:
    raise AssertionError("it was done already")


def work(output: Path, seed: int = 0) -> WorkDir:
    return WorkDir(output, {"seed": seed}, Accelerator())


def test_the_same_training_goes_on_and_another_starts_afresh(tmp_path: Path) -> None:
    first = work(tmp_path / "m")
    assert first.value("size", lambda: [64, 64]) == [64, 64]
    assert np.array_equal(first.array("frozen", lambda: np.arange(5)), np.arange(5))
    assert not first.resumed
    again = work(tmp_path / "m")
    assert again.resumed
    assert np.array_equal(again.array("frozen", never), np.arange(5))
    assert not again.discarded
    other = work(tmp_path / "m", seed=1)
    assert not other.resumed
    assert other.discarded == "its options or images differ"
    assert np.array_equal(other.array("frozen", lambda: np.zeros(2)), np.zeros(2))
    other.close()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("note", ['"0a3f"', '{"version": 1, "key": "0a3f"}'])
def test_work_of_another_version_is_discarded_and_said_to_be(tmp_path: Path, note: str) -> None:
    work(tmp_path / "m").value("size", lambda: [64, 64])
    (tmp_path / ".m.work" / "arguments.json").write_text(note)
    told: list[Progress] = []
    again = work(tmp_path / "m")
    again.announce(told.append)
    assert not again.resumed
    assert again.value("size", lambda: [32, 32]) == [32, 32]
    assert [one.stage for one in told] == ["starting again"]
    assert "another version of Photovision began it" in told[0].line


def test_a_training_never_takes_anothers_features(tmp_path: Path) -> None:
    first = work(tmp_path / "m")
    first.array("frozen", lambda: np.arange(5))
    other = work(tmp_path / "m", seed=1)  # which only a file system without locks lets happen
    other.array("val", lambda: np.zeros(2))
    for name in ("frozen", "val", "new"):
        with pytest.raises(UsageError, match="another training has taken"):
            first.array(name, never)
    with pytest.raises(UsageError, match="another training has taken"):
        first.value("size", never)


def test_what_was_written_halfway_is_written_again(tmp_path: Path) -> None:
    first = work(tmp_path / "m")

    def torn(path: Path) -> None:
        path.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        first.file("trunk.onnx", torn)
    assert first.file("trunk.onnx", lambda path: path.write_bytes(b"whole") and None).read_bytes() == b"whole"
    (tmp_path / ".m.work" / "arguments.json").write_text('"torn')
    assert not work(tmp_path / "m").resumed


@pytest.mark.parametrize("name", ["m" * 250, "é" * 127, "."])
def test_odd_names_of_outputs(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    own = work(Path(name))
    own.value("a", lambda: 1)
    own.close()


def test_a_second_training_of_the_same_output_is_refused_at_once(tmp_path: Path) -> None:
    data, output = colour_folder(tmp_path / "data", per_class=12), tmp_path / "m"
    with reserved(output, "model"):
        for _ in range(2):
            with pytest.raises(UsageError, match="another run"):
                train(data, output, weights="none")
        with pytest.raises(UsageError, match="another run"):
            calibrate_on(load(colour_bundle(tmp_path / "own")), read_dataset(data), output)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data", "own"]


def test_a_training_that_fails_lets_the_next_one_in(tmp_path: Path) -> None:
    data = colour_folder(tmp_path / "data", per_class=12)
    for _ in range(2):
        with pytest.raises(UsageError, match="no_such_weights"):
            train(data, tmp_path / "m", weights="no_such_weights")
