"""Arguments of a tool: their JSON schema, and whether what an agent gave fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.suggest import did_you_mean

Schema = Mapping[str, Any]
MAX_TEXT = 1024
"""Letters of one text."""
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
}


@dataclass(frozen=True)
class ToolArguments:
    """What a tool takes.

    Attributes:
        properties: name -> JSON schema, of type "string", "integer", "number", "boolean" or an "array" of strings.
        required: names of those that have to be given.
    """

    properties: Mapping[str, Schema] = field(default_factory=dict)
    required: Sequence[str] = ()


def checked(arguments: ToolArguments, given: Any) -> dict[str, Any]:
    """What was given, with defaults for the rest; raises UsageError with which one, what is allowed and what to do.

    Example:
        >>> checked(ToolArguments({"top": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3}}), {})
        {'top': 3}
    """
    if not isinstance(given, dict):
        raise UsageError("arguments should be an object: give {} for none")
    known = arguments.properties
    for name in given:
        if name not in known:
            near = did_you_mean(name[:80], known)
            raise UsageError(f"no argument is called '{name[:80]}'{near}; this tool takes {', '.join(known) or 'none'}")
    for name in arguments.required:
        if name not in given:
            raise UsageError(f"'{name}' is missing: {known[name].get('description', 'give it')}")
    for name, value in given.items():
        _check(name, known[name], value)
    plain = {name: schema["default"] for name, schema in known.items() if "default" in schema}
    return plain | given


def _check(name: str, schema: Schema, value: Any) -> None:
    kind = schema["type"]
    fits = isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not fits:
        raise UsageError(f"'{name}' should be of type {kind}, got {type(value).__name__}")
    if kind == "array":
        most = schema.get("maxItems", MAX_TEXT)
        if not 1 <= len(value) <= most:
            raise UsageError(f"'{name}' should have 1 to {most} items, got {len(value)}")
        for item in value:
            _check(name, schema["items"], item)
    if kind == "string" and len(value) > MAX_TEXT:
        raise UsageError(f"'{name}' should have at most {MAX_TEXT} letters, got {len(value)}")
    if "enum" in schema and value not in schema["enum"]:
        near = did_you_mean(str(value)[:80], schema["enum"])
        raise UsageError(f"'{name}' should be one of {', '.join(schema['enum'])}{near}")
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
        if not low <= value <= high:  # NaN, too
            raise UsageError(f"'{name}' should be {low} to {high}, got {value}")
