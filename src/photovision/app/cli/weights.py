"""weights: pretrained weights that are here or can be fetched in one visible step."""

from __future__ import annotations

from typing import Annotated

import typer

from photovision.app.cli.options import Json

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=False)


@app.command("list")
def list_weights(as_json: Json = False) -> None:
    """List pretrained weights, their licences, and which are on this machine."""
    from photovision.app.cli.output import print_json, print_rows
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
        print_json(list(entries))
        return
    rows = [
        (name, carrier.backbone, carrier.licence, "here" if name in here else f"photovision weights get {name}")
        for name, carrier in every.items()
    ]
    print_rows([("name", "architecture", "licence", "available"), *rows])


@app.command("get")
def get_weights(name: Annotated[str, typer.Argument(metavar="NAME", help="A name of 'weights list'.")]) -> None:
    """Fetch weights with pip, check them against their SHA-256, and keep them in the user's cache."""
    from photovision.models.weights import CUTTERS, DETECTORS, get

    file = get(name)
    if name in DETECTORS or name in CUTTERS:
        from photovision.models.ready import ready

        file = ready(name)  # made here, so that 'photovision detect' and 'photovision cut' need no torch
    print(file)
