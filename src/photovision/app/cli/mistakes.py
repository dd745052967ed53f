"""What was probably meant by a command that cannot be run: options that do not exist, arguments in the wrong order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from photovision.core.errors import UsageError
from photovision.core.suggest import did_you_mean

MODEL = "MODEL"
"""How the metavar of an argument starts that wants a model."""
DATA = ("DATA", "FILE", "PICTURE", "SOURCE")
"""How those start that want pictures."""


def usage_message(error: Any) -> str:
    """The line about a command that the parser refused.

    Args:
        error: typer's, with the context that it arose in.
    """
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "photovision"
    help_at = f"; {path} -h lists what there is"
    if (option := getattr(error, "option_name", None)) is None or not hasattr(error, "possibilities"):
        return f"{error.format_message().rstrip('.')}{'' if error.format_message().endswith('?') else help_at}"
    known = [flag for parameter in context.command.params for flag in parameter.opts] if context is not None else []
    return f"{path} has no option {option}{did_you_mean(option, known, help_at)}"


def check_order(command: Any, given: Mapping[str, Any]) -> None:
    """Raise UsageError where a model and data stand in each other's place, or a model where data is wanted.

    Args:
        command: with its parameters.
        given: their values by their names.
    """
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    models = _values(arguments, given, (MODEL,))
    others = _values(arguments, given, DATA)
    found = next((value for value in others if _is_model(value)), None)
    if found is None:
        return
    wrong = next((value for value in models if Path(value).exists() and not _is_model(value)), None)
    if wrong is not None:
        raise UsageError(f"the model comes first: {found} is one and {wrong} is not; give them the other way round")
    if not models and not any(MODEL in one.metavar for one in arguments):
        raise UsageError(f"{found} is a model, but {command.name} wants pictures: photovision info {found} shows it")


def _values(arguments: list[Any], given: Mapping[str, Any], wanted: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for argument in arguments:
        value = given.get(argument.name)
        if value is not None and argument.metavar.lstrip("[").startswith(wanted):
            found += map(str, value) if isinstance(value, list | tuple) else [str(value)]
    return found


def _is_model(path: str) -> bool:
    return (Path(path) / "bundle.json").is_file()
