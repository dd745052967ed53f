"""Options: what a request may ask for beside its images, as the rows of all tasks that are served declare it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.task import Task, tasks
from photovision.service.http_error import Refusal


def served_tasks() -> list[Task]:
    """The rows of the tasks that a service answers for."""
    return [row for row in tasks() if row.has("wire")]


def _described() -> dict[str, tuple[str, Mapping[str, Any]]]:
    meanings: dict[str, list[str]] = {}
    schemas: dict[str, list[Mapping[str, Any]]] = {}
    for row in served_tasks():
        for option in row.predict_options:
            meanings.setdefault(option.name, []).append(f"{row.text.plural.capitalize()}: {option.text}")
            known = schemas.setdefault(option.name, [])
            known += [] if option.schema in known else [option.schema]
    return {
        name: (" ".join(meaning), schemas[name][0] if len(schemas[name]) == 1 else {"anyOf": schemas[name]})
        for name, meaning in meanings.items()
    }


OPTIONS = _described()
"""Name -> (meaning, JSON schema), of all tasks that are served."""


def parsed(row: Task, options: Mapping[str, str]) -> dict[str, Any]:
    """The values of a request's options; raises Refusal (422) for one that the task lacks or that is out of range."""
    try:
        row.check_options("request", options)
        return {one.name: one.parse(options[one.name]) for one in row.predict_options if one.name in options}
    except UsageError as error:
        raise Refusal(422, str(error), "parameter") from None
