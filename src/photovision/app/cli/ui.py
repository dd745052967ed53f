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


def ui(
    folder: Folder = None,
    model: Models = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 8707, or a free one.", show_default=False)
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether the page is opened.")] = True,
) -> None:
    """Open a local page to look, label, train and recognise.

    Models beside a folder of pictures are found, too. Nothing leaves this machine.
    """
    from photovision.app.cli.output import alert
    from photovision.app.ui import ui as open_page

    open_page(folder, models=model or (), port=port, browser=browser, say=alert)
