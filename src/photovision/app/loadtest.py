"""loadtest: how fast a running service answers, from Python and from the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from photovision.core.errors import DataError, MissingExtra, UsageError
from photovision.core.report import Report
from photovision.data.image_paths import find_pictures
from photovision.video.sources import without_secrets

MAX_PICTURES = 512
"""Pictures that are held in memory to be sent in turn."""


def loadtest(
    url: str,
    pictures: str | Path | Sequence[str | Path],
    *,
    concurrency: int = 32,
    seconds: float = 30.0,
    rate: float | None = None,
    key: str | None = None,
    raw: bool = False,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Measure a running service: throughput, latency, refusals, all with intervals.

    Args:
        url: of the service, such as "http://127.0.0.1:8000", or of one of its routes.
        pictures: files, folders or patterns, whose first 512 pictures are sent in turn; "-" reads names from standard
            input.
        concurrency: connections, 1 to 4096, each with at most one request under way.
        seconds: how long requests are sent, 1 or more.
        rate: requests a second that become due, above 0; None asks again as soon as a connection is free.
        key: API key.
        raw: whether files are sent as they are, not as multipart forms.
        say: called with what is about to be measured.

    Returns:
        A report of kind "loadtest".

    Raises:
        DataError: there is no picture, or no request was answered.
        UsageError: nothing listens at the address, or a number is out of its range.
        MissingExtra: httptools is not installed.
    """
    try:
        from photovision.service.load_test import Load
        from photovision.service.load_test_text import report
    except ImportError as error:
        raise MissingExtra(error.name or "httptools", "a load test") from None
    if not 1 <= concurrency <= 4096 or seconds < 1 or (rate is not None and rate <= 0):
        raise UsageError("expected 1 to 4096 connections, 1 second or more and a rate above 0: change what differs")
    sources = [str(one) for one in ((pictures,) if isinstance(pictures, str | Path) else pictures)]
    contents = [Path(name).read_bytes() for name in islice(find_pictures(sources, sys.stdin), MAX_PICTURES)]
    if not contents:
        raise DataError("no picture was found to send: give files or a folder")
    if urlsplit(url).path in ("", "/"):
        url = f"{url.rstrip('/')}/predict"
    headers = {"X-API-Key": key} if key else {}
    load = Load(url, contents, concurrency, seconds, rate=rate, headers=headers, form=not raw)
    if say is not None:
        say(f"asking {without_secrets(url)} for {seconds:g} s with {len(contents):,} pictures")
    return report(load, load.run())
