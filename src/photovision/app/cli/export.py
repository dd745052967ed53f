"""export: a model in the form that another program runs, compared with the model itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from photovision.app.cli.options import Json, Model, output_option

if TYPE_CHECKING:
    from photovision.core.preprocess import Preprocess
    from photovision.core.types import Image

COMPARED = 256
"""Pictures that an exported model is compared on at most."""
Target = Literal["onnx", "openvino", "torchscript", "exported-program", "timm"]


def export(
    model: Model,
    to: Annotated[Target, typer.Option("--to", help="Target format.")],
    output: Annotated[Path, output_option("export", "A folder for the exported files.")],
    data: Annotated[Path | None, typer.Option(help="Real images to compare on; generated ones without it.")] = None,
    compress: Annotated[
        bool | None, typer.Option(help="Keep OpenVINO's weights in 16 bits; default: yes.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Convert a model for another program, with its metadata; refuse if the result disagrees with the model."""
    from dataclasses import asdict

    from photovision.app.cli.output import note, print_json
    from photovision.core.text import printable
    from photovision.engine.export import export as write
    from photovision.engine.load import load
    from photovision.models.pretrained import bundle_at

    opened = load(bundle_at(model))
    images = _pictures(data, opened.preprocess) if data is not None else None
    if images is None:
        note("compared on generated pictures only; --data PICTURES compares on real ones")
    done = write(opened, to, output, images, compress=compress)
    if as_json:
        print_json({"kind": "export", "output": str(output), **asdict(done)})
        return
    for name, size in done.files.items():
        print(printable(f"{output / name}  {size / 1e6:.2f} MB"))
    kind = "generated" if done.generated else "real"
    of = "" if done.of == "pictures" else f"{done.of} in "
    print(
        f"Agrees with the model on {100 * done.agreement:.1f} % of {of}{done.pictures:,} {kind} pictures; largest"
        f" probability difference: {done.max_abs_prob_difference:.2g}."
    )


def _pictures(source: Path, preprocess: Preprocess) -> Image:
    """Evenly spread readable pictures as the network sees them, uint8 (N, H, W, 3)."""
    import contextlib

    import numpy as np

    from photovision.app.image_paths import find_pictures
    from photovision.core.errors import DataError, UnreadableImage

    files, images = list(find_pictures([str(source)])), []
    for place in np.unique(np.linspace(0, len(files) - 1, min(COMPARED, len(files))).astype(int)):
        with contextlib.suppress(UnreadableImage):
            images.append(preprocess.load(files[place]))
    if not images:
        raise DataError(f"none of the pictures in {source} could be read: check the files")
    return np.stack(images)
