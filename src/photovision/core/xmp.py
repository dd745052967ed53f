"""XMP: the orientation in it (Adobe's XMP specification, part 2: tiff:Orientation)."""

from __future__ import annotations

import re

_ORIENTATION = re.compile(rb'tiff:Orientation(?:\s*=\s*["\']|>)\s*([1-8])')


def of_xmp(content: bytes | None) -> int:
    """The orientation, 1 to 8, that XMP states; 0 where it states none."""
    found = _ORIENTATION.search(content) if content else None
    return int(found[1]) if found else 0
