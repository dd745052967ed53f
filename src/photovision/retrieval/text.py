"""Text: what an index holds and what a search found, in words and for programs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from photovision.core.phrases import count
from photovision.core.text import aligned
from photovision.retrieval.duplicates import DuplicateGroup
from photovision.retrieval.engine import EXACT
from photovision.retrieval.index import Index, SearchResult
from photovision.retrieval.verdicts import COPIES, IN_WORDS, SAME_OBJECT
from photovision.trust.metrics.statistics import proportion

NOT_MEASURED = "not measured; 'photovision index' measures them"
_REASONS = 5  # of files that were left out, in words


def facts(opened: Index) -> dict[str, Any]:
    """What `photovision info INDEX --json` prints."""
    store, known = opened.store, opened.description
    return {
        "index": str(opened.path),
        "folder": known["folder"],
        "made": known.get("made"),
        "model": known["model"],
        "pictures": len(opened),
        "left_out": [{"file": file, "reason": why} for file, (_, _, why) in store.left_out().items()],
        "last": store.fact("last"),
        "limits": store.fact("limits"),
        "rates": store.fact("rates"),
        "recall": store.fact("recall"),
        "bytes": sum(file.stat().st_size for file in Path(opened.path).iterdir() if file.is_file()),
    }


def counts(opened: Index) -> str:
    """What happened to the files of the folder, in a sentence whose counts add up."""
    last = opened.store.fact("last") or {}
    names = ("new", "changed", "moved", "gone")
    parts = ", ".join(f"{last[name]:,} {name}" for name in names if last.get(name))
    left = len(opened.store.left_out())
    seen = count(last.get("seen", 0), "picture file")
    return f"{seen}: {len(opened):,} indexed{f' ({parts})' if parts else ''}, {left:,} left out"


def left_out(opened: Index) -> list[str]:
    """A line for each of the first few files that were left out."""
    found = [f"{file}: {why}" for file, (_, _, why) in opened.store.left_out().items()]
    more = len(found) - _REASONS
    return found[:_REASONS] + (
        [f"and {count(more, 'more file')}: see 'photovision info {opened.path}'"] if more > 0 else []
    )


def info_rows(opened: Index, known: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What `photovision info INDEX` prints of `facts`."""
    model, left = known["model"], known["left_out"]
    measured = (known["recall"] or {}).items()
    recall = ", ".join(f"{value:.1%} ({space})" for space, value in measured) or "measured by the first search"
    return [
        ("pictures", f"{known['pictures']:,} of {known['folder']}"),
        ("left out", f"{len(left):,}"),
        *(("", f"{one['file']}: {one['reason']}") for one in left),
        ("features", f"{model['name']}, weights {model['weights'][:16]}, preprocessing {model['preprocess']['hash']}"),
        ("size", f"{known['bytes'] / 1e6:.1f} MB"),
        ("search", "exact" if known["pictures"] < EXACT else f"approximate, recall@10 of an exact search: {recall}"),
        *(verdict_rows(known["rates"], known["limits"]) or [("verdicts", NOT_MEASURED)]),
    ]


def verdict_rows(rates: Mapping[str, Any] | None, limits: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Verdicts, and how often each is missing or wrong."""
    rows = []
    for verdict in (*COPIES[1:], SAME_OBJECT):
        if rates is None:
            break
        missed, wrong = rates["missed"].get(verdict), rates["wrong"][verdict]
        if verdict == SAME_OBJECT and limits and limits["same_object"] is None:
            rows.append((IN_WORDS[verdict], "never given: there are too few pictures to tell"))
            continue
        parts = [f"missed in {_rate(missed)} edits"] if missed and missed[1] else []
        rows.append((IN_WORDS[verdict], ", ".join([*parts, f"wrong beside {_rate(wrong)} pictures"])))
    if limits and limits["n"]:
        promise = f"false alarms at most {limits['false_alarms']:.1%} (a quantile over {limits['n']:,} pictures)"
        rows.append(("nothing like it", promise))
    return rows


def edit_rows(rates: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """How often a picture was found first, and its verdict was right, after every edit."""
    rows = [("edit", "found first", "right verdict")]
    for name, one in rates["edits"].items():
        if one.get("n"):
            rows.append((name, _rate([one.get("first", 0), one["n"]]), _rate([one.get("right", 0), one["n"]])))
    return rows


def _rate(counted: list[int]) -> str:
    k, n = counted
    found = proportion(k, n)
    return f"{k} of {n} ({found.low:.1%} to {found.high:.1%})" if n else "0 of 0"


def result_lines(found: SearchResult) -> list[str]:
    """What a search found, a line each."""
    if not found.results:
        return [f"{found.query}: nothing like it"]
    rows = [(IN_WORDS[one.verdict], f"{one.score:.2f}", _short(one.file)) for one in found.results]
    return [found.query, *(f"  {line}" for line in aligned(rows))]


def _short(file: str) -> str:
    """A path from the current folder, where it lies below."""
    here = Path.cwd()
    return os.path.relpath(file) if here in Path(file).parents else file


def duplicate_lines(groups: Sequence[DuplicateGroup]) -> list[str]:
    """Duplicates below the picture that is kept, and how many there are."""
    lines = []
    for group in groups:
        lines.append(_short(group.kept))
        lines += [
            f"  {line}" for line in aligned([(IN_WORDS[one.verdict], _short(one.file)) for one in group.duplicates])
        ]
    found = Counter(one.verdict for group in groups for one in group.duplicates)
    parts = ", ".join(f"{found[verdict]:,} {IN_WORDS[verdict]}" for verdict in COPIES if found[verdict])
    total = sum(found.values())
    return [
        *lines,
        f"{count(total, 'duplicate')} of {count(len(groups), 'picture')}: {parts}" if total else "no duplicates",
    ]
