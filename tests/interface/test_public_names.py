"""What `import photovision` offers, and what it must not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import photovision

NAMES = {
    "train", "TrainConfig", "Tuning", "TrainingCallback", "TrainingEvent", "Augment",
    "load", "predict", "detect", "cut", "watch", "convert", "serve", "drift", "Span",
    "Result", "Results", "Mask", "Anomaly", "Detector", "Segmenter", "AnomalyDetector", "Cutter", "Progress", "silent",
    "evaluate", "compare", "check", "read_dataset", "dataset_from_arrays", "Dataset", "Sample",
    "Classes", "Preprocess", "Report", "Metric", "Recognizer", "PhotoClassifier", "PhotovisionError", "UsageError",
    "audit", "refer", "explain", "attribute", "features", "Attribution", "export", "Detections", "Segmentation",
    "calibrate", "optimize", "estimate", "adapt", "zero_shot", "adopt", "index", "Index", "search",
    "update", "rollback", "versions", "PromotionLimits", "shards",
    "duplicates", "forget", "group", "label_piles", "suggest", "verify", "blur", "FaceStore",
    "sample", "invert", "interpolate", "Generator",
    "RecordError", "explain_boxes", "card", "info", "loadtest", "ui",
    "DataError", "UnreadableImage", "ModelError", "ExportError", "LicenceError", "MissingExtra", "__version__",
}  # fmt: skip

HEAVY = "('torch', 'timm', 'sklearn', 'scipy', 'openvino', 'onnxruntime', 'skimage', 'numpy', 'PIL', 'rich', 'fastapi')"


def test_all_names_exist_and_are_documented() -> None:
    assert set(photovision.__all__) == NAMES
    assert set(dir(photovision)) == NAMES
    for name in NAMES - {"__version__"}:
        assert getattr(photovision, name).__doc__


def test_every_verb_of_the_command_line_has_a_name_in_python() -> None:
    from photovision.app.cli.commands import app

    verbs = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert len(verbs) > 20
    assert verbs - set(photovision.__all__) == {"mcp", "worker"}  # programs for other programs


def test_an_old_name_works_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"photovision\.recalibrate' is now called 'photovision\.calibrate'"):
        assert photovision.recalibrate is photovision.calibrate


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = photovision.trian


@pytest.mark.parametrize(
    "code",
    [
        "import photovision",
        "from photovision.app.cli import run; run(['--help'])",
        "from photovision.app.cli import run; run(['train', '--help'])",
        "from photovision.app.cli import run; run(['--version'])",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    told = f"import sys; print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{code}; {told}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_the_api_answers_without_torch() -> None:
    code = (
        "import sys, photovision as pv; pv.load, pv.evaluate, pv.compare, pv.check, pv.read_dataset,"
        " pv.PhotoClassifier, pv.Recognizer, pv.audit, pv.explain, pv.calibrate, pv.predict, pv.detect, pv.cut,"
        " pv.watch, pv.convert, pv.drift, pv.serve, pv.Detector; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
