"""What to say of a file that no reader takes for annotations: damaged, whole but of another kind, or not known."""

from __future__ import annotations

from pathlib import Path

from photovision.core.errors import DataError
from photovision.data.formats.streaming_parsers import json_items, xml_elements

KNOWN = "COCO, YOLO, Pascal VOC, Label Studio, CVAT, labelme, VGG Image Annotator, CreateML, CSV of boxes"
"""Formats of annotations that are read, for messages."""
_MAX_READ = 1 << 26


def why_unknown(file: Path) -> str:
    """The end of a sentence that begins with the name of the file: "is damaged (line 3: ...)"."""
    suffix = file.suffix.lower()
    try:
        if suffix not in (".json", ".xml") or not file.is_file() or file.stat().st_size > _MAX_READ:
            return f"is of no known format of annotations ({KNOWN})"
        for _ in json_items(file) if suffix == ".json" else xml_elements(file, ""):
            pass
    except OSError:
        return "cannot be opened"
    except DataError as error:
        reason = str(error).removeprefix(str(file)).lstrip(",: ").removesuffix(": export it again")
        return f"is damaged ({reason}): export it again"
    return f"is whole, but of no known format of annotations ({KNOWN})"
