"""What folders of published models share: bounded JSON, weights with a SHA-256, a README that states a licence.

They may come from strangers, so that every size is checked before anything is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

from photovision.core.errors import ModelError

LONGEST, MAX_PARTS = 200, 200
"""Characters of a text; how often a part of a network may be built."""
_LARGEST_JSON = 4 * 2**20
_DEEPEST, _MOST_ENTRIES, _LARGEST_NUMBER, _MOST_QUERIES = 8, 200, 20_000, 2_000
_PARTS = re.compile("layers|blocks|depth|group")  # fields that say how often something is built


def bounded_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of at most 4 MB; raises ModelError where it is none."""
    if not path.is_file():
        raise ModelError(f"{path} is missing: copy the whole folder")
    if path.stat().st_size > _LARGEST_JSON:
        raise ModelError(f"{path} is larger than any description should be ({path.stat().st_size:,} bytes)")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({str(error)[:120]}); copy it again") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} should be a JSON object; copy it again")
    return value


def is_bounded(value: Any, most: int = _LARGEST_NUMBER, depth: int = 0) -> bool:
    """Whether plain JSON has no number, text, list or depth that a description of a network cannot have."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        limits = {key: MAX_PARTS if _PARTS.search(key) else most for key in value}
        limits |= {"num_queries": _MOST_QUERIES}
        inner = [(one, limits[key]) for key, one in value.items()]
    elif isinstance(value, list):
        inner = [(one, most) for one in value]
    elif isinstance(value, int | float):
        return math.isfinite(value) and abs(value) <= most
    else:
        return value is None or len(value) <= LONGEST
    return len(inner) <= _MOST_ENTRIES and all(is_bounded(one, limit, depth + 1) for one, limit in inner)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stated_licence(folder: Path) -> str:
    """What the head of README.md states, as repositories on the Hub do; "unknown" where it states nothing."""
    path = folder / "README.md"
    if not path.is_file():
        return "unknown"
    with path.open("r", encoding="utf-8", errors="replace") as file:
        lines = file.read(4096).splitlines()
    if not lines or lines[0].strip() != "---":
        return "unknown"
    for line in lines[1:]:
        if line.strip() == "---":
            break
        if line.startswith("license:"):
            return line.removeprefix("license:").strip().strip("\"'").lower()[:60] or "unknown"
    return "unknown"
