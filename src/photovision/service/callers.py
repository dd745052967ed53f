"""Callers: the address that a request comes from, also through proxies that the operator names."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from photovision.core.errors import UsageError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Callers:
    """Tells callers apart by their address.

    Args:
        proxies: addresses or networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed; nobody else's is.

    Raises:
        UsageError: one of them is no address.

    Example:
        >>> callers = Callers(["10.0.0.0/8"])
        >>> callers.address("10.1.1.1", "6.6.6.6, 192.0.2.7, 10.2.2.2"), callers.address("192.0.2.9", "6.6.6.6")
        ('192.0.2.7', '192.0.2.9')
    """

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        try:
            self._proxies = [ipaddress.ip_network(text, strict=False) for text in proxies]
        except ValueError as error:
            raise UsageError(f"trusted_proxies should be addresses or networks ({error})") from None
        self._trusts = lru_cache(4096)(self._is_proxy)

    def address(self, peer: str, forwarded: str) -> str:
        """Who asks: the peer, or the last address in `X-Forwarded-For` that is no proxy, where the peer is one."""
        if not self._proxies or not self._trusts(peer):
            return peer
        for text in reversed(forwarded.split(",")[-32:]):
            one = text.strip()
            if not _is_address(one):
                break
            peer = one
            if not self._trusts(one):
                break
        return peer

    def shared(self, address: str) -> bool:
        """Whether many clients may stand behind an address: a proxy that is named, or this machine itself."""
        return self._trusts(address) or address.startswith("127.") or address in ("", "::1")

    def _is_proxy(self, address: str) -> bool:
        if not _is_address(address):
            return False
        ip = ipaddress.ip_address(address)
        mapped = getattr(ip, "ipv4_mapped", None) or ip
        return any(mapped in network for network in self._proxies if network.version == mapped.version)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
