"""People on the local page: enrolled with purpose, basis and end, recognised in pictures and before the camera.

Stores lie in the folder of the page, and their keys outside, as the commands have them. Pictures are the body of a
request, are looked at and forgotten. What a person sees over and over before the camera is one use until somebody else
comes, so that the log stays readable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel

from photovision.app.web.discovery import DEEPEST, MOST_FOLDERS, folders_in
from photovision.app.web.recognise import Content
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, PhotovisionError, UnreadableImage, UsageError

if TYPE_CHECKING:
    from photovision.faces.register import FaceStore

T = TypeVar("T")
STORE_FILE = "faces.json"
"""Names a folder as a store of faces."""
MOST_PICTURES = 50
"""Pictures of one enrolment."""


class PersonRequest(BaseModel, extra="forbid"):
    """Somebody who is enrolled in a store."""

    store: str
    name: str


class Ground(BaseModel, extra="forbid"):
    """Who is enrolled where, what for, on what basis and until when; "sizes" are bytes of each picture, in order."""

    store: str
    name: str
    purpose: str = ""
    basis: str = ""
    until: str = ""
    sizes: str


class PageStores:
    """The stores below the folder of the page; an opened one is used by one thread at a time.

    Args:
        state: of the page.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._guard = threading.Lock()
        self._opened: dict[Path, FaceStore] = {}
        self._last: dict[str, list[dict[str, Any]] | None] = {}

    def names(self) -> list[str]:
        """Paths of the stores below the folder, sorted; links are not followed."""
        top, found, seen = self._state.folder, [], 0
        waiting = [] if top is None else [(top, 0)]
        while top is not None and waiting and seen < MOST_FOLDERS:
            place, depth = waiting.pop(0)
            seen += 1
            if (place / STORE_FILE).is_file():
                found.append(place.relative_to(top).as_posix())
            elif depth < DEEPEST:
                waiting += [(child, depth + 1) for child in folders_in(place)]
        return sorted(found)

    @contextmanager
    def using(self, name: str, *, create: bool = False) -> Iterator[FaceStore]:
        """A store for one thread; raises ModelError or DataError where there is none that can be opened."""
        from photovision.faces.recognise import FaceRecogniser
        from photovision.faces.register import FaceStore

        known = name in self.names()
        if not known and not create:
            raise DataError(f"there is no store of faces '{name}' in the folder of this page (any more): reload it")
        place = self._state.inside(name) if known else self._state.new_folder(name)
        with self._guard:
            if known and place in self._opened:
                yield self._opened[place]
                return
            others = [opened.recogniser for opened in self._opened.values()]
            opened = FaceStore(place, create=create, recogniser=others[0] if others else FaceRecogniser())
            try:
                yield opened
            except BaseException:
                opened.close()
                raise
            self._opened[place] = opened

    def identify(self, name: str, content: bytes, *, live: bool) -> dict[str, Any]:
        """Who is in a picture, and its size (H, W); of one before the camera it is logged when others are seen."""
        from photovision.core.inputs import as_pixels
        from photovision.faces.identify import FaceGallery

        image = as_pixels(content)
        with self.using(name) as store:
            gallery = FaceGallery(store)
            faces = gallery.names(store.recogniser.faces(image))
            facts, subjects = gallery.facts(), gallery.subjects(faces)
            seen = [{key: one[key] for key in ("subject", "verdict")} for one in subjects]
            if not live or self._last.get(name) != seen:
                logged = {"threshold": facts["threshold"], "fmr": facts["fmr"]}
                store.note("identify", faces=len(faces), found=subjects, live=live, **logged)
            self._last[name] = seen if live else None
        return {"size": list(image.shape[:2]), "faces": [face.to_json() for face in faces], **facts}

    def close(self) -> None:
        """Let go of all stores."""
        with self._guard:
            for opened in self._opened.values():
                opened.close()
            self._opened = {}


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/faces")
    stores = PageStores(state)
    state.leaving.append(stores.close)
    _register(router, stores)

    @router.get("/stores")
    def every() -> dict[str, Any]:
        """The stores, whether one can be made here, and the weights that are not on this machine yet."""
        return {"stores": stores.names(), "writable": state.folder is not None, "missing": missing()}

    @router.post("/enroll")
    def enroll(ground: Annotated[Ground, Query()], pictures: Content) -> dict[str, Any]:
        """Enrol a person; the first one makes the store, and its key. `{"error": reason}` where it makes no sense."""
        try:
            return enrolled(stores, ground, pictures)
        except UsageError as error:
            return {"error": str(error)}

    @router.post("/identify")
    def identify(store: str, picture: Content, live: bool = False) -> dict[str, Any]:
        """Who is in a picture; `{"error": reason}` of a file that is none."""
        try:
            return stores.identify(store, picture, live=live)
        except UnreadableImage as error:
            return {"error": str(error)}

    return router


def _register(router: APIRouter, stores: PageStores) -> None:
    """Addresses of the register."""

    def used(name: str, work: Callable[[FaceStore], T]) -> T:
        with stores.using(name) as opened:
            return work(opened)

    @router.get("/people")
    def people(store: str) -> dict[str, Any]:
        """Who is enrolled, who looks alike, and where the key lies."""
        with stores.using(store) as opened:
            rows = [entry.to_json() for entry in opened.people()]
            alike = [[one, other, round(score, 3)] for one, other, score in opened.lookalikes()]
            return {"people": rows, "lookalikes": alike, "key": str(opened.key_file)}

    @router.get("/export")
    def export(store: str, name: str) -> dict[str, Any]:
        """Everything that is known of a person."""
        return used(store, lambda opened: opened.export(name))

    @router.get("/log")
    def log(store: str) -> dict[str, Any]:
        """Every use, after checking that nobody changed the log."""
        return {"rows": used(store, lambda opened: [row.to_json() for row in opened.log()])}

    @router.post("/forget")
    def forget(wish: PersonRequest) -> dict[str, Any]:
        """Remove a person, and prove it."""
        return used(wish.store, lambda opened: opened.forget(wish.name).to_json())


def missing() -> list[str]:
    """Weights of faces that are not on this machine."""
    from photovision.models.weights import locate

    found = []
    for name in ("yunet", "sface"):
        try:
            found += [] if locate(name) else [name]
        except PhotovisionError:  # weights that were altered
            found.append(name)
    return found


def enrolled(stores: PageStores, ground: Ground, content: bytes) -> dict[str, Any]:
    """The entry, which pictures were refused by their place, and where the key lies.

    Raises:
        UsageError: purpose, basis or end are missing, the name is taken, or no picture is good enough.
    """
    from photovision.faces.entry import checked_ground

    checked_ground(ground.purpose, ground.basis or None, ground.until or None)  # before a store is made
    pictures = _split(content, ground.sizes)
    with stores.using(ground.store, create=True) as opened:
        facts = {"purpose": ground.purpose, "basis": ground.basis, "until": ground.until}
        found = opened.enroll(ground.name, pictures, **facts)
        return {**found.to_json(), "key": str(opened.key_file)}


def _split(content: bytes, sizes: str) -> list[bytes]:
    """Pictures that were sent one after the other."""
    lengths = [int(one) if one.isdecimal() and len(one) < 12 else 0 for one in sizes.split(",")]
    if not all(lengths) or sum(lengths) != len(content) or len(lengths) > MOST_PICTURES:
        raise UsageError(f"the sizes of 1 to {MOST_PICTURES} pictures should be given, and add up to what is sent")
    found, start = [], 0
    for length in lengths:
        found.append(content[start : start + length])
        start += length
    return found
