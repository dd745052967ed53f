"""ui: the local page, from Python and from the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from photovision.core.errors import DataError, MissingExtra
from photovision.core.phrases import count

PORT = 8707


def ui(
    folder: str | Path | None = None,
    *,
    models: Sequence[str | Path] = (),
    port: int | None = None,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Open the local page to look, label, train and recognise, until Ctrl-C; nothing leaves this machine.

    Args:
        folder: with models, data sets and reports; None takes the current one, or only `models` where there are some.
        models: folders of further models.
        port: 0 takes a free one; None takes 8707, or a free one where that is in use.
        browser: whether the page is opened.
        say: called with what was found and the address of the page.

    Raises:
        DataError: the folder is none.
        ModelError: there is no model at a path.
        UsageError: the port is in use.
        MissingExtra: the web framework is not installed.
    """
    try:
        from photovision.app.web.serve import address_of, listen, new_token, serve
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "the local page") from None
    if folder is not None and not Path(folder).is_dir():
        raise DataError(f"{folder} is not a folder: give one that holds models, data sets or reports")
    from photovision.app.web.workspace import State, named, neighbours_of
    from photovision.runtime.bundle import read_bundle

    given = [read_bundle(path).path for path in models]
    place = Path(folder) if folder is not None else None if given else Path.cwd()
    state = State(place, named(given), beside=[] if place is None else neighbours_of(place), ready=True)
    socket = listen(PORT if port is None else port, exact=port is not None)
    token = new_token()
    own = [name for name in state.models if name not in state.ready]
    found = f"{count(len(state.data), 'data set')} and {count(len(own), 'model')}"
    say(f"{found}: the page is at {address_of(socket, token)} (Ctrl-C ends it)")
    serve(state, socket, token, browser)
