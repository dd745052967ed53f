"""Connections: a limited number of them, shared fairly between the addresses that they come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Literal, Protocol

SURPLUS = 64
"""Connections beyond the limit that are kept for long enough to be answered with 503."""


class Connection(Protocol):
    """An open connection."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way: none has come yet, or only a part of its head."""
        ...

    def give_way(self) -> None:
        """Close: no request is under way."""
        ...


class Connections:
    """The open connections of a service.

    Where there are too many, the one that has rested longest gives way: a connection without a request, or with a part
    of its head only, of the address that has most of them. So connections that are only held open shut nobody out.

    Args:
        most: connections at once.
        most_of_one: connections of one address (of one network of 64 bits in IPv6), None for no limit.
        shared: whether an address stands for many clients, as that of a proxy does, and has no limit of its own.
        refused: called for each connection that is not taken.
    """

    def __init__(
        self,
        most: int,
        most_of_one: int | None = None,
        shared: Callable[[str], bool] = lambda _address: False,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self.most, self._most_of_one = most, most_of_one
        self._shared, self._refused = shared, refused
        self._networks: dict[Connection, str] = {}
        self._open: dict[str, dict[Connection, None]] = {}  # of each network, the one that has rested longest first
        self._surplus: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._networks)

    def enter(self, one: Connection, address: str) -> Literal["taken", "surplus", "refused"]:
        """A connection is open: it has a place, is only to be answered with 503, or is to be closed at once."""
        network = network_of(address)
        own = len(self._open.get(network, ())) >= (self._most_of_one or self.most)
        if own and not self._shared(address):
            room = self._make_room(network)
        else:
            room = len(self._networks) < self.most or self._make_room()
        if not room:
            self._refused()
            if len(self._surplus) >= SURPLUS:
                return "refused"
            self._surplus.add(one)
            return "surplus"
        self._networks[one] = network
        self._open.setdefault(network, {})[one] = None
        return "taken"

    def rest(self, one: Connection) -> None:
        """An answer is written; another request may follow, or none."""
        network = self._networks.get(one)
        if network is not None:
            same = self._open[network]
            del same[one]
            same[one] = None

    def leave(self, one: Connection) -> None:
        """A connection is closed, or about to be."""
        self._surplus.discard(one)
        network = self._networks.pop(one, None)
        if network is None:
            return
        same = self._open[network]
        del same[one]
        if not same:
            del self._open[network]

    def _make_room(self, network: str | None = None) -> bool:
        """Close the connection that has rested longest, of that network, or of the one that has most of them."""
        networks = sorted(self._open, key=lambda name: -len(self._open[name])) if network is None else [network]
        for name in networks:
            for one in self._open[name]:
                if one.idle:
                    self.leave(one)
                    one.give_way()
                    return True
        return False


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the 64 bits of IPv6 that one customer has.

    Example:
        >>> network_of("192.0.2.1"), network_of("2001:db8::1"), network_of("::ffff:192.0.2.1")
        ('192.0.2.1', '2001:db8::', '192.0.2.1')
    """
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(ip) >> 64 << 64))
