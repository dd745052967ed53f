"""Vault: seals what a store holds of people, with a key that lies outside the store.

AES-256-GCM (NIST SP 800-38D) of the library cryptography. Whoever copies a store without its key learns how many people
are in it, and when it was used, and nothing else; whoever loses the key has lost the store.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, MissingExtra, ModelError, UsageError
from photovision.core.files import open_regular, write_bytes

KEY_VARIABLE = "PHOTOVISION_FACES_KEY"
"""Environment variable with the path of a key file."""
_NONCE, _BYTES = 12, 32
_KEY = re.compile(rb"[0-9a-f]{64}\s*")


class Vault:
    """Seals, opens and signs with one key.

    Args:
        key: 32 bytes.
        store: identifier of the store: what is sealed in one is of no use in another one, also where they share a key.

    Raises:
        MissingExtra: the library cryptography is not installed.
    """

    def __init__(self, key: bytes, store: str) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise MissingExtra("cryptography", "sealing templates of faces") from None
        self._cipher: Any = AESGCM(_derived(key, f"seal {store}".encode()))
        self._signing = _derived(key, f"sign {store}".encode())

    def seal(self, content: bytes, about: str) -> bytes:
        """Content that only `unseal` reads, and only as being `about` the same."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + bytes(self._cipher.encrypt(nonce, content, about.encode()))

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """What was sealed; raises ModelError for another key, and for what was changed or moved."""
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode()))
        except (InvalidTag, ValueError):
            raise ModelError(
                "the store of faces cannot be opened with this key, or was changed: name its own key with --key"
            ) from None

    def sign(self, content: str) -> str:
        """HMAC-SHA256 in hex digits, which nobody makes without the key."""
        return hmac.new(self._signing, content.encode(), hashlib.sha256).hexdigest()

    def pseudonym(self, name: str) -> str:
        """16 hex digits in place of a name, which do not lead back to it without the key."""
        return self.sign(f"pseudonym {name}")[:16]


def key_file(store: Path, identifier: str, key: str | Path | None) -> Path:
    """Where the key of a store lies: as given, as the environment says, else in the user's own settings.

    Raises:
        UsageError: inside the store, where whoever takes the one has the other.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    chosen = key or os.environ.get(KEY_VARIABLE) or Path(home) / "photovision" / "faces" / f"{identifier}.key"
    path = Path(chosen).absolute()
    if path.resolve().is_relative_to(store.resolve()):
        raise UsageError(f"the key {path} would lie inside the store that it protects: choose another place for --key")
    return path


def read_key(path: Path) -> bytes:
    """A key of 32 bytes; raises ModelError where there is none."""
    try:
        with open_regular(path) as file:
            content = file.read(1024)
    except (OSError, DataError):
        raise ModelError(
            f"the key {path} of the store of faces cannot be read: name it with --key or ${KEY_VARIABLE}; without it"
            " nothing in the store can be read"
        ) from None
    if not _KEY.fullmatch(content):
        raise ModelError(f"{path} is no key of a store of faces: expected 64 hex digits")
    return bytes.fromhex(content.decode().strip())


def make_key(path: Path) -> bytes:
    """A new key, readable by its owner alone, or the one that is there already, so that stores may share one."""
    if path.exists():
        return read_key(path)
    key = secrets.token_bytes(_BYTES)
    write_bytes(path, key.hex().encode() + b"\n", 0o600)
    return key


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, purpose, hashlib.sha256).digest()
