"""export: a model in the form that another program runs, compared with the model itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from photovision.app.cli.options import Json, Model, output_option

COMPARED = 256
"""Images that an exported model is compared on at most."""
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
    """Convert a model for another program, and compare the two.

    A result that disagrees with the model is refused.
    """
    from dataclasses import asdict

    from photovision.app.cli.output import note, print_json
    from photovision.core.text import printable
    from photovision.data.image_paths import find_pictures
    from photovision.engine.export import export as write
    from photovision.engine.graph_inputs import graph_inputs
    from photovision.engine.load import load

    opened = load(model)
    images = None
    if data is not None:
        images = graph_inputs(opened, list(find_pictures([str(data)])), COMPARED)
    else:
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
        f"Agrees with the model on {100 * done.agreement:.1f}% of {of}{done.pictures:,} {kind} pictures; largest"
        f" {done.measured} difference: {done.max_abs_prob_difference:.2g}."
    )
