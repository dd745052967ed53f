"""loadtest: what one's own machine answers, how fast, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, ReportFolder

Url = Annotated[str, typer.Argument(metavar="URL", help="A running service: http://127.0.0.1:8000")]
Pictures = Annotated[list[str], typer.Argument(metavar="FILE|FOLDER|PATTERN...", help="Pictures to send in turn.")]
Rate = Annotated[
    float | None, typer.Option(min=0.01, help="Requests a second, whatever comes back; default: as fast as answered.")
]
MOST = 512


def loadtest(
    url: Url,
    pictures: Pictures,
    output: ReportFolder = None,
    concurrency: Annotated[int, typer.Option(min=1, max=4096, help="Connections.")] = 32,
    seconds: Annotated[float, typer.Option(min=1, help="How long it takes.")] = 30.0,
    rate: Rate = None,
    key: Annotated[str | None, typer.Option(envvar="PHOTOVISION_KEY", help="API key.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Send files as they are, not as multipart forms.")] = False,
    as_json: Json = False,
) -> None:
    """Measure a running service: throughput, latency, refusals.

    All figures come with intervals.
    """
    import sys
    from itertools import islice
    from urllib.parse import urlsplit

    from photovision.app.cli.output import note, print_report
    from photovision.core.errors import DataError, MissingExtra
    from photovision.data.image_paths import find_pictures
    from photovision.video.sources import without_secrets

    try:
        from photovision.service.load_test import Load
        from photovision.service.load_test_text import report
    except ImportError as error:
        raise MissingExtra(error.name or "httptools", "a load test") from None
    contents = [Path(name).read_bytes() for name in islice(find_pictures(pictures, sys.stdin), MOST)]
    if not contents:
        raise DataError("no picture was found to send: give files or a folder")
    if urlsplit(url).path in ("", "/"):
        url = f"{url.rstrip('/')}/predict"
    headers = {"X-API-Key": key} if key else {}
    load = Load(url, contents, concurrency, seconds, rate=rate, headers=headers, form=not raw)
    note(f"asking {without_secrets(url)} for {seconds:g} s with {len(contents):,} pictures")
    print_report(report(load, load.run()), output, as_json)
