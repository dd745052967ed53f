"""Licences of weights: which of them allow commercial use, in plain words."""

from __future__ import annotations

import re

SAFE_LICENCES = frozenset({"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "unlicense", "cc-by-4.0"})
"""Licences that allow commercial use, by SPDX's names in lower case."""
_FORBID = re.compile(r"(^|-)nc(-|$)|non-?commercial|research|amlr|seer-license|academic")
_CONDITIONS = frozenset({"dinov3-license", "apple-ascl", "openrail", "gemma", "cvnets-license", "llama3"})


def allows_commercial_use(licence: str) -> bool:
    """Whether a licence is known to allow commercial use.

    Example:
        >>> [allows_commercial_use(name) for name in ("mit", "cc-by-nc-4.0", "unknown")]
        [True, False, False]
    """
    return licence.lower() in SAFE_LICENCES


def licence_note(licence: str) -> str:
    """What to know of a licence that is not one of the free ones; "" for those.

    Example:
        >>> licence_note("cc-by-nc-4.0")
        'no commercial use'
    """
    name = licence.lower()
    if allows_commercial_use(name) or name == "public-domain":
        return ""
    if _FORBID.search(name):
        return "no commercial use"
    if name in ("unknown", "other", ""):
        return "nothing states its terms"
    if name in _CONDITIONS:
        return "conditions of its own"
    return "not known here"


def licence_sentence(licence: str) -> str:
    """One sentence on a licence, for people.

    Example:
        >>> licence_sentence("mit")
        'Licence: mit.'
    """
    note = licence_note(licence)
    return f"Licence: {licence}{' (' + note + ')' if note else ''}."
