"""The chain: what is written, what is refused and why, and what the report says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colours import COLOURS, colour_folder
from convolutions import NAMES, colour_data, convolution_bundle

from photovision.app.cli import run
from photovision.core.errors import DataError, ExportError, UsageError
from photovision.engine.load import load
from photovision.engine.optimize.cost_report import OptimizeStep, cost_report
from photovision.engine.optimize.optimize import OptimizeConfig, aligned, optimize_on
from photovision.engine.optimize.profile import Profile, profile
from photovision.engine.splits import TrainingSplits, gather
from photovision.runtime.bundle import read_bundle
from photovision.tasks.classify.evaluation import evaluate


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_folder(tmp_path_factory.mktemp("data") / "colours", NAMES, 80)


@pytest.fixture(scope="module")
def material() -> TrainingSplits:
    return gather(colour_data(0, 60), seed=0)


def test_one_command_writes_a_proved_smaller_model(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, output = convolution_bundle(tmp_path / "model"), tmp_path / "small"
    assert run(["optimize", str(bundle), str(data), "-o", str(output), "--bf16", "--int8", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "optimize"
    assert told["methods"] == ["int8", "bf16"]
    assert told["summary"][-1] == "Calibration, thresholds and the like were fitted again for the new graph."
    rows = {row[0] for table in told["tables"] if table["title"] == "Before and after" for row in table["rows"]}
    assert {"Change of accuracy", "Latency, 99%", "Calibration error"} <= rows
    assert [stage["name"] for stage in told["stages"]] == ["original", "int8", "bf16"]
    assert told["metrics"]["accuracy_change"]["value"] == 0
    assert told["metrics"]["accuracy_change"]["low"] < 0 < told["metrics"]["accuracy_change"]["high"]
    assert told["metrics"]["throughput"]["low"] <= told["metrics"]["throughput"]["value"]
    small = load(output)
    assert small.bundle.precision == "bf16"
    assert small.info["metrics"]["accuracy"]["n"] == told["metrics"]["accuracy"]["n"]
    assert [stage["name"] for stage in small.info["optimized"]["stages"]] == ["original", "int8", "bf16"]
    assert "Made smaller after the training" in (output / "README.md").read_text()
    page = (output / "report.html").read_text()
    assert "Accuracy against speed" in page
    assert "Change by group" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "small"]


def test_a_model_that_loses_more_than_allowed_is_refused_with_the_step_to_blame(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, output = convolution_bundle(tmp_path / "model", glare=3000.0), convolution_bundle(tmp_path / "small")
    older = (output / "model.onnx").read_bytes()
    assert run(["optimize", str(bundle), str(data), "-o", str(output), "--bf16", "--int8"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "would lose" in line]
    assert line.startswith("photovision: int8 would lose 6")
    assert "95% interval" in line
    assert "more than the 0.5 allowed: leave int8 out" in line
    assert (output / "model.onnx").read_bytes() == older
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "small"]


def test_test_pictures_may_refuse_what_validation_pictures_let_pass(tmp_path: Path, material: TrainingSplits) -> None:
    """All validation pictures are of the class that is left where the maps are lost: the one of the largest bias."""
    broken = load(convolution_bundle(tmp_path / "model", glare=3000.0))
    named = min(NAMES, key=lambda name: sum(value**2 for value in COLOURS[name]))
    rows = [i for i in material.splits.train if material.dataset.samples[int(i)].label == named][:25]
    train = np.setdiff1d(material.splits.train, rows)
    alike = replace(material, splits=replace(material.splits, train=train, val=np.array(rows)))
    with pytest.raises(ExportError, match="27 test pictures"):
        optimize_on(broken, alike, tmp_path / "small", ["int8"], OptimizeConfig())
    assert not (tmp_path / "small").exists()


def test_mistakes_are_told_in_one_line(
    data: Path, tmp_path: Path, material: TrainingSplits, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, output = convolution_bundle(tmp_path / "model"), str(tmp_path / "small")
    for arguments, said in (
        ([str(bundle), "-o", output, "--int8"], "labelled pictures are needed"),
        ([str(bundle), str(data), "--int8"], "--output"),
        ([str(bundle), str(data), "-o", output], "nothing to do"),
        ([str(bundle), str(data), "-o", str(bundle), "--int8"], "is the model itself"),
    ):
        assert run(["optimize", *arguments]) == 2
        assert said in capsys.readouterr().err.splitlines()[-1]
    model = load(bundle)
    with pytest.raises(UsageError, match="int8"):
        optimize_on(model, material, output, ["int9"], OptimizeConfig())
    with pytest.raises(DataError, match="at least 20"):
        optimize_on(model, gather(colour_data(0, 8), seed=0), output, ["int8"], OptimizeConfig())
    mauve = replace(colour_data(0, 2).samples[0], target=("mauve",))
    with pytest.raises(DataError, match="does not know the class 'mauve'"):
        aligned(replace(colour_data(0, 2), classes=(*NAMES, "mauve"), samples=(mauve,)), model)


def test_an_interrupted_command_goes_on_where_it_stopped(
    tmp_path: Path, material: TrainingSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, said = load(convolution_bundle(tmp_path / "model")), list[str]()

    def interrupted(line: str) -> None:
        if line == "judging on test":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimize_on(model, material, tmp_path / "small", ["bf16"], OptimizeConfig(say=interrupted))
    assert not (tmp_path / "small").exists()
    done = tmp_path / ".small.optimize" / "0-bf16" / "bundle.json"
    made = done.stat().st_mtime_ns
    (tmp_path / "before").hardlink_to(done)
    optimize_on(model, material, tmp_path / "small", ["bf16"], OptimizeConfig(say=said.append))
    assert (tmp_path / "before").stat().st_mtime_ns == made
    assert said == ["judging on test"]
    assert load(tmp_path / "small").bundle.precision == "bf16"


def test_the_group_that_loses_is_named(tmp_path: Path) -> None:
    model = load(convolution_bundle(tmp_path / "model"))
    plain = colour_data(0, 60)
    sites = ["north" if i % 2 else "south" for i in range(len(plain))]
    samples = tuple(replace(s, groups={"site": site}) for s, site in zip(plain.samples, sites, strict=True))
    before = evaluate(model, replace(plain, samples=samples))
    wrong = np.array(sites) == "north"
    wrong[: len(wrong) // 2] = False
    spoilt = replace(before, probs=np.where(wrong[:, None], np.roll(before.probs, 1, axis=1), before.probs))
    (facts,) = profile([model.bundle], rounds=2)
    row, original = model.bundle.row, OptimizeStep("original", before, facts)
    same = cost_report(row, [original, OptimizeStep("same", before, facts)])
    assert not same.warnings
    found = cost_report(row, [original, OptimizeStep("worse", spoilt, facts)])
    (groups,) = [table for table in found.tables if table.title == "Change by group"]
    assert groups.rows[0][0] == "site = north"
    assert groups.rows[0][-1].value == pytest.approx(-0.5)
    assert "site = north" in " ".join(found.warnings)
    assert found.metrics["accuracy_change"].value == pytest.approx(-0.25)
    assert found.metrics["agreement"].value == pytest.approx(0.75)


def test_a_profile_measures_what_it_says(tmp_path: Path) -> None:
    bundle = read_bundle(convolution_bundle(tmp_path / "model"))
    ballast = np.ones(100_000_000)  # 800 MB of this process, which are none of the model's
    (found,) = profile([bundle], rounds=3)
    assert ballast[0] == 1
    assert isinstance(found, Profile)
    assert found.graph.value == bundle.graph.stat().st_size / 1e6
    assert found.bundle.value > found.graph.value
    assert 0 < found.p50.value <= found.p99.value < 1000
    assert found.throughput.value > 0
    assert found.precision == "f32, openvino"
    assert found.memory is not None
    assert 20 < found.memory.value < 700
