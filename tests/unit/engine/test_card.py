"""The card says what was measured, says so where nothing was, and is a card that the Hub can read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from bundles import HOSTILE, audit, full, metric, minimal
from huggingface_hub import ModelCard, ModelCardData
from markdown_it import MarkdownIt

from photovision.core.report import Metric
from photovision.data.corruptions import CORRUPTIONS
from photovision.engine.card_metrics import topic_of
from photovision.engine.model_card import model_card

CARDS = {
    "minimal": (minimal(), None),
    "full": (full(), None),
    "audited": (full(), audit()),
    "hostile": (full(HOSTILE), audit(HOSTILE)),
}
SECTIONS = {"Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data"}
SECTIONS |= {"Quantitative analyses", "Ethical considerations", "Caveats and recommendations", "Licences", "Use"}
every_card = pytest.mark.parametrize("name", CARDS)


def sections(card: str) -> dict[str, str]:
    """Title -> text of the sections of second order."""
    parts = re.split(r"^## (.*)$", card, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def hub(card: str) -> ModelCardData:
    """The header as the Hub's own library reads it; it raises where it is not valid."""
    data = ModelCard(card, ignore_metadata_errors=False).data
    assert isinstance(data, ModelCardData)
    return data


@every_card
def test_every_section_is_there_and_none_is_empty(name: str) -> None:
    found = sections(model_card(*CARDS[name]))
    assert set(found) >= SECTIONS
    assert all(text.strip() for text in found.values())
    assert not [title for title, text in found.items() if re.search(r"\bNone\b|\bnan\b|\[\]|\{\}", text)]


def test_the_name_of_the_model_heads_its_card() -> None:
    assert "\n# leaves: classifier, made with Photovision\n" in model_card(minimal(), name="leaves")


@every_card
def test_the_hub_can_read_the_header(name: str) -> None:
    card = model_card(*CARDS[name])
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["pipeline_tag"] == "image-classification"
    assert {"library_name", "tags", "license"} <= set(header)
    assert "datasets" not in header
    if name == "minimal":
        assert "model-index" not in header
        assert "base_model" not in header
    else:
        results = {(one.metric_type, one.metric_value) for one in hub(card).eval_results or ()}
        assert results == {("accuracy", 0.9137), ("f1", 0.9012)}
        assert {one.dataset_split for one in hub(card).eval_results or ()} == {"test"}
        assert header["base_model"] == "timm/resnet34.a1_in1k"


def test_a_licence_is_named_only_where_all_parts_share_it() -> None:
    info = full()
    assert "license_name" in model_card(info)
    info["licences"] = [{**part, "licence": "Apache-2.0"} for part in info["licences"]]
    assert hub(model_card(info)).license == "apache-2.0"
    info["licences"][0]["licence"] = "the user's"
    assert hub(model_card(info)).license == "other"


def test_a_network_that_timm_does_not_know_is_not_said_to_be_its() -> None:
    info = full()
    assert hub(model_card(info)).library_name == "timm"
    info["backbone"] = {"name": "small_resnet", "weights": "none"}
    card = hub(model_card(info))
    assert card.library_name == "photovision"
    assert card.base_model is None


def test_nothing_is_claimed_where_nothing_was_measured() -> None:
    found = sections(model_card(minimal()))
    for title in ("Metrics", "When it does not know", "Quantitative analyses"):
        assert "Not measured." in found[title].splitlines(), title
    missing = found["Not measured, not recorded"]
    for words in ("conditions in which it fails", "why it decides", "shortcuts", "how people do", "labels"):
        assert words in missing
    assert "Why it decides" not in found
    assert "Not recorded: owner, purpose, contact (`photovision card MODEL" in missing
    assert "without prediction sets and without novelty detection" in found["When it does not know"]
    assert "also for one that shows none of them" in found["Intended use"]
    assert "**Energy:** Not measured." in found["How it was made"]
    assert "%" not in "".join(found.values())
    for name in CORRUPTIONS.names():
        assert name in found["Factors"]


def test_what_the_owner_says_stands_where_it_belongs_and_is_harmless() -> None:
    said = {"owner": "Acme <b>", "purpose": "to sort leaves; a gardener checks", "contact": "leaf@example.org"}
    found = sections(model_card(full(), audit(), said))
    assert "**Owner:** Acme &lt;b>" in found["Model details"] or "**Owner:** Acme &lt;b&gt;" in found["Model details"]
    assert "a gardener checks" in found["Intended use"]
    assert "Not recorded" not in "".join(found.values())


@every_card
def test_every_number_comes_from_what_was_measured(name: str) -> None:
    info, audited = CARDS[name]
    text = re.sub(r"&#\d+;", "", model_card(info, audited).split("---\n", 2)[2])
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)  # code for other programs
    text = re.sub(r"\b(F1|95%|50%|probabilities, 0 to 2|(Mitchell|Gebru) et al\. \d+|1 is full, 0 that)", "", text)
    known = numbers(info) | numbers(audited)
    assert {number for number in re.findall(r"\d+(?:[.,]\d+)*", text) if number.rstrip(".,") not in known} == set()


def numbers(value: Any) -> set[str]:
    """All numbers of a JSON value, in the ways a card may write them."""
    if isinstance(value, dict):
        parts = [numbers(one) for pair in value.items() for one in pair]
        counts: list[int] = [n for n in value.values() if isinstance(n, int)]
        low, high = min(counts, default=0), max(counts, default=0)
        ratio = {f"{high / low:,.1f}"} if low else set()
        return {f"{len(value):,}"}.union(ratio, *parts)
    if isinstance(value, (list, tuple)):
        return {f"{len(value):,}"}.union(*map(numbers, value))
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, (int, float)):
        share = {f"{value * 100:.1f}"}
        return share | {f"{value:,}", f"{value:.3f}", f"{value:.3g}", f"{value:.2g}", f"{value:g}"}
    return set(re.findall(r"\d+(?:[.,]\d+)*", value))


def test_what_an_audit_found_stands_where_it_belongs() -> None:
    found = sections(model_card(full(), audit()))
    places = {
        "Quantitative analyses": ("75.3%", "42.4%", "A new check", "0.777", "site: cat", "It fails most for cat."),
        "In what conditions it fails": ("33.9%", "58.6%", "fog"),
        "When it does not know": ("97.8%", "94.1%", "6.1%", "95.0%", "2.0%"),
        "Beside people": ("0.612",),
        "Shortcuts": ("17.2 points",),
        "Why it decides": ("51.5%",),
        "Caveats and recommendations": ("Beware of cat.", "Mind cat.", "11 pictures belong to 5 groups"),
        "Evaluation data": ("2,003", "1,234", "other data"),
        "How it was made": ("0.48 Wh (0.24 to 1)", "by a method", "61.5"),
    }
    for title, words in places.items():
        for word in words:
            assert word in found[title], (title, word)
        if title not in ("Evaluation data", "Caveats and recommendations", "How it was made"):
            assert "Not measured." not in found[title].splitlines(), title


def test_groups_and_conditions_are_named_as_measured_or_not() -> None:
    before, after = (sections(model_card(full(), one))["Factors"] for one in (None, audit()))
    assert "not measured:** site, patient" in before
    assert "--by site,patient" in before
    assert "**Groups measured:** site\n" in after
    assert "not measured:** patient" in after
    assert "**Conditions measured:** night, fog\n" in after
    assert "rater_anna" not in before


def test_figures_that_an_audit_repeats_stand_there_once() -> None:
    info, again = full(), audit()
    again["metrics"] = {"accuracy": info["metrics"]["accuracy"], "macro_f1": metric(0.7007)}
    text = sections(model_card(info, again))["Quantitative analyses"]
    assert text.count(str(Metric.from_json(info["metrics"]["accuracy"]))) == 1
    assert "70.1%" in text
    assert "90.1%" in text


def test_single_pictures_and_patients_are_not_named() -> None:
    text = model_card(full(), audit())
    assert "secret-person" not in text
    assert "patient 7" not in text
    assert "**patient:** 40 values, 20 to 59 training pictures each." in text


def test_what_was_not_measured_is_said_at_the_top() -> None:
    before, after = (model_card(full(), one).split("## ")[0] for one in (None, audit()))
    for words in ("groups", "conditions", "explanations", "shortcuts", "people", "labels", "something else"):
        assert words in before
        assert (words in after) == (words == "labels")


def test_an_unfit_model_is_not_recommended() -> None:
    text = sections(model_card(full()))["Intended use"]
    assert "Out of scope" in text
    assert "Out of scope" not in sections(model_card(full(), audit()))["Intended use"]


def test_hostile_names_stay_text() -> None:
    text = model_card(*CARDS["hostile"])
    text.encode()
    tokens = MarkdownIt().enable("table").parse(text.split("---\n", 2)[2])
    kinds = {child.type for token in tokens for child in [token, *(token.children or [])]}
    assert kinds.isdisjoint({"html_block", "html_inline", "link_open", "image"})
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    assert len(headings) == len(set(headings))
    assert not [title for title in headings if "script" in title]
    assert "://" not in text
    assert json.loads(json.dumps(yaml.safe_load(text.split("---\n")[1])))["library_name"] == "timm"


def test_a_hostile_backbone_adds_no_key_to_the_header() -> None:
    info = full()
    info["backbone"]["name"] = 'x.y"\nlicense: mit\n---\n# owned'
    info["data"]["fingerprint"] = '"\nlicense: mit\n---'
    header = yaml.safe_load(model_card(info).split("\n---\n")[0].removeprefix("---\n"))
    assert header["license"] == "other"
    assert "base_model" not in header


def test_several_labels_are_told() -> None:
    info = {**full(), "multilabel": True, "metrics": {"map": metric(0.7373)}}
    found = sections(model_card(info))
    assert "any number of classes" in found["Model details"]
    assert "its own threshold" in found["Metrics"]
    assert "answer.labels" in found["Use"]
    results = hub(model_card(info)).eval_results or []
    assert results[0].metric_type == "mean_average_precision"


def test_the_weakest_classes_are_shown_first() -> None:
    report = audit()
    rows = [[f"class {n}", 50, metric(0.99 - n / 50)] for n in range(30)]
    report["tables"] = [{"title": "Class by class", "columns": ["class", "n", "recall"], "rows": rows}]
    text = sections(model_card(full(), report))["Quantitative analyses"]
    assert text.index("class 29") < text.index("class 28")
    assert "class 5 " not in text


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ("accuracy", ""),
        ("Class by class", ""),
        ("Most confused pairs", ""),
        ("clean accuracy", "conditions"),
        ("robust gain", "conditions"),
        ("cleaning gain", "labels"),
        ("Fair by site", "groups"),
        ("Accuracy by site", "groups"),
        ("group gap", "groups"),
        ("Raters and model", "people"),
        ("Prediction sets", "doubt"),
        ("Pictures of something else", "doubt"),
        ("wrong labels", "labels"),
    ],
)
def test_figures_and_tables_are_sorted_by_what_they_speak_of(words: str, topic: str) -> None:
    assert topic_of(words) == topic


def test_the_training_s_own_report_is_no_audit() -> None:
    report = {**audit(), "kind": "train"}
    text = model_card(full(), report)
    assert "What the training found:" in text
    assert "Audit" not in sections(text)["Evaluation data"]
