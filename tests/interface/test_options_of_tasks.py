"""Every option of every verb, for models of every task: it is obeyed, or refused with its name; none is ignored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from colours import add_doubt, colour_bundle, colour_folder, colour_picture
from painter import painter_bundle
from scenes import make_scene
from spots import spot_bundle
from spotter import spotter_bundle, squares

from photovision.app.cli import run
from photovision.app.cli.commands import app
from photovision.core.regions import Segmentation
from photovision.core.types import Sample
from photovision.data.convert import convert
from photovision.data.dataset import Dataset
from photovision.data.read_options import ReadOptions
from photovision.trust.explain import drise

GONE = "/does/not/exist"
MODELS: dict[str, Callable[[Path], Path]] = {
    "gated": lambda folder: add_doubt(colour_bundle(folder)),
    "plain": spot_bundle,
    "detector": spotter_bundle,
    "segmenter": painter_bundle,
    "objects": lambda folder: painter_bundle(folder, instances=True, tile=(24, 24)),
}
ALL = tuple(MODELS)
CLASSIFIERS, PLACES = ("gated", "plain"), ("detector", "segmenter", "objects")
DATA = dict.fromkeys(CLASSIFIERS, "colours") | {"detector": "boxes", "segmenter": "masks", "objects": "masks"}


class Option(NamedTuple):
    """One flag of a verb.

    `good` is a value that is obeyed by the models in `obeyed`, whose JSON then differs where `seen`; the others refuse
    it with its name. `bad` values are refused for all.
    """

    flag: str
    good: str | None = None
    obeyed: tuple[str, ...] = ALL
    bad: tuple[str, ...] = ()
    seen: bool = False


SHARES = ("0", "1", "1.5", "-0.1", "nan", "inf", "x")
SEEDS = ("-1", "x", "0.5")
COVERAGE = Option("--coverage", "0.6", ("gated",), SHARES, seen=True)
ALARMS = Option("--false-alarms", "0.4", ("gated",), SHARES, seen=True)
UNKNOWN = Option("--unknown", "OTHER", ("gated",), (GONE,), seen=True)
SPLIT = Option("--split", "all", ALL, ("tset", "test"))
REPORT = Option("--output", "OUT")
VERBS: dict[str, tuple[str, tuple[Option, ...]]] = {
    "evaluate": ("evaluate MODEL DATA", (COVERAGE, ALARMS, UNKNOWN, SPLIT, REPORT)),
    "compare": ("compare MODEL MODEL DATA", (SPLIT, REPORT)),
    "audit": (
        "audit MODEL DATA --minutes 0.02 --only groups",
        (
            *(COVERAGE, ALARMS, UNKNOWN, SPLIT, REPORT),
            Option("--by", bad=("zzz", ",")),
            Option("--attributes", bad=(GONE,)),
            Option("--minutes", "0.03", bad=("0", "-1", "nan", "inf", "9999999")),
            Option("--only", "slices", bad=("zzz", "groups,zzz", ",")),
            Option("--conditions", bad=("zzz", "indoor,zzz", ",")),
            Option("--card", ""),
            Option("--privacy"),  # of classifiers: tests/unit/tasks/classify/test_private.py
            Option("--seed", "1", bad=SEEDS),
        ),
    ),
    "calibrate": (
        "calibrate MODEL DATA -o OUT",
        (
            Option("--coverage", "0.6", (), SHARES),  # of classifiers: tests/unit/tasks/test_recalibrate.py
            Option("--false-alarms", "0.4", (), SHARES),
            Option("--output", "OUT", ("detector",)),
            Option("--seed", "1", ("detector",), SEEDS),
        ),
    ),
    "explain": (
        "explain MODEL PICTURE --no-tests",
        (
            REPORT,
            Option("--method", bad=("zzz",)),
            Option("--class", bad=("zzz",)),
            Option("--data", "DATA", ("gated",), (GONE,)),
            Option("--boxes", "1", PLACES, ("0", "-1", "51", "x")),
            Option("--tests", ""),
            Option("--seed", "1", bad=SEEDS),
        ),
    ),
    "features": (
        "features MODEL",
        (
            Option("--output"),
            Option("--units", bad=("0", "-1", "x")),
            Option("--pictures", bad=("0", "19")),
            Option("--stages", bad=("zzz", "-1")),
            Option("--minutes", bad=("0", "-1", "nan", "x")),
            Option("--seed", bad=SEEDS),
        ),
    ),
    "optimize": (
        "optimize MODEL DATA -o OUT --bf16",
        (
            Option("--output"),
            Option("--int8"),
            Option("--bf16"),
            Option("--prune"),
            Option("--distill-to", bad=("zzz",)),
            Option("--max-drop", bad=("-1", "101", "nan", "inf")),
            Option("--minutes", bad=("-1", "nan", "inf", "99999999")),
        ),
    ),
    "export": (
        "export MODEL --to onnx -o OUT",
        (
            Option("--to", bad=("zzz",)),
            Option("--output", "OUT"),
            Option("--data", "PICTURE", ALL, (GONE,), seen=True),
            Option("--compress", "", ()),
            Option("--no-compress", "", ()),
        ),
    ),
    "predict": (
        "predict MODEL PICTURE",
        (
            Option("--top", "2", CLASSIFIERS, ("0", "-1", "x"), seen=True),
            Option("--threshold", "0.9", ("detector",), ("1.5", "-1", "nan")),
            Option("--tile", "64", ("detector", "segmenter", "objects"), ("0", "x", "-3")),
            Option("--overlap", "0.3", (), ("nan", "1", "-1")),
            Option("--csv", bad=("--json",)),
            Option("--engine", "onnxruntime", ALL, ("zzz",)),
            Option("--precision", "f32", ALL, ("f16",)),
            Option("--coverage", "0.6", ("gated",), ("0", "1.5", "nan")),
            Option("--false-alarms", "0.4", ("gated",), ("0", "1.5", "nan")),
            Option("--batch-size", "1", ALL, ("0", "5000")),
            Option("--output", "OUT", ("segmenter", "objects", "detector")),
            Option("--tags", "TAGGER", ALL, (GONE,), seen=True),
            Option("--results"),  # of data sets: tests/unit/engine/test_work_list.py
            Option("--workers", bad=("0", "x")),
        ),
    ),
    "detect": (
        "detect MODEL PICTURE",
        (
            Option("--threshold", "0.9", ("detector",), ("1.5", "-1", "nan")),
            Option("--tile", "64", ("detector",), ("0", "x", "-3")),
            Option("--overlap", "0.3", (), ("nan", "1", "-1")),
            Option("--output", "OUT", ("detector",)),
            Option("--tags", "TAGGER", ("detector",), (GONE,), seen=True),
            Option("--csv", bad=("--json",)),
            Option("--engine", "onnxruntime", ("detector",), ("zzz",)),
            Option("--precision", "f32", ("detector",), ("f16",)),
            Option("--batch-size", "1", ("detector",), ("0", "5000")),
        ),
    ),
}
RARE = {"plain": pytest.mark.slow, "segmenter": pytest.mark.slow}
ELSEWHERE = {"--json", "--help", "--classes", "--prompt"}  # the last two: tests/unit/models/test_text_weights.py
CASES = [
    pytest.param(verb, option, id=f"{verb}{option.flag}") for verb, (_, options) in VERBS.items() for option in options
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of every kind, and data for each."""
    root = tmp_path_factory.mktemp("place")
    for name, make in MODELS.items():
        make(root / name)
    colour_folder(root / "colours", per_class=20)
    colour_picture("red", 3, 64).save(root / "picture.png")
    (root / "other").mkdir()
    colour_picture("grey", 3).save(root / "other" / "grey.png")
    convert(squares(30), "coco", root / "boxes")
    names, samples = ("background", "thing"), []
    for number in range(12):
        image, labels = make_scene(seed=number)
        masks = Segmentation((labels == 1).astype("int32"), names)
        samples.append(Sample(f"{number}.png", image, ("thing",), annotations=masks))
    convert(Dataset(tuple(samples), names, multilabel=True, annotation_type="masks"), "masks", root / "masks")
    return root


def arguments(line: str, kind: str, place: Path, out: Path) -> list[str]:
    named = {
        "MODEL": place / kind,
        "DATA": place / DATA[kind],
        "PICTURE": place / "picture.png",
        "OTHER": place / "other",
        "TAGGER": place / "gated",
        "OUT": out,
    }
    return [str(named.get(word, word)) for word in line.split()]


@pytest.mark.parametrize("kind", ["gated", "detector"])
@pytest.mark.parametrize(("verb", "option"), CASES)
def test_values_that_make_no_sense_are_refused(
    verb: str, option: Option, kind: str, place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for value in option.bad:
        assert run(arguments(f"{VERBS[verb][0]} {option.flag} {value}", kind, place, tmp_path / "out")) == 2, value
        told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("photovision: ")]
        assert told, value
        assert len(told[-1]) > 30
        assert not (tmp_path / "out").exists()
        if value == GONE and verb not in ("predict", "detect"):  # these name the command for the other task first
            assert GONE in told[-1] or option.flag in told[-1]


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=RARE.get(kind, ())) for kind in ALL])
@pytest.mark.parametrize(("verb", "option"), [case for case in CASES if case.values[1].good is not None])  # type: ignore[union-attr]
def test_an_option_is_obeyed_or_refused_by_its_name(
    verb: str,
    option: Option,
    kind: str,
    place: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drise, "MASKS", 16)  # nobody looks at the maps
    line = VERBS[verb][0]
    if verb == "calibrate" and kind != "detector":
        pytest.skip("tiny classifiers have no temperature; the others are refused, see test_verbs_of_tasks.py")
    if verb == "detect" and kind != "detector":
        pytest.skip("the other command is named, see test_verbs_of_tasks.py")
    given = arguments(f"{line} {option.flag} {option.good} --json", kind, place, tmp_path / "out")
    if kind not in option.obeyed:
        assert run(given) == 2
        error = capfd.readouterr().err
        name = option.flag.strip("-").removeprefix("no-")
        assert any(word in error for word in (option.flag, name, name.replace("-", "_"))), error
        return
    with_it = _said(given, capfd)
    if option.seen:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        assert with_it != _said(arguments(f"{line} --json", kind, place, tmp_path / "out"), capfd)


def _said(given: list[str], capfd: pytest.CaptureFixture[str]) -> object:
    """What a command prints, without what differs from run to run."""
    code, (out, error) = run(given), capfd.readouterr()
    assert code == 0, (given, error)
    told = [json.loads(line) for line in ([out] if out.startswith("{\n") else out.splitlines())]
    return [{name: value for name, value in one.items() if name != "provenance"} for one in told]


def test_every_option_of_these_verbs_is_tried() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    names = {field.name for field in fields(ReadOptions)}
    reading = {flag for option in commands["convert"].params for flag in option.opts if option.name in names}
    for verb, (_, options) in VERBS.items():
        known = {option.flag for option in options} | ELSEWHERE | reading
        flags = {
            max(parameter.opts, key=len): set(parameter.opts)
            for parameter in commands[verb].params
            if parameter.param_type_name == "option"
        }
        untried = [flag for flag, names in flags.items() if not names & known]
        assert not untried, (verb, untried)


@pytest.mark.parametrize(
    "line",
    [
        "serve MODEL --rate nan",
        "serve MODEL --max-wait inf",
        "train DATA -o OUT --minutes nan",
        "train DATA -o OUT --minutes inf",
        "drift MODEL nothing.db --false-alarms nan",
        "watch nothing.mp4 --max-seconds nan",
    ],
)
def test_no_number_is_not_a_number(line: str, place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(line, "gated", place, tmp_path / "out")) == 2
    assert line.split()[-2] in capfd.readouterr().err
