"""One word, one meaning: class names are unique, and what people read has the field's words instead of our own.

`python tests/architecture/test_words.py [FOLDER ...]` prints every place with a banned phrase.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "photovision"

BANNED = {
    "told": r"\btold\b",
    "said": r"\bsaid\b",
    "held against": r"\bheld against\b",
    "anew": r"\banew\b",
    "surely": r"\bsurely\b",
    "as such": r"\bas such\b",
    "what is where": r"\bwhat is where\b",
    "goes on where": r"\b(?:go|goes|going|went) on where\b",
    "counts nowhere": r"\bcounts? nowhere\b",
    "of a detector ...": r"(?:\A|[.;:(]\s+|\n\s*)of an? (?:detector|segmenter|classifier|recogniser|cutter|model)\b",
}

SCRIPT = re.compile(
    r"//[^\n]*|/\*[\s\S]*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|\$\{(?:[^{}`]|`[^`]*`)*\}|[^`\\])*`"
)
"""Comments and strings of JavaScript, in their order."""


def test_no_two_classes_have_one_name() -> None:
    homes = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(path.relative_to(SOURCE)))
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_what_people_read_has_none_of_the_banned_phrases() -> None:
    assert [line for _, line in _places()] == []


def test_banned_phrases_are_found() -> None:
    assert _phrases("The data are read anew") == ["anew"]
    assert _phrases("Whether boxes are drawn. Of a detector only") == ["of a detector ..."]
    assert _phrases("It foretold the untold") == []


def _phrases(text: str) -> list[str]:
    return [name for name, pattern in BANNED.items() for _ in re.finditer(pattern, text, re.IGNORECASE)]


def _places() -> Iterator[tuple[str, str]]:
    """Folder, and a line on the place, of every banned phrase."""
    for path, text in _texts():
        for phrase in _phrases(text):
            where = path.relative_to(ROOT)
            folder = where.parts[2] if where.parts[0] == "src" and len(where.parts) > 3 else where.parts[0]
            yield folder, f"{where}: {phrase}: {' '.join(text.split())[:160]}"


def _texts() -> Iterator[tuple[Path, str]]:
    """Strings and docstrings of Python with more than one word, strings of scripts, pages, and documents."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
                yield path, re.sub(r"^\s*>>>.*$|`[^`\n]+`", "", node.value, flags=re.MULTILINE)
    for path in sorted(SOURCE.rglob("*.js")):
        for token in SCRIPT.findall(path.read_text(encoding="utf-8")):
            if " " in token and token[0] in "\"'`":
                yield path, re.sub(r"\$\{[^}]*\}", "", token[1:-1])
    for path in sorted(SOURCE.rglob("*.html")):
        yield path, re.sub(r"<[^>]*>", " ", path.read_text(encoding="utf-8"))
    for path in (
        ROOT / "README.md",
        ROOT / "ARCHITECTURE.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ):
        for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
            yield path, paragraph


if __name__ == "__main__":
    for folder, line in _places():
        if not sys.argv[1:] or folder in sys.argv[1:]:
            print(line)
