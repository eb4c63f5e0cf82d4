"""Our codec against ExaBGP's: what we write it reads, what it writes we read, and damage means the same to both."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random

import pytest

from runtime.bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family, from_wire, to_wire
from runtime.bgp.messages.attributes import Attributes, Origin, Segment, SegmentKind
from runtime.bgp.messages.notification import Notify
from runtime.bgp.messages.update import Context, UpdateDecoder, announce, end_of_rib, withdraw
from tests.runtime.bgp import exabgp_oracle as oracle
from tests.runtime.bgp.mutation import mutate

pytestmark = pytest.mark.interop
BOTH = Context(families=(IPV4_UNICAST, IPV6_UNICAST))
HOPS = {IPV4_UNICAST: IPv4Address("192.0.2.9").packed, IPV6_UNICAST: IPv6Address("2001:db8::9").packed}


def some_attributes(random: Random) -> Attributes:
    """Attributes as a peer could send them."""

    def octets() -> bytes:
        return random.randbytes(4)

    path = tuple(
        Segment(SegmentKind.SEQUENCE, tuple(random.randrange(1, 2**32) for _ in range(random.randrange(1, 4))))
        for _ in range(random.randrange(2))
    )
    return Attributes(
        origin=random.choice(list(Origin)),
        as_path=path,
        med=random.choice([None, random.randrange(2**32)]),
        local_pref=random.randrange(2**32),
        communities=tuple(sorted({random.randrange(0x10000, 0xFFFF0000) for _ in range(random.randrange(3))})),
        originator_id=random.choice([None, octets()]),
        cluster_list=tuple(octets() for _ in range(random.randrange(3))),
        large_communities=tuple(sorted({(random.randrange(1, 99), 2, 3) for _ in range(random.randrange(3))})),
    )


def some_prefixes(random: Random, family: Family) -> list[bytes]:
    """One to five different prefixes of any length."""

    def one() -> bytes:
        length = random.randrange(family.bits + 1)
        number = random.getrandbits(family.bits) >> (family.bits - length) << (family.bits - length)
        first = IPv4Address(number) if family.afi == 1 else IPv6Address(number)
        return to_wire(ip_network((first, length)))

    return list(dict.fromkeys(one() for _ in range(random.randrange(1, 6))))


def body(random: Random, family: Family) -> tuple[bytes, Attributes, list[bytes]]:
    """An announcement's body, and what it says."""
    attributes, prefixes, hop = some_attributes(random), some_prefixes(random, family), HOPS[family]
    encoded = attributes.encode(hop if family == IPV4_UNICAST else None)
    return next(announce(family, encoded, hop, prefixes))[19:], attributes, prefixes


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
@pytest.mark.parametrize("seed", range(40))
def test_exabgp_reads_what_we_write(seed: int, family: Family) -> None:
    """Every attribute and prefix that we encode is what an independent decoder sees."""
    data, value, prefixes = body(Random(seed), family)
    said = oracle.read(data)

    assert oracle.prefixes(said, "announce", family) == {str(from_wire((family, wire))) for wire in prefixes}
    attribute = said["attribute"]
    assert attribute["origin"] == value.origin.name.lower()
    assert attribute.get("med") == value.med
    assert attribute["local-preference"] == value.local_pref
    path = [asn for segment in attribute.get("as-path", {}).values() for asn in segment["value"]]
    assert path == [asn for segment in value.as_path for asn in segment.ases]
    assert [tuple(community) for community in attribute.get("community", [])] == [
        (community >> 16, community & 0xFFFF) for community in value.communities
    ]
    assert [tuple(community) for community in attribute.get("large-community", [])] == list(value.large_communities)
    originator = None if value.originator_id is None else str(IPv4Address(value.originator_id))
    assert attribute.get("originator-id") == originator
    assert attribute.get("cluster-list", []) == [str(IPv4Address(cluster)) for cluster in value.cluster_list]


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
@pytest.mark.parametrize("seed", range(40))
def test_we_read_what_exabgp_writes(seed: int, family: Family) -> None:
    """A message that ExaBGP encoded means the same to us as the one it was made from."""
    data, value, prefixes = body(Random(seed), family)
    decoder = UpdateDecoder(BOTH)
    updates = [decoder.decode(message[19:]) for message in oracle.rewrite(data)]

    assert {update.malformed for update in updates} == {None}
    assert {update.attributes for update in updates} == {value}
    announced = [item for update in updates for item in update.announced]
    assert {item.next_hop for item in announced} == {HOPS[family]}
    assert {wire for item in announced for wire in item.prefixes} == set(prefixes)


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
def test_exabgp_reads_our_withdrawals_and_end_of_rib(family: Family) -> None:
    """Withdrawals and the End-of-RIB marker of both families."""
    wires = some_prefixes(Random(5), family)
    said = oracle.read(next(withdraw(family, wires))[19:])

    assert oracle.prefixes(said, "withdraw", family) == {str(from_wire((family, wire))) for wire in wires}
    assert "eor" in str(oracle.read(end_of_rib(family)[19:]))


@pytest.mark.parametrize("seed", range(8))
def test_damage_that_we_accept_means_the_same_to_exabgp(seed: int) -> None:
    """Of a damaged message that we take for good, ExaBGP sees the same prefixes; nothing but Notify is raised."""
    random = Random(seed)
    accepted = 0
    for _ in range(250):
        data = mutate(body(random, IPV4_UNICAST)[0], random)
        if len(data) < 4:
            continue
        try:
            update = UpdateDecoder(BOTH).decode(data)
        except Notify:
            continue
        if update.malformed is not None or not update.announced:
            continue
        ours = {str(from_wire((item.family, wire))) for item in update.announced for wire in item.prefixes}
        try:
            said = oracle.read(data)
        except oracle.Refused:
            continue
        theirs = oracle.prefixes(said, "announce", IPV4_UNICAST)
        if theirs:  # it may withdraw where we discard an attribute
            accepted += 1
            assert ours == {str(ip_network(prefix, strict=False)) for prefix in theirs}, data.hex()

    assert accepted > 10
