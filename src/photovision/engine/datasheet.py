"""The data sheet: what is known of the pictures of a training, and what only their owner can say.

The sections and questions are those of Datasheets for Datasets (Gebru et al. 2021). What was measured is answered;
every other question stands there with "Not recorded.", for the owner to answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from photovision.core.markdown import MAX_ROWS, bullets, facts, harmless, table
from photovision.engine.card_text import LEARNED_VAL, card_text_of
from photovision.trust.labels.annotators import is_rater

OPEN = "Not recorded."
MOST_VALUES = 20
"""Values of an attribute that are listed; of more (patients, file numbers) only the number is stated."""

PERSONS = (
    "Whether the pictures show people, whether these agreed, and whether their faces or names can be recognised:"
    " not recorded. Photovision does not look for faces or for patients."
)
_WHAT = {
    "unreadable": "cannot be decoded",
    "missing": "named by the table, but not there",
    "unlabelled": "without a label",
    "by hand": "left out by a person, in photovision-labels.csv",
    "repeated": "named more than once by the table; the first row counts",
    "outside": "named by the table, but outside its folder, and not opened",
}


def datasheet(info: Mapping[str, Any]) -> str:
    """Markdown for DATASHEET.md, from the contents of bundle.json; every number in it comes from there."""
    data = info.get("data") or {}
    sections = {
        "Motivation": _open("For what purpose was the data made?", "Who made it, for whom, and who paid for it?"),
        "Composition": _composition(info, data),
        "Collection": _open(
            "How and when were the pictures taken or found, with which devices?",
            "Were they sampled from more pictures, and how?",
            "Were the people shown asked, and can they withdraw?",
            "Did an ethical review take place?",
        ),
        "Preprocessing, cleaning and labelling": _preparation(info, data),
        "Uses": _uses(info),
        "Distribution": _open("Is the data passed on, to whom, how, and under which licence?"),
        "Maintenance": _open("Who looks after the data, and how are errors reported and corrected?"),
    }
    whose = (
        "that the model in this folder was adopted with" if "adoption" in info else "behind the model in this folder"
    )
    lines = ["# Data sheet", "", f"Of the pictures {whose}, as of {_made(info)}.", ""]
    for title, body in sections.items():
        lines += [f"## {title}", "", *body]
    source = "Datasheets for Datasets (Gebru et al. 2021)"
    return "\n".join([*lines, f"The sections are those of {source}; Photovision filled in what it measured.", ""])


def recorded(info: Mapping[str, Any]) -> dict[str, Mapping[str, int]]:
    """Attribute -> value -> number of training pictures, without the columns that hold raters' labels."""
    groups = (info.get("data") or {}).get("groups") or {}
    return {name: counts for name, counts in groups.items() if not is_rater(name) and counts}


def told_of_classes(data: Mapping[str, Any], most: int = MAX_ROWS) -> list[str]:
    """Training pictures of each class, the rarest first, and how uneven they are; none where it was not counted."""
    counts: Mapping[str, int] = data.get("train_per_class") or {}
    if not counts:
        return []
    rows = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    few, many = rows[0][1], rows[-1][1]
    if few == many:
        return [f"Each of the {len(rows):,} classes has {many:,} training pictures.", ""]
    ratio = f", {many / few:,.1f} times as many" if few else ""
    text = f"The rarest class has {few:,} training pictures, the most frequent {many:,}{ratio}."
    return [text, "", *table(("class, the rarest first", "training pictures"), rows, most)]


def representation(info: Mapping[str, Any]) -> list[str]:
    """How many training pictures each group has; of attributes with very many values only how many they are."""
    lines: list[str] = []
    for name, counts in recorded(info).items():
        if len(counts) > MOST_VALUES:
            spread = f"{min(counts.values()):,} to {max(counts.values()):,} training pictures each"
            lines += [f"**{harmless(name)}:** {len(counts):,} values, {spread}.", ""]
        else:
            rows = [(value or "(unknown)", n) for value, n in counts.items()]
            lines += table((name, "training pictures"), rows)
    return lines


def kinds(data: Mapping[str, Any]) -> list[str]:
    """How many files were left out, by what was wrong with them."""
    problems, count = data.get("problems") or (), data.get("quarantined")
    if not problems:
        return ["No file had to be left out.", ""] if count == 0 else []
    found = Counter(str(problem["kind"]) for problem in problems)
    rows = [(kind, _WHAT.get(kind, ""), n) for kind, n in found.most_common()]
    first = f" (of the first {len(problems):,})" if count and count > len(problems) else ""
    return [
        f"Files left out: {count if count else len(problems):,}.",
        "",
        *table(("problem", "what it is", f"files{first}"), rows),
    ]


def _composition(info: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    counts, notes = data.get("counts") or {}, data.get("notes") or ()
    several = card_text_of(info).instance
    names = ("train", "training"), ("reference", "reference"), ("val", "validation"), ("test", "test")
    splits = ", ".join(f"{words} {counts[name]:,}" for name, words in names if name in counts)
    published = data.get("published_split")
    attributes = recorded(info)
    return [
        *facts(
            {
                "What an instance is": f"a picture, with {several}",
                "Classes": len(info["classes"]),
                "Pictures": sum(counts.values()) if counts else OPEN,
                "Splits": splits or OPEN,
                "Where the test split comes from": {True: "published with the data", False: "drawn here"}.get(published)
                if isinstance(published, bool)
                else OPEN,
                "Fingerprint": data.get("fingerprint") or OPEN,
                "Format": data.get("source") or OPEN,
                "Attributes": ", ".join(attributes) or "none came with the pictures",
            }
        ),
        *told_of_classes(data),
        *representation(info),
        *(["How the splits came about, and pictures that belong together:", "", *bullets(notes)] if notes else []),
        *([LEARNED_VAL, ""] if info.get("learned_val") else []),
        *kinds(data),
        *bullets([PERSONS]),
        *_open("Is anything missing from the pictures or their labels?", "Is anything in them confidential?"),
    ]


def _preparation(info: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    preprocess = info.get("preprocess") or {}
    size = preprocess.get("size")
    raters = [name for name in data.get("groups") or {} if is_rater(name)]
    return [
        *facts(
            {
                "What the network sees": f"{size[0]} x {size[1]} pixels (height x width), fit:"
                f" {preprocess.get('fit')}, interpolation: {preprocess.get('interpolation')}"
                if size
                else OPEN,
                "Preprocessing": f"hash {preprocess['hash']}" if preprocess.get("hash") else None,
                "Raters": ", ".join(raters) or "no column named any",
            }
        ),
        "The files themselves were not changed. What could not be read or had no label was left out, as stated above.",
        "",
        *_open("Who labelled the pictures, by which rules?", "Were they changed before, and are the originals kept?"),
    ]


def _uses(info: Mapping[str, Any]) -> list[str]:
    noun, classes = card_text_of(info).noun, len(info["classes"])
    return [
        f"Used here to train and judge a {noun} of {classes:,} classes; README.md tells how it does.",
        "",
        *_open("What else has the data been used for?", "What should it not be used for?"),
    ]


def _open(*questions: str) -> list[str]:
    return [*(f"- {question} {OPEN}" for question in questions), ""]


def _made(info: Mapping[str, Any]) -> str:
    return harmless(str((info.get("provenance") or {}).get("time") or "a day that is not recorded"))
