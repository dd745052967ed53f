"""Connections: a limited number of them, shared fairly between the addresses that they come from."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable
from typing import Literal, Protocol

SURPLUS = 64
"""Connections beyond the limit that are kept for long enough to be answered with 503."""


class Connection(Protocol):
    """An open connection."""

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
        self._network: dict[Connection, str] = {}
        self._counts: dict[str, int] = defaultdict(int)
        self._resting: dict[str, dict[Connection, None]] = {}
        self._surplus: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._network)

    def enter(self, one: Connection, address: str) -> Literal["taken", "surplus", "refused"]:
        """A connection is open: it has a place, is only to be answered with 503, or is to be closed at once."""
        network = network_of(address)
        full = len(self._network) >= self.most
        own = self._most_of_one is not None and self._counts.get(network, 0) >= self._most_of_one
        if (own and not self._shared(address) and not self._make_room(network)) or (full and not self._make_room()):
            self._refused()
            if len(self._surplus) >= SURPLUS:
                return "refused"
            self._surplus.add(one)
            return "surplus"
        self._network[one] = network
        self._counts[network] += 1
        self.rest(one)
        return "taken"

    def begin(self, one: Connection) -> None:
        """A request is under way."""
        network = self._network.get(one)
        if network is not None:
            self._forget(one, network)

    def rest(self, one: Connection) -> None:
        """No request is under way any more."""
        network = self._network.get(one)
        if network is not None:
            self._resting.setdefault(network, {})[one] = None

    def leave(self, one: Connection) -> None:
        """A connection is closed, or about to be."""
        self._surplus.discard(one)
        network = self._network.pop(one, None)
        if network is None:
            return
        self._forget(one, network)
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]

    def _forget(self, one: Connection, network: str) -> None:
        resting = self._resting.get(network, {})
        resting.pop(one, None)
        if not resting:
            self._resting.pop(network, None)

    def _make_room(self, network: str | None = None) -> bool:
        """Close the connection of that network that has rested longest, by default of the one that has most."""
        if network is None:
            network = max(self._resting, key=self._counts.__getitem__, default=None)
        resting = self._resting.get(network or "")
        if not resting:
            return False
        oldest = next(iter(resting))
        self.leave(oldest)
        oldest.give_way()
        return True


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
