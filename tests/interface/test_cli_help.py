"""Commands show themselves as people look for them: in groups, with examples, by -h, as loud as wanted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from colours import colour_bundle, colour_folder, colour_picture

from photovision.app.cli import run
from photovision.app.cli.commands import app


def every_command() -> list[tuple[str, Any]]:
    waiting, found = [("", typer.main.get_command(app))], []
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", None)
        if below is None:
            found.append((name.strip(), command))
        else:
            waiting += [(f"{name} {key}", one) for key, one in below.items()]
    return sorted(found, key=lambda pair: pair[0])


def test_the_commands_are_grouped_by_what_a_person_is_doing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-h"]) == 0
    text = capsys.readouterr().out
    titles = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert titles == [
        "Options", "Look at data", "Learn", "Question a model", "Use a model", "Run it as a service",
    ]  # fmt: skip
    assert "..." not in text.replace("[ARGS]...", "")  # nothing is cut off


@pytest.mark.parametrize(("name", "command"), every_command())
def test_every_command_has_an_example_that_it_would_take(name: str, command: Any) -> None:
    lines = command.epilog.splitlines()
    assert lines
    for line in lines:
        words = shlex.split(line)
        depth = len(name.split())
        assert " ".join(words[:depth]) == name
        given = [word.split("=")[0] for word in words[depth:] if word.startswith("--")]
        known = {flag for parameter in command.params for flag in parameter.opts}
        assert set(given) <= known


def test_help_has_a_short_flag_and_ends_in_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "-h"]) == 0
    assert capsys.readouterr().out.endswith("Example:\n  photovision train flowers/ -o flowers-model --minutes 5\n")


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_leaves_the_results_alone(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = colour_bundle(tmp_path / "model"), colour_folder(tmp_path / "data")
    verb = ["evaluate", str(model), str(data), "--split", "all"]
    assert run(verb) == 0
    usual = capsys.readouterr()
    assert run(["--quiet", *verb] if place == "before" else [*verb, "-q"]) == 0
    quiet = capsys.readouterr()
    assert quiet.out == usual.out
    assert usual.err
    assert quiet.err == ""


def test_quiet_still_names_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = colour_bundle(tmp_path / "model")
    colour_picture("red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nothing")
    assert run(["predict", "-q", str(model), str(tmp_path / "a.png"), str(tmp_path / "b.png")]) == 2
    assert "1 of 2 files could not be read" in capsys.readouterr().err


def test_verbose_shows_where_a_mistake_was_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "-v", str(tmp_path / "none")]) == 2
    verbose = capsys.readouterr().err
    assert "Traceback" in verbose
    assert verbose.splitlines()[-1].startswith("photovision: no model at")
    assert run(["info", str(tmp_path / "none")]) == 2  # the next command is as loud as usual
    assert "Traceback" not in capsys.readouterr().err


def test_a_shell_completes_commands_and_flags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_PHOTOVISION_COMPLETE", "complete_bash")
    for words, number, wanted in (("photovision tr", 1, "train"), ("photovision train --min", 2, "--minutes")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(number))
        with pytest.raises(SystemExit) as ended:
            run([])
        assert ended.value.code == 0
        assert capsys.readouterr().out.split() == [wanted]
