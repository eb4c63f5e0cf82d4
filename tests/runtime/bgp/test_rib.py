"""Tables and timers by themselves."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network, ip_network
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from runtime.bgp.actions import Log, Send
from runtime.bgp.core import Speaker
from runtime.bgp.deadlines import Deadlines
from runtime.bgp.families import IPV4_UNICAST, IPV6_UNICAST, destination
from runtime.bgp.messages.attributes import Attributes
from runtime.bgp.messages.framing import KEEPALIVE, MessageType, message
from runtime.bgp.messages.notification import Notification
from runtime.bgp.messages.open import GracefulRestart, Open
from runtime.bgp.messages.refresh import Refresh, RefreshKind
from runtime.bgp.messages.update import Announcement, Update, announce
from runtime.bgp.peer import Peer as PeerState
from runtime.bgp.policy import ImportPolicy, Local, Source
from runtime.bgp.rib import Rib
from runtime.bgp.settings import PeerKey, PeerSettings, SpeakerSettings
from tests.runtime.bgp.test_session import kinds

US, PEER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
SOURCE = Source(PeerKey(PEER, 179), 64512, 64512, PEER)
V4, V6 = ip_network("10.48.0.0/26"), ip_network("2001:db8::/64")


def table() -> Rib:
    """Tables with one route of each family."""
    rib = Rib()
    rib.reconsider(ImportPolicy((ip_network("10.48.0.0/16"), ip_network("2001:db8::/32")), Local(US)))
    for family, prefix, hop in ((IPV4_UNICAST, V4, PEER.packed), (IPV6_UNICAST, V6, b"\x20\x01" + bytes(13) + b"\x02")):
        rib.update(SOURCE, Update(announced=[Announcement(family, hop, [destination(prefix)[1]])]))
    assert len(rib.decide()) == 2
    return rib


def test_stale_marks_are_by_family() -> None:
    """A refresh of the second family does not touch the first, before or after its end."""
    rib = table()
    rib.mark_stale(SOURCE.key, IPV4_UNICAST)
    rib.mark_stale(SOURCE.key, IPV6_UNICAST)

    assert rib.sweep(SOURCE.key, IPV6_UNICAST) == 1
    assert set(rib.received(SOURCE.key)) == {destination(V4)}
    assert rib.received(SOURCE.key)[destination(V4)].stale
    assert [(change.destination, change.new) for change in rib.decide() if change.new is None] == [
        (destination(V6), None)
    ]


def test_what_is_said_again_is_not_swept() -> None:
    """An update takes the stale mark away."""
    rib = table()
    rib.mark_stale(SOURCE.key, IPV4_UNICAST)
    rib.update(SOURCE, Update(announced=[Announcement(IPV4_UNICAST, PEER.packed, [destination(V4)[1]])]))

    assert rib.sweep(SOURCE.key) == 0
    assert rib.sweep(SOURCE.key, IPV4_UNICAST) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.floats(0, 100)))), st.floats(0, 100))
def test_deadlines_agree_with_a_plain_table(steps: list[tuple[int, float | None]], now: float) -> None:
    """Whatever is set, moved and taken away: the earliest and the due are those of a dict."""
    deadlines: Deadlines[int] = Deadlines()
    plain: dict[int, float] = {}
    for key, at in steps:
        deadlines.set(key, at)
        plain.pop(key, None)
        if at is not None:
            plain[key] = at
        assert deadlines.earliest() == min(plain.values(), default=None)

    assert sorted(deadlines.take_due(now)) == sorted(key for key, at in plain.items() if at <= now)
    assert deadlines.earliest() == min((at for at in plain.values() if at > now), default=None)


class Peer:
    """A peer written by hand in front of a core that waits for it."""

    def __init__(self, **settings: object) -> None:
        peer = PeerSettings(PEER, 64512, 64512, local_address=US, passive=True, **settings)  # type: ignore[arg-type]
        self.core = Speaker(Random(1))
        wanted = SpeakerSettings(
            US, (US,), 179, (peer,), (IPv4Network("10.48.9.0/26"),), (IPv4Network("10.48.0.0/16"),)
        )
        self.core.configure(wanted, 0.0)

    def connect(self, now: float) -> int:
        """Open a connection."""
        number = self.core.accepted(PEER, US, now)
        assert number is not None
        return number

    def say(self, number: int, data: bytes, now: float) -> bytes:
        """What we answer to these bytes."""
        self.core.take_actions()
        self.core.received(number, data, now)
        self.core.advance(now + 0.01)
        return b"".join(a.data for a in self.core.take_actions() if isinstance(a, Send) and a.connection == number)


OPEN = Open(64512, 90, PEER, graceful_restart=GracefulRestart(20, families={IPV4_UNICAST: True})).encode()
ROUTES = b"".join(
    announce(IPV4_UNICAST, Attributes(local_pref=1).encode(PEER.packed), PEER.packed, [destination(V4)[1]])
)


def test_first_exchange_and_refresh() -> None:
    """KEEPALIVE, all routes, End-of-RIB; a refresh repeats them between its marks; BoRR and EoRR sweep."""
    peer = Peer()
    number = peer.connect(1.0)
    assert kinds(peer.say(number, OPEN + KEEPALIVE, 1.0)) == ["KEEPALIVE", "UPDATE", "UPDATE"]
    peer.say(number, ROUTES, 2.0)
    said = peer.say(number, Refresh(IPV4_UNICAST).encode(), 3.0)
    assert kinds(said) == ["REFRESH", "UPDATE", "REFRESH"]
    peer.say(number, Refresh(IPV4_UNICAST, RefreshKind.BEGIN).encode(), 4.0)
    assert peer.core.sessions()[0].stale == 1
    peer.say(number, Refresh(IPV4_UNICAST, RefreshKind.END).encode(), 5.0)

    assert peer.core.routes().learnt == ()


def test_who_opens_many_connections_holds_one() -> None:
    """A newer connection without OPEN replaces the older one, so strangers at a peer's address cannot pile them up."""
    peer = Peer()
    numbers = [peer.connect(1.0) for _ in range(50)]

    assert len(peer.core._connections) == 1
    assert peer.say(numbers[-1], OPEN, 2.0)


def test_a_second_connection_early_in_a_session_is_a_collision() -> None:
    """Within the first seconds of a session its peer dialled too; later it must have restarted."""
    peer = Peer()
    first = peer.connect(1.0)
    peer.say(first, OPEN + KEEPALIVE + ROUTES, 1.0)
    assert kinds(peer.say(peer.connect(2.0), OPEN, 2.0))[-1] == "NOTIFICATION 6/7"
    third = peer.connect(20.0)
    assert "KEEPALIVE" in kinds(peer.say(third, OPEN, 20.0))

    assert [route.stale for route in peer.core.routes().learnt] == [True]


def test_a_hard_reset_drops_and_a_soft_one_keeps() -> None:
    """RFC 8538: Cease 6/4 keeps the routes of a peer with the N bit, 6/9 does not."""
    for notification, kept in ((Notification(6, 4), 1), (Notification(6, 4).hard(), 0)):
        peer = Peer()
        number = peer.connect(1.0)
        peer.say(number, OPEN + KEEPALIVE + ROUTES, 1.0)
        peer.say(number, message(MessageType.NOTIFICATION, notification.encode()), 2.0)
        peer.core.advance(3.0)
        assert len(peer.core.routes().learnt) == kept


def test_a_second_restart_does_not_keep_what_the_first_left() -> None:
    """Routes that were stale when the session ended again go (RFC 4724 section 4.2)."""
    peer = Peer()
    for now in (1.0, 30.0):
        number = peer.connect(now)
        peer.say(number, OPEN + KEEPALIVE + (ROUTES if now == 1.0 else b""), now)
        assert len(peer.core.routes().learnt) == 1
        peer.core.closed(number, now + 8)
        peer.core.advance(now + 9)

    assert peer.core.routes().learnt == ()


def test_strangers_are_refused() -> None:
    """An address that no peer has gets no session."""
    assert Peer().core.accepted(IPv4Address("203.0.113.10"), US, 1.0) is None


def test_a_flood_of_malformed_updates_is_one_line() -> None:
    """The log is not the peer's to fill; the count is in the status."""
    peer = Peer()
    number = peer.connect(1.0)
    peer.say(number, OPEN + KEEPALIVE, 1.0)
    bad = next(announce(IPV4_UNICAST, Attributes().encode(PEER.packed), PEER.packed, [destination(V4)[1]]))
    peer.core.received(number, bad * 100, 2.0)

    assert sum(isinstance(action, Log) for action in peer.core.take_actions()) == 1
    assert peer.core.sessions()[0].malformed == 100


def test_a_helper_tries_often_enough() -> None:
    """While it keeps a peer's routes it does not wait out that peer's restart time."""
    settings = PeerSettings(PEER, 64512, 64512)
    delays = []
    for window in (None, 4):
        waiting = PeerState(settings, Random(1), stale_window_s=window)
        delays.append(max(waiting.next_retry_s() for _ in range(10)))

    assert delays[0] > 2
    assert delays[1] <= 1


def test_retries_differ_and_stay_short() -> None:
    """Delays grow to a few seconds, and no two peers wait alike."""
    core = Speaker(Random(1))
    peers = tuple(PeerSettings(IPv4Address("192.0.2.10") + i, 64512, 64512) for i in range(20))
    core.configure(SpeakerSettings(US, peers=peers), 0.0)
    tries: dict[object, list[float]] = {}
    while (now := core.deadline) is not None and now < 60:
        core.advance(now)
        for action in core.take_actions():
            if hasattr(action, "peer") and hasattr(action, "connection"):
                tries.setdefault(action.peer.address, []).append(now)
                core.closed(action.connection, now)
    gaps = [later - earlier for times in tries.values() for earlier, later in itertools.pairwise(times)]

    assert len(tries) == 20
    assert max(gaps) <= 4.0
    assert min(gaps) >= 0.3
    assert len({round(times[-1], 6) for times in tries.values()}) == 20
