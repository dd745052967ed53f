"""What a suite found, told: planted harm is named, none is not, and too little is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pictures import make_picture

from photovision.core.page import write_report
from photovision.core.report import Report
from photovision.data.corruptions import CORRUPTIONS
from photovision.trust.robustness.report import finding, harmed
from photovision.trust.robustness.suite import Robustness

NAMES, SEVERITIES, N = CORRUPTIONS.names(), (1, 2, 3, 4, 5), 400


def planted(losses: dict[str, float], *, n: int = N, sure: float | None = 0.9, seed: int = 0) -> Robustness:
    """Answers of a model that is right in 90% and loses a share of these at severity 5, a fifth of it a step."""
    rng = np.random.default_rng(seed)
    clean = rng.random(n) < 0.9
    order = rng.permutation(n)
    right = np.tile(clean, (len(NAMES), 5, 1))
    for name, loss in losses.items():
        for column, severity in enumerate(SEVERITIES):
            right[NAMES.index(name), column, order[: round(n * loss * severity / 5)]] = False
    if sure is None:  # honest: as sure as it is right, in every condition
        confidence = np.broadcast_to(right.mean(2, keepdims=True), right.shape).astype(np.float32)
    else:
        confidence = np.full(right.shape, sure, np.float32)
    usual = np.full(n, clean.mean(), np.float32)
    return Robustness(NAMES, SEVERITIES, right, clean, confidence, usual)


def test_planted_harm_is_named_with_its_severity_and_its_size() -> None:
    found = planted({"fog": 0.6, "rain": 0.3})
    told = finding(found)
    assert [NAMES[row] for row in harmed(found)] == ["fog", "rain"]
    words = " ".join(told.summary)
    assert "Worst is fog: at severity 3 it costs" in words
    assert "10 points are lost from severity 1 on" in words
    assert "Next rain." in words
    assert "No loss beyond chance: night" in words
    error = told.metrics["mean_corruption_error"]
    assert error.low is not None
    assert error.high is not None
    assert error.low < error.value < error.high
    assert error.value == pytest.approx(1 - found.right.mean())
    assert error.n == N
    lost = {row[0]: row[-1] for row in told.tables[0].rows}
    assert lost["fog"].low > 0.2
    assert lost["jpeg"].low <= 0 <= lost["jpeg"].high


def test_where_nothing_is_lost_nothing_is_said_to_be() -> None:
    told = finding(planted({}))
    assert "No condition costs accuracy beyond chance" in " ".join(told.summary)
    assert "Worst" not in " ".join(told.summary)
    assert not told.warnings


def test_a_model_that_stays_sure_while_it_gets_worse_is_warned_about() -> None:
    (warning,) = finding(planted({"fog": 0.6, "snow": 0.3})).warnings
    assert "fog by" in warning
    assert "jpeg" not in warning


def test_a_model_that_knows_that_it_gets_worse_is_not() -> None:
    assert not finding(planted({"fog": 0.6}, sure=None)).warnings


def test_chance_rarely_makes_a_warning() -> None:
    """Honest confidences, answers drawn by them: a suite hardly ever warns."""
    rng = np.random.default_rng(3)
    warned = 0
    for _ in range(40):
        confidence = rng.uniform(0.1, 0.8, (4, 5, 200)).astype(np.float32)
        right = rng.random(confidence.shape) < confidence
        clean = rng.random(200) < 0.9
        found = Robustness(("fog", "rain", "jpeg", "noise"), SEVERITIES, right, clean, confidence, confidence[0, 0])
        assert len(harmed(found)) == 4
        warned += bool(finding(found).warnings)
    assert warned == 0


def test_clean_accuracy_is_not_said_twice() -> None:
    found = planted({})
    assert "clean_accuracy" not in finding(found, total=N).metrics
    assert finding(found, total=2 * N).metrics["clean_accuracy"].n == N


def test_too_few_pictures_give_no_figures() -> None:
    told = finding(planted({"fog": 0.9}, n=49))
    assert not told.metrics
    assert not told.tables
    assert "takes 50 pictures, and there are 49" in told.summary[0]


def test_no_confidence_no_warning() -> None:
    found = planted({"fog": 0.6})
    assert not finding(Robustness(NAMES, SEVERITIES, found.right, found.clean)).warnings


def test_one_severity_is_enough() -> None:
    found = planted({"fog": 0.6})
    one = Robustness(NAMES, (2,), found.right[:, 1:2], found.clean)
    told = finding(one)
    assert told.tables[0].columns[-1] == "lost at 2"
    assert [figure.title for figure in told.figures] == ["Accuracy in the worst conditions"]  # and no curves


@pytest.mark.parametrize("size", [(28, 28), (60, 200)])
def test_the_page_shows_curves_and_pictures_and_loads_nothing(size: tuple[int, int], tmp_path: Path) -> None:
    found = planted({"fog": 0.6})
    images = [np.asarray(make_picture(1, max(size), i))[: size[0], : size[1]] for i in range(3)]
    few = Robustness(NAMES, SEVERITIES, found.right[..., :60], found.clean[:60])
    told = finding(few, [images[i % 3] for i in range(60)])
    write_report(Report("audit", "Conditions").including(told), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert page.count("<image ") == 1 + 3 * len(NAMES)
    assert page.count("<svg") == 7
    assert all(address.startswith("data:image/") for address in re.findall(r'href="([^#"]+)"', page))
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["robustness"]["conditions"]["fog"]["p"] < 0.01
    fog = next(row[-1] for row in told.tables[0].rows if row[0] == "fog")
    assert f"{fog.value * 100:.1f} points" in page
