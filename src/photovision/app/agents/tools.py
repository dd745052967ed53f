"""The table of tools: what an agent may ask for, with which arguments, and what comes back. It loads no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from photovision.app.agents.answer import ToolAnswer
from photovision.app.agents.arguments import Schema, ToolArguments
from photovision.app.agents.desk import Desk
from photovision.app.agents.jobs import Report


@dataclass(frozen=True)
class AgentTool:
    """One tool.

    Attributes:
        name, title, text: as agents read them.
        arguments: that it takes.
        fields: name -> JSON schema of what it answers; nothing in it is nested deeper than a list of flat objects.
        does: "module:function" below this package, called as (desk, arguments, report).
        writes: whether it changes anything; such tools are there only where a file for it was given.
    """

    name: str
    title: str
    text: str
    arguments: ToolArguments
    fields: Mapping[str, Schema]
    does: str
    writes: bool = False

    def run(self, desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
        """Its answer; what is heavy is loaded now."""
        module, name = self.does.split(":")
        function: Callable[..., ToolAnswer] = getattr(import_module(f"photovision.app.agents.{module}"), name)
        return function(desk, arguments, report)


def _text(about: str, **more: Any) -> Schema:
    return {"type": "string", "description": about, **more}


def _number(about: str, low: int, high: int, default: int) -> Schema:
    return {"type": "integer", "description": about, "minimum": low, "maximum": high, "default": default}


_INT: Schema = {"type": "integer"}
_STRING: Schema = {"type": "string"}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_MODEL = _text("Name of a model; default: the first that fits.")
_PICTURE = _text("Id of a picture, from list_pictures, or its path below the root.")
_PICTURES: Schema = {
    "type": "array",
    "items": _STRING,
    "maxItems": 64,
    "description": "Ids from list_pictures, or paths below the root; default: all pictures.",
}
_FOLDER = _text("Only pictures in this folder below the root.")
_LIMIT = _number("Rows to return at most; fewer where they do not fit into the answer.", 1, 64, 20)
_OFFSET = _number("Rows to leave out, to see those after them.", 0, 10**6, 0)
_SHOW = _number("Pictures to show as small images, the first rows first.", 0, 4, 0)
_ROWS: Mapping[str, Schema] = {
    "rows": {"type": "array", "items": {"type": "object"}},
    "left": _INT,
    "next_offset": _INT,
}
_JOB: Mapping[str, Schema] = {"job": _STRING, "state": _STRING, "done": _INT, "total": _INT, "next": _STRING}

TOOLS = (
    AgentTool(
        "models",
        "List models",
        "The models here: what each predicts, its classes (the first few) and its leading figure.",
        ToolArguments({"offset": _OFFSET}),
        _ROWS,
        "describing:models",
    ),
    AgentTool(
        "describe",
        "Describe a model",
        "What a model knows and does not know: classes, figures on pictures that it did not learn from with 95%"
        " intervals, whether it is fit for use, its limits.",
        ToolArguments({"model": _MODEL}),
        {"model": _STRING, "task": _STRING, "classes": _STRINGS, "figures": _STRINGS, "limits": _STRINGS},
        "describing:describe",
    ),
    AgentTool(
        "list_pictures",
        "List pictures",
        "Ids of the pictures that may be seen. order 'blurred' measures how blurred each one is (0 sharp, 1 blurred)"
        " and lists the most blurred first.",
        ToolArguments(
            {
                "folder": _FOLDER,
                "order": _text("How to sort.", enum=["name", "blurred"], default="name"),
                "limit": _LIMIT,
                "offset": _OFFSET,
                "show": _SHOW,
            }
        ),
        {"pictures": _INT, "folders": _STRINGS, **_ROWS, **_JOB},
        "picturing:list_pictures",
    ),
    AgentTool(
        "classify",
        "Classify pictures",
        "What pictures show, by a classifier: counts by label over all of them, and rows with label, probability,"
        " the set of classes that cannot be ruled out, and whether the picture is unlike everything learned (unknown).",
        ToolArguments(
            {
                "model": _MODEL,
                "pictures": _PICTURES,
                "folder": _FOLDER,
                "only": _text(
                    "Which rows: all, known, unknown, or unsure (several classes possible).",
                    enum=["all", "known", "unknown", "unsure"],
                    default="all",
                ),
                "label": _text("Only rows with this label."),
                "order": _text("How to sort.", enum=["name", "least_sure", "most_sure"], default="name"),
                "limit": _LIMIT,
                "offset": _OFFSET,
                "show": _SHOW,
            }
        ),
        {
            "model": _STRING,
            "pictures": _INT,
            "unreadable": _INT,
            "unknown": _INT,
            "unsure": _INT,
            "labels": _STRINGS,
            "matching": _INT,
            **_ROWS,
            **_JOB,
        },
        "answering:classify",
    ),
    AgentTool(
        "detect",
        "Find objects, areas or defects",
        "What a detector, segmenter or anomaly detector finds: a line for each picture; with details, a row for each"
        " box, class or region.",
        ToolArguments(
            {
                "model": _MODEL,
                "pictures": _PICTURES,
                "folder": _FOLDER,
                "details": {"type": "boolean", "description": "Rows for what was found.", "default": False},
                "order": _text("How to sort lines of pictures.", enum=["name", "most_found"], default="name"),
                "limit": _LIMIT,
                "offset": _OFFSET,
                "show": _SHOW,
            }
        ),
        {"model": _STRING, "pictures": _INT, "unreadable": _INT, **_ROWS, **_JOB},
        "answering:detect",
    ),
    AgentTool(
        "find_similar",
        "Find similar pictures",
        "Pictures below the root that show the same as a picture (same file, same picture, mirrored, turned, a crop,"
        " same object), or are alike. The first call makes an index, in a job where that takes long.",
        ToolArguments({"picture": _PICTURE, "k": _number("How many.", 1, 50, 10), "show": _SHOW}, ("picture",)),
        {"picture": _STRING, **_ROWS, **_JOB},
        "picturing:find_similar",
    ),
    AgentTool(
        "audit_summary",
        "What an audit found",
        "What the last audit of a model found, or the test of its training where there was no audit: verdict, findings,"
        " warnings.",
        ToolArguments({"model": _MODEL}),
        {"model": _STRING, "kind": _STRING, "verdict": _STRING, "findings": _STRINGS, "warnings": _STRINGS},
        "describing:audit_summary",
    ),
    AgentTool(
        "job",
        "Ask for a job",
        "The answer of work that took longer than a call may, or how far it is.",
        ToolArguments({"id": _text("Of the job, such as job3.")}, ("id",)),
        dict(_JOB),
        "describing:job",
    ),
    AgentTool(
        "suggest_label",
        "Suggest a label",
        "Adds your opinion on a picture to a table, as one rater's. No data set or model is changed by it.",
        ToolArguments({"picture": _PICTURE, "label": _text("A class of a classifier here.")}, ("picture", "label")),
        {"picture": _STRING, "label": _STRING, "column": _STRING},
        "picturing:suggest_label",
        writes=True,
    ),
)


def tools_of(desk: Desk) -> dict[str, AgentTool]:
    """Name -> tool, of those that a server has: what writes is there only where a file for it was given."""
    return {tool.name: tool for tool in TOOLS if not tool.writes or desk.suggestions is not None}
