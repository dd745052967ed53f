"""serve: models behind HTTP, until SIGTERM or Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from photovision.service.settings import Settings

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL|NAME=MODEL...",
        help="Folders that 'photovision train' wrote, of any task, or the name of a ready detector.",
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on, 0.0.0.0 for all; default: 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port, 0 for a free one; default: 8000.")]
Keys = Annotated[Path | None, typer.Option(help="File of API keys, made with 'photovision keys add'.")]
Rate = Annotated[
    float | None, typer.Option(min=0.001, help="Pictures a second that one key, or one address, may send.")
]
Queue = Annotated[int | None, typer.Option(min=1, help="Pictures of a model that may wait; beyond them 503.")]
MaxWait = Annotated[
    float | None, typer.Option(min=0, help="Milliseconds that a picture may wait for others; default: 0.")
]
AllowUrl = Annotated[bool, typer.Option("--allow-url", help="Take pictures by public web address, too.")]
Record = Annotated[
    str | None, typer.Option(metavar="URL", help="Keep predictions in this database: sqlite:///predictions.db.")
]
RecordPictures = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Keep the pictures, too, in this folder.")]
RecordRequired = Annotated[bool, typer.Option("--record-required", help="Refuse answers that cannot be recorded.")]
Faces = Annotated[
    Path | None, typer.Option(metavar="STORE", help="Answer /faces/verify, identify and blur with this store, too.")
]
Config = Annotated[
    Path | None, typer.Option(help="TOML file with more settings: limits, watching, draining. Flags come first.")
]


def serve(  # noqa: PLR0913 - one parameter a flag
    models: Models,
    host: Host = None,
    port: Port = None,
    keys: Keys = None,
    rate: Rate = None,
    queue: Queue = None,
    max_wait: MaxWait = None,
    allow_url: AllowUrl = False,
    record: Record = None,
    record_pictures: RecordPictures = None,
    record_required: RecordRequired = False,
    faces: Faces = None,
    config: Config = None,
) -> None:
    """Answer pictures over HTTP.

    POST /predict and /explain, the Open Inference Protocol v2, /metrics, and a page to try it at /docs.
    """
    import os
    from dataclasses import replace

    # NumPy's small products gain nothing from threads, and these wait by spinning, which takes a core from the network.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from photovision.models.pretrained import bundle_at
    from photovision.service.settings import Settings, named_models, read_settings

    settings = Settings({name: bundle_at(path) for name, path in named_models(models).items()})
    if config is not None:
        settings = replace(read_settings(config, settings), models=settings.models)
    limits: dict[str, Any] = {"rate": rate, "queue": queue}
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "keys": keys,
        "max_wait": None if max_wait is None else max_wait / 1000,
        "allow_url": allow_url or None,
        "record": record,
        "record_pictures": record_pictures,
        "record_required": record_required or None,
        "faces": faces,
        "limits": replace(settings.limits, **_said(limits)),
    }
    _run(replace(settings, **_said(given)))


def _run(settings: Settings) -> None:
    from photovision.app.cli.output import alert
    from photovision.core.errors import MissingExtra

    try:
        from photovision.service.run import run
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "serving") from None
    if settings.keys is None and settings.host not in ("127.0.0.1", "::1", "localhost"):
        alert("anybody who reaches this address may ask: --keys lets only those who have a key")
    run(settings, lambda address: alert(f"answering at {address}, its page is {address}/docs"))


def _said(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
