"""The flags that only some tasks have, generated from the rows of the tasks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from photovision.core.task import tasks


def has_own_options(verb: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: the command with a flag for each option of single tasks in place of its parameter `own`.

    The command gets those that were given as one mapping. Typer asks a function's signature for its flags, so the
    signature is what is changed.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        flags = _flags(verb)
        hints = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name != "own":
                parameters.append(parameter.replace(annotation=hints[parameter.name]))
                continue
            for name, flag in flags.items():
                parameters.append(inspect.Parameter(name, parameter.kind, default=None, annotation=flag))

        @functools.wraps(command)
        def with_own(*arguments: Any, **values: Any) -> None:
            given = {name: value for name in flags if (value := values.pop(name, None)) is not None}
            command(*arguments, **values, own=given)

        with_own.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_own.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_own

    return decorate


def _flags(verb: str) -> dict[str, Any]:
    """Name -> annotation of a parameter."""
    flags: dict[str, Any] = {}
    for row in tasks():
        for option in row.own.get(verb, ()):
            text = f"{option.text} Only {row.text.plural}."
            flags.setdefault(option.name, Annotated[option.kind | None, typer.Option(help=text)])
    return flags
