"""A folder of versions of one model: `current` leads to the one in use, and changes in one step.

    ledger.sqlite     what happened, see `engine.update.ledger`
    current           a link to the version in use
    versions/NAME     the versions, each a bundle, named by its content
    states/NAME.safetensors    what each keeps to learn from, see the task
    golden.safetensors, golden/    the frozen golden set: features, and what its pictures look like

The ledger is what counts: a link that an interrupted run left behind is set right when the folder is opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from photovision.core.errors import ModelError, UsageError
from photovision.core.files import beside, explained
from photovision.core.lock import Lock
from photovision.core.output import placed
from photovision.engine.bundle_writer import copy_files
from photovision.engine.update.growth import GOLDEN_FILE
from photovision.engine.update.ledger import LEDGER_FILE, Ledger, VersionEvent
from photovision.runtime.bundle import CURRENT, Bundle, read_bundle
from photovision.runtime.training_images import TrainingImages, read_training_images

_GOLDEN = "golden"
_SHA = "golden_sha256"


class Versions:
    """An opened folder of versions; a context manager.

    Args:
        folder: where it is.

    Raises:
        ModelError: there is none, or it is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.ledger = Ledger(self.folder)
        if not self.ledger.events():
            raise ModelError(f"{self.folder} has no version: an interrupted run left it; remove it and update again")
        self._follow()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.ledger.close()

    @property
    def current(self) -> str:
        """The name of the version in use."""
        return self.ledger.events()[-1].version

    @property
    def names(self) -> tuple[str, ...]:
        """All versions, the oldest first."""
        return tuple(dict.fromkeys(event.version for event in self.ledger.events()))

    def bundle(self, name: str = "") -> Bundle:
        """The bundle of a version, of the one in use by default; raises ModelError where it is damaged."""
        return read_bundle(self.path(name or self.current))

    def path(self, name: str) -> Path:
        """The folder of a version."""
        return self.folder / "versions" / name

    def state(self, name: str) -> Path | None:
        """The file of what a version keeps; None for the first one."""
        return None if name == self.names[0] else self.folder / "states" / f"{name}.safetensors"

    @property
    def golden(self) -> Path:
        """The file of the golden set; raises ModelError where it is not the one that was frozen."""
        file = self.folder / GOLDEN_FILE
        if not file.is_file() or _sha256(file) != self.ledger.fact(_SHA):
            raise ModelError(f"{file} is not the golden set that was frozen: copy the folder of versions again")
        return file

    @property
    def golden_images(self) -> TrainingImages:
        """What the pictures of the golden set look like."""
        found = read_training_images(self.folder / _GOLDEN)
        if found is None:
            raise ModelError(f"{self.folder / _GOLDEN} is missing: copy the folder of versions again")
        return found

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other writers out; raises UsageError where one is at work."""
        lock = Lock(beside(placed(self.folder), "run.lock"))
        with explained(self.folder):
            if not lock.take(wait=False):
                raise UsageError(f"another run is updating {self.folder}: wait for its end")
        try:
            yield
        finally:
            lock.release()

    def promote(self, made: Path, state: Path, event: VersionEvent) -> str:
        """Put a finished bundle and what it keeps in their place, and let it be the version in use.

        Args:
            made: the bundle, in this folder; it is moved.
            state: the file; it is moved.
            event: what the ledger is to say; its version is filled in.

        Returns:
            the name of the version.
        """
        name = read_bundle(made).fingerprint[:12]
        with explained(self.folder):
            if not self.path(name).exists():
                os.rename(made, self.path(name))
            os.replace(state, self.folder / "states" / f"{name}.safetensors")
        self.ledger.add(VersionEvent("promoted", name, self.current, event.data, event.tested, event.report))
        self._follow()
        return name

    def rollback(self) -> str:
        """Let the version before the one in use be in use again; raises UsageError for the first one."""
        now = self.current
        before = next(
            (
                event.previous
                for event in reversed(self.ledger.events())
                if event.version == now and event.kind in _MADE
            ),
            "",
        )
        if not before:
            raise UsageError(f"{self.folder} cannot be rolled back: {now} is its first version")
        read_bundle(self.path(before))
        self.ledger.add(VersionEvent("rolled back", before, now))
        self._follow()
        return before

    def _follow(self) -> None:
        """Let the link lead to the version that the ledger names."""
        link, target = self.folder / CURRENT, f"versions/{self.current}"
        with explained(self.folder):
            if os.path.lexists(link) and not link.is_symlink():
                raise UsageError(f"{link} is not the link that Photovision made: move it away")
            if link.is_symlink() and os.readlink(link) == target:
                return
            part = self.folder / f".{CURRENT}.part"
            part.unlink(missing_ok=True)
            os.symlink(target, part)
            os.replace(part, link)


_MADE = ("created", "promoted")


def is_versions(path: str | Path) -> bool:
    """Whether there is a folder of versions at a path."""
    return (Path(path) / LEDGER_FILE).is_file()


@contextlib.contextmanager
def new_versions(output: str | Path, model: Bundle) -> Iterator[Path]:
    """Make a folder of versions whose first one is a copy of a model; inside, the golden set is written into it.

    Args:
        output: the folder; missing or empty.
        model: the first version.

    Raises:
        UsageError: there is something in its place.
    """
    place = placed(output)
    with explained(place):
        if os.path.lexists(place) and (not place.is_dir() or any(place.iterdir())):
            raise UsageError(f"{output} is not empty and is never replaced: choose another folder with --output")
        made = not place.exists()
        for name in ("versions", "states", _GOLDEN):
            (place / name).mkdir(parents=True, exist_ok=True)
    name = model.fingerprint[:12]
    try:
        with explained(place):
            copy_files(model.path, place / "versions" / name, "all")
        yield place
        ledger = Ledger(place, create=True)
        ledger.add(VersionEvent("created", name), {_SHA: _sha256(place / GOLDEN_FILE)})
        ledger.close()
    except BaseException:
        for part in ("versions", "states", _GOLDEN, LEDGER_FILE, GOLDEN_FILE):
            target = place / part
            shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)
        if made:
            with contextlib.suppress(OSError):
                place.rmdir()
        raise


def golden_folder(place: Path) -> Path:
    """Where what the golden pictures look like is kept."""
    return place / _GOLDEN


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
