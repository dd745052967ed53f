"""What an output may replace: nothing at all, or what Photovision itself wrote there; never anything of the user's."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from photovision.core.errors import UsageError
from photovision.core.files import explained, write_bytes
from photovision.core.seal import TEXTS, edited

Kind = Literal["model", "export", "data set"]

MARK = ".photovision.json"
"""In an export: its kind and the names of its files."""
SIGNATURE = b"Photovision"
"""In the first bytes of every picture, video and page that Photovision writes."""
BUNDLE_FILES = frozenset(
    {
        *("bundle.json", "model.onnx", "decoder.onnx", "model.safetensors", "config.json", "preprocessor_config.json"),
        *("doubt.safetensors", "references.safetensors", "heldout.safetensors", "validation.safetensors"),
        *("training_images.safetensors", "audit.json", "card.json"),
        *("README.md", "DATASHEET.md", "report.html", "report.json", "report.md"),
    }
)
"""Every name that a bundle of any task and age may hold."""
_HEAD = 4096
_MAX_LINE = 2**20
_MAX_BYTES = 64 * 2**20
_DUST = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # file managers leave them everywhere
_ELSEWHERE = "choose another folder with --output"


def placed(path: str | Path) -> Path:
    """Where an output lies: absolute, links in the folders above it followed, its own name as given."""
    given = Path(path)
    if "\0" in str(given):
        raise UsageError("a name cannot hold a NUL character: name another folder with --output")
    if given.name in ("", "..") or given == given.parent:
        return Path(os.path.realpath(given))
    return Path(os.path.realpath(given.parent)) / given.name


def check_folder(path: str | Path, kind: Kind, inputs: Iterable[str | Path] = ()) -> Path:
    """Refuse an output folder in which something of the user's would be lost; to be called before any long work.

    Args:
        path: the output. It may be missing, empty, or hold a finished output of the same kind with nothing else in
            it; a data set is never replaced, for people go on working in it.
        kind: what is to be written.
        inputs: models and files that are read; the output may not be, hold or lie in one of them.

    Returns:
        its place, see `placed`.

    Raises:
        UsageError: one line on what is in the way.
    """
    inputs = tuple(inputs)
    with explained(Path(path)):
        place = placed(path)
        while True:
            looked_at = _identity(place)
            try:
                _check_place(path, place, inputs)
                if os.path.lexists(place):
                    check_content(path, place, kind)
            except (UsageError, OSError):
                if _identity(place) == looked_at:
                    raise
            else:
                return place  # else another writer has replaced the folder while its files were read: look again


def _identity(place: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = os.lstat(place)
        return found.st_dev, found.st_ino
    return None


def _check_place(path: str | Path, place: Path, inputs: Iterable[str | Path]) -> None:
    """Refuse a place that no folder may take, whatever is in it."""
    if place.is_symlink():
        raise UsageError(f"{path} is a link to {os.readlink(place)}: name the folder itself with --output")
    for source in inputs:
        real = Path(os.path.realpath(source))
        if _among(place, (real, *real.parents)):
            raise UsageError(f"{path} {_relation(place, real)}; {_ELSEWHERE}")
        if _among(real, place.parents):
            raise UsageError(f"{path} lies in the input {source}; {_ELSEWHERE}")
    if not os.path.lexists(place):
        _check_parent(path, place)
        return
    if not place.is_dir():
        raise UsageError(f"{path} exists and is not a folder: {_ELSEWHERE}")
    here = Path.cwd()
    if place == here or place in here.parents:
        raise UsageError(f"{path} is the current folder, or one above it: name a new folder with --output")
    if place == Path(os.path.realpath(Path.home())):
        raise UsageError(f"{path} is your home folder: name a new folder with --output")
    if os.path.ismount(place):
        raise UsageError(f"{path} is a mount point, which cannot be replaced: name a folder in it with --output")


def check_content(path: str | Path, place: Path, kind: Kind) -> None:
    """Refuse a folder that is neither empty nor a whole output of one kind and nothing else; `path` names it."""
    names = sorted(set(os.listdir(place)) - _DUST)
    if not names:
        return
    known = _known(place, kind)
    if known is None:
        if kind == "data set":
            raise UsageError(f"{path} is not empty, and data sets are never replaced: {_ELSEWHERE}")
        which = "an export" if kind == "export" else f"a {kind}"
        raise UsageError(f"{path} holds {names[0]} and is not {which} that Photovision wrote: {_ELSEWHERE}")
    for file in _files(place):
        name = file.relative_to(place).as_posix()
        if name not in known and file.name not in _DUST:
            raise UsageError(f"{path} holds {name}, which Photovision did not write: move it away, or {_ELSEWHERE}")
    _check_texts(path, place)


def write_mark(folder: Path, kind: Kind) -> None:
    """Note in a finished export which files belong to it, so that it can be recognised and replaced."""
    if kind != "export":  # a bundle is known by its bundle.json
        return
    names = sorted(file.relative_to(folder).as_posix() for file in _files(folder))
    write_bytes(folder / MARK, json.dumps({"kind": kind, "files": names}, indent=2).encode("utf-8"))


def check_report(folder: str | Path, kind: str, names: Iterable[str] = ()) -> None:
    """Refuse a report's folder where files of the same names are not those of an earlier report of its kind.

    Args:
        folder: it may hold anything else, which stays.
        kind: of `core.report.Report`.
        names: of files beside report.html, report.json and report.md.

    Raises:
        UsageError: one line on what is in the way.
    """
    place = placed(folder)
    if os.path.lexists(place) and not place.is_dir():
        raise UsageError(f"{folder} is not a folder: {_ELSEWHERE}")
    _check_parent(folder, place / "report.json")
    there = [name for name in ("report.json", "report.md", "report.html", *names) if os.path.lexists(place / name)]
    if not there:
        return
    found = _document(place / "report.json")
    if found is None or not {"kind", "title", "summary", "metrics", "tables", "warnings"} <= found.keys():
        raise UsageError(f"{folder} holds {there[0]}, which Photovision did not write: {_ELSEWHERE}")
    if found["kind"] != kind:
        raise UsageError(f"{folder} holds a report of '{found['kind']}', not of '{kind}': {_ELSEWHERE}")
    for name in there:
        if (place / name).is_symlink() or not (place / name).is_file():
            raise UsageError(f"{folder} holds {name}, which is no plain file: {_ELSEWHERE}")
    _check_texts(folder, place, tuple(name for name in TEXTS if name in there))


def check_file(path: str | Path, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse an output file that is an input, by whatever name, or that Photovision did not write.

    Args:
        path: the output. It may be missing, empty, or bear Photovision's signature.
        inputs: files that are read.

    Raises:
        UsageError: one line on what is in the way.
    """
    place = placed(path)
    if not os.path.lexists(place):
        return
    if place.is_symlink():
        raise UsageError(f"{path} is a link to {os.readlink(place)}: name the file itself")
    if not place.is_file():
        raise UsageError(f"{path} exists and is not a regular file: choose another name")
    for source in inputs:
        if os.path.exists(source) and os.path.samefile(source, place):
            raise UsageError(f"{path} is the input {source} itself: choose another name")
    with open(place, "rb") as file:
        head = file.read(_HEAD)
    if head and SIGNATURE not in head:
        raise UsageError(f"{path} exists, and Photovision did not write it: move it away, or choose another name")


def check_lines(path: Path, keys: Iterable[str]) -> None:
    """Refuse a file for events that holds anything but JSON Lines with these keys; pipes and devices are not read.

    Raises:
        UsageError: one line on what is in the way.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return
    with open(path, "rb") as file:
        head = file.readline(_MAX_LINE)
    try:
        first = json.loads(head)
    except (ValueError, RecursionError):
        first = None
    if not isinstance(first, dict) or not set(keys) <= first.keys():
        raise UsageError(f"{path} exists and holds no events that Photovision wrote: name a new file")


def write_output(path: Path, content: bytes, inputs: Iterable[str | Path] = ()) -> None:
    """Write a picture or a page that bears the signature, in place of an earlier one only; see `check_file`."""
    check_file(path, inputs)
    write_bytes(path, content)


def _check_texts(path: str | Path, place: Path, names: Iterable[str] = TEXTS) -> None:
    """Refuse a folder with a text that somebody has edited: it is theirs now."""
    for name in names:
        if (place / name).is_file() and edited(place / name):
            raise UsageError(f"{path} holds {name}, which was edited by hand: move it away, or {_ELSEWHERE}")


def _known(place: Path, kind: Kind) -> frozenset[str] | None:
    """The names that may be in an output of this kind; None where it is none."""
    if kind == "model":
        described = _document(place / "bundle.json")
        return BUNDLE_FILES if described is not None and described.get("format") == "photovision" else None
    marked = _document(place / MARK) if kind == "export" else None
    if marked is None or marked.get("kind") != kind or not isinstance(marked.get("files"), list):
        return None
    return frozenset({MARK, *(name for name in marked["files"] if isinstance(name, str))})


def _among(place: Path, others: Iterable[Path]) -> bool:
    """Whether a place is one of others, also by another name, of a bind mount or in other letters."""
    try:
        own = place.stat()
    except OSError:
        return False
    return any(os.path.samestat(own, other.stat()) for other in others if other.exists())


def _relation(place: Path, real: Path) -> str:
    what = "the model" if (real / "bundle.json").is_file() else f"the input {real.name}"
    return f"is {what} itself" if _among(place, (real,)) else f"holds {what} that is read"


def _document(file: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is none."""
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > _MAX_BYTES:
            return None
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _files(folder: Path) -> Iterator[Path]:
    """All files and links below a folder, and folders that are empty, for they are somebody's, too."""
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() or not entry.is_dir():
            yield entry
        elif below := list(_files(entry)):
            yield from below
        else:
            yield entry


def _check_parent(path: str | Path, place: Path) -> None:
    """Refuse what could not be written in the end: hours of work come before that."""
    above = next(folder for folder in place.parents if os.path.lexists(folder))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        why = "not writable" if above.is_dir() else "not a folder"
        raise UsageError(f"cannot write {path} ({above} is {why}): {_ELSEWHERE}")
