"""Fetch: a picture by its address, only where the operator allows it, and never from inside the network.

The host's name is resolved once, every address of it must be public, and the connection goes to an address that was
checked, so that a name cannot change its meaning between check and use. Redirects are refused, and so are spellings
of IPv4 addresses that programs read differently (octal, hexadecimal, short).
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import SplitResult, urlsplit

from photovision.service.http_error import Refusal

_CHUNK = 65_536
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)
_INNER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b:1::/48",  # NAT64 of a network's own (RFC 8215)
        "2001::/32",  # Teredo: an IPv4 address behind a relay (RFC 4380)
        "2002::/16",  # 6to4, likewise (RFC 3056)
        "fec0::/10",  # site-local (RFC 3879)
        "5f00::/16",  # segment routing within a network (RFC 9602)
        "3fff::/20",  # documentation (RFC 9637)
        "192.0.0.0/24",  # special purposes (RFC 6890)
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
    )
)
_CARRIERS = tuple(ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "::/96"))
"""Networks whose last 32 bits are an IPv4 address: NAT64, mapped, translated, compatible (RFC 6052, 4291, 2765)."""
_resolvers = ThreadPoolExecutor(16, thread_name_prefix="resolving")


def fetch(url: str, most_bytes: int, seconds: float) -> bytes:
    """The content at an http or https address.

    Args:
        url: without user name and password.
        most_bytes: of the answer.
        seconds: that the whole takes at most.

    Raises:
        Refusal: the address may not be asked (400), or gives no picture in time and size (422).
    """
    until = time.monotonic() + seconds
    parts = _split(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _public_address(host, port, seconds)
    seconds = max(until - time.monotonic(), 0.01)
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
    wrong = Refusal(400, "expected a web address such as https://example.org/picture.jpg", "url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    host = parts.hostname or ""
    printable = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or not printable or port == 0:
        raise wrong
    if "%" in host or (_NUMERIC.fullmatch(host) and not _is_ipv4(host)):  # a zone, or an odd spelling
        raise wrong
    return parts


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _public_address(host: str, port: int, seconds: float) -> str:
    # A resolver has no time limit of its own; one that hangs holds a thread of the pool until it gives up.
    looking = _resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = [str(entry[4][0]) for entry in looking.result(seconds)]
    except (OSError, UnicodeError):  # a TimeoutError is an OSError
        looking.cancel()
        raise Refusal(422, "the address's host is not known", "url") from None
    if not found or not all(is_public(address) for address in found):
        raise Refusal(400, "the address is not a public one, and others are not asked", "url")
    return found[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also where it carries another one inside.

    Example:
        >>> is_public("93.184.215.14"), is_public("127.0.0.1"), is_public("64:ff9b::10.0.0.1")
        (True, False, False)
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if "%" in address or any(ip in network for network in _INNER if network.version == ip.version):
        return False
    if isinstance(ip, ipaddress.IPv6Address) and any(ip in network for network in _CARRIERS):
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


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
