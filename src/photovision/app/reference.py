"""Reference: docs/cli.md, written from the commands themselves. Run it with `make docs`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import typer

from photovision.core.files import write_text


def reference() -> str:
    """The page on the command line, as Markdown."""
    from photovision.app.cli.commands import app

    lines = [
        "<!-- page not run: its examples stand for any pictures and models; commands and flags are checked -->",
        "# The command line",
        "",
        "Written by `make docs` from the commands themselves. Results go to standard output, everything else to",
        "standard error. Exit codes: 0 done; 2 something that you can mend, stated in one line; 130 interrupted.",
        "",
        "Every command takes `-h`, `--quiet` (only results and mistakes) and `--verbose` (every remark on the data,",
        "and where a mistake was noticed). `photovision --install-completion` lets the shell complete them.",
        "",
    ]
    for name, command in _commands("photovision", typer.main.get_command(app)):
        lines += _section(name, command)
    return "\n".join(lines)


def _commands(name: str, command: Any) -> list[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        return [(name, command)]
    return [pair for child, part in below.items() for pair in _commands(f"{name} {child}", part)]


def _section(name: str, command: Any) -> list[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]
    usage = " ".join([name, *(_shown(p) for p in arguments), *(["[OPTIONS]"] if options else [])])
    told = [(_shown(p), p.help) for p in arguments] + [(", ".join(_flags(p)), _told(p)) for p in options]
    entries = [f"- `{left}`: {right}" for left, right in told]
    examples = [f"photovision {line}" for line in command.epilog.splitlines()]
    shown = ["Example:" if len(examples) == 1 else "Examples:", "", *_block("bash", examples)]
    return [f"## {name}", "", inspect.cleandoc(command.help), "", *_block("text", [usage]), *entries, "", *shown]


def _block(language: str, lines: list[str]) -> list[str]:
    return [f"```{language}", *lines, "```", ""]


def _shown(argument: Any) -> str:
    return str(argument.metavar)


def _flags(option: Any) -> list[str]:
    short_first = sorted(option.opts, key=len)
    return [*short_first, *option.secondary_opts]


def _told(option: Any) -> str:
    default = option.default
    if option.required:
        return f"{option.help} Required."
    return option.help if default is None or isinstance(default, bool) else f"{option.help} Default: {default}."


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), reference())
