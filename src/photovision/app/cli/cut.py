"""cut: the object at these points of a picture, as a mask and cut out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photovision.app.cli.options import Json

if TYPE_CHECKING:
    from photovision.core.regions import Mask
    from photovision.core.types import Image

Points = Annotated[
    list[str] | None,
    typer.Option("--point", metavar="x,y", help="A place in the object, in pixels. May be repeated."),
]
Others = Annotated[
    list[str] | None,
    typer.Option("--not", metavar="x,y", help="A place that is not of the object. May be repeated."),
]
BoxAround = Annotated[
    str | None, typer.Option("--box", metavar="x1,y1,x2,y2", help="A box around the object, in pixels.")
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for NAME.mask.png and NAME.cut.png, with alpha.")
]


def cut(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture.")],
    point: Points = None,
    other: Others = None,
    box: BoxAround = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Cut an object out of a picture (MobileSAM).

    The object is the one at --point or in --box; without them, the one in the middle of the picture.
    """
    from photovision.app.cli.output import note, print_json
    from photovision.app.cli.predicting import model_at
    from photovision.app.cli.reading import numbers
    from photovision.core.image import decode, to_array
    from photovision.core.text import printable
    from photovision.tasks.cut.cut import cut as find

    inside, outside = ([numbers(text, 2, name) for text in given or ()] for name, given in _named(point, other))
    around = None if box is None else numbers(box, 4, "--box")
    image = to_array(decode(picture))
    if not inside and not outside and around is None:
        inside = [[image.shape[1] / 2, image.shape[0] / 2]]
        note(f"without --point or --box the object in the middle is cut out, at {inside[0][0]:g},{inside[0][1]:g}")
    corners = None if around is None else (around[0], around[1], around[2], around[3])
    cutter = model_at("mobilesam")
    found = find(image, [(x, y) for x, y in inside], outside=[(x, y) for x, y in outside], box=corners, model=cutter)
    files = {} if output is None else _write(image, found, output, picture)
    share = float(found.mask.mean())
    if as_json:
        size, score = list(found.mask.shape), round(found.score, 4)
        document = {"file": str(picture), "size": size, "score": score, "area": round(share, 6), "xyxy": found.box}
        print_json({**document, **files})
        return
    print(f"{printable(str(picture))}  {100 * share:.1f}% of the picture, estimated overlap {found.score:.2f}")
    for file in files.values():
        print(f"  {printable(file)}")


def _named(point: list[str] | None, other: list[str] | None) -> tuple[tuple[str, list[str] | None], ...]:
    return ("--point", point), ("--not", other)


def _write(image: Image, found: Mask, folder: Path, picture: Path) -> dict[str, str]:
    """The mask as large as the picture, and the object cut out; nothing is cut out of an empty mask."""
    import numpy as np

    mask = found.mask.astype(np.uint8) * 255
    files = {"mask": _save(mask, folder / f"{picture.stem}.mask.png", picture)}
    if found.box is not None:
        x1, y1, x2, y2 = found.box
        part = np.dstack([image[y1:y2, x1:x2], mask[y1:y2, x1:x2]])
        files["cut"] = _save(part, folder / f"{picture.stem}.cut.png", picture)
    return files


def _save(values: Image, path: Path, source: Path) -> str:
    from PIL import Image as Pillow

    from photovision.app.cli.output import write_png

    write_png(Pillow.fromarray(values), path, source)
    return str(path)
