"""Capture sessions on the local page: those that were found, joined, split and taken apart by a click.

What people say is kept in a table beside the pictures (`photovision.data.session_corrections`), which training and
checks obey. Every change gives back what stood before, so that it can be undone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from photovision.app.web.browse import BrowseRequest, chosen
from photovision.app.web.catalogue import BY_NAME, BY_NUMBER, Catalogue, Catalogues
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, UsageError
from photovision.data.session_corrections import ALONE, AS_FOUND

COVERS = 3
"""Pictures by which a session is shown."""
MOST = 200
"""Sessions that are listed; the largest ones."""
BY_HAND = "by hand"
"""What sessions of people are called, with a number."""


class SessionChange(BaseModel, extra="forbid"):
    """Which pictures form one session, or none, or the sessions that are found.

    `sessions` are keys of `listed`, `pictures` positions, `shown` the filters of a grid whose pictures are all meant;
    `into` is "one", "none" or "found", or in `name` that of a session, as a change that is undone gives it back.
    `version` is that of the catalogue that the person saw.
    """

    data: str
    version: str
    into: Literal["one", "none", "found", "named"]
    name: str = Field("", max_length=200)
    sessions: list[str] = Field([], max_length=MOST)
    pictures: list[int] = Field([], max_length=100_000)
    shown: BrowseRequest | None = None


def routes(state: State) -> APIRouter:
    """Addresses of this panel."""
    router = APIRouter(prefix="/api/browse/sessions")
    catalogues = state.shared(Catalogues)

    @router.get("")
    def every(data: str) -> dict[str, Any]:
        """The sessions of a data set."""
        return listed(catalogues.get(data))

    @router.post("")
    def change(wish: SessionChange) -> dict[str, Any]:
        """Change the sessions of pictures; "before" are the changes that undo it."""
        return changed(catalogues.get(wish.data), wish)

    return router


def listed(catalogue: Catalogue) -> dict[str, Any]:
    """The largest sessions with their counts, classes and pictures by which they are shown; "alone" is without one."""
    members: dict[str, list[int]] = defaultdict(list)
    for position, key in catalogue.sessions().items():
        members[key].append(position)
    order = sorted(members, key=lambda key: -len(members[key]))
    return {
        "checked": catalogue.examined.when is not None,
        "by": catalogue.examined.sessions_by,
        "count": len(members),
        "alone": len(catalogue) - sum(map(len, members.values())),
        "file": catalogue.session_corrections.file.name,
        "sessions": [_session(catalogue, key, members[key]) for key in sorted(order[:MOST], key=_turn)],
    }


def _turn(key: str) -> tuple[int, int, str]:
    """Those of people first, then those that were found, by their number."""
    number = key.removeprefix(BY_NUMBER)
    return (0, 0, key) if key == number else (1, int(number), "")


def _session(catalogue: Catalogue, key: str, positions: list[int]) -> dict[str, Any]:
    classes = Counter(name for position in positions for name in catalogue.given(position))
    count = len(positions)
    rows = sorted({positions[(2 * part + 1) * count // (2 * COVERS)] for part in range(COVERS)})
    return {
        "key": key,
        "name": catalogue.session_name(key),
        "by_hand": key.startswith(BY_NAME),
        "pictures": count,
        "classes": dict(classes.most_common(3)),
        "covers": rows,
    }


def changed(catalogue: Catalogue, wish: SessionChange) -> dict[str, Any]:
    """Write a change.

    Raises:
        DataError: the folder has changed since the person saw it, or there are no such pictures.
        UsageError: no pictures were named, or the table cannot be written.
    """
    if wish.version != catalogue.version:
        raise DataError(f"the pictures of {catalogue.name} have changed meanwhile: reload the page")
    positions = _meant(catalogue, wish)
    stands = catalogue.session_corrections.latest()
    name = {"one": _free(stands), "none": ALONE, "found": AS_FOUND, "named": wish.name}[wish.into]
    before: dict[str, list[int]] = defaultdict(list)
    for position in positions:
        before[stands.get(catalogue.ids[position], AS_FOUND)].append(position)
    catalogue.session_corrections.record({catalogue.ids[position]: name for position in positions})
    undo = [
        {"into": "found" if was == AS_FOUND else "named", "name": was, "pictures": rows} for was, rows in before.items()
    ]
    return {"changed": len(positions), "before": undo, "session": None if wish.into != "one" else f"{BY_NAME}{name}"}


def _meant(catalogue: Catalogue, wish: SessionChange) -> list[int]:
    wanted, own = set(wish.sessions), catalogue.sessions()
    found = {catalogue.at(position) for position in wish.pictures}
    found |= {position for position, key in own.items() if key in wanted}
    if wish.shown is not None:
        found |= set(catalogue.positions(chosen(wish.shown)).tolist())
    if not found or (wish.into == "one" and len(found) < 2):
        least = "two pictures" if wish.into == "one" else "a picture"
        raise UsageError(f"choose {least} at least, got {len(found)}")
    return sorted(found)


def _free(stands: dict[str, str]) -> str:
    """A name that no session has yet."""
    taken, number = set(stands.values()), 1
    while f"{BY_HAND} {number}" in taken:
        number += 1
    return f"{BY_HAND} {number}"
