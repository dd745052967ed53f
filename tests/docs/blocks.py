"""Code blocks of Markdown pages: which there are, which can run, and how they run.

Blocks of one page run in order, in one folder and one namespace:

    ```python     run as it is
    ```bash       each line a command: `photovision ...` in this process, a few others (`ls`, `cat` ...) by the shell
    ```output     what the block above it prints; numbers may differ, a line `...` stands for any lines
    anything else is not run

Comments directly above a block change that: `<!-- not run: REASON -->`, `<!-- not run (train, serve): REASON -->` for
some verbs of it, `<!-- slow -->` for what only the slow tests run; `<!-- page not run: REASON -->` in the first lines
of a page holds for all of its blocks. What is not run is still checked: names, commands and flags exist. A command that
should end with another code than 0 has the comment `# exits with 1` at its end.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

import photovision
from photovision.app.cli import run
from photovision.app.cli.commands import app

ROOT = Path(__file__).resolve().parents[2]
Printed = Callable[[], tuple[str, str]]
BY_SHELL = {"ls", "cat", "head", "mkdir", "cp", "rm", "mv", "echo"}
PROGRAM = typer.main.get_command(app)
FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^`\n]*)\n(?P<text>(?:.*\n)*?)(?P=indent)(?P=fence) *$", re.M
)
COMMENTS = re.compile(r"(?:<!-- [^<>]* -->\s*)+\Z")
NOT_RUN = re.compile(r"not run(?: \((?P<verbs>[\w, -]+)\))?: .+")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file, below the repository.
        line: of its first line of text, from 1.
        language: what stands after the fence.
        text: without its indentation.
        slow: whether only the slow tests run it.
        skipped: verbs of commands that are only checked; "all" for all of the block.
        printed: the text of an ```output block directly after it, or None.
    """

    page: str
    line: int
    language: str
    text: str
    slow: bool
    skipped: frozenset[str]
    printed: str | None = None

    @property
    def runs(self) -> bool:
        """Whether anything of it is run."""
        return "all" not in self.skipped

    @property
    def where(self) -> str:
        """File and line, as editors understand them."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a block: its words, what follows `>`, and the exit code that is right."""

    words: tuple[str, ...]
    into: str | None = None
    code: int = 0


def pages() -> list[str]:
    """README.md and every page below docs/, sorted."""
    return ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def blocks(page: str) -> list[Block]:
    """The Python and shell blocks of a page, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    general = re.findall(r"<!-- page (not run: .+?) -->", "".join(text.splitlines(keepends=True)[:6]))
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(text):
        language = match["language"].strip()
        inner = re.sub(rf"^ {{0,{len(match['indent'])}}}", "", match["text"], flags=re.MULTILINE)
        between = text[end : match.start()]
        if language == "output" and found and found[-1].printed is None and not between.strip():
            found[-1] = replace(found[-1], printed=inner)
        if language in ("python", "bash"):
            above = COMMENTS.search(between)
            notes = [*general, *re.findall(r"<!-- (.*?) -->", above[0] if above else "")]
            line = text[: match.start("text")].count("\n") + 1
            found.append(Block(page, line, language, inner, "slow" in notes, _skipped(notes)))
        end = match.end()
    return found


def cells(notebook: str) -> list[Block]:
    """The code cells of a notebook, in their order; `line` counts the cells."""
    stored = json.loads((ROOT / notebook).read_text(encoding="utf-8"))["cells"]
    code = [(number, "".join(cell["source"])) for number, cell in enumerate(stored, 1) if cell["cell_type"] == "code"]
    return [Block(notebook, number, "python", text, True, frozenset()) for number, text in code]


def _skipped(notes: list[str]) -> frozenset[str]:
    reasons = [reason for note in notes if (reason := NOT_RUN.fullmatch(note))]
    return frozenset(verb.strip() for reason in reasons for verb in (reason["verbs"] or "all").split(","))


def commands(block: Block) -> list[Command]:
    """The commands of a shell block."""
    found = []
    for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
        code = re.search(r"# exits with (\d+)", line)
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            one, words = words[:end], words[end + 1 :]
            into = one[one.index(">") + 1] if ">" in one else None
            found.append(Command(tuple(one[: one.index(">")] if into else one), into, int(code[1]) if code else 0))
    return found


def check(block: Block) -> None:
    """Whether a block is what it claims to be: Python that can be parsed, with public names, or known commands."""
    if block.language == "python":
        for node in ast.walk(ast.parse(block.text)):
            match node:
                case ast.Attribute(value=ast.Name(id="pv" | "photovision"), attr=name):
                    assert name in photovision.__all__, f"{block.where}: photovision has no name {name}"
        return
    for command in commands(block):
        if command.words[0] == "photovision":
            _check_flags(list(command.words[1:]), block.where)


def _check_flags(words: list[str], where: str) -> None:
    line, command = shlex.join(words), PROGRAM
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help", "--quiet", "--verbose"}
    flags = {word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
    assert flags <= known, f"{where}: {line}: no such flag: {sorted(flags - known)}"
    assert not hasattr(command, "commands") or flags, f"{where}: {line}: no such command"


def run_block(block: Block, names: dict[str, Any], printed: Printed) -> None:
    """Run a block in the current folder.

    Args:
        block: with language "python" or "bash".
        names: the namespace of its page; changed.
        printed: what was printed to standard output and standard error since the last call.
    """
    printed()
    if block.language == "python":
        exec(compile("\n" * (block.line - 1) + block.text, block.page, "exec"), names)
        got, _ = printed()
    else:
        got = "".join(
            _run(one, block.where, printed) for one in commands(block) if not block.skipped & {*one.words[:2]}
        )
    if block.printed is not None:
        assert _alike(got, block.printed), f"{block.where} prints\n{got}\ninstead of\n{block.printed}"


def _run(command: Command, where: str, printed: Printed) -> str:
    if command.words[0] in BY_SHELL:
        done = subprocess.run(shlex.join(command.words), shell=True, capture_output=True, text=True, check=False)
        code, got, errors = done.returncode, done.stdout, done.stderr
    else:
        assert command.words[0] == "photovision", f"{where}: {command.words[0]} cannot be run here: mark the block"
        code, (got, errors) = run(command.words[1:]), printed()
    assert code == command.code, f"{where}: {shlex.join(command.words)} ends with {code}: {errors}"
    if command.into is not None:
        Path(command.into).write_text(got, encoding="utf-8")
        return ""
    return got


def _alike(got: str, expected: str) -> bool:
    """Whether two texts are the same but for numbers, blanks, and lines `...`, which stand for any lines."""
    wanted = [r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in _lines(expected)]
    return re.fullmatch("".join(wanted), "".join(f"{line}\n" for line in _lines(got))) is not None


def _lines(text: str) -> list[str]:
    plain = re.sub(r"\d+(?:[.,]\d+)*", "#", re.sub(r"[ \t]+", " ", text))
    return [line.strip() for line in plain.strip().splitlines()]
