"""Where the pictures lie that a table or an annotation file names: as written, else searched below one folder.

Names come from other machines and from strangers: without suffix, in other letter case, with backslashes, as absolute
paths, file:// addresses or uploads of Label Studio, and some on purpose lead elsewhere. A name never opens a file
outside the folder, whether by "..", by an absolute path or through a link. What could be two files is neither.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath
from urllib.parse import parse_qs, unquote, urlsplit

from photovision.core.errors import DataError
from photovision.core.image import SUFFIXES
from photovision.data.formats import clean
from photovision.data.formats.tree import JUNK

MAX_ENTRIES = 5_000_000
"""Files and folders that a search looks at, at most."""
MAX_NAME = 4096
_SHOWN = 120
_DEPTH, _RIVALS = 2, 2000
"""Folders of a path that pictures are indexed by; pictures that are compared for one name, more are "ambiguous"."""
_SAME_SUFFIX = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the names of uploaded files."""

SEARCHED = {
    "end": "found by the end of their names",
    "suffix": "named without their suffix, or with another spelling of it (.jpeg for .jpg)",
    "zeros": "named without the zeros that their numbers begin with",
    "case": "named in other letter case than the files have",
    "folder": "found in folders that their names leave out",
}
"""Ways in which `ImageLocator` finds a file that does not lie where its name says -> words for a note."""


@dataclass(frozen=True)
class Located:
    """Where a named picture lies, or why it cannot be used.

    Attributes:
        file: path relative to the root, with forward slashes; "" where the picture cannot be used.
        how: a key of `SEARCHED` where the file had to be searched for; "" where it lies where its name says.
        kind: "missing", "outside" or "ambiguous" where `file` is "".
        message: one line on that, without line breaks and of limited length.
    """

    file: str = ""
    how: str = ""
    kind: str = ""
    message: str = ""


class ImageLocator:
    """Finds pictures below one folder by the names that tables and annotation files give them.

    A name is tried as written, below `below` and below the root, then with backslashes as slashes and without percent
    encoding. An absolute name that leads into the root is relative to it. Only if none of these is a file is the
    folder searched, once, for the end of the name: any number of leading folders may differ on either side, the suffix
    may lack, letter case may differ. For a name from elsewhere (absolute, an address, or leading out through "..") the
    folders may be other ones where no two pictures share a name. Two files that fit equally well are "ambiguous".

    Args:
        root: an existing folder; nothing outside of it is ever found.

    Raises:
        DataError: the root is no folder.

    Example:
        >>> ImageLocator(Path(".")).find("no/such.jpg").kind
        'missing'
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError(f"the folder of the pictures, {root}, is no folder: check its path")
        self.root = root
        self._real = os.path.realpath(root)
        self._inside: dict[str, bool] = {}

    def find(self, name: str, below: str = "") -> Located:
        """Where the picture of that name lies; `below` is the folder of the table, relative to the root."""
        text = name.strip()
        if not text or "\0" in text or len(text) > MAX_NAME:
            return Located(kind="missing", message="no file can have this name" if text else "no file is named")
        paths, foreign = [text], False
        found = self._as_written(paths, below)
        if found is None:
            paths, foreign = _spellings(text)
            found = self._as_written(paths, below)
        for path in paths if found is None else ():
            found = found or self._search(path, below, foreign)
        return found or self._nowhere(paths, foreign)

    def find_all(self, names: Iterable[str], below: str = "") -> dict[str, Located]:
        """`find` for many names; a file that a search finds for a name, but that another one names, is "ambiguous"."""
        located = {name: self.find(name, below) for name in dict.fromkeys(names)}
        claims: defaultdict[str, list[str]] = defaultdict(list)
        for name, found in located.items():
            if found.file:
                claims[found.file].append(name)
        for file, rivals in claims.items():
            for name in rivals if len(rivals) > 1 else ():
                if located[name].how:
                    other = next(rival for rival in rivals if rival != name)
                    message = f"could be '{shown(file)}', which '{shown(other)}' also leads to"
                    located[name] = Located(kind="ambiguous", message=message)
        return located

    def _as_written(self, paths: list[str], below: str) -> Located | None:
        """The file that lies where one of the paths says; a link that leads out is "outside", None where none does."""
        link = False
        for path in paths:
            for file in self._places(path, below):
                found = self._on_disk(file)
                if found and self._stays(found):
                    return Located(found)
                link = link or bool(found)
        message = f"it is a link that leads out of {self.root}, which is never followed"
        return Located(kind="outside", message=message) if link else None

    def _places(self, path: str, below: str) -> Iterator[str]:
        """Paths relative to the root that a name may mean; none where it leads outside."""
        if path.startswith("/"):
            for root in (os.path.abspath(self.root), self._real):
                start = root.replace(os.sep, "/").rstrip("/") + "/"
                if (inner := posixpath.normpath(path)).startswith(start):
                    yield inner[len(start) :]
            return
        if os.path.splitdrive(path)[0]:
            return
        for start in dict.fromkeys((below, "")):
            file = posixpath.normpath(posixpath.join(start, path))
            if file != ".." and not file.startswith("../") and file != ".":
                yield file

    def _on_disk(self, file: str) -> str:
        """The name under which a regular file exists, which may differ in Unicode form (macOS decomposes), or ""."""
        for form in dict.fromkeys((file, unicodedata.normalize("NFC", file), unicodedata.normalize("NFD", file))):
            try:
                if stat.S_ISREG(os.stat(os.path.join(self.root, form)).st_mode):
                    return form
            except (OSError, ValueError):
                continue
        return ""

    def _stays(self, file: str) -> bool:
        """Whether the file lies below the root after all links are followed."""
        path = os.path.join(self.root, file)
        if os.path.islink(path):
            return self._below_root(os.path.realpath(path))
        folder = posixpath.dirname(file)
        if folder not in self._inside:
            self._inside[folder] = self._below_root(os.path.realpath(os.path.join(self.root, folder)))
        return self._inside[folder]

    def _below_root(self, real: str) -> bool:
        return real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep)

    def _search(self, path: str, below: str, foreign: bool) -> Located | None:
        """The one file whose path ends like the name; None where there is none."""
        parts = _parts(path)
        for last in dict.fromkeys((parts[-1], _UPLOADED.sub("", parts[-1]))) if parts else ():
            wanted = [*parts[:-1], last]
            found = _narrowed(wanted, self._index.ending(wanted, foreign), below)
            if len(found) == 1:
                return Located(found[0], _how(wanted, found[0], foreign or last != parts[-1]))
            if found:
                rivals = " or ".join(f"'{shown(file)}'" for file in sorted(found)[:2])
                message = f"it could be {rivals}: name the folder that is meant with --root, or its whole path"
                return Located(kind="ambiguous", message=message)
        return None

    def _nowhere(self, paths: list[str], foreign: bool) -> Located:
        """Why a name leads to no file: the nearest true cause."""
        stem, suffix = _split((_parts(paths[-1]) or [""])[-1])
        near = self._index.named(stem)
        if near:
            fault = "folder" if not suffix or any(_same_suffix(file, suffix) for file in near) else "suffix"
            message = f"it is not there; '{shown(min(near))}' is: correct the {fault}"
            return Located(kind="missing", message=message)
        if foreign:
            message = f"it lies outside {self.root}, which is never left, and no picture of that name is inside"
            return Located(kind="outside", message=message)
        return Located(kind="missing", message=f"it is not there, and no picture of that name is below {self.root}")

    @cached_property
    def _index(self) -> _Index:
        return _Index(file for file in _pictures_below(self.root) if self._stays(file))


class _Index:
    """Pictures by their names, and by their names with the folder they lie in; suffixes and letter case aside."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files: dict[str, list[str]] = {}
        whole: set[str] = set()
        self.unique = True
        for file in files:
            *folders, name = file.split("/")
            self.unique = self.unique and _key(name) not in whole
            whole.add(_key(name))
            for depth in range(min(len(folders), _DEPTH) + 1):
                end = "/".join((*folders[len(folders) - depth :], _stem(name)))
                self._files.setdefault(_key(end), []).append(file)

    def named(self, stem: str) -> list[str]:
        """Pictures of that name without suffix."""
        return self._files.get(_key(_stem(stem)), [])

    def ending(self, wanted: list[str], foreign: bool) -> list[str]:
        """Pictures whose paths end most like the name.

        The folders of the shorter path have to be those at the end of the longer one. Of a name from elsewhere they
        may be others, as long as no two pictures of the tree share a name.
        """
        suffix, near = _split(wanted[-1])[1], list[str]()
        for depth in range(min(len(wanted) - 1, _DEPTH), -1, -1):
            end = "/".join((*wanted[len(wanted) - 1 - depth : -1], _stem(wanted[-1])))
            near = near or self._files.get(_key(end), [])
        if not near:  # "a.png" of a file a.png.jpg
            suffix, near = "", self.named(f"{wanted[-1]}.jpg")
        fitting = [file for file in near if not suffix or _same_suffix(file, suffix)]
        if len(fitting) > _RIVALS:
            return fitting[:2]
        folders = [_key(part) for part in wanted[-2::-1]]
        ranked: defaultdict[int, list[str]] = defaultdict(list)
        for file in fitting:
            own = [_key(part) for part in file.split("/")[-2::-1]]
            same = next((i for i, (a, b) in enumerate(zip(folders, own, strict=False)) if a != b), None)
            if same is None or (foreign and (same or self.unique)):
                ranked[min(len(folders), len(own)) if same is None else same].append(file)
        return ranked[max(ranked)] if ranked else []


def _stem(name: str) -> str:
    """A file's name without its suffix; a number without the zeros that it begins with."""
    stem = _split(name)[0]
    return (stem.lstrip("0") or "0") if stem.isascii() and stem.isdecimal() else stem


def is_picture_name(name: str) -> bool:
    """Whether a name has the suffix of a picture."""
    return bool(_split(name)[1])


def shown(name: str) -> str:
    """A name in a message: printable and of limited length."""
    text = "".join(c if c.isprintable() else "?" for c in clean(name[: 2 * _SHOWN]))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _spellings(text: str) -> tuple[list[str], bool]:
    """Paths that a name may mean, and whether it comes from elsewhere: absolute, an address, or leading out."""
    try:
        address = urlsplit(text)
        inner = parse_qs(address.query).get("d", [""])[0]  # Label Studio: /data/local-files/?d=a%5Cb.jpg
    except ValueError:
        address, inner = urlsplit(""), ""
    addressed = len(address.scheme) > 1 or bool(inner)  # "C:" is a drive
    base = inner or (unquote(address.path) if addressed else text)
    base = base[1:] if re.match(r"/[A-Za-z]:[/\\]", base) else base  # file:///C:/a.jpg
    plain = base, unquote(base)
    paths = [path for one in plain for path in (one, one.replace("\\", "/")) if "\0" not in path]
    return list(dict.fromkeys(paths)), addressed or any(_leads_out(path) for path in paths)


def _leads_out(path: str) -> bool:
    return path.startswith(("/", "\\", "~")) or bool(PureWindowsPath(path).drive) or ".." in re.split(r"[/\\]", path)


def _parts(path: str) -> list[str]:
    return [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..")]


def _split(name: str) -> tuple[str, str]:
    """The name without the suffix of a picture, and that suffix, "" where it has none ("scan.07" has none)."""
    stem, suffix = os.path.splitext(name)
    return (stem, suffix) if suffix.lower() in SUFFIXES else (name, "")


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _same_suffix(file: str, suffix: str) -> bool:
    own, other = _split(file)[1].lower(), suffix.lower()
    return _SAME_SUFFIX.get(own, own) == _SAME_SUFFIX.get(other, other)


def _narrowed(wanted: list[str], files: list[str], below: str) -> list[str]:
    """Of files that fit equally well, those below the table's own folder, then those in the very letter case."""
    end = _nfc("/" + "/".join(wanted))
    for narrower in (
        [file for file in files if below and file.startswith(f"{below}/")],
        [file for file in files if _nfc(f"/{file}").endswith(end) or _nfc(f"/{_split(file)[0]}").endswith(end)],
    ):
        files = narrower if len(files) > 1 and narrower else files
    return files


def _how(wanted: list[str], file: str, foreign: bool) -> str:
    own = file.split("/")
    if foreign or len(own) < len(wanted):
        return "end"
    tail = own[-len(wanted) :]
    stem = _split(tail[-1])[0]
    if stem.isdecimal() and stem != _split(wanted[-1])[0]:
        return "zeros"
    if _split(wanted[-1])[1].lower() != _split(file)[1].lower():
        return "suffix"
    return "case" if [_nfc(part) for part in tail] != [_nfc(part) for part in wanted] else "folder"


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _pictures_below(root: Path) -> Iterator[str]:
    """Paths of pictures relative to the root, in a fixed order; raises DataError where there are too many entries."""
    left = MAX_ENTRIES
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                names = sorted((e.name, e.is_dir(follow_symlinks=False), e.is_file()) for e in entries)
        except OSError:
            continue
        left -= len(names)
        if left < 0:
            raise DataError(
                f"{root} holds more than {MAX_ENTRIES:,} files, too many to search for the pictures: name a nearer"
                " folder with --root"
            )
        for name, is_folder, is_file in names:
            if name.startswith(".") or name in JUNK:
                continue
            path = f"{folder}/{name}" if folder else name
            if is_folder:
                waiting.append(path)
            elif is_file and os.path.splitext(name)[1].lower() in SUFFIXES:
                yield path
