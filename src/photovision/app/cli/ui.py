"""ui: a local web page to look at pictures, models and data with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="[FOLDER]", help="Folder with models, data sets and reports; default: this one."),
]
Models = Annotated[
    list[Path] | None,
    typer.Option("--model", metavar="MODEL", help="A model to use; may be repeated.", show_default=False),
]
PORT = 8707


def ui(
    folder: Folder = None,
    model: Models = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help=f"Default: {PORT}, or a free one.", show_default=False)
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether the page is opened.")] = True,
) -> None:
    """Open a local page to look, label, train and recognise.

    Models beside a folder of pictures are found, too. Nothing leaves this machine.
    """
    from photovision.app.cli.output import alert
    from photovision.core.errors import DataError, MissingExtra
    from photovision.core.phrases import count

    try:
        from photovision.app.web.serve import address_of, listen, new_token, serve
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "the local page") from None
    if folder is not None and not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give one that holds models, data sets or reports")
    from photovision.app.web.workspace import State, named, neighbours_of
    from photovision.runtime.bundle import read_bundle

    for path in model or []:
        read_bundle(path)
    place = folder or (None if model else Path.cwd())
    state = State(place, named(model or []), beside=[] if place is None else neighbours_of(place), ready=True)
    socket = listen(PORT if port is None else port, exact=port is not None)
    token = new_token()
    own = [name for name in state.models if name not in state.ready]
    found = f"{count(len(state.data), 'data set')} and {count(len(own), 'model')}"
    alert(f"{found}: the page is at {address_of(socket, token)} (Ctrl-C ends it)")
    serve(state, socket, token, browser)
