"""What bundle.json may hold: every value that anything reads of it has its kind here, checked once, when it is opened.

A bundle may come from a stranger, and one odd value in it must not end a command, a page or a service with anything but
one line. What is not named here is passed on unread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from photovision.core.errors import ModelError

_LARGEST, _LONGEST = 1e15, 100_000
Schema = Any
"""A `FieldType`; a list of one schema, for lists of any length; or a mapping from names to schemas, where names that
end in "?" may be missing or null, and "*" stands for every other name."""


@dataclass(frozen=True)
class FieldType:
    """A kind of plain value.

    Attributes:
        name: as messages call it.
        allows: whether a value is of this kind.
    """

    name: str
    allows: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    fitting = isinstance(value, int | float) and not isinstance(value, bool)
    return fitting and math.isfinite(value) and abs(value) <= _LARGEST


NUMBER = FieldType("a number", _is_number)
SHARE = FieldType("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
POSITIVE = FieldType("a number above 0", lambda value: _is_number(value) and value > 0)
WHOLE = FieldType("a whole number from 0 on", lambda value: isinstance(value, int) and _is_number(value) and value >= 0)
WIDTH = FieldType("a multiple of 8 up to 1,024", lambda value: value in range(8, 1025, 8))
TEXT = FieldType("a text", lambda value: isinstance(value, str) and len(value) <= _LONGEST)
TRUTH = FieldType("true or false", lambda value: isinstance(value, bool))
OBJECT = FieldType("an object", lambda value: isinstance(value, dict))
PRECISION = FieldType("f32 or bf16", lambda value: value in ("f32", "bf16"))

METRIC = {"value": NUMBER, "low?": NUMBER, "high?": NUMBER, "n?": NUMBER, "unit?": TEXT, "title?": TEXT, "hint?": TEXT}
LICENCE = {"part": TEXT, "name": TEXT, "licence": TEXT, "commercial?": TRUTH, "note?": TEXT}
RUNG = {
    "name": TEXT,
    "val": METRIC,
    "test?": METRIC,
    "seconds": NUMBER,
    "params": NUMBER,
    "note": TEXT,
    "megabytes?": NUMBER,
    "ms_per_picture?": NUMBER,
    "macs?": NUMBER,
    "curve?": [{"*": NUMBER}],
    "plan?": OBJECT,
}
TRAINING = {
    "seconds?": NUMBER,
    "seed?": WHOLE,
    "minutes?": POSITIVE,
    "size?": WHOLE,
    "epochs?": WHOLE,
    "flip?": TEXT,
    "track?": [TEXT],
    "robust?": [TEXT],
    "decisions?": OBJECT,
    "backbone?": TEXT,
    "weights?": TEXT,
    "fair_by?": TEXT,
    "task?": TEXT,
    "own?": OBJECT,
    "commercial?": TRUTH,
    "allow_download?": TRUTH,
}
DATA = {
    "fingerprint?": TEXT,
    "source?": TEXT,
    "counts?": {"*": WHOLE},
    "train_per_class?": {"*": WHOLE},
    "groups?": {"*": {"*": WHOLE}},
    "notes?": [TEXT],
    "problems?": [{"id": TEXT, "kind": TEXT, "message?": TEXT}],
    "quarantined?": WHOLE,
    "published_split?": TRUTH,
}
BIN = {"start": NUMBER, "end": NUMBER, "n": WHOLE, "value": SHARE, "low": SHARE, "high": SHARE, "median": NUMBER}
SIMILARITY = {
    "version": WHOLE,
    "missing?": TEXT,
    "score?": TEXT,
    "n?": WHOLE,
    "changed?": WHOLE,
    "usual?": NUMBER,
    "coefficients?": [NUMBER],
    "resampled?": [[NUMBER]],
    "curve?": [BIN],
    "reliability?": {"error": SHARE, "spread": NUMBER, "folds": WHOLE},
}
GATE = {"rest": NUMBER, "distance": [NUMBER], "energy": [NUMBER], "similarity?": [NUMBER], "scores": [NUMBER]}
DOUBT = {
    "coverage?": SHARE,
    "false_alarms?": SHARE,
    "set_scores?": [[NUMBER]],
    "set_similarity?": [[NUMBER]],
    "gate?": GATE,
}
BUNDLE: Mapping[str, Schema] = {
    "classes": [TEXT],
    "multilabel?": TRUTH,
    "learned_val?": TRUTH,
    "temperature?": POSITIVE,
    "thresholds?": [SHARE],
    "iou?": SHARE,
    "instances?": TRUTH,
    "tile?": [WHOLE],
    "least_area?": WHOLE,
    "decoder?": {"width": WIDTH, "finest": WHOLE},
    "preprocess": {"size": [WHOLE], "crop?": NUMBER, "mean?": [NUMBER], "std?": [NUMBER], "hash": TEXT},
    "backbone?": {
        "name?": TEXT,
        "weights?": TEXT,
        "params?": NUMBER,
        "macs?": NUMBER,
        "args?": OBJECT,
        "cosine?": WHOLE,
    },
    "chosen?": TEXT,
    "rungs?": [RUNG],
    "training": TRAINING,
    "data?": DATA,
    "parity?": {
        "precision?": PRECISION,
        "pictures?": NUMBER,
        "agreement?": NUMBER,
        "tolerance?": NUMBER,
        "measured?": TEXT,
    },
    "licences": [LICENCE],
    "provenance?": {"time?": TEXT, "cpu?": TEXT, "cores?": NUMBER, "versions?": {"photovision": TEXT, "*": TEXT}},
    "metrics?": {"*": METRIC},
    "energy?": {"watt_hours": NUMBER, "method": TEXT, "low?": NUMBER, "high?": NUMBER},
    "warnings?": [TEXT],
    "doubt?": DOUBT,
    "accuracy_by_similarity?": SIMILARITY,
    "calibration?": {"slope": [NUMBER], "shift": [NUMBER]},
    "optimized?": {"methods?": [TEXT], "stages?": [{"name": TEXT}]},
    "variants?": {"*": OBJECT},
    "class_mix?": [SHARE],
    "generation?": {"guidance": NUMBER, "width": WHOLE, "features": TEXT},
    "adoption?": {
        "name": TEXT,
        "layout": TEXT,
        "channels": TEXT,
        "preparation": TEXT,
        "pictures": WHOLE,
        "calibrated": TRUTH,
    },
    "adapted?": {"steps?": [TEXT], "pictures?": WHOLE, "data?": TEXT, "metrics?": {"*": METRIC}},
}


def check_info(info: Mapping[str, Any], where: object) -> None:
    """Raise ModelError, in one line, for the first value of bundle.json that is not of its kind.

    Example:
        >>> check_info({"classes": ["a", 3]}, "model")
        Traceback (most recent call last):
        photovision.core.errors.ModelError: model: bundle.json should have a text as classes[1], got 3; ...
    """
    wrong = _wrong(info, BUNDLE, "")
    if wrong:
        place, expected, got = wrong
        raise ModelError(
            f"{where}: bundle.json should have {expected} as {place[:200]}, got {got}; copy the model again or train it"
            " again"
        )


def _wrong(value: Any, schema: Schema, place: str) -> tuple[str, str, str] | None:
    """Where the first odd value is, what is expected there, and what is there; None where all is well."""
    if isinstance(schema, FieldType):
        return None if schema.allows(value) else (place, schema.name, _short(value))
    if isinstance(schema, list):
        if not isinstance(value, list):
            return place, "a list", _short(value)
        found = (_wrong(entry, schema[0], f"{place}[{number}]") for number, entry in enumerate(value))
        return next((wrong for wrong in found if wrong), None)
    if not isinstance(value, dict):
        return place, "an object", _short(value)
    for name, inner in schema.items():
        key = name.removesuffix("?")
        if name == "*" or (name != key and value.get(key) is None):
            continue
        if key not in value:
            return f"{place}.{key}".lstrip("."), "a value", "nothing"
        if wrong := _wrong(value[key], inner, f"{place}.{key}".lstrip(".")):
            return wrong
    if "*" in schema:
        for key, entry in value.items():
            named = key in schema or f"{key}?" in schema
            if not named and (wrong := _wrong(entry, schema["*"], f"{place}.{key}")):
                return wrong
    return None


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    shown = repr(value) if not isinstance(value, int) or abs(value) < _LARGEST else "a huge number"
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
