"""Origin: whether a page of strangers sent a request, which a browser runs and lets ask this machine.

Two ways lead here: a stranger's page that sends a form or a plain text (its Origin and Sec-Fetch-Site say so), and a
stranger's name that was made to point to this machine (DNS rebinding; its Host says so).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

HTTP = ("http", "https")
LOOPBACK = frozenset(("127.0.0.1", "localhost", "[::1]"))


def host_name(address: str) -> str:
    """The name in `NAME` or `NAME:PORT`, in lower case; IPv6 addresses stand in brackets.

    Example:
        >>> host_name("LocalHost:8000"), host_name("[::1]:80"), host_name("[::1]")
        ('localhost', '[::1]', '[::1]')
    """
    name, colon, port = address.rpartition(":")
    return (name if colon and port.isdigit() else address).lower().rstrip(".")


def foreign_host(headers: Mapping[bytes, bytes], hosts: Collection[str]) -> bool:
    """Whether the Host header names none of `hosts`; a request without it comes from no browser."""
    host = headers.get(b"host")
    return host is not None and host_name(host.decode("latin-1")) not in hosts


def foreign_site(headers: Mapping[bytes, bytes], hosts: Collection[str] = (), schemes: Collection[str] = HTTP) -> bool:
    """Whether the page of another origin sent the request; an origin on one of `hosts` is not foreign.

    Args:
        headers: of the request, names in lower case.
        hosts: names whose pages may ask, too.
        schemes: by which pages of one's own are reached; https where something in front of the service speaks it.
    """
    origin = headers.get(b"origin")
    if origin is not None:
        scheme, separator, address = origin.decode("latin-1").partition("://")
        own = scheme in schemes and separator and address == headers.get(b"host", b"").decode("latin-1")
        return not own and host_name(address) not in hosts
    return headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none")
