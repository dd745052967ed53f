"""FaceStore: people who agreed to be recognised, each with purpose, basis and expiry; a folder to own.

    faces.json     what it is, and by which networks its templates were made
    faces.sqlite   sealed entries, and a log of every use

It holds no pictures, and names and templates only sealed; the key lies outside.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from photovision.core.errors import DataError, ModelError, UnreadableImage, UsageError
from photovision.core.files import explained, open_regular, write_json
from photovision.core.inputs import Given, as_pixels, name_of
from photovision.core.phrases import listed
from photovision.core.suggest import did_you_mean
from photovision.faces.entry import FaceEntry, checked_ground, checked_name
from photovision.faces.quality import ENROLMENT
from photovision.faces.recognise import FaceRecogniser, fingerprint, identity
from photovision.faces.store import FaceDatabase, LogRow
from photovision.faces.thresholds import DEFAULT_FMR, FaceThreshold, threshold_for
from photovision.faces.vault import Vault, key_file, make_key, read_key
from photovision.trust.metrics.verification import FacePairs, all_pairs

if TYPE_CHECKING:
    from photovision.core.report import Report
    from photovision.faces.forget import ForgetProof
    from photovision.faces.identify import Identification
    from photovision.faces.identify_video import VideoIdentification

STORE_FILE, DATABASE_FILE = "faces.json", "faces.sqlite"
FORMAT, VERSION = "photovision-faces", 1
_LARGEST_JSON = 1 << 16
_ONE_PERSON = 0.01
"""Pictures of one enrolment resemble each other by more than the threshold of this false-match rate."""


class Enrolled(NamedTuple):
    """What came of an enrolment.

    Attributes:
        entry: of the person.
        refused: picture -> why it was not taken.
        lookalikes: names of enrolled people who can hardly be distinguished from them.
    """

    entry: FaceEntry
    refused: dict[str, str]
    lookalikes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What `photovision faces enroll --json` prints."""
        return {**self.entry.to_json(), "refused": self.refused, "lookalikes": list(self.lookalikes)}


class FaceStore:
    """An opened store of faces; a context manager, used by one thread at a time.

    Args:
        path: its folder.
        key: the file of its key; None takes $PHOTOVISION_FACES_KEY, else one in the user's settings.
        create: whether the store, and its key, are made where they are missing. Where nobody is enrolled until it is
            closed, both are removed again.
        recogniser: made already; None makes one when it is needed.

    Raises:
        ModelError: there is no store, its key is missing or another one, or it was made by other networks.
        UsageError: the key would lie inside the store, or something else is in the way.
        MissingExtra: the library cryptography is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        key: str | Path | None = None,
        create: bool = False,
        recogniser: FaceRecogniser | None = None,
    ) -> None:
        self.path = Path(path)
        fresh = create and not (self.path / STORE_FILE).exists()
        self._made: list[Path] = []
        if fresh:
            self._begin()
        self.description = read_store(self.path)
        self.key_file = key_file(self.path, self.description["id"], key)
        if fresh and not self.key_file.exists():
            self._made.append(self.key_file)
        self.vault = Vault((make_key if fresh else read_key)(self.key_file), self.description["id"])
        self.recogniser = recogniser or FaceRecogniser()
        self._db = FaceDatabase(self.path / DATABASE_FILE, self.vault, create=fresh)
        if not self._db.of_vault():
            self._db.close()
            raise ModelError(f"{self.key_file} is not the key of {self.path}: name its own with --key")
        self._read: tuple[int, dict[str, FaceEntry]] | None = None
        self._thresholds: dict[float, FaceThreshold] = {}

    def _begin(self) -> None:
        with explained(self.path):
            known = self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise UsageError(f"{self.path} is no store of faces and not empty: name a new folder")
            os.chmod(self.path, 0o700)
        marks = {"format": FORMAT, "version": VERSION, "id": secrets.token_hex(8)}
        write_json(self.path / STORE_FILE, {**marks, "recogniser": identity()}, 0o600)
        self._made = [self.path / DATABASE_FILE, self.path / STORE_FILE, *([] if known else [self.path])]

    def close(self) -> None:
        """Close its database; a store that was made and never used leaves nothing behind."""
        unused = self._made and not self._db.used()
        self._db.close()
        for path in self._made if unused else ():
            with contextlib.suppress(OSError):  # a file of the user's lies there by now
                path.rmdir() if path == self.path else path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.entries())

    def __repr__(self) -> str:
        return f"FaceStore({str(self.path)!r})"

    def entries(self) -> dict[str, FaceEntry]:
        """Name -> entry of everybody, expired ones, too; this reading is not logged, see `people`."""
        state = self._db.state()
        if self._read is None or self._read[0] != state:
            opened = (
                FaceEntry.unpacked(self.vault.unseal(sealed, pseudonym))
                for pseudonym, sealed in self._db.entries().items()
            )
            self._read = state, {entry.name: entry for entry in sorted(opened, key=lambda entry: entry.name)}
            self._thresholds = {}
        return self._read[1]

    def active(self) -> list[FaceEntry]:
        """Those who are still recognised."""
        return [entry for entry in self.entries().values() if entry.active()]

    def entry(self, name: str) -> FaceEntry:
        """The entry of a name; raises UsageError where nobody is enrolled by it."""
        known = self.entries()
        if name not in known:
            raise UsageError(f"nobody is enrolled as '{name}'{did_you_mean(name, known)}")
        return known[name]

    def note(self, event: str, **details: Any) -> None:
        """Log a use; details hold no names."""
        self._db.log(event, self._operator(), details)

    def _operator(self) -> str:
        return self.vault.pseudonym(f"operator {_account()}")

    def log(self) -> list[LogRow]:
        """The log of every use; raises ModelError where it was tampered with."""
        return self._db.rows()

    def own_words(self) -> str:
        """Everything that its two files say by themselves, whoever is enrolled."""
        return f"{self._db.words()} {json.dumps(self.description)}"

    def people(self) -> list[FaceEntry]:
        """Everybody who is enrolled; that it was asked for is logged."""
        found = sorted(self.entries().values(), key=lambda entry: entry.name)
        self.note("list", people=len(found))
        return found

    def export(self, name: str) -> dict[str, Any]:
        """Everything that is known of a person, JSON-ready, with the rows of the log about them."""
        entry = self.entry(name)
        self.note("export", subject=entry.pseudonym)
        rows = [row.to_json() for row in self.log() if entry.pseudonym in json.dumps(row.details)]
        return {**entry.to_json(templates=True), "recogniser": self.description["recogniser"], "log": rows}

    def enroll(
        self,
        name: str,
        pictures: Iterable[Given],
        *,
        purpose: str | None = None,
        basis: str | None = None,
        until: str | date | None = None,
    ) -> Enrolled:
        """Enrol a person who agreed, or whom a contract or a law lets be recognised.

        Args:
            name: as people know them.
            pictures: one or more, as `photovision.core.inputs.as_source` takes them, each with one face. Those that
                show it poorly, or another person than the others, are refused.
            purpose: what they are recognised for.
            basis: "consent", "contract" or "law".
            until: the last day, a date or ISO 8601.

        Raises:
            UsageError: purpose, basis or end are missing, the name is taken, or no picture is good enough.
        """
        purpose, ground, ends = checked_ground(purpose, basis, until)
        name = checked_name(name, list(self.entries()))
        taken, refused = self._templates(pictures)
        if not taken:
            reasons = "; ".join(f"{picture}: {why}" for picture, why in refused.items())
            raise UsageError(f"{name} was not enrolled, no picture is good enough: {reasons or 'none was given'}")
        pseudonym, now = secrets.token_hex(8), datetime.now(UTC).isoformat(timespec="seconds")
        vectors = np.stack(list(taken.values()))
        entry = FaceEntry(pseudonym, name, purpose, ground, ends, now, _account(), vectors)
        threshold = threshold_for(DEFAULT_FMR).score  # that of the store takes all pairs
        alike = tuple(o.name for o in self.active() if float(o.template @ entry.template) >= threshold)
        details = {"subject": pseudonym, "pictures": len(taken), "refused": len(refused), "basis": ground}
        self._db.add(pseudonym, self.vault.seal(entry.packed(), pseudonym), self._operator(), details)
        self.entries()[name] = entry
        self._thresholds = {}
        return Enrolled(entry, refused, alike)

    def _templates(self, pictures: Iterable[Given]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Embeddings of the pictures that are good enough, and why the others are not."""
        taken: dict[str, np.ndarray] = {}
        refused: dict[str, str] = {}
        for number, picture in enumerate(pictures, 1):
            called = name_of(picture) or f"picture {number}"
            try:
                faces = self.recogniser.faces(as_pixels(picture, called), upright=True)
            except UnreadableImage as error:
                refused[called] = str(error).removeprefix(f"{called}: ")
                continue
            if len(faces) != 1:
                refused[called] = f"it has {len(faces)} faces, expected one" if faces else "it has no face"
            elif reasons := ENROLMENT.reasons(faces[0].quality):
                refused[called] = ", ".join(reasons)
            else:
                taken[called] = faces[0].vector
        least = threshold_for(_ONE_PERSON).score
        for called in _strangers(taken, least):
            refused[called] = "it resembles the other pictures no more than one of another person"
            del taken[called]
        return taken, refused

    def threshold(self, fmr: float) -> FaceThreshold:
        """The threshold of a false-match rate, from the shipped table and from the people who are enrolled."""
        self.entries()
        if fmr not in self._thresholds:
            self._thresholds[fmr] = threshold_for(fmr, self._gallery())
        return self._thresholds[fmr]

    def _gallery(self) -> FacePairs | None:
        people = self.active()
        if len(people) < 2:
            return None
        return all_pairs(np.stack([entry.template for entry in people]), [entry.pseudonym for entry in people])

    def lookalikes(self, fmr: float = DEFAULT_FMR) -> list[tuple[str, str, float]]:
        """Pairs of enrolled people who can hardly be distinguished, with their score, the most alike first."""
        threshold, people = self.threshold(fmr).score, self.active()
        self.note("lookalikes", people=len(people))
        if len(people) < 2:
            return []
        templates = np.stack([entry.template for entry in people])
        scores = np.triu(templates @ templates.T, 1)
        rows, columns = np.nonzero(scores >= threshold)
        found = [(people[a].name, people[b].name, float(scores[a, b])) for a, b in zip(rows, columns, strict=True)]
        return sorted(found, key=lambda pair: -pair[2])

    def identify(self, picture: Given, *, fmr: float | None = None, fpir: float | None = None) -> Identification:
        """Which of the enrolled people are in a picture; see `photovision.faces.identify.identify`."""
        from photovision.faces.identify import identify

        return identify(self, picture, fmr=fmr, fpir=fpir)

    def identify_video(
        self, source: str | Path | int, *, fmr: float | None = None, fpir: float | None = None
    ) -> VideoIdentification:
        """Which of them are in a video; see `photovision.faces.identify_video.identify_video`."""
        from photovision.faces.identify_video import identify_video

        return identify_video(self, source, fmr=fmr, fpir=fpir)

    def evaluate(self, source: str | Path, *, by: Sequence[str] = (), fmr: float = DEFAULT_FMR) -> Report:
        """How often the threshold is wrong about people the user knows; see `photovision.faces.evaluate.evaluate`."""
        from photovision.faces.evaluate import evaluate

        return evaluate(self, source, by=by, fmr=fmr)

    def forget(self, name: str) -> ForgetProof:
        """Remove a person, and prove it by a search of all bytes; see `photovision.faces.forget.forget`."""
        from photovision.faces.forget import forget

        return forget(self, name)

    def remove(self, entry: FaceEntry) -> bytes:
        """Take an entry out, and rewrite the database; returns its sealed bytes. See `forget.forget`."""
        sealed = self._db.remove(entry.pseudonym, self._operator())
        self._read = None
        return sealed


def read_store(path: Path) -> dict[str, Any]:
    """The checked contents of faces.json; raises ModelError where there is none, or templates of other networks."""
    file = path / STORE_FILE
    try:
        with open_regular(file) as opened:
            found = json.loads(opened.read(_LARGEST_JSON))
    except (OSError, DataError):
        raise ModelError(
            f"{path} is no store of faces: make one with 'photovision faces enroll {path} NAME ...'"
        ) from None
    except (ValueError, RecursionError):
        raise ModelError(f"{file} is damaged: restore the store from a copy") from None
    known = (
        isinstance(found, Mapping) and found.get("format") == FORMAT and isinstance(found.get("recogniser"), Mapping)
    )
    if not known or not str(found.get("id", "")).isalnum():
        raise ModelError(f"{file} does not describe a store of faces: name one that 'photovision faces enroll' made")
    if found.get("version") != VERSION:
        raise ModelError(f"{file} is of version {found.get('version')!r}, this Photovision reads {VERSION}: upgrade it")
    if dict(found["recogniser"]) != identity():
        theirs, own = fingerprint(dict(found["recogniser"])), fingerprint(identity())
        raise ModelError(
            f"the templates of {path} were made by other weights or another alignment ({theirs}) than are used here"
            f" ({own}), and cannot be compared: enrol its people again in another store"
        )
    return dict(found)


def _strangers(taken: Mapping[str, np.ndarray], least: float) -> list[str]:
    """Pictures that are not of the person whom most of the others show."""
    names, vectors = list(taken), np.stack(list(taken.values())) if taken else np.zeros((0, 1))
    same = vectors @ vectors.T >= least
    votes = same.sum(1)
    if not len(names) or votes.min() == len(names):
        return []
    if votes.max() * 2 <= len(names):
        raise UsageError(f"the pictures show different people: {listed(names)}; give pictures of one person")
    return [name for name, near in zip(names, same[int(votes.argmax())], strict=True) if not near]


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without accounts
        return "unknown"
