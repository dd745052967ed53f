"""Fetch: a picture by its address, only where the operator allows it, and never from inside the network.

The host's name is resolved once, every address of it must be public, and the connection goes to an address that was
checked, so that a name cannot change its meaning between check and use. Redirects are refused.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from urllib.parse import SplitResult, urlsplit

from photovision.service.refusal import Refusal

_CHUNK = 65_536


def fetch(url: str, most_bytes: int, seconds: float) -> bytes:
    """The content at an http or https address.

    Args:
        url: without user name and password.
        most_bytes: of the answer.
        seconds: that the whole takes at most.

    Raises:
        Refusal: the address may not be asked (400), or gives no picture in time and size (422).
    """
    parts = _split(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _public_address(host, port)
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    timer, late = None, threading.Event()
    try:
        connection.sock = socket.create_connection((address, port), timeout=seconds)
        # Whatever the other side does, such as a byte now and then, it ends.
        timer = threading.Timer(seconds, _cut, [connection, late])
        timer.start()
        if parts.scheme == "https":
            secure = ssl.create_default_context()
            connection.sock = secure.wrap_socket(connection.sock, server_hostname=host, do_handshake_on_connect=False)
            connection.sock.do_handshake()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Host": parts.netloc, "User-Agent": "photovision"})
        with connection.getresponse() as answer:
            if answer.status != 200:
                raise Refusal(422, f"the address answered with status {answer.status}, expected 200", "url")
            content = _content(answer, most_bytes)
        if late.is_set():  # a head that was cut off reads like a whole one
            raise TimeoutError
        return content
    except (OSError, http.client.HTTPException, ValueError):
        raise Refusal(422, "the address could not be read: check that it is reachable", "url") from None
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refusal(400, "expected a web address such as https://example.org/picture.jpg", "url") from None
    printable = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or not printable or port == 0:
        raise Refusal(400, "expected a web address such as https://example.org/picture.jpg", "url")
    return parts


def _public_address(host: str, port: int) -> str:
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise Refusal(422, "the address's host is not known", "url") from None
    if not found or not all(is_public(address) for address in found):
        raise Refusal(400, "the address is not a public one, and others are not asked", "url")
    return found[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet.

    Example:
        >>> is_public("93.184.215.14"), is_public("127.0.0.1"), is_public("::ffff:10.0.0.1")
        (True, False, False)
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    return ip.is_global and not ip.is_multicast and (inner is None or (inner.is_global and not inner.is_multicast))


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        # Not the shutdown of TLS, which another thread is using.
        socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


def _content(answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
    chunks, size = [], 0
    while chunk := answer.read1(_CHUNK):
        size += len(chunk)
        if size > most_bytes:
            raise Refusal(422, f"the address gives more than {most_bytes:,} bytes", "url")
        chunks.append(chunk)
    if answer.length:  # it broke off
        raise ValueError("incomplete")
    return b"".join(chunks)
