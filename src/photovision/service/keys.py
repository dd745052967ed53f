"""Keys: who may ask. The file holds salted hashes, so that nobody who reads it can call the service.

A key is 256 random bits, so one round of SHA-256 with a salt is enough: there is nothing to guess, unlike with
passwords.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from photovision.core.errors import UsageError
from photovision.core.files import beside, explained, write_json
from photovision.core.lock import Lock

PREFIX = "pv_"
_NOBODY = ("0" * 32, "0" * 64)


@dataclass(frozen=True)
class Key:
    """What is kept of a key.

    Attributes:
        name: whose it is.
        id: 8 hex digits, the part of the key that is not secret.
        salt: 32 hex digits.
        hash: 64 hex digits, SHA-256 of the salt's bytes and the secret's.
        admin: whether its owner may load and roll back models.
        rate: pictures a second; None takes the service's.
        created: time in UTC, as ISO 8601.
    """

    name: str
    id: str
    salt: str
    hash: str
    admin: bool = False
    rate: float | None = None
    created: str = ""


def new_key(name: str, *, admin: bool = False, rate: float | None = None) -> tuple[str, Key]:
    """A fresh key: the text that its owner keeps, and what the file keeps of it.

    Example:
        >>> text, key = new_key("anna")
        >>> find({key.id: key}, text) == key
        True
    """
    identity, salt = secrets.token_hex(4), secrets.token_hex(16)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{PREFIX}{identity}_{secret}", Key(name, identity, salt, _hash(salt, secret), admin, rate, created)


def find(keys: Mapping[str, Key], text: str) -> Key | None:
    """The key that a caller shows, or None; the time it takes does not tell how much of it was right."""
    identity, _, secret = text.removeprefix(PREFIX).partition("_")
    key = keys.get(identity)
    salt, kept = _NOBODY if key is None else (key.salt, key.hash)
    same = hmac.compare_digest(_hash(salt, secret), kept)
    return key if same and text.startswith(PREFIX) else None


def read_keys(file: Path) -> dict[str, Key]:
    """Keys by their id; raises UsageError where the file is missing or damaged."""
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["keys"]
        keys = [Key(**entry) for entry in entries]
        for key in keys:
            if len(bytes.fromhex(key.salt)) != 16 or len(bytes.fromhex(key.hash)) != 32 or not isinstance(key.id, str):
                raise ValueError("a key has no proper hash")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"the keys {file} cannot be read ({error}): make them with 'photovision keys add NAME --file {file}'"
        ) from None
    return {key.id: key for key in keys}


def write_keys(file: Path, keys: Mapping[str, Key]) -> None:
    """Write them whole or not at all; only their owner may read the file."""
    write_json(_real(file), {"keys": [asdict(key) for key in keys.values()]}, mode=0o600)


@contextmanager
def changing(file: Path, *, new: bool = False) -> Iterator[dict[str, Key]]:
    """The keys of a file, to be changed in place; they are written at the end, and nobody changes them meanwhile.

    Args:
        file: of keys.
        new: whether it may be missing.

    Raises:
        UsageError: it is missing or damaged, or cannot be written.
    """
    place = _real(file)
    with ExitStack() as stack:
        with explained(file):
            place.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(Lock(beside(place, "lock")))
        keys = {} if new and not file.exists() else read_keys(file)
        yield keys
        write_keys(file, keys)


def _real(file: Path) -> Path:
    """Where the file is that a link leads to: it is replaced, not the link."""
    return Path(os.path.realpath(file))


class Guard:
    """The keys of a running service; a changed file counts from its next look on.

    Args:
        file: as `write_keys` wrote it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._keys, self._seen = read_keys(file), self._stamp()

    def known(self, text: str) -> Key | None:
        """Whose key this is, or None."""
        return find(self._keys, text)

    def refresh(self) -> None:
        """Look at the file again; raises UsageError where it is damaged, and the keys stay as they were."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self._keys = read_keys(self._file)

    def _stamp(self) -> tuple[int, int, int]:
        try:
            facts = self._file.stat()
        except OSError:
            return (0, 0, 0)
        return facts.st_mtime_ns, facts.st_size, facts.st_ino


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + secret.encode("utf-8", "surrogateescape")).hexdigest()
