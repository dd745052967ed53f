"""The audit finds what was planted, finds nothing where nothing is, and keeps to what it was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from colours import colour_bundle, colour_picture

from photovision.core.errors import DataError, UsageError
from photovision.core.report import Report
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.engine.audit import audit, rewrite_card
from photovision.engine.audit_context import AuditRequest
from photovision.engine.load import load
from photovision.tasks.classify.checks import CHECKS
from photovision.tasks.classify.recognizer import Recognizer

NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return load(colour_bundle(tmp_path_factory.mktemp("bundle") / "model"))


def colours(count: int = 240, *, unfair: float = 0.0, wrong: int = 0, raters: bool = False) -> Dataset:
    """Colours from two shops; in the second, pictures are grey with a probability of `unfair`; some labels wrong."""
    rng = np.random.default_rng(0)
    samples = []
    for i in range(count):
        true, shop = NAMES[i % 3], "north" if (i // 3) % 2 else "south"
        shown = "grey" if shop == "south" and rng.random() < unfair else true
        label = NAMES[(i + 1) % 3] if i < wrong else true
        groups = {"shop": shop, **({"rater_a": true, "rater_b": NAMES[(i + (i % 7 == 0)) % 3]} if raters else {})}
        samples.append(Sample(f"{i:03d}.png", np.asarray(colour_picture(shown, i)), (label,), groups))
    return Dataset(tuple(samples), NAMES)


def examine(model: Recognizer, data: Dataset, *only: str, by: tuple[str, ...] = ()) -> Report:
    return audit(model, data, by=by, only=only, minutes=0.2)


def told(report: Report) -> str:
    return " ".join([*report.summary, *report.warnings])


def test_a_group_that_is_served_worse_is_named(model: Recognizer) -> None:
    report = examine(model, colours(unfair=0.5), "groups", by=("shop",))
    assert report.kind == "audit"
    assert any("south" in warning for warning in report.warnings)


def test_equal_groups_give_no_warning(model: Recognizer) -> None:
    report = examine(model, colours(), "groups")
    assert not any("south" in warning or "north" in warning for warning in report.warnings)
    assert any(row[0] == "shop = south" for table in report.tables for row in table.rows)


def test_wrong_labels_are_suspected_and_right_ones_are_not(model: Recognizer) -> None:
    dirty = examine(model, colours(wrong=12), "labels")
    suspects = {entry["id"] for entry in dirty.data["suspicious_labels"]}
    assert len(suspects & {f"{i:03d}.png" for i in range(12)}) >= 10
    assert len(suspects) <= 14
    clean = examine(model, colours(), "labels")
    assert "suspicious_labels" not in clean.data


def test_raters_are_no_groups_but_stand_beside_the_model(model: Recognizer) -> None:
    report = examine(model, colours(raters=True), "groups", "raters")
    assert "raters" in report.data
    assert not any("rater_a" in table.title for table in report.tables if "group" in table.title)


def test_only_what_was_asked_for_is_run_and_timed(model: Recognizer) -> None:
    report = examine(model, colours(60), "labels")
    assert set(report.provenance["audit"]["seconds"]) == {"labels"}
    whole = audit(model, colours(90), minutes=0.1)
    assert set(whole.provenance["audit"]["seconds"]) == set(CHECKS)
    assert "mean_corruption_error" in whole.metrics


def test_too_few_pictures_leave_out_what_they_cannot_tell(model: Recognizer) -> None:
    assert "Shortcuts were not looked for: that takes 40 pictures, and there are 30." in told(
        examine(model, colours(30), "shortcuts")
    )


def test_mistakes_are_told(model: Recognizer) -> None:
    with pytest.raises(UsageError, match=r"no check 'gruops' of a classifier; did you mean groups"):
        examine(model, colours(60), "gruops")
    with pytest.raises(UsageError, match="minutes"):
        AuditRequest(minutes=0)
    with pytest.raises(DataError, match=r"attribute 'sex'.*shop"):
        examine(model, colours(60), "groups", by=("sex",))


def test_pictures_without_attributes_are_said_not_to_be_compared(model: Recognizer) -> None:
    plain = colours(60)
    bare = replace(plain, samples=tuple(replace(sample, groups={}) for sample in plain.samples))
    assert "Groups were not compared" in told(examine(model, bare, "groups"))


def test_the_card_tells_what_the_audit_found(tmp_path: Path) -> None:
    one = load(colour_bundle(tmp_path / "model"))
    rewrite_card(one, examine(one, colours(unfair=0.5), "groups"))
    assert "south" in (tmp_path / "model" / "README.md").read_text()
    assert (tmp_path / "model" / "audit.json").is_file()


def test_a_card_that_was_edited_by_hand_stays(tmp_path: Path) -> None:
    one = load(colour_bundle(tmp_path / "model"))
    card, report = tmp_path / "model" / "README.md", examine(one, colours(unfair=0.5), "groups")
    assert rewrite_card(one, report)
    assert rewrite_card(one, report)
    own = card.read_text() + "\nReviewed by the ethics board.\n"
    card.write_text(own)
    assert not rewrite_card(one, report)
    assert card.read_text() == own
