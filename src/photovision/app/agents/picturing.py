"""Answers about pictures: which there are, how blurred they are, which are alike, and what an agent thinks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from photovision.app.agents.answer import MAX_PICTURE, ToolAnswer, fitted, quoted
from photovision.app.agents.desk import Desk
from photovision.app.agents.jobs import Report
from photovision.app.agents.picture_root import RootPicture
from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.suggest import did_you_mean

_SIDES = 320, 224, 128  # pixels, until a picture is small enough
_BLUR_SIDE = 256
_FOLDERS = 10


def list_pictures(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """Ids of pictures; the most blurred first where that was asked for."""
    pictures = desk.root.pictures(arguments.get("folder", ""))
    if arguments["order"] == "name":
        return _listed(pictures, [one.shown for one in pictures], arguments)

    def work(report: Report) -> ToolAnswer:
        from photovision.core.parallel import in_order

        measured: list[tuple[float, RootPicture]] = []
        for done, (picture, blur) in enumerate(in_order(pictures, lambda one: desk.measured(one, blur_of)), 1):
            if blur is not None:
                measured.append((blur, picture))
            if done % 16 == 0:
                report(done, len(pictures))
        measured.sort(key=lambda one: -one[0])
        rows = [{**picture.shown, "blur": round(blur, 2)} for blur, picture in measured]
        return _listed([picture for _, picture in measured], rows, arguments)

    return desk.work(work, report)


def find_similar(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """Pictures below the root that are like one of them, by an index in the cache, which is brought up to date."""
    picture = desk.root.find(arguments["picture"])

    def work(report: Report) -> ToolAnswer:
        from photovision.retrieval.search import search

        assert desk.root.folder is not None
        wanted = arguments["k"]
        found = search(
            desk.root.folder,
            picture.path,
            top=wanted + 1,
            listener=lambda progress: report(progress.done, progress.total),
        )
        alike = [(desk.root.at(one.file), one) for one in found.results]
        kept = [(other, one) for other, one in alike if other is not None and other.path != picture.path][:wanted]
        rows = [{**other.shown, "verdict": one.verdict, "score": round(one.score, 3)} for other, one in kept]
        answer = fitted({"picture": picture.id}, rows)
        return ToolAnswer(answer.fields, shown([other for other, _ in kept], arguments["show"]))

    return desk.work(work, report)


def suggest_label(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """A label that the agent suggests, added to the table of suggestions."""
    assert desk.suggestions is not None
    picture, label = desk.root.find(arguments["picture"]), arguments["label"]
    known = sorted({one for name in desk.places for one in desk.bundle(name).classes})
    if label not in known:
        raise UsageError(
            f"no model here has a class '{quoted(label)}'{did_you_mean(label, known)}: choose one of theirs"
        )
    desk.suggestions.add(picture.name, label)
    return ToolAnswer({"picture": picture.id, "label": quoted(label), "column": desk.suggestions.column})


def shown(pictures: Sequence[RootPicture], count: int) -> list[bytes]:
    """The first pictures as JPEG files of at most `MAX_PICTURE` bytes, without metadata; unreadable ones left out."""
    from photovision.core.thumbnail import thumbnail
    from photovision.core.types import Sample

    found = []
    for picture in pictures[:count]:
        files = (thumbnail(Sample(picture.name, picture.path, None), side) for side in _SIDES)
        small = next((file for file in files if file is not None and len(file) <= MAX_PICTURE), None)
        found += [] if small is None else [small]
    return found


def blur_of(path: Path) -> float | None:
    """How blurred a picture is, 0 (sharp) to 1, by how little one more blur changes it; None where it cannot be read.

    Crete et al., "The Blur Effect", 2007.
    """
    import numpy as np
    from skimage.measure import blur_effect

    from photovision.core.image import open_sample
    from photovision.core.types import Sample

    try:
        picture = open_sample(Sample(path.name, path, None), (_BLUR_SIDE, _BLUR_SIDE))
    except UnreadableImage:
        return None
    picture.thumbnail((_BLUR_SIDE, _BLUR_SIDE))
    grey = np.asarray(picture.convert("L"), np.float32) / 255
    if min(grey.shape) < 4 or float(np.ptp(grey)) == 0:
        return 1.0
    return float(blur_effect(grey))


def _listed(
    pictures: Sequence[RootPicture], rows: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]
) -> ToolAnswer:
    offset, limit = arguments["offset"], arguments["limit"]
    folders = sorted({PurePosixPath(one.name).parent.as_posix() for one in pictures} - {"."})
    more = [f"and {len(folders) - _FOLDERS:,} more"] if len(folders) > _FOLDERS else []
    fields = {"pictures": len(pictures), "folders": [quoted(one) for one in folders[:_FOLDERS]] + more}
    found = fitted(fields, rows[offset : offset + limit], offset)
    count = len(found.fields["rows"])
    left = max(0, len(pictures) - offset - count)
    own = {**found.fields, "left": left, **({"next_offset": offset + count} if left else {})}
    return ToolAnswer(own, shown(pictures[offset : offset + count], arguments["show"]))
