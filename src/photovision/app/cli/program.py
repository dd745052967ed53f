"""How commands show themselves: groups of verbs, an example each, -h, --quiet and --verbose everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from photovision.app.cli.mistakes import check_order
from photovision.app.cli.next_steps import say_next
from photovision.app.verbosity import Verbosity, set_verbosity


class Commands(typer.Typer):
    """A table of commands.

    Args:
        completion: whether it offers --install-completion, as the whole program does.
    """

    def __init__(self, *, completion: bool = False) -> None:
        super().__init__(
            cls=GroupedCommands,
            rich_markup_mode=None,
            add_completion=completion,
            pretty_exceptions_enable=False,
            no_args_is_help=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    def add(self, command: Callable[..., Any], example: str, *, group: str = "", name: str | None = None) -> None:
        """Add a command.

        Args:
            command: its parameters are its flags.
            example: what a person could type, without "photovision"; several are on lines of their own.
            group: what a person is doing who uses it; `--help` shows the commands of a group together.
            name: what it is called; the function's name if None.
        """
        self.command(name, cls=Verb, epilog=example, rich_help_panel=group or None)(command)

    def add_commands(self, commands: Commands, name: str, *, group: str, text: str) -> None:
        """Add a command that has commands of its own."""
        self.add_typer(commands, name=name, help=text, rich_help_panel=group)


class Verb(TyperCommand):
    """One command: its arguments are in the right order, its help ends in an example, its end in what to do next."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, then say what could be done next."""
        check_order(self, ctx.params)
        result = super().invoke(ctx)
        say_next(ctx.command_path.split()[1:], ctx.params, result)
        return result

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, as they would be typed."""
        if self.epilog:
            lines = self.epilog.splitlines()
            with formatter.section("Example" if len(lines) == 1 else "Examples"):
                for line in lines:
                    formatter.write(f"{'':{formatter.current_indent}}photovision {line}\n")


class GroupedCommands(TyperGroup):
    """Several commands, which its help shows in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A list of commands for each group, in the order of the table."""
        groups: dict[str, list[tuple[str, Any]]] = {}
        for name, command in self.commands.items():
            groups.setdefault(getattr(command, "rich_help_panel", None) or "Commands", []).append((name, command))
        widest = max(len(name) for name in self.commands)
        for title, members in groups.items():
            with formatter.section(title):
                limit = formatter.width - 6 - widest
                rows = [(name.ljust(widest), command.get_short_help_str(limit)) for name, command in members]
                formatter.write_dl(rows)


def with_verbosity(command: Any) -> None:
    """Let a command and all below it take --quiet and --verbose, before and after the name of the verb."""
    for below in getattr(command, "commands", {}).values():
        with_verbosity(below)
    command.params += [
        _flag("--quiet", "-q", Verbosity.QUIET, "Only results and mistakes: no progress, no remarks."),
        _flag("--verbose", "-v", Verbosity.VERBOSE, "Also every remark on the data, and where a mistake was noticed."),
    ]


def _flag(long: str, short: str, level: Verbosity, text: str) -> TyperOption:
    def chosen(context: Any, parameter: Any, value: bool) -> None:
        if value:
            set_verbosity(level)

    return TyperOption(
        param_decls=[long, short], is_flag=True, default=False, expose_value=False, callback=chosen, help=text
    )
