"""What `predict` says and writes with a model that tells classes of pixels: shares of the picture, and masks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from photovision.core.regions import Segmentation
    from photovision.core.result import Result
    from photovision.tasks.segment.segmenter import Segmenter
    from photovision.video.tags import Tagger, Tags


def tell_masks(
    segmenter: Segmenter,
    files: list[str],
    output: Path | None,
    *,
    tags: Path | None,
    as_json: bool,
    batch_size: int,
) -> None:
    """Print a line a picture, with its tags where a model that tags is given, and write masks into a folder.

    Written are indexed PNG files NAME.png, whose values are the numbers of the classes; of models that tell objects
    apart also objects/NAME.png of 16 bits, a number for every object. Pictures of the same name are numbered.
    """
    from photovision.app.cli.output import free_name
    from photovision.app.cli.tagging import tagger_of
    from photovision.app.image_paths import find_pictures

    tagger = tagger_of(tags)
    taken: set[str] = set()
    total = unreadable = 0
    for scene in segmenter.results(find_pictures(files, sys.stdin), batch_size=batch_size):
        total += 1
        unreadable += scene.value is None
        if scene.value is not None and output is not None:
            _write(scene, output, free_name(Path(scene.file or "picture").stem, taken, "-"))
        _say(scene, as_json, None if tagger is None else _tags(tagger, scene))
    if unreadable:
        print(f"photovision: {unreadable:,} of {total:,} files could not be read", file=sys.stderr)
        raise typer.Exit(2)


def _tags(tagger: Tagger, scene: Result[Segmentation]) -> Tags | None:
    return None if scene.value is None or scene.file is None else tagger.picture(scene.file)


def _say(scene: Result[Segmentation], as_json: bool, tags: Tags | None) -> None:
    from photovision.app.cli.output import note
    from photovision.app.cli.tagging import tags_text
    from photovision.core.text import printable

    said = scene.to_json() | ({} if tags is None else {"tags": tags})
    if as_json:
        print(json.dumps(said), flush=True)
        return
    if "error" in said:
        note(str(scene.error))
        return
    shares = sorted(said["areas"].items(), key=lambda pair: -pair[1])
    told = ", ".join(f"{printable(name)} {100 * share:.1f} %" for name, share in shares)
    objects = f"  {said['objects']:,} objects" if "objects" in said else ""
    print(f"{printable(str(scene.file))}{objects}  {told}{tags_text(tags)}", flush=True)


def _write(scene: Result[Segmentation], output: Path, name: str) -> None:
    import numpy as np
    from PIL import Image

    from photovision.app.cli.output import write_png
    from photovision.core.boxes import colour_of
    from photovision.core.errors import DataError

    assert scene.value is not None
    mask = Image.fromarray(scene.value.labels.astype(np.uint8))
    mask.putpalette([value for label in range(256) for value in colour_of(label)])
    write_png(mask, output / f"{name}.png", scene.file)
    instance_map = scene.value.instance_map
    if instance_map is not None:
        if int(instance_map.max()) > np.iinfo(np.uint16).max:
            raise DataError(f"{scene.file} holds more than 65,535 objects, which a mask of 16 bits cannot number")
        numbers = Image.fromarray(instance_map.astype(np.uint16))
        write_png(numbers, output / "objects" / f"{name}.png", scene.file)
