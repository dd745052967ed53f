"""Entry: a person of the register, why they may be recognised, and until when."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from photovision.core.errors import ModelError, UsageError
from photovision.core.types import Floats
from photovision.faces.recognise import unit
from photovision.models.face_graphs import DIMENSIONS

Basis = Literal["consent", "contract", "law"]
"""On what ground somebody is enrolled."""
_LONGEST = 200


@dataclass(frozen=True, eq=False)
class FaceEntry:
    """A person who is enrolled.

    Attributes:
        pseudonym: 16 hex digits, by which the log names them.
        name: as people know them.
        purpose: what they are recognised for.
        basis: "consent", "contract" or "law".
        until: the last day on which they are recognised.
        enrolled: when, ISO 8601 in UTC; by: the account that did it.
        templates: float32 (N, 128), an embedding of each picture.
    """

    pseudonym: str
    name: str
    purpose: str
    basis: str
    until: date
    enrolled: str
    by: str
    templates: Floats

    @cached_property
    def template(self) -> Floats:
        """What others are compared with: the mean of the templates, of unit norm."""
        return unit(self.templates.mean(0))

    def active(self, today: date | None = None) -> bool:
        """Whether they are still recognised."""
        return self.until >= (today or date.today())

    def to_json(self, *, templates: bool = False) -> dict[str, Any]:
        """JSON-ready; with the templates, everything that is known of them."""
        facts: dict[str, Any] = {
            "name": self.name,
            "pseudonym": self.pseudonym,
            "purpose": self.purpose,
            "basis": self.basis,
            "until": self.until.isoformat(),
            "expired": not self.active(),
            "enrolled": self.enrolled,
            "by": self.by,
            "pictures": len(self.templates),
        }
        return {**facts, "templates": self.templates.tolist()} if templates else facts

    def packed(self) -> bytes:
        """As bytes, to be sealed."""
        numbers = base64.b64encode(np.ascontiguousarray(self.templates, "<f4").tobytes()).decode()
        return json.dumps({**self.to_json(), "templates": numbers}).encode()

    @classmethod
    def unpacked(cls, content: bytes) -> FaceEntry:
        """From what `packed` gave; raises ModelError for anything else."""
        try:
            facts = json.loads(content)
            templates = np.frombuffer(base64.b64decode(facts["templates"]), "<f4").reshape(-1, DIMENSIONS)
            texts = [str(facts[name]) for name in ("pseudonym", "name", "purpose", "basis")]
            ends = date.fromisoformat(facts["until"])
            numbers = templates.astype(np.float32)
            return cls(texts[0], texts[1], texts[2], texts[3], ends, facts["enrolled"], facts["by"], numbers)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"an entry of the store is damaged ({error}): restore the store from a copy") from None


def checked_ground(purpose: str | None, basis: str | None, until: str | date | None) -> tuple[str, str, date]:
    """Why somebody may be enrolled, and until when; raises UsageError where one of it is missing or makes no sense."""
    if not purpose or not purpose.strip():
        raise UsageError("nobody is enrolled without a purpose: say with --purpose what they are recognised for")
    if basis is None or basis not in get_args(Basis):
        grounds = ", ".join(get_args(Basis))
        raise UsageError(f"nobody is enrolled without a legal basis: --basis should be one of {grounds}, got {basis}")
    if until is None:
        raise UsageError("nobody is enrolled for ever: say with --until when it ends, such as 2027-12-31")
    try:
        ends = until if isinstance(until, date) else date.fromisoformat(until)
    except ValueError:
        raise UsageError(f"--until should be a date such as 2027-12-31, got '{until}'") from None
    if ends < date.today():
        raise UsageError(f"--until should lie in the future, got {ends.isoformat()}")
    return _text(purpose, "--purpose"), basis, ends


def checked_name(name: str, known: Sequence[str]) -> str:
    """A name that is free; raises UsageError."""
    text = _text(name, "a name")
    if text in known:
        raise UsageError(f"{text} is enrolled already: 'photovision faces forget' first, or choose another name")
    return text


def _text(value: str, what: str) -> str:
    text = value.strip()
    if not 0 < len(text) <= _LONGEST or not text.isprintable():
        raise UsageError(f"{what} should be a line of 1 to {_LONGEST} characters, got {value[:50]!r}")
    return text
