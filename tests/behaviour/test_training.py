"""The whole way: from a folder to a proved bundle, repeated, resumed, and read by others."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from pictures import make_folder
from safetensors.torch import load_file

from photovision.core.errors import LicenceError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.progress import Progress
from photovision.data.read import dataset_from_arrays, read_dataset
from photovision.engine.evaluate import evaluate
from photovision.engine.load import load
from photovision.engine.train import run, train
from photovision.engine.train_config import TrainConfig
from photovision.models import weights
from photovision.tasks.classify.recognizer import Recognizer

DOUBT = {"doubt.safetensors", "references.safetensors", "heldout.safetensors", "validation.safetensors"}
FILES = DOUBT | {
    "DATASHEET.md",
    "bundle.json",
    "model.onnx",
    "model.safetensors",
    "README.md",
    "report.html",
    "report.json",
    "report.md",
    "training_images.safetensors",
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of circles and squares."""
    return make_folder(tmp_path_factory.mktemp("data") / "shapes", per_class=80, size=32)


@pytest.fixture(scope="module")
def model(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A network of our own, trained from scratch on the shapes."""
    return train(shapes, tmp_path_factory.mktemp("models") / "shapes", weights="none", epochs=15)


def test_a_bundle_has_its_proof(model: Recognizer) -> None:
    assert {file.name for file in model.bundle.path.iterdir()} == FILES
    info = model.info
    assert [rung["name"] for rung in info["rungs"]] == ["handcrafted", "from scratch"]
    assert info["chosen"] == "from scratch"
    assert info["rungs"][1]["test"]["value"] > 0.8
    assert info["rungs"][1]["test"]["low"] < info["rungs"][1]["test"]["value"]
    assert info["parity"]["max_abs_prob_difference"] <= info["parity"]["tolerance"]
    assert sum(info["data"]["counts"].values()) == 160
    report = json.loads((model.bundle.path / "report.json").read_text())
    assert report["metrics"]["accuracy"]["n"] == info["data"]["counts"]["test"]
    assert not list(model.bundle.path.parent.glob(".*"))  # no work is left behind


def test_the_graph_decides_like_the_stored_network(model: Recognizer, shapes: Path) -> None:
    from photovision.models.backbones import Backbone, create

    info = model.info
    network = create(Backbone(info["backbone"]["name"], "none", model.preprocess), 2).eval()
    network.load_state_dict(load_file(model.bundle.path / "model.safetensors"))
    samples = read_dataset(shapes).samples[:20]
    batch = np.stack([model.preprocess.normalise(model.preprocess.load(sample.image)) for sample in samples])
    with torch.no_grad():
        expected = (network(torch.from_numpy(batch)) / info["temperature"]).softmax(1).numpy()
    exact = load(model.bundle.path, precision="f32")
    got = np.stack([answer.probs for answer in exact.predict([sample.image for sample in samples])])
    assert np.abs(expected - got).max() < 1e-4


def test_predictions_do_not_depend_on_batch_or_order(model: Recognizer, shapes: Path) -> None:
    files = [sample.image for sample in read_dataset(shapes).samples[:12]]
    exact = load(model.bundle.path, precision="f32")
    whole = np.stack([a.probs for a in exact.stream(files, batch_size=5)])
    turned = np.stack([a.probs for a in exact.stream(files[::-1], batch_size=12)])[::-1]
    alone = np.stack([exact.predict(file).probs for file in files])
    assert np.allclose(whole, turned, atol=1e-5)
    assert np.allclose(whole, alone, atol=1e-5)


def test_the_same_training_again_gives_the_same_weights(model: Recognizer, shapes: Path, tmp_path: Path) -> None:
    again = run(read_dataset(shapes), tmp_path / "again", TrainConfig.replaying(model.info))
    first, second = (load_file(m.bundle.path / "model.safetensors") for m in (model, again))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert again.info["training"]["decisions"] == model.info["training"]["decisions"]


KILLED = """
    import json, os, signal, sys
    from pathlib import Path
    from photovision.data.read import read_dataset
    from photovision.learn import loop
    from photovision.engine.train_config import TrainConfig
    from photovision.engine.train import run
    loop.CHECKPOINT_SECONDS = 0.0
    data, output, info = map(Path, sys.argv[1:])
    def listen(progress):
        if progress.stage == "from scratch" and progress.done == 9:
            os.kill(os.getpid(), signal.SIGKILL)
    run(read_dataset(data), output, TrainConfig.replaying(json.loads(info.read_text())), listen)
"""


def test_killed_and_started_again_it_ends_the_same(model: Recognizer, shapes: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(shapes), str(output)]
    killed = subprocess.run([*command, str(model.bundle.path / "bundle.json")], timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert not output.exists()
    told: list[Progress] = []
    resumed = run(read_dataset(shapes), output, TrainConfig.replaying(model.info), told.append)
    assert next(one.done for one in told if one.stage == "from scratch") > 1  # it goes on from there
    first, second = (load_file(m.bundle.path / "model.safetensors") for m in (model, resumed))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_pictures_of_something_else_are_unknown(model: Recognizer, shapes: Path) -> None:
    rng = np.random.default_rng(0)
    strangers = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(30)]
    answers = model.predict(strangers)
    assert isinstance(answers, list)
    unknown = [answer for answer in answers if answer.label == "unknown"]
    assert len(unknown) > 0.9 * len(strangers)
    assert all(answer.known is False and answer.best in model.classes for answer in unknown)
    own = model.predict([sample.image for sample in read_dataset(shapes).samples])
    assert sum(answer.known is False for answer in own) <= 0.15 * len(own)  # type: ignore[arg-type]


def test_more_coverage_makes_larger_sets(model: Recognizer, shapes: Path) -> None:
    files = [sample.image for sample in read_dataset(shapes).samples[:60]]
    sizes = []
    for coverage in (0.5, 0.9, 0.999):
        answers = load(model.bundle.path, coverage=coverage).predict(files)
        sizes.append(sum(len(answer.prediction_set) for answer in answers))  # type: ignore[arg-type, union-attr, misc]
    assert sizes[0] <= sizes[1] <= sizes[2]
    assert sizes[2] == 120  # two dozen validation pictures cannot vouch for 99.9%: every class stays possible


def test_a_bundle_remembers_what_it_learned_from(model: Recognizer, shapes: Path) -> None:
    known = model.references
    assert known is not None
    assert len(known.ids) == model.info["data"]["counts"]["train"]
    samples = {sample.id: sample for sample in read_dataset(shapes).samples}
    sample = samples[known.ids[5]]
    assert isinstance(sample.image, Path)
    outputs = model.session.run(model.preprocess.load(sample.image)[None])
    (nearest,) = known.nearest(outputs["embedding"][0], 1)
    assert nearest.id == sample.id
    assert nearest.label == sample.label


def test_an_evaluation_holds_the_limits_against_pictures_of_something_else(model: Recognizer, shapes: Path) -> None:
    rng = np.random.default_rng(1)
    noise = dataset_from_arrays(rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8), ["noise"] * 30)
    report = evaluate(model, read_dataset(shapes), unknown=noise, split="all")
    assert {"coverage", "set_size", "false_alarms", "novelty_auroc", "selective_accuracy"} <= set(report.metrics)
    assert report.metrics["novelty_auroc"].value > 0.95


def test_subset_of_the_classes_can_be_evaluated(model: Recognizer, shapes: Path) -> None:
    data = read_dataset(shapes)
    only = data.subset([i for i, sample in enumerate(data.samples) if sample.label == "circle"])
    report = evaluate(model, type(data)(only.samples, ("circle",)), split="all")
    assert report.metrics["accuracy"].n == 80


def test_multilabel_from_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 60, (90, 24, 24, 3), dtype=np.uint8), []
    for image in images:
        top, left = rng.random(2) < 0.5
        image[:12] += np.uint8(150 * top)
        image[12:, :12, 0] += np.uint8(150 * left)
        labels.append([name for name, there in (("top", top), ("left", left)) if there])
    model = train(dataset_from_arrays(images, labels, ["top", "left"]), tmp_path / "model", weights="none", epochs=10)
    assert model.multilabel
    assert model.info["metrics"]["map"]["value"] > 0.8
    answer = model.predict(np.full((24, 24, 3), 200, np.uint8))
    assert set(answer.labels) <= {"top", "left"}


def test_an_existing_foreign_folder_is_left_alone(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    with pytest.raises(UsageError, match="is not a model that Photovision wrote"):
        train(shapes, tmp_path, weights="none", epochs=1)
    assert (tmp_path / "precious.txt").read_text() == "keep me"


def test_commercial_use_refuses_unknown_weights(shapes: Path, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "mine.pth")
    with pytest.raises(LicenceError, match="--commercial refuses"):
        train(shapes, tmp_path / "model", backbone="resnet18", weights=str(tmp_path / "mine.pth"), commercial=True)


@pytest.mark.skipif(weights.locate("efficientnet_lite0") is None, reason="the offline weights are not installed")
def test_pretrained_ladder_and_timm(tmp_path: Path) -> None:
    """All rungs run from offline weights, and timm loads the bundle as one of its own."""
    shapes = make_folder(tmp_path / "shapes", per_class=24, size=32)
    model = train(shapes, tmp_path / "model", epochs=1, size=64)
    assert [rung["name"] for rung in model.info["rungs"]][:3] == ["handcrafted", "frozen", "fine-tuned"]
    assert {"weights", "training data"} <= {entry["part"] for entry in model.info["licences"]}
    theirs = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    picture = read_dataset(shapes).samples[0].image
    with torch.no_grad():
        logits = theirs(torch.from_numpy(model.preprocess.normalise(model.preprocess.load(picture)))[None])
    expected = (logits / model.info["temperature"]).softmax(1)[0].numpy()
    exact = load(tmp_path / "model", precision="f32")
    assert np.allclose(expected, exact.predict(picture).probs, atol=1e-4)


def test_mirroring_is_found_to_matter_for_arrows(tmp_path: Path) -> None:
    """Arrows to the left and to the right: mirrored views would teach the opposite."""
    from accelerate import Accelerator

    from photovision.engine.splits import gather
    from photovision.engine.training_run import TrainingRun
    from photovision.engine.workdir import WorkDir
    from photovision.tasks.classify.handcrafted import learn_handcrafted, mirror_keeps_class

    def keeps(turn: bool, name: str) -> bool:
        rng, images, labels = np.random.default_rng(0), [], []
        for i in range(160):
            image = rng.integers(0, 80, (28, 28, 3), dtype=np.uint8)
            for row in range(9):
                image[5 + row, 5 : 6 + 2 * min(row, 8 - row)] += 150  # a triangle that points to the right
            flipped = image[:, ::-1] if (i % 2 if turn else rng.random() < 0.5) else image
            upright = flipped if turn or i % 2 else flipped[::-1].transpose(1, 0, 2)
            images.append(np.ascontiguousarray(np.roll(upright, rng.integers(-3, 4, 2), (0, 1))))
            labels.append("ab"[i % 2])
        material = gather(dataset_from_arrays(images, labels), seed=0)
        work = WorkDir(tmp_path / name, {}, Accelerator())
        run = TrainingRun(TrainConfig(), material, work)
        return mirror_keeps_class(run, learn_handcrafted(run, 20))

    assert not keeps(True, "left-or-right")
    assert keeps(False, "sideways-or-upright")


def test_preprocessing_travels_with_the_bundle(model: Recognizer) -> None:
    assert Preprocess.from_json(model.info["preprocess"]) == model.preprocess
    assert max(model.preprocess.size) == 32
