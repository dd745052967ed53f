"""The seam between floors and tasks: outside `photovision.tasks` nothing knows which tasks there are.

Each rule is a list of the places that break it, which has to be empty; `python tests/architecture/test_seam.py` prints
them all.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "photovision"
TABLE = SOURCE / "core" / "task.py"
PUBLIC = SOURCE / "__init__.py"
OUTSIDE = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "tasks")
TASKS = {path.parent.name for path in (SOURCE / "tasks").glob("*/task.py")}
MODELS = {"OnnxModel", "Recognizer", "Detector", "Segmenter", "Cutter", "AnomalyDetector"}


def _named(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} | {
        part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)
    }


def checks_of_classes(tree: ast.AST) -> Iterator[ast.AST]:
    """`isinstance` and `type(...) is` on models."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
        ):
            if _named(node.args[1]) & MODELS:
                yield node
        elif isinstance(node, ast.MatchClass) and _named(node.cls) & MODELS:
            yield node


def _is_a_task(node: ast.AST) -> bool:
    """Whether an expression is a task's name: `x.task`, `task`, `info["task"]`, `info.get("task")`."""
    if isinstance(node, ast.Attribute):
        return node.attr == "task" or (node.attr == "name" and "task" in ast.unparse(node.value))
    if isinstance(node, ast.Name):
        return node.id == "task"
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "task"
    if isinstance(node, ast.Call):
        return any(isinstance(value, ast.Constant) and value.value == "task" for value in node.args) or any(
            map(_is_a_task, node.args)
        )
    return False


def _names_tasks(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Constant) and part.value in TASKS for part in ast.walk(node))


def comparisons_of_names(tree: ast.AST) -> Iterator[ast.AST]:
    """`model.task == "detect"`, `task in ("detect", "segment")` and `match task`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(_is_a_task, sides)) and any(map(_names_tasks, sides)):
                yield node
        elif isinstance(node, ast.Match) and _is_a_task(node.subject):
            yield node


def tables_by_task(tree: ast.AST) -> Iterator[ast.AST]:
    """Dictionaries whose keys are names of tasks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
            if len(keys & TASKS) >= 2:
                yield node


def unions_of_models(tree: ast.AST) -> Iterator[ast.AST]:
    """`Recognizer | Detector`."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.BitOr)
            and all(isinstance(side, ast.Name) and side.id in MODELS for side in (node.left, node.right))
        ):
            yield node


def classes_of_tasks(tree: ast.AST) -> Iterator[ast.AST]:
    """Classes that are imported from a task."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("photovision.tasks.")
            and any(alias.name[0].isupper() and not alias.name.isupper() for alias in node.names)
        ):
            yield node


RULES: dict[str, Callable[[ast.AST], Iterator[ast.AST]]] = {
    rule.__name__: rule
    for rule in (checks_of_classes, comparisons_of_names, tables_by_task, unions_of_models, classes_of_tasks)
}


def broken(name: str) -> list[str]:
    """Where a rule is broken: "folder/module.py:line"."""
    return [
        f"{path.relative_to(SOURCE).as_posix()}:{node.lineno}"  # type: ignore[attr-defined]
        for path in OUTSIDE
        if path not in (TABLE, PUBLIC)
        for node in RULES[name](ast.parse(path.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize("name", RULES)
def test_nothing_outside_the_tasks_knows_which_tasks_there_are(name: str) -> None:
    assert not broken(name)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("checks_of_classes", "isinstance(model, Detector | Segmenter)"),
        ("comparisons_of_names", "bundle.task == 'detect'"),
        ("comparisons_of_names", "info.get('task') in ('detect', 'segment')"),
        ("comparisons_of_names", "str(info['task']) != 'classify'"),
        ("tables_by_task", "{'detect': 1, 'segment': 2}"),
        ("unions_of_models", "Model = Recognizer | Detector"),
        ("classes_of_tasks", "from photovision.tasks.detect.detector import Detector"),
    ],
)
def test_the_rules_find_what_they_forbid(name: str, line: str) -> None:
    assert list(RULES[name](ast.parse(line)))
    assert not list(RULES[name](ast.parse("bundle.row.part('evaluate')(model, dataset)")))


if __name__ == "__main__":
    for name in RULES:
        places = broken(name)
        print(f"{name}: {len(places)}", *places, sep="\n  ")
