"""Duplicates on the local page: shown side by side, moved away only by a click, and moved back by another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from photovision.app.web.background import BackgroundJob, BackgroundJobs
from photovision.app.web.browse import Seen, picture
from photovision.app.web.catalogue import Catalogues
from photovision.app.web.discovery import MOVED, entries_of
from photovision.app.web.indexes import Indexes, SourceRequest, indexes_of
from photovision.app.web.searching import inside
from photovision.app.web.thumbnails import LARGE, SIDE, Thumbnails
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, UsageError

_MOST_MOVED = 100_000


class MoveRequest(BaseModel, extra="forbid"):
    """Which duplicates should be moved: numbers of the job, and of [group, duplicate] in its result."""

    number: int
    chosen: list[tuple[int, int]] = Field(min_length=1, max_length=_MOST_MOVED)


class UndoRequest(BaseModel, extra="forbid"):
    """The folder below that of the page whose files should be moved back."""

    name: str


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/duplicates")
    indexes, jobs, thumbnails = state.shared(indexes_of), BackgroundJobs("search for duplicates"), Thumbnails()
    state.leaving.append(jobs.end)
    jobs.add_routes(router)

    @router.post("/start")
    def start(wish: SourceRequest) -> dict[str, int]:
        """Start to compare pictures."""
        return {"job": jobs.start(lambda job: found(job, indexes, wish.source))}

    @router.get("/picture")
    def small(number: int, group: int, member: int, large: bool = False, seen: Seen = None) -> Response:
        """A picture of a group, small or filling a screen; member -1 is the one that stays."""
        return picture(thumbnails, _file(jobs.of(number), group, member), LARGE if large else SIDE, seen)

    @router.get("/moved")
    def moved() -> dict[str, Any]:
        """Folders of moved duplicates, and how many files can be moved back."""
        return {"folders": moved_folders(state)}

    @router.post("/move")
    def move(wish: MoveRequest) -> dict[str, Any]:
        """Move duplicates into a new folder."""
        return moved_away(state, jobs.of(wish.number), wish.chosen)

    @router.post("/undo")
    def back(wish: UndoRequest) -> dict[str, Any]:
        """Move files back."""
        return moved_back(state, wish.name)

    return router


def found(job: BackgroundJob, indexes: Indexes, source: str) -> dict[str, Any]:
    """Groups of duplicates, as `photovision duplicates` finds them; "movable" ones can go."""
    from photovision.retrieval.duplicates import MOVABLE, duplicates_in

    listen = job.progress("comparing")
    with indexes.opened(source) as opened:
        groups = duplicates_in(opened, lambda one: listen(one.done, one.total))
        folder = opened.folder
    job.kept = [source, folder, groups]
    rows = [
        {
            "kept": os.path.relpath(group.kept, folder),
            "duplicates": [
                {**one._asdict(), "file": os.path.relpath(one.file, folder), "movable": one.verdict in MOVABLE}
                for one in group.duplicates
            ],
        }
        for group in groups
    ]
    return {"groups": rows}


def moved_away(state: State, job: BackgroundJob, chosen: list[tuple[int, int]]) -> dict[str, Any]:
    """Move duplicates of a result into a new folder of the page.

    Raises:
        UsageError: nothing of it can be moved, or the pictures lie outside the folder of the page.
    """
    from photovision.retrieval.trash import move_duplicates

    source, folder, groups = _result(job)
    if state.folder is None or not folder.is_relative_to(state.folder):
        raise UsageError(f"{source} lies outside the folder of this page: move its duplicates in a terminal")
    wanted: dict[int, set[int]] = {}
    for group, member in chosen:
        _file(job, group, member)
        wanted.setdefault(group, set()).add(member)
    picked = [
        groups[group]._replace(duplicates=tuple(groups[group].duplicates[member] for member in sorted(members)))
        for group, members in sorted(wanted.items())
    ]
    name = _free(state, f"{folder.name}-duplicates")
    moves = move_duplicates(picked, folder, state.new_folder(name))
    if not moves:
        raise UsageError("none of these can be moved any more: look for duplicates again")
    _read_again(state)
    return {"name": name, "moved": len(moves)}


def moved_back(state: State, name: str) -> dict[str, Any]:
    """Move the files of a folder of moved duplicates back.

    Raises:
        DataError: it is none, or its files came from outside the folder of the page.
    """
    from photovision.retrieval.trash import read_moves, undo

    trash = state.inside(name)
    if state.folder is None or any(not _below(move.source, state.folder) for move in read_moves(trash)):
        raise DataError(f"the files of {name} did not lie in the folder of this page: move them back in a terminal")
    moves = undo(trash)
    _read_again(state)
    return {"moved": len(moves)}


def moved_folders(state: State) -> list[dict[str, Any]]:
    """Folders directly in that of the page whose duplicates can be moved back."""
    from photovision.retrieval.trash import read_moves

    rows = []
    for entry in [] if state.folder is None else sorted(entries_of(state.folder)):
        if entry.is_symlink() or not (entry / MOVED).is_file():
            continue
        try:
            there = sum(os.path.lexists(move.target) for move in read_moves(entry))
        except DataError:  # a file of that name by somebody else
            continue
        if there:
            rows.append({"name": entry.name, "files": there})
    return rows


def _result(job: BackgroundJob) -> tuple[str, Path, list[Any]]:
    if not job.kept:
        raise UsageError("this search for duplicates is not done yet")
    source, folder, groups = job.kept
    return source, folder, groups


def _file(job: BackgroundJob, group: int, member: int) -> Path:
    """A picture of a group; raises DataError where there is none."""
    _, folder, groups = _result(job)
    if not 0 <= group < len(groups) or not -1 <= member < len(groups[group].duplicates):
        raise DataError("there is no such duplicate: look for duplicates again")
    name = groups[group].kept if member < 0 else groups[group].duplicates[member].file
    return inside(Path(name), folder)


def _below(file: str, folder: Path) -> bool:
    """Whether the folder that a file goes back to lies below another one, links resolved."""
    return Path(os.path.realpath(os.path.dirname(file))).is_relative_to(folder)


def _free(state: State, name: str) -> str:
    tried, number = name, 1
    while os.path.lexists(state.inside(tried)):
        number += 1
        tried = f"{name}-{number}"
    return tried


def _read_again(state: State) -> None:
    """The data sets are others now."""
    state.refresh()
    state.shared(Catalogues).forget()
