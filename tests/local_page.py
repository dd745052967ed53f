"""The local page, served in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The page over a folder; gives its address."""
    import uvicorn

    from photovision.app.web.serve import listen
    from photovision.app.web.server import create_app
    from photovision.app.web.workspace import State

    own = listen(0, exact=True)
    state = State(folder)
    server = uvicorn.Server(uvicorn.Config(create_app(state), log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [own]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{own.getsockname()[1]}"
    finally:
        state.end()
        server.should_exit = True
        thread.join(20)
