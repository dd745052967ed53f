"""A generator: the same seed makes the same images, classes are obeyed, and an image is found again in its noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sampler import COLOURS, PULL, SIDE, sampler_bundle

import photovision as pv
from photovision.app.cli import run
from photovision.tasks.generate.files import KEYWORD
from photovision.tasks.generate.generator import Generator
from photovision.tasks.generate.solver import between, solve


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    found = pv.load(sampler_bundle(tmp_path_factory.mktemp("generator") / "colours"))
    assert isinstance(found, Generator)
    return found


def test_classes_are_obeyed_and_a_seed_is_one_set_of_images(model: Generator) -> None:
    made = model.sample(6, seed=3, steps=10)
    assert made.images.shape == (6, SIDE, SIDE, 3)
    assert [made.classes[label] for label in made.labels] == [*COLOURS, *COLOURS]
    assert (made.images.mean((1, 2)).argmax(1) == made.labels).all()
    assert np.array_equal(made.images, model.sample(6, seed=3, steps=10).images)
    assert not np.array_equal(made.images, model.sample(6, seed=4, steps=10).images)
    blue = model.sample(2, label="blue", steps=10)
    assert set(blue.labels.tolist()) == {2}


def test_guidance_leads_away_from_what_all_classes_share(model: Generator) -> None:
    plain, more = (model.sample(12, label="red", steps=10, guidance=one).images for one in (1.0, 1.5))
    assert more[..., 0].mean() > plain[..., 0].mean() + 10
    assert more[..., 1].mean() < plain[..., 1].mean() - 10


def test_the_solver_follows_a_known_way_there_and_back() -> None:
    start = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    there = solve(lambda x, t: PULL * x, start, 200)
    assert np.allclose(there, start * np.exp(-PULL), atol=2e-3)
    back = solve(lambda x, t: PULL * x, there, 200, to_noise=True)
    assert np.allclose(back, start, atol=2e-2)


def test_an_image_is_found_again_in_its_noise(model: Generator) -> None:
    pixels = np.random.default_rng(1).integers(60, 200, (3, SIDE, SIDE, 3), np.uint8)
    found = model.invert(pixels)
    assert found.psnr.min() > 40
    assert np.abs(found.again.astype(int) - pixels).max() <= 3
    assert found.noise.std() > 2 * (pixels / 127.5 - 1).std()  # noise is wider than the image


def test_the_way_between_two_images_begins_and_ends_with_them(model: Generator) -> None:
    first, second = np.full((SIDE, SIDE, 3), 40, np.uint8), np.full((SIDE, SIDE, 3), 220, np.uint8)
    first[::2] = 80
    way = model.interpolate(first, second, 5)
    assert np.abs(way[0].astype(int) - first).max() <= 3
    assert np.abs(way[-1].astype(int) - second).max() <= 3
    noise = np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32)
    lengths = [np.linalg.norm(between(noise[0], noise[1], share)) for share in (0.0, 0.25, 0.5, 1.0)]
    assert np.ptp(lengths) < 0.1 * np.mean(lengths)  # noise stays as large as noise is


def test_what_makes_no_sense_is_refused_in_a_line(model: Generator, tmp_path: Path) -> None:
    with pytest.raises(pv.UsageError, match="knows no class 'gren'; did you mean green"):
        model.sample(2, label="gren")
    for options in ({"count": 0}, {"count": 20_000}, {"steps": 0}, {"guidance": -1.0}):
        with pytest.raises(pv.UsageError, match="should be from"):
            model.sample(**options)  # type: ignore[arg-type]
    with pytest.raises(pv.UsageError, match="use 'photovision sample'"):
        model.predict(np.zeros((8, 8, 3), np.uint8))
    for verb in (["evaluate"], ["explain"]):
        assert run([*verb, str(model.bundle.path), str(tmp_path)]) == 2


def test_files_say_that_they_were_generated(
    model: Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(model.bundle.path)
    capsys.readouterr()
    call = ["sample", folder, "-n", "3", "--class", "green", "--seed", "5", "--steps", "4", "-o", str(tmp_path / "out")]
    assert run([*call, "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [one["class"] for one in files] == ["green"] * 3
    with Image.open(files[2]["file"]) as image:
        note = json.loads(image.info[KEYWORD])
        pixels = np.asarray(image)
    assert (note["synthetic"], note["seed"], note["number"], note["class"]) == (True, 5, 2, "green")
    assert note["model_sha256"] == model.bundle.fingerprint
    assert np.array_equal(pixels, model.sample(3, label="green", seed=5, steps=4).images[2])
    assert run([*call, "--json"]) == 0  # what it wrote itself is replaced
    picture = tmp_path / "p.png"
    Image.fromarray(pixels).save(picture)
    capsys.readouterr()
    assert run(["invert", folder, str(picture), "-o", str(tmp_path / "again"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["psnr"] > 30
    assert run(["interpolate", folder, str(picture), str(picture), "-n", "3", "-o", str(tmp_path / "way")]) == 0
    assert len(list((tmp_path / "way").glob("?.png"))) == 3
