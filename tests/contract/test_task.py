"""The contract of a task: every verb through every door, with equal answers, or refused in one clear sentence."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doors import REFUSED, Answer, command, http, same
from PIL import Image
from starlette.testclient import TestClient
from tiny import TASKS, Task, arrays
from verbs import VERBS, Place

import photovision as pv

TASK = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
SLOW = {"optimize": pytest.mark.slow}
VERB = pytest.mark.parametrize("verb", [pytest.param(verb, marks=SLOW.get(verb, ())) for verb in VERBS])
TIMES = re.compile(r"seconds|minutes|_ms|latency|throughput|per_second|bytes|speedup|memory|bundle_size")
"""Names of what differs from run to run."""


def refused_well(answer: Answer, *words: str) -> bool:
    """Whether it was refused in one sentence of some length that holds one of the words."""
    sentence = answer.reason
    return (
        not answer.ok
        and len(sentence) > 30
        and "\n" not in sentence
        and any(word in sentence for word in words or ("",))
    )


def figures(document: Any) -> Any:
    """A JSON document without what differs from run to run: provenance, times, folders of outputs."""
    if isinstance(document, dict):
        left_out = {"provenance", "output", "kind"}
        return {k: figures(v) for k, v in document.items() if k not in left_out and not TIMES.search(k)}
    if isinstance(document, list):
        return [figures(value) for value in document]
    return document


@TASK
@VERB
def test_python_and_the_command_line_answer_alike(
    task: Task, verb: str, places: dict[str, Place], tmp_path: Path
) -> None:
    place, asked = places[task.name], VERBS[verb]
    one, other = asked.asked_python(place, tmp_path / "one"), asked.asked_command(place, tmp_path / "two")
    if verb in task.refuses:
        assert refused_well(one, task.refuses[verb]), one
        assert refused_well(other, task.refuses[verb]), other
        assert other.code == REFUSED
        assert not any(tmp_path.iterdir())
        return
    assert one.ok, one.reason
    assert other.ok, other.reason
    if verb == "predict":
        other = Answer(True, [{name: value for name, value in line.items() if name != "file"} for line in other.value])
    if asked.timed:
        one, other = Answer(True, one.value["metrics"]), Answer(True, other.value["metrics"])
    assert same(figures(one.value), figures(other.value))


@TASK
@VERB
def test_http_answers_as_the_command_line_or_has_no_such_route(
    task: Task, verb: str, places: dict[str, Place], client: TestClient, tmp_path: Path
) -> None:
    asked = VERBS[verb]
    answer = asked.asked_http(verb, places[task.name], client)
    if not asked.path:
        assert answer.code == 404
        assert answer.reason
        return
    if verb in task.refuses:
        assert refused_well(answer, task.refuses[verb]), answer
        return
    assert answer.ok, answer.reason
    told = asked.asked_command(places[task.name], tmp_path / "out").value
    if verb == "predict":
        assert same(answer.value["predictions"], told)
        return
    one = told["pictures"][0]
    shared = set(answer.value) & set(one) - {"method"}
    assert {"label", "prob"} <= shared or "boxes" in shared
    for name in shared:
        ours, theirs = answer.value[name], one[name]
        if name == "boxes":
            theirs = [{key: box[key] for key in ours[0]} for box in theirs] if ours else theirs
        assert same(ours, theirs, 2e-3), name  # maps are rounded to three or four places


@TASK
def test_a_model_opened_again_or_elsewhere_gives_the_same_bits(
    task: Task, places: dict[str, Place], tmp_path: Path
) -> None:
    place = places[task.name]
    shutil.copytree(place.model, tmp_path / "elsewhere")
    pictures = [np.asarray(Image.open(file)) for file in place.pictures]
    first = pv.load(place.model).predict(pictures)
    for folder in (place.model, tmp_path / "elsewhere"):
        for one, other in zip(first, pv.load(folder).predict(pictures), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


@TASK
def test_the_order_and_number_of_pictures_do_not_matter(task: Task, places: dict[str, Place]) -> None:
    place = places[task.name]
    model = pv.load(place.model, precision="f32")
    together = model.predict(list(place.pictures))
    for file, one in zip(place.pictures, together, strict=True):
        alone = model.predict(file)
        assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(arrays(one), arrays(alone), strict=True))


@TASK
def test_odd_pictures_are_answered_and_a_broken_one_is_named(
    task: Task, places: dict[str, Place], client: TestClient, tmp_path: Path
) -> None:
    place, picture = places[task.name], Image.fromarray(task.picture(7))
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    grey = picture.convert("L")
    grey.save(tmp_path / "grey.png")
    grey.convert("RGB").save(tmp_path / "grey_rgb.png")
    picture.save(tmp_path / "plain.png")
    picture.convert("RGBA").save(tmp_path / "rgba.png")
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=turned)
    Image.new("RGB", (1, 1), (200, 90, 60)).save(tmp_path / "one_pixel.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files = sorted(tmp_path.iterdir())
    told = command(task.command, place.model, *files, "--json")
    assert told.code == REFUSED
    assert "1 of 7" in told.reason
    lines = {Path(line.pop("file")).name: line for line in told.value}
    assert len(lines) == len(files)
    assert "error" in lines["broken.png"]
    assert not any("error" in line for name, line in lines.items() if name != "broken.png")
    assert same(lines["grey.png"], lines["grey_rgb.png"])
    assert same(lines["rgba.png"], lines["plain.png"])
    assert same(lines["turned.png"], lines["plain.png"])
    answer = http(client, f"/predict?model={task.name}", files)
    assert {Path(one.pop("file")).name: one for one in answer.value["predictions"]} == lines
    model = pv.load(place.model)
    for file in files:
        if file.name == "broken.png":
            with pytest.raises(pv.UnreadableImage, match=r"broken\.png"):
                model.predict(file)
            continue
        size = (1, 1) if file.name == "one_pixel.png" else picture.size[::-1]
        assert same(task.value(model.predict(file), size), lines[file.name])


@TASK
def test_figures_free_of_leaks_stand_beside_those_with_training_pictures(task: Task, places: dict[str, Place]) -> None:
    place = places[task.name]
    one = command("evaluate", place.model, place.data, "--split", "all", "--json")
    metrics = one.value["metrics"]
    assert metrics[task.lead]["n"] == task.learned
    assert metrics[f"{task.lead}_leak_free"]["n"] < task.learned / 2
    assert any("training pictures" in warning for warning in one.value["warnings"])
    honest = pv.evaluate(place.model, place.data).metrics[task.lead]  # by default on pictures that took no part
    assert honest.n < task.learned / 2


@TASK
def test_an_exported_model_decides_as_the_model(task: Task, places: dict[str, Place], tmp_path: Path) -> None:
    done = pv.export(places[task.name].model, "openvino", tmp_path / "openvino")
    assert done.agreement > 0.999
    assert done.max_abs_prob_difference < 0.02
    assert any((tmp_path / "openvino").iterdir())


HEADINGS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
    "How it was made",
    "Licences",
    "Use",
)


@TASK
def test_the_card_is_whole_and_holds_what_an_audit_found(task: Task, places: dict[str, Place], tmp_path: Path) -> None:
    place = places[task.name]
    model = Path(shutil.copytree(place.model, tmp_path / "model"))
    card = (model / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\n")
    assert [heading for heading in re.findall(r"^## (.+)$", card, re.MULTILINE) if heading in HEADINGS] == list(
        HEADINGS
    )
    assert not re.search(r"\bnan\b|\bNone\b|\{\w*\}", card)
    assert (model / "DATASHEET.md").is_file()
    audited = command("audit", model, place.new, "--only", "slices", "--card", "--json")
    assert audited.ok, audited.reason
    after = (model / "README.md").read_text(encoding="utf-8")
    assert after != card
    assert [heading for heading in re.findall(r"^## (.+)$", after, re.MULTILINE) if heading in HEADINGS] == list(
        HEADINGS
    )


@TASK
@pytest.mark.parametrize("verb", ["calibrate", pytest.param("optimize", marks=pytest.mark.slow)])
def test_the_new_model_of_a_verb_opens_and_says_what_it_is(
    task: Task, verb: str, places: dict[str, Place], tmp_path: Path
) -> None:
    if verb in task.refuses:
        pytest.skip(f"{task.name} refuses {verb}")
    place, out = places[task.name], tmp_path / verb
    answer = VERBS[verb].asked_python(place, out)
    assert answer.ok, answer.reason
    assert all(np.isfinite(values).all() for values in arrays(pv.load(out).predict(place.pictures[0])))
    assert (out / "README.md").is_file()
    assert command("info", out, "--json").value["task"] == task.name
    again = command("evaluate", out, place.data, "--json")
    assert again.ok, again.reason
    assert again.value["metrics"][task.lead]["n"] < task.learned / 2  # it still knows what it learned from
