"""The link between agent and speaker: values both ways, strictly."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from muslin.errors import BadInput
from runtime.bgp.link import Desired, Message, Routes, Sessions, decode, encode, route_parts
from runtime.bgp.reports import LearntRoute, RouteReport, SessionReport, SessionState
from runtime.bgp.settings import PeerKey, PeerSettings, SpeakerSettings
from runtime.bgp.view import SpeakerView

ADDRESS = IPv4Address("192.0.2.2")
PEER = PeerSettings(
    ADDRESS, 64496, 4200000001, 1790, "NodePeer", "node-2", IPv4Address("192.0.2.1"), True,
    IPv4Address("192.0.2.9"), 0, 30, 2, "a secret\n", 7,
)  # fmt: skip
SETTINGS = SpeakerSettings(
    IPv4Address("192.0.2.1"), (IPv4Address("0.0.0.0"), IPv6Address("::")), 1179, (PEER, PeerSettings(ADDRESS, 1, 1)),
    (IPv4Network("10.48.0.0/26"), IPv6Network("2001:db8::/64")), (IPv4Network("10.48.0.0/16"),), 2.0, 60.0,
)  # fmt: skip
ROUTE = LearntRoute(IPv4Network("10.48.1.0/26"), ADDRESS, ADDRESS, stale=True)
MESSAGES: list[Message] = [
    Desired(SETTINGS),
    Desired(SpeakerSettings(IPv4Address("192.0.2.1"))),
    Routes(RouteReport((ROUTE,), (IPv4Network("10.48.2.0/26"),), in_sync=True), reset=True, complete=False),
    Sessions(
        (SessionReport(PEER.key, SessionState.OPEN_CONFIRM, 1.5, "GlobalPeer", None, "why", 1, 2, 3, 4, 5, 6, True),),
        (PeerKey(ADDRESS, 179),), reset=True,
    ),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_survive_the_link(message: Message) -> None:
    """Every field of every message comes back, from one line."""
    line = encode(message)

    assert line.count(b"\n") == 1
    assert decode(line) == message


def damaged() -> list[bytes]:
    """Lines that are wrong in one way each."""
    value = json.loads(encode(MESSAGES[0]))
    peer = value["peers"][0]
    changes: list[dict[str, object]] = [
        {"message": "other"}, {"extra": 1}, {"router_id": "0.0.0.0"}, {"router_id": 7}, {"listen_port": True},
        {"listen": ["x"]}, {"listen": "0.0.0.0"}, {"originated": ["10.48.0.1/26"]}, {"peers": [peer, peer]},
        {"peers": [{**peer, "hold_time_s": 2}]}, {"peers": [{**peer, "peer_as": 0}]}, {"peers": [{**peer, "new": 1}]},
        {"peers": [{**peer, "passive": 1}]}, {"peers": [{**peer, "ttl_security_hops": 256}]}, {"peers": [1]},
        {"initial_wait_s": "5"},
    ]  # fmt: skip
    texts = [json.dumps({**value, **change}).encode() for change in changes]
    session = json.loads(encode(MESSAGES[3]))["sessions"][0]
    for since in (-1, 1e15, float("nan")):
        told = {"message": "sessions", "sessions": [{**session, "since": since}], "removed": [], "reset": True}
        texts.append(json.dumps(told).encode())
    return [*texts, b"", b"[]", b"{", b"{}", b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("line", damaged())
def test_a_wrong_message_is_refused(line: bytes) -> None:
    """Unknown fields, wrong types and values out of range are BadInput, never something else."""
    with pytest.raises(BadInput):
        decode(line)


def test_a_password_is_not_printed() -> None:
    """Settings can be logged."""
    assert "secret" not in repr(SETTINGS)


def test_many_routes_go_in_parts() -> None:
    """Only the last part makes the set complete and may say in sync."""
    routes = tuple(replace(ROUTE, prefix=IPv4Network((0x0A300000 + index * 64, 26))) for index in range(4500))
    parts = route_parts(RouteReport(routes, (), in_sync=True))
    view = SpeakerView()
    view.connected()
    seen = []
    for part in parts:
        view.apply(part)
        seen.append((len(view.view.routes), view.view.in_sync))

    assert seen == [(2000, False), (4000, False), (4500, True)]
    assert [part.reset for part in parts] == [True, False, False]
    assert route_parts(RouteReport(in_sync=True)) == [Routes(RouteReport(in_sync=True), reset=True)]


def test_routes_outlive_the_speaker_until_the_next_is_in_sync() -> None:
    """Old routes stay beside new ones, the new win, and what a live speaker withdraws goes at once."""
    one, two, three = (replace(ROUTE, prefix=IPv4Network((0x0A300000 + index * 64, 26))) for index in range(3))
    view = SpeakerView()
    view.connected()
    view.apply(Routes(RouteReport((one, two, three), (), in_sync=True), reset=True))
    before = view.view
    view.disconnected()
    assert set(view.view.routes) == set(before.routes)
    assert (view.view.in_sync, view.view.connected) == (False, False)
    view.connected()
    moved = replace(one, next_hop=IPv4Address("192.0.2.3"))
    view.apply(Routes(RouteReport(), reset=True))
    view.apply(Routes(RouteReport((moved,), (), in_sync=False)))
    assert set(view.view.routes.values()) == {moved, two, three}
    view.apply(Routes(RouteReport((), (two.prefix,), in_sync=False)))
    assert set(view.view.routes.values()) == {moved, three}
    view.apply(Routes(RouteReport(in_sync=True)))

    assert set(view.view.routes.values()) == {moved}
    assert view.view.in_sync
    assert set(before.routes.values()) == {one, two, three}


def test_asking_again_costs_nothing() -> None:
    """A report asks for each route's peer, and a peer may announce thousands: the view is made once a message."""
    view = SpeakerView()
    view.connected()
    view.apply(Routes(RouteReport((ROUTE,), (), in_sync=True)))
    before = view.view

    assert view.view is before
    changes: tuple[Callable[[], object], ...] = (
        lambda: view.apply(Routes(RouteReport((), (ROUTE.prefix,), in_sync=True))),
        lambda: view.apply(Sessions((), reset=True)),
        view.disconnected,
        view.connected,
    )
    for change in changes:
        change()
        assert view.view is not before
        before = view.view


@pytest.mark.parametrize("seed", range(20))
def test_in_sync_the_view_is_what_the_live_speaker_has(seed: int) -> None:
    """Whatever speakers said and whenever they died, in sync means exactly the last one's routes."""
    dice = random.Random(seed)
    view = SpeakerView()
    for _ in range(4):
        table: dict[IPv4Network, LearntRoute] = {}
        view.connected()
        view.apply(Routes(RouteReport(), reset=True))
        in_sync = False
        for _ in range(dice.randrange(30)):
            prefix = IPv4Network((0x0A300000 + dice.randrange(12) * 64, 26))
            in_sync = in_sync or dice.random() < 0.1
            if dice.random() < 0.6:
                table[prefix] = replace(ROUTE, prefix=prefix, next_hop=ADDRESS + dice.randrange(5))
                view.apply(Routes(RouteReport((table[prefix],), (), in_sync)))
            elif table.pop(prefix, None):
                view.apply(Routes(RouteReport((), (prefix,), in_sync)))
        if dice.random() < 0.7:
            view.disconnected()
    view.connected()
    view.apply(Routes(RouteReport(tuple(table.values()), (), in_sync=False), reset=True))
    view.apply(Routes(RouteReport(in_sync=True)))

    assert view.view.routes == table
