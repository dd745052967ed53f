"""The house rules that can be checked by reading the code; ARCHITECTURE.md tells why they are there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "photovision"
MODULES = sorted(SOURCE.rglob("*.py"))
FLOORS = (
    *(
        "core",
        "data",
        "runtime",
        "models",
        "learn",
        "trust",
        "engine",
        "tasks",
        "video",
        "learned_features",
        "retrieval",
        "faces",
        "recipes",
    ),
    *("service", "app"),
)
CORE_MAY = {"numpy", "PIL", "photovision", "__future__"}
CORE_MAY_INSIDE = {"jinja2", "markupsafe", "pandas", "fsspec"}
TORCH = {"torch", "torchvision", "timm", "accelerate"}
TRAINING = {
    "embed",
    "objective",
    "training_run",
    "finetune",
    "study",
    "export_bundle",
    "linear_probe",
    "scratch",
    "train",
    "workdir",
    "learn",
}
TRAINING |= {
    "stages",
    "unproved",
    "handcrafted",
    "prune",
    "distill",
    "network",
    "learn_stored",
    "trained",
    "adapt_normalisation",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def floor(module: str) -> int | None:
    """The floor of a dotted module, or None for other packages and for the package itself, which belongs to all."""
    parts = module.split(".")
    return FLOORS.index(parts[1]) if parts[0] == "photovision" and len(parts) > 1 and parts[1] in FLOORS else None


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules that are imported in a tree, inside functions, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            # A name may be a module: `from photovision.models import weights`.
            yield from {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}


def at_import_time(node: ast.AST) -> Iterator[str]:
    """Top-level package names that are loaded when the module is imported: not in functions, not for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from (name.split(".")[0] for name in imports(child))
        yield from at_import_time(child)


def definitions(tree: ast.AST) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """All functions and classes with their dotted names, outermost first, not those inside functions."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Function | ast.ClassDef):
            yield child.name, child
        if isinstance(child, ast.ClassDef | ast.If | ast.Try):
            prefix = f"{child.name}." if isinstance(child, ast.ClassDef) else ""
            yield from ((prefix + name, node) for name, node in definitions(child))


@cache
def read(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_floors_are_the_folders() -> None:
    folders = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert folders == set(FLOORS)


def offenders(rule: Callable[[Path], Iterable[object]], paths: Iterable[Path] = MODULES) -> dict[str, list[object]]:
    """What breaks a rule, by module. One test looks at all modules: a test for each would cost more than the look."""
    found = {path.relative_to(SOURCE).as_posix(): list(rule(path)) for path in paths}
    return {module: broken for module, broken in found.items() if broken}


def test_a_module_imports_its_own_floor_and_those_below() -> None:
    def above(path: Path) -> Iterable[str]:
        own = floor(".".join(("photovision", *path.relative_to(SOURCE).with_suffix("").parts)))
        return () if own is None else {name for name in imports(read(path)) if (floor(name) or 0) > own}

    assert not offenders(above)


def test_core_needs_numpy_and_pillow_only() -> None:
    allowed = CORE_MAY | sys.stdlib_module_names

    def others(path: Path) -> Iterable[str]:
        inside = {name.split(".")[0] for name in imports(read(path))}
        return set(at_import_time(read(path))) - allowed | inside - allowed - CORE_MAY_INSIDE

    assert not offenders(others, (SOURCE / "core").rglob("*.py"))


def test_torch_is_loaded_by_training_only() -> None:
    def loaded(path: Path) -> Iterable[str]:
        place = path.relative_to(SOURCE).parts
        if place[0] in ("models", "learn") or (place[0] in ("engine", "tasks") and path.stem in TRAINING):
            return ()
        return TORCH.intersection(at_import_time(read(path)))

    assert not offenders(loaded)


def test_modules_and_functions_are_short() -> None:
    def long(path: Path) -> Iterator[tuple[str, int]]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > 400:
            yield "the module", lines
        functions = [node for node in ast.walk(read(path)) if isinstance(node, Function)]
        yield from ((node.name, _lines(node)) for node in functions if _lines(node) > 40)

    assert not offenders(long)


def test_public_things_say_what_they_are() -> None:
    def silent(path: Path) -> Iterator[str]:
        if not ast.get_docstring(read(path)):
            yield "the module"
        for name, node in definitions(read(path)):
            public = not any(part.startswith("_") for part in name.split("."))
            overload = any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list)
            if public and not overload and not ast.get_docstring(node):
                yield name

    assert not offenders(silent)


def test_no_file_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "misc", "common"}
    assert not [path for path in MODULES if path.stem in drawers]


def test_the_map_of_the_house_names_every_module() -> None:
    told = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    absent = [path for path in MODULES if path.stem != "__init__" and f"{path.stem}.py" not in told]
    assert not absent


def test_the_licence_is_there() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def _lines(function: Function) -> int:
    """Lines of a function without its docstring and its decorators."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None and isinstance(first, ast.Expr)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


MAY_DECODE = {
    "core/image.py": "defines it",
    "core/inputs.py": "gives pixels to callers without a model",
    "core/preprocess.py": "knows the model's ranges of values",
    "data/formats/mask_files.py": "reads masks, which are no pictures",
    "data/formats/labelme.py": "reads masks, which are no pictures",
    "data/scan.py": "measures them",
    "video/sources.py": "is given them",
    "recipes/shelf/visits.py": "is given them",
    "recipes/weather.py": "makes pictures to learn from; there is no model yet",
    "recipes/road/evaluation.py": "asks only whether a file can be read",
    "recipes/products/page.py": "shows pictures with what was found; there is no model at hand",
    "service/drift_pictures.py": "shows what a record kept; there is no model at hand",
    "app/web/cutting.py": "cuts out of any picture; that model learned from 8 bits",
    "app/cli/cut.py": "cuts out of any picture; that model learned from 8 bits",
    "app/web/recognise.py": "shows a picture before a model is chosen",
    "app/web/thumbnails.py": "shows files before there is a model",
}
"""Who may decode without the ranges of values that a model learned with, and why."""


def test_whoever_has_a_model_decodes_by_its_preprocessing() -> None:
    users = {
        path.relative_to(SOURCE).as_posix()
        for path in MODULES
        if "photovision.core.image.decode" in set(imports(read(path)))
    }
    assert users | {"core/image.py"} == set(MAY_DECODE)
