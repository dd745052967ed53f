"""What a JSON file is, from its two ends: each file is looked at once, however many formats ask."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_PEEKED = 1 << 16
_CACHED = 100_000


def json_kind(file: Path) -> str:
    """Its format: "coco", "coco-captions", "coco-panoptic", "labelme", "via", "createml", "labelstudio" or
    "labelstudio-min"; "" for any other file.

    Only regular files are opened: a pipe would be waited on for ever.
    """
    try:
        if file.suffix.lower() != ".json" or not file.is_file():
            return ""
        facts = file.stat()
        return _kind(str(file), facts.st_mtime_ns, facts.st_size)
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=_CACHED)
def _kind(file: str, _: int, size: int) -> str:
    with open(file, "rb") as stream:
        head = stream.read(_PEEKED)
        stream.seek(max(len(head), size - _PEEKED))
        ends = head + stream.read(_PEEKED)
    first = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return _of_object(ends) if first == b"{" else _of_list(ends) if first == b"[" else ""


def _of_object(text: bytes) -> str:
    if b'"_via_img_metadata"' in text or b'"_via_settings"' in text:
        return "via"
    if b'"shapes"' in text and any(word in text for word in (b'"imagePath"', b'"imageData"', b'"imageHeight"')):
        return "labelme"
    if b'"items"' in text and b'"images"' not in text:  # Datumaro's, which is not read
        return ""
    if sum(word in text for word in (b'"images"', b'"annotations"', b'"categories"')) >= 2:
        if b'"segments_info"' in text:
            return "coco-panoptic"
        return "coco-captions" if b'"caption"' in text and b'"category_id"' not in text else "coco"
    if b'"regions"' in text and b'"filename"' in text:
        return "via"
    return ""


def _of_list(text: bytes) -> str:
    if b'"coordinates"' in text and b'"label"' in text and (b'"annotations"' in text or b'"annotation"' in text):
        return "createml"
    if b'"image"' in text and b'"annotations"' in text and not any(word in text for word in (b'"data"', b'"id"')):
        return "createml"  # pictures without boxes
    if b'"data"' in text and (b'"annotations"' in text or b'"completions"' in text):
        return "labelstudio"
    return "labelstudio-min" if any(word in text for word in (b'"annotation_id"', b'"lead_time"')) else ""
