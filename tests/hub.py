"""A Hugging Face Hub of one's own, on this machine: what a client asks for is answered from a folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Repositories ("owner/name" -> folder), the licence that their cards state, and the files that were fetched."""

    repositories: dict[str, Path]
    licence: str | None
    fetched: list[str]


class Handler(BaseHTTPRequestHandler):
    """One request of a client."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *args: Any) -> None:
        """Nothing on the terminal."""

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """A description or a file."""
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/"):
            self._describe("/".join(path.split("/")[3:5]), "/tree/" in path)
            return
        owner, name, _, _, file = path.split("/", 5)[1:]
        place = self.server.repositories.get(f"{owner}/{name}", Path("/nowhere")) / file
        if not place.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        content = place.read_bytes()
        if self.command == "GET":
            self.server.fetched.append(file)
        self._send(200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _describe(self, repo: str, tree: bool) -> None:
        if repo not in self.server.repositories:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        files = [(file.name, file.stat().st_size) for file in sorted(self.server.repositories[repo].iterdir())]
        listed: Any = [{"type": "file", "path": name, "size": size, "oid": "0" * 40} for name, size in files]
        if not tree:
            siblings = [{"rfilename": name, "size": size} for name, size in files]
            card = {} if self.server.licence is None else {"license": self.server.licence}
            listed = {"id": repo, "sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []}
        self._send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@contextmanager
def serving(repositories: dict[str, Path], licence: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Address of a hub with these repositories, and the files that were fetched from it."""
    server = Hub(("127.0.0.1", 0), Handler)
    server.repositories, server.licence, server.fetched = repositories, licence, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.fetched
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
