"""The output of --tags beside a prediction for a picture or a video: what kind of scene it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from photovision.video.tags import Tagger, Tags


def tagger_of(folder: Path | None) -> Tagger | None:
    """The model that --tags names, opened; None where it names none."""
    if folder is None:
        return None
    from photovision.video.tags import Tagger

    return Tagger(folder)


def tags_text(tags: Tags | None) -> str:
    """The tags as people read them, for the end of a line; nothing for None."""
    from photovision.core.text import printable

    if tags is None:
        return ""
    shown = ", ".join(name if name == "unknown" else f"{name} {100 * prob:.0f}%" for name, prob in tags.items())
    return f"  [{printable(shown) or 'no tag'}]"
