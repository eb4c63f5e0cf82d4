"""Invariant: whatever bytes a peer sends, the speaker raises nothing, and memory and time are bounded."""

from __future__ import annotations

from random import Random

import pytest

from runtime.bgp.families import IPV4_UNICAST, IPV6_UNICAST
from runtime.bgp.messages.attributes import Attributes, RawAttribute
from runtime.bgp.messages.framing import KEEPALIVE
from runtime.bgp.messages.notification import Notify
from runtime.bgp.messages.open import Open
from runtime.bgp.messages.update import Context, UpdateDecoder, announce, withdraw
from runtime.bgp.session import Session, State
from tests.runtime.bgp.mutation import mutate
from tests.runtime.bgp.test_malformed import CASES, OPEN, Established
from tests.runtime.bgp.test_messages import OPENS

HOP = bytes((192, 0, 2, 2))
FULL = Attributes(
    local_pref=1,
    med=2,
    communities=(1, 2),
    originator_id=HOP,
    cluster_list=(HOP, HOP),
    large_communities=((1, 2, 3),),
    others=(RawAttribute(0xC0, 16, bytes(8)), RawAttribute(0xC0, 7, bytes(8)), RawAttribute(0xE0, 99, b"abc")),
)
UPDATES = [
    *announce(IPV4_UNICAST, FULL.encode(HOP), HOP, [bytes((26, 10, 48, 0, 0)), b"\0"]),
    *announce(IPV6_UNICAST, FULL.encode(), HOP * 4, [bytes((64,)) + HOP * 2]),
    *withdraw(IPV6_UNICAST, [bytes((64,)) + HOP * 2]),
    *withdraw(IPV4_UNICAST, [bytes((26, 10, 48, 0, 0))]),
]


@pytest.mark.parametrize("four_octet_as", [True, False])
def test_any_update_is_read_or_refused(four_octet_as: bool) -> None:
    """Damaged UPDATEs give a value or a Notify, and nothing else."""
    random = Random(1)
    decoder = UpdateDecoder(Context(True, four_octet_as, (IPV4_UNICAST, IPV6_UNICAST)))
    refused = 0
    for _ in range(15_000):
        data = mutate(random.choice(UPDATES)[19:], random)
        if len(data) < 4:
            continue
        try:
            decoder.decode(data)
        except Notify:
            refused += 1

    assert 2000 < refused < 13_000


def test_any_open_is_read_or_refused() -> None:
    """Damaged OPENs give a value or a Notify; what was read can be written."""
    random = Random(2)
    read = 0
    for _ in range(10_000):
        data = mutate(random.choice([value for value, _ in OPENS.values()]).encode()[19:], random)
        if len(data) < 10:
            continue
        try:
            value = Open.decode(data)
        except Notify:
            continue
        read += 1
        value.encode()

    assert read > 500


def test_any_stream_ends_at_most_its_own_session() -> None:
    """Damaged streams cut anywhere: the speaker goes on, and accepts the peer again."""
    random = Random(3)
    texts = [data for data, _ in CASES.values()] + [OPEN, KEEPALIVE, *UPDATES]
    for _ in range(300):
        session = Established()
        for _ in range(10):
            data = random.choice(texts)
            session.hear(mutate(data, random) if random.random() < 0.5 else data)
        session.core.advance(1000.0)
        assert session.core.accepted(
            session.core.sessions()[0].peer.address, session.core.sessions()[0].peer.address, 1001.0
        )


def test_a_stream_that_never_completes_a_message_is_bounded() -> None:
    """At most one message waits: sixteen octets of marker and a length that is no length end the session."""
    session = Session(OPENS["plain"][0], 64512, UpdateDecoder, 0.0)
    longest = 0
    for _ in range(5000):
        session.receive(b"\xff", 0.0)
        longest = max(longest, len(session._buffer))

    assert session.state is State.ENDED
    assert longest <= 19
    assert session._buffer == b""
