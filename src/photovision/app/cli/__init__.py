"""The command line: one file a command, each a typed function; its flags are the function's parameters.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 a change was found and
--fail-on-drift was given, 2 the user can mend it (one line says how), 130 interrupted, 143 and 129 ended by the system.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, NoReturn

from photovision.app.cli.signals import Ended, Signals, handled, leave
from photovision.app.verbosity import Verbosity, own_verbosity, verbosity
from photovision.core.text import guarded

MISTAKE, PIPE_CLOSED = 2, 141


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code.

    Args:
        arguments: without the program's name; those of the process if None.
    """
    _open_closed_streams()
    given = sys.argv[1:] if arguments is None else arguments
    with _handled(given) as signals:
        code = _run(given, signals)
        if signals.first is not None and code == signals.code:
            leave(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; mistakes become one line on standard error."""
    with _handled(arguments) as signals, own_verbosity():
        return _run(arguments, signals)


def _handled(arguments: Sequence[str]) -> AbstractContextManager[Signals]:
    return handled("; the same command resumes" if "train" in arguments[:1] else "")


def _run(arguments: Sequence[str], signals: Signals) -> int:
    import typer

    from photovision.app.cli.mistakes import usage_message
    from photovision.core.errors import PhotovisionError
    from photovision.core.files import in_words

    usage_error: Any = typer.BadParameter.__base__  # typer exports no other name for it
    _accept_odd_names()
    try:
        program = _program()
        program._main_shell_completion({}, "photovision")  # a shell asks for completions by a variable
        with program.make_context("photovision", list(arguments)) as context:
            context.command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as end:
        return end.exit_code
    except PhotovisionError as error:
        return _mistake(str(error))
    except ModuleNotFoundError as error:
        return _lacking(error, arguments[0])
    except usage_error as error:
        return _mistake(usage_message(error))
    except (KeyboardInterrupt, Ended, typer.Abort):
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(signals.line, file=sys.stderr, flush=True)
        return signals.code
    except BrokenPipeError:  # the reader, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        return PIPE_CLOSED
    except OSError as error:
        if error.errno is None:
            raise
        return _mistake(in_words(error, None))
    return signals.code if signals.first not in (None, signal.SIGINT) else 0


@cache
def _program() -> Any:
    """The table of commands as one that can be run; made once, for its hundreds of flags take time to make."""
    import typer

    from photovision.app.cli.commands import app
    from photovision.app.cli.program import with_verbosity

    program: Any = typer.main.get_command(app)
    _want_finite(program)
    with_verbosity(program)
    return program


def _lacking(error: ModuleNotFoundError, command: str) -> int:
    """Say what an installation for servers lacks, which trainings need; raises the error of a module of our own."""
    from photovision.core.errors import MissingExtra

    if error.name is None or error.name.startswith("photovision"):
        raise error
    return _mistake(str(MissingExtra(error.name, f"'photovision {command}'")))


def _want_finite(command: Any) -> None:
    """Let every option that takes a number refuse "nan" and "inf", which no range of numbers keeps out."""
    for below in getattr(command, "commands", {}).values():
        _want_finite(below)
    for parameter in command.params:
        if "float" in parameter.type.name and parameter.callback is None:
            parameter.callback = _finite


def _finite(context: Any, parameter: Any, value: Any) -> Any:
    import math

    import typer

    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"should be a number, got {value}", ctx=context, param=parameter)
    return value


def _open_closed_streams() -> None:
    """Let streams that the caller closed (`>&-`) lead nowhere, so that no file takes their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process lives


def _accept_odd_names() -> None:
    """File and class names may hold characters that the terminal's encoding lacks, or that it would obey."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # Names come from strangers, and terminals obey escape sequences; to a file or a program data go as they are.
    if sys.stdout.isatty():
        sys.stdout = guarded(sys.stdout)
    sys.stderr = guarded(sys.stderr)
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")


def _mistake(message: str) -> int:
    if verbosity() is Verbosity.VERBOSE:
        traceback.print_exc()
    print("photovision:", " ".join(message.split()), file=sys.stderr)
    return MISTAKE
