"""loadtest: what one's own machine answers, how fast, and what it refuses."""

from __future__ import annotations

from typing import Annotated

import typer

from photovision.app.cli.options import Json, ReportFolder

Url = Annotated[str, typer.Argument(metavar="URL", help="A running service: http://127.0.0.1:8000")]
Pictures = Annotated[list[str], typer.Argument(metavar="FILE|FOLDER|PATTERN...", help="Pictures to send in turn.")]
Rate = Annotated[
    float | None, typer.Option(min=0.01, help="Requests a second, whatever comes back; default: as fast as answered.")
]


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
    from photovision.app.cli.output import note, print_report
    from photovision.app.loadtest import loadtest as measure

    found = measure(url, pictures, concurrency=concurrency, seconds=seconds, rate=rate, key=key, raw=raw, say=note)
    print_report(found, output, as_json)
