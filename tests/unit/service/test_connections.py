"""Connections are shared between addresses, and callers are told apart, also behind proxies."""

from __future__ import annotations

import pytest

from photovision.core.errors import UsageError
from photovision.service.callers import Callers
from photovision.service.connections import SURPLUS, Connections


class One:
    """A connection that knows whether it had to close."""

    def __init__(self) -> None:
        self.closed, self.idle = False, True

    def give_way(self) -> None:
        self.closed = True


def entered(connections: Connections, address: str, count: int = 1) -> list[One]:
    found = [One() for _ in range(count)]
    for one in found:
        assert connections.enter(one, address) == "taken"
    return found


def test_the_one_that_rested_longest_gives_way() -> None:
    connections = Connections(3)
    first, second, third = entered(connections, "192.0.2.1", 3)
    connections.rest(first)  # it has just been answered
    entered(connections, "192.0.2.2")
    assert (first.closed, second.closed, third.closed) == (False, True, False)
    assert len(connections) == 3


def test_an_address_with_few_connections_keeps_them() -> None:
    connections = Connections(10)
    honest = entered(connections, "192.0.2.1", 2)
    entered(connections, "192.0.2.66", 1000)
    assert not any(one.closed for one in honest)


def test_requests_under_way_are_never_closed() -> None:
    refused: list[int] = []
    connections = Connections(2, refused=lambda: refused.append(1))
    busy = entered(connections, "192.0.2.1", 2)
    for one in busy:
        one.idle = False
    others = [One() for _ in range(SURPLUS + 2)]
    places = [connections.enter(one, "192.0.2.2") for one in others]
    assert places == ["surplus"] * SURPLUS + ["refused"] * 2
    assert len(refused) == SURPLUS + 2
    assert not any(one.closed for one in busy)
    for one in others:
        connections.leave(one)
    connections.leave(busy[0])
    entered(connections, "192.0.2.2")


def test_one_address_has_a_limit_of_its_own() -> None:
    connections = Connections(100, 2, lambda address: address == "10.0.0.1")
    for address in ("192.0.2.1", "2001:db8::1"):
        for one in entered(connections, address, 2):
            one.idle = False
    assert connections.enter(One(), "192.0.2.1") == "surplus"
    assert connections.enter(One(), "::ffff:192.0.2.1") == "surplus"  # the same address
    assert connections.enter(One(), "2001:db8::ffff") == "surplus"  # the same network
    entered(connections, "192.0.2.2")
    for one in entered(connections, "10.0.0.1", 50):  # a proxy
        one.idle = False


def test_what_has_left_is_forgotten() -> None:
    connections = Connections(1000, 500)
    for number in range(300):
        for one in entered(connections, f"192.0.2.{number % 250}"):
            connections.rest(one)
            connections.leave(one)
            connections.leave(one)
            connections.rest(one)
    assert len(connections) == 0
    assert not connections._open


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.9", "6.6.6.6", "192.0.2.9"),  # no proxy: nobody believes it
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.7", "192.0.2.7"),  # the client's own words come first
        ("10.0.0.1", "6.6.6.6, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.7, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("", "192.0.2.7", ""),
    ],
)
def test_only_named_proxies_say_who_a_caller_is(peer: str, forwarded: str, expected: str) -> None:
    assert Callers(["10.0.0.0/24"]).address(peer, forwarded) == expected


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match="trusted_proxies"):
        Callers(["proxy.example.org"])
