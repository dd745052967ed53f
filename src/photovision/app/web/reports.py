"""Reports on the local page: those that lie in its folder, each shown in a frame that can do and load nothing.

Only files of a few fixed names are given out, of folders that were found by looking, never of a path that was asked
for; models and reports may come from strangers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter
from fastapi.responses import FileResponse

from photovision.app.web.check_results import folder_of
from photovision.app.web.discovery import DEEPEST, MOST_FOLDERS, folders_in
from photovision.app.web.estimating import REPORT, found_reports
from photovision.app.web.workspace import State
from photovision.core.errors import DataError
from photovision.core.task import tasks

PAGE = "report.html"
TEXTS = {"README.md": "Model card", "DATASHEET.md": "Data sheet"}
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'"
)
_LARGEST = 64 * 2**20
_CHECK = "check:"


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/reports")

    @router.get("/list")
    def every() -> dict[str, Any]:
        """The reports, the newest first."""
        models = {path.resolve(): name for name, path in state.models.items()}
        rows = [facts(name, folder, models) for name, folder in find(state).items()]
        return {"reports": sorted(rows, key=lambda one: -one["when"])}

    @router.get("/page")
    def page(name: str) -> FileResponse:
        """A report as it lies on the disk."""
        headers = {"content-security-policy": POLICY}
        return FileResponse(file_of(state, name, PAGE), media_type="text/html; charset=utf-8", headers=headers)

    @router.get("/text")
    def text(name: str, file: str) -> dict[str, Any]:
        """A model card or a data sheet, as Markdown."""
        if file not in TEXTS:
            raise DataError(f"the page shows {', '.join(TEXTS)}, not {file}")
        content = file_of(state, name, file).read_text(encoding="utf-8", errors="replace")
        return {"name": name, "title": TEXTS[file], "text": content}

    return router


def find(state: State) -> dict[str, Path]:
    """Name -> folder of every report: below the page's folder, of models given by name, of checks and estimates."""
    found = dict(_below(state.folder)) if state.folder is not None else {}
    places = {path.resolve() for path in found.values()}
    found |= {name: path for name, path in state.models.items() if path.resolve() not in places and _holds(path)}
    checks = {f"{_CHECK}{name}": folder_of(path) for name, path in state.data.items()}
    made = {**checks, **found_reports(state)}
    return found | {name: path for name, path in made.items() if _holds(path)}


def file_of(state: State, name: str, file: str) -> Path:
    """A file of a report; raises DataError where there is no such report, or it lacks the file."""
    folder = find(state).get(name)
    if folder is None or not _is_plain(folder / file):
        raise DataError(f"there is no {file} of '{name}' here (any more): reload the page")
    return folder / file


def facts(name: str, folder: Path, models: Mapping[Path, str]) -> dict[str, Any]:
    """What the list shows of a report; title, kind, leading figure and verdict where it says so itself.

    Args:
        name: of the report, see `find`.
        folder: where it lies.
        models: folder -> name of the models of the page.
    """
    stored: dict[str, Any] = {}
    file = folder / "report.json"
    if _is_plain(file):
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            stored = {}
    stored = stored if isinstance(stored, dict) else {}
    summary = stored.get("summary")
    shown = unquote(name.removeprefix(REPORT)) if name.startswith(REPORT) else name.removeprefix(_CHECK)
    return {
        "name": name,
        "shown": shown,
        "of": models.get(folder.resolve()) or _model_in(shown, models.values()),
        "data": name.removeprefix(_CHECK) if name.startswith(_CHECK) else None,
        "figure": _figure(stored),
        "verdict": _verdict(stored.get("assessment")),
        "kind": str(stored.get("kind", "report")),
        "title": str(stored.get("title", "Report")),
        "first": str(summary[0]) if isinstance(summary, list) and summary else "",
        "warnings": len(stored["warnings"]) if isinstance(stored.get("warnings"), list) else 0,
        "model": (folder / "bundle.json").is_file(),
        "when": (folder / PAGE).stat().st_mtime,
        "texts": [{"file": one, "title": title} for one, title in TEXTS.items() if _is_plain(folder / one)],
    }


def _model_in(shown: str, names: Iterable[str]) -> str | None:
    """The model that the name of a report speaks of, the longest that fits."""
    return max((name for name in names if f" of {name}" in shown or f"{name} on " in shown), key=len, default=None)


def _figure(stored: Mapping[str, Any]) -> dict[str, Any] | None:
    """The leading metric with its name, as the task of the report has it."""
    row = next((one for one in tasks() if one.name == stored.get("task")), None)
    metrics = stored.get("metrics")
    lead = row.leading(metrics) if row is not None and isinstance(metrics, dict) else None
    if row is None or lead is None or not isinstance(metrics, dict):
        return None
    metric = metrics[lead]
    sound = isinstance(metric, dict) and isinstance(metric.get("value"), int | float)
    if not sound:
        return None
    n = metric["n"] if isinstance(metric.get("n"), int) else None
    return {"name": row.lead[lead], "value": metric["value"], "unit": str(metric.get("unit", "")), "n": n}


def _verdict(given: object) -> dict[str, str] | None:
    if not isinstance(given, dict):
        return None
    return {"level": str(given.get("level", "")), "label": str(given.get("label", ""))[:80]}


def _below(top: Path) -> Iterator[tuple[str, Path]]:
    """Folders with a report, named by their path below `top`; links and hidden folders are passed over."""
    waiting, seen = [(top, 0)], 0
    while waiting and seen < MOST_FOLDERS:
        place, depth = waiting.pop(0)
        seen += 1
        if _holds(place):
            yield place.relative_to(top).as_posix() if place != top else top.name or str(top), place
        if depth < DEEPEST:
            waiting += [(child, depth + 1) for child in folders_in(place)]


def _holds(folder: Path) -> bool:
    return _is_plain(folder / PAGE)


def _is_plain(file: Path) -> bool:
    """Whether it is a file of sensible size, and no link to somewhere else."""
    try:
        return file.is_file() and not file.is_symlink() and file.stat().st_size <= _LARGEST
    except OSError:
        return False
