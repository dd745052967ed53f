"""The audit of shortcuts says what was found, shows it, and says what it cannot find."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from shortcuts import marked, relying, shapes, trained

from photovision.core.page import write_report
from photovision.core.report import Metric, Report
from photovision.trust.robustness.shortcuts import audit_shortcuts

NAMES = ("circle", "square", "triangle", "cross", "stripes", "ring")


def test_a_shortcut_is_warned_of_and_shown(tmp_path: Path) -> None:
    images, labels = shapes()
    rows = np.flatnonzero(labels == 3)
    images[rows] = marked(images[rows], "fixed", corner=2)
    plain, known = shapes(600, seed=9)
    maps = np.ones((4, 28, 28), np.float32)
    finding = audit_shortcuts(relying(3, 0.7, trained(plain, known, 0)), images, labels, classes=NAMES, heatmaps=maps)
    assert finding.data["shortcuts"]["found"] == [{"class": "cross", "region": "the bottom left corner"}]
    assert "takes shortcuts" in finding.summary[0]
    (warning,) = finding.warnings
    assert "decides for 'cross'" in warning
    assert "are still called" in warning
    strip = next(figure for figure in finding.figures if figure.title == "Shortcut to cross")
    assert len(strip.pictures) == 12
    assert strip.pictures[2][1].startswith("after: cross (9")
    row = finding.tables[0].rows[0]
    assert (row[0], row[-1]) == ("cross", "shortcut")
    assert isinstance(row[3], Metric)
    assert finding.metrics["attribution_outside"].value == pytest.approx(0.49, abs=0.02)
    write_report(Report("audit", "Shortcuts").including(finding), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["shortcuts"]["answers"] > 1000


def test_without_a_shortcut_its_limits_are_said() -> None:
    images, labels = shapes()
    finding = audit_shortcuts(trained(images[:600], labels[:600], 0), images[600:], labels[600:], classes=NAMES)
    assert finding.warnings == []
    assert finding.data["shortcuts"]["found"] == []
    assert finding.summary[0].startswith("No shortcut was found at the border")
    assert "look-alikes, are not found" in finding.summary[0]
    assert {row[-1] for row in finding.tables[0].rows} == {"none shown"}


def test_with_too_few_pictures_of_every_class_nothing_is_claimed() -> None:
    images, labels = shapes(54)
    finding = audit_shortcuts(trained(images, labels, 0), images, labels, classes=NAMES, answers=400)
    assert "could not be looked for" in finding.summary[0]
    assert [table.title for table in finding.tables] == [
        "Is the object or its surroundings used? (centre and border)",
        "Do meaningless marks change answers? (planted markers)",
    ]
