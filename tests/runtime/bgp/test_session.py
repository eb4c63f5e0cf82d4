"""Histories of one connection on a fake wire: what is said and heard, in order."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from runtime.bgp.families import IPV4_UNICAST, IPV6_UNICAST
from runtime.bgp.messages.framing import EXTENDED_LENGTH, KEEPALIVE, MessageType, message, take
from runtime.bgp.messages.notification import Notification
from runtime.bgp.messages.open import Open
from runtime.bgp.messages.update import UpdateDecoder, end_of_rib
from runtime.bgp.session import Ended, EndedBy, Established, Opened, Received, Session, State

OURS = Open(64512, 90, IPv4Address("192.0.2.1"))
THEIRS = Open(64512, 9, IPv4Address("192.0.2.2"))


def fresh(offer: Open = OURS, peer_as: int = 64512) -> Session:
    """A session of which the OPEN is out."""
    session = Session(offer, peer_as, UpdateDecoder, 0.0)
    assert session.take_output() == offer.encode()
    return session


def established(now: float = 0.0, theirs: Open = THEIRS) -> Session:
    """A session over which routes may flow."""
    session = fresh()
    assert session.receive(theirs.encode(), now) == [Opened(theirs)]
    assert session.confirm(now) == []
    assert session.receive(KEEPALIVE, now) == [Established()]
    assert session.take_output() == KEEPALIVE
    return session


def kinds(data: bytes) -> list[str]:
    """Names of the messages in a stream; a notification with its codes."""
    found, start = [], 0
    while (taken := take(data, start, EXTENDED_LENGTH)) is not None:
        kind, body, start = taken
        found.append(f"{kind.name} {body[0]}/{body[1]}" if kind is MessageType.NOTIFICATION else kind.name)
    return found


def test_nothing_is_said_between_open_and_the_owners_word() -> None:
    """OPEN and KEEPALIVE in one segment: the collision check comes before our KEEPALIVE, and that before routes."""
    session = fresh()

    assert session.receive(THEIRS.encode() + KEEPALIVE + end_of_rib(IPV4_UNICAST), 0.0) == [Opened(THEIRS)]
    assert session.take_output() == b""
    events = session.confirm(0.0)
    session.send(end_of_rib(IPV4_UNICAST))
    assert [type(event) for event in events] == [Established, Received]
    assert kinds(session.take_output()) == ["KEEPALIVE", "UPDATE"]


def test_a_refused_open_gets_only_the_reason() -> None:
    """A connection that loses a collision ends with Cease 6/7 and no KEEPALIVE."""
    session = fresh()
    session.receive(THEIRS.encode(), 0.0)
    session.end(Notification(6, 7))

    assert kinds(session.take_output()) == ["NOTIFICATION 6/7"]
    assert session.receive(KEEPALIVE, 0.0) == []


def test_octet_by_octet() -> None:
    """The machine does not depend on how a stream is cut."""
    session = fresh()
    events = []
    for octet in THEIRS.encode() + KEEPALIVE + KEEPALIVE:
        events += session.receive(bytes((octet,)), 0.0)
        if session.state is State.OPEN_RECEIVED:
            events += session.confirm(0.0)

    assert events == [Opened(THEIRS), Established()]


@pytest.mark.parametrize(
    ("theirs", "error"),
    [
        (replace(THEIRS, local_as=64513), "2/2"),
        (replace(THEIRS, router_id=OURS.router_id), "2/3"),
        (replace(THEIRS, families=(IPV6_UNICAST,)), "2/7"),
    ],
)
def test_an_open_that_does_not_fit(theirs: Open, error: str) -> None:
    """Wrong AS, our own router id, no common family."""
    session = fresh()
    events = session.receive(theirs.encode(), 0.0)
    if session.state is State.OPEN_RECEIVED:
        events = session.confirm(0.0)

    assert kinds(session.take_output()) == [f"NOTIFICATION {error}"]
    assert isinstance(events[-1], Ended)


@pytest.mark.parametrize(
    ("before", "data", "error"),
    [
        ("open sent", KEEPALIVE, "5/1"),
        ("open sent", end_of_rib(IPV4_UNICAST), "5/1"),
        ("open confirm", end_of_rib(IPV4_UNICAST), "5/2"),
        ("open confirm", THEIRS.encode(), "5/2"),
        ("established", THEIRS.encode(), "5/3"),
    ],
)
def test_messages_out_of_turn(before: str, data: bytes, error: str) -> None:
    """What the table has no rule for ends the session with the subcode of the state (RFC 6608)."""
    session = established() if before == "established" else fresh()
    if before == "open confirm":
        session.receive(THEIRS.encode(), 0.0)
        session.confirm(0.0)
        session.take_output()
    session.receive(data, 0.0)

    assert kinds(session.take_output()) == [f"NOTIFICATION {error}"]


def test_the_smaller_hold_time_counts() -> None:
    """Keepalives at a third of it, the end when it is over, and every message puts the end off."""
    session = established()
    assert session.deadline == 3.0
    assert session.advance(2.9) == []
    assert session.take_output() == b""
    assert session.advance(3.0) == []
    assert session.take_output() == KEEPALIVE
    session.receive(KEEPALIVE, 5.0)
    for now in (6.0, 9.0, 12.0):
        session.advance(now)

    assert session.advance(14.0) == [Ended(EndedBy.US, Notification(4))]
    assert session.deadline is None


def test_hold_time_zero_needs_no_clock() -> None:
    """Without hold time nothing is ever due."""
    assert established(theirs=replace(THEIRS, hold_time_s=0)).deadline is None


def test_a_peer_that_says_nothing() -> None:
    """Without OPEN a connection ends after a minute."""
    session = fresh()

    assert session.deadline == 60.0
    assert session.advance(60.0) == [Ended(EndedBy.US, Notification(4))]


def test_extended_messages_only_where_both_said_so() -> None:
    """A message over 4096 octets is good if both announced it."""
    big = message(MessageType.UPDATE, b"\x13\x88" + b"\x20\x0a\x30\x01\x02" * 1000 + b"\0\0")
    both, one = established(), established(theirs=replace(THEIRS, extended_messages=False))

    assert isinstance(both.receive(big, 0.0)[0], Received)
    assert one.receive(big, 0.0) == [Ended(EndedBy.US, Notification(1, 2, b"\x13\x9f"))]


def test_a_notification_ends_the_session_without_an_answer() -> None:
    """We close and say nothing."""
    session = established()

    assert session.receive(message(MessageType.NOTIFICATION, b"\x06\x02"), 0.0) == [
        Ended(EndedBy.PEER, Notification(6, 2))
    ]
    assert session.take_output() == b""
