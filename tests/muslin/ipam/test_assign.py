"""Giving out addresses: which block, which address, how many, and why not."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from muslin.datastore.history import History
from muslin.ipam.assign import assign_ip, auto_assign
from muslin.ipam.assignment import AddressRefused, NoPool, RefusalReason, Shortfall
from muslin.ipam.blocks import Attribute, Block
from muslin.ipam.names import block_key
from muslin.ipam.pools import reservations
from muslin.ipam.release import release_by_handle
from muslin.ipam.together import assign_together
from muslin.net import Address
from muslin.resources.keys import Key
from tests.muslin.ipam.stage import (
    NOW,
    Client,
    addresses,
    affinities,
    blocks,
    check,
    configuration,
    finish,
    held,
    network,
    pool,
    request,
)


def test_the_first_address_claims_a_block_and_confirms_it() -> None:
    """A node without blocks gets one, confirmed, and its first address with the block's length."""
    history = History()
    result = finish(history, auto_assign(request()))
    (block,) = blocks(history)

    assert [str(address) for address in result.addresses] == [f"{block.prefix[0]}/28"]
    assert block.affinity == "host:node-1"
    assert list(affinities(history).values()) == [("node-1", "confirmed")]
    assert held(history) == {block.prefix[0]: "net.c1"}
    check(history)


def test_block_json_is_calicos() -> None:
    """The block's object has exactly the fields and forms of Calico's v3 resource."""
    history = History()
    finish(history, auto_assign(request(attributes={"pod": "p", "namespace": "default", "node": "node-1"})))
    (entry,) = history.list("IPAMBlock").entries
    cidr, created = entry.value["spec"]["cidr"], 1767268800000000000

    assert entry.value["apiVersion"] == "projectcalico.org/v3"
    assert entry.key.name == cidr.replace(".", "-").replace("/", "-")
    assert entry.value["spec"] == {
        "cidr": cidr,
        "affinity": "host:node-1",
        "affinityClaimTime": "2026-01-01T12:00:00Z",
        "allocations": [0] + [None] * 15,
        "unallocated": list(range(1, 16)),
        "attributes": [
            {"handle_id": "net.c1", "secondary": {"pod": "p", "namespace": "default", "node": "node-1"}}
        ],
        "sequenceNumber": created + 1,
        "sequenceNumberForAllocation": {"0": created},
        "deleted": False,
        "strictAffinity": False,
    }  # fmt: skip


def test_a_warm_request_costs_three_calls() -> None:
    """With the node's block known and a new handle: read the block, write the handle, write the block."""
    history = History()
    finish(history, auto_assign(request()))
    (block,) = blocks(history)
    client = Client(auto_assign(request(handle="net.c2", known_blocks=(block.prefix,))))
    while not client.done:
        client.step(history)

    assert [type(asked).__name__ for asked in client.asked] == ["Get", "Create", "Update"]
    assert len(client.result.addresses) == 1


def test_a_wrong_hint_does_no_harm() -> None:
    """Blocks that are another node's, that do not exist, or are in no pool are passed over."""
    history = History()
    finish(history, auto_assign(request("node-2")))
    (theirs,) = blocks(history)
    hints = (theirs.prefix, network("203.0.113.0/28"), network("198.51.100.240/28"))
    result = finish(history, auto_assign(request("node-1", known_blocks=hints)))

    assert addresses(result).isdisjoint(set(theirs.prefix))
    check(history)


def test_several_addresses_span_blocks() -> None:
    """More addresses than a block has come from several blocks, each once."""
    history = History()
    result = finish(history, auto_assign(request(count=40)))

    assert len(addresses(result)) == 40
    assert len(blocks(history)) == 3
    check(history)


def test_the_block_limit_stops_claims_and_then_strictness_decides() -> None:
    """At its limit a node borrows from others' blocks, or, where affinity is strict, gets less and is told why."""
    history = History()
    finish(history, auto_assign(request("node-2")))
    loose = configuration()
    result = finish(history, auto_assign(request(count=20, max_blocks=1, configuration=loose)))
    strict = configuration(strictAffinity=True, maxBlocksPerHost=1)
    less = finish(history, auto_assign(request(count=5, configuration=strict, handle="net.c2")))

    assert len(addresses(result)) == 20
    assert len(blocks(history)) == 2
    assert less.addresses == ()
    assert less.shortfalls == (Shortfall.BLOCK_LIMIT,)
    assert less.message.startswith("Assigned 0 out of 5 requested IPv4 addresses; ")
    check(history)


def test_a_full_pool_says_so() -> None:
    """When every address is taken the result is short, not an error, and nothing was counted to the handle."""
    history = History()
    small = (pool("198.51.100.0/27"),)
    first = finish(history, auto_assign(request(count=40, pools=small)))
    second = finish(history, auto_assign(request("node-2", pools=small, handle="net.c2")))

    assert len(first.addresses) == 32
    assert second.addresses == ()
    assert Shortfall.NO_FREE_BLOCK in second.shortfalls
    assert [entry.key.name for entry in history.list("IPAMHandle").entries] == ["net.c1"]


def test_reserved_addresses_are_given_only_on_request() -> None:
    """Reservations are skipped by automatic assignment, and bind nobody who names the address."""
    history = History()
    small = (pool("198.51.100.0/28"),)
    reserved = reservations([network("198.51.100.0/29")])
    result = finish(history, auto_assign(request(count=16, pools=small, reserved=reserved)))
    named = finish(history, assign_ip(request(pools=small, handle="net.c2"), ip_address("198.51.100.3")))

    assert addresses(result) == set(network("198.51.100.8/29"))
    assert str(named) == "198.51.100.3/28"


def test_a_certain_address_is_given_once() -> None:
    """The second who asks for an address is refused, and told who holds it; outside the pools there is none."""
    history = History()
    wanted = ip_address("198.51.100.77")
    finish(history, assign_ip(request(), wanted))
    with pytest.raises(AddressRefused) as in_use:
        finish(history, assign_ip(request("node-2", handle="net.c2"), wanted))
    with pytest.raises(AddressRefused) as outside:
        finish(history, assign_ip(request(), ip_address("203.0.113.1")))
    strict = configuration(strictAffinity=True)
    with pytest.raises(AddressRefused) as anothers:
        finish(history, assign_ip(request("node-2", configuration=strict), ip_address("198.51.100.78")))

    assert in_use.value.reason is RefusalReason.IN_USE
    assert "net.c1" in str(in_use.value)
    assert outside.value.reason is RefusalReason.NO_POOL
    assert anothers.value.reason is RefusalReason.ANOTHER_NODES_BLOCK
    check(history)


def test_pools_are_chosen_by_node_namespace_use_and_mode() -> None:
    """A pool serves the nodes and namespaces it selects and the uses it allows; one asked for by name, anybody."""
    history = History()
    a = pool("198.51.100.0/25", "a", nodeSelector="rack == 'a'")
    b = pool("198.51.100.128/25", "b", namespaceSelector="team == 'b'")
    manual = pool("203.0.113.0/24", "m", assignmentMode="Manual")
    off = pool("192.0.2.0/24", "off", disabled=True)
    pools = (a, b, manual, off)

    def prefix_for(**more: Any) -> str:
        result = finish(history, auto_assign(request(pools=pools, **more)))
        address = next(iter(addresses(result)))
        return next(it.metadata.name for it in pools if address in it.spec.cidr)

    assert prefix_for(node_labels={"rack": "a"}) == "a"
    assert prefix_for(namespace_labels={"team": "b"}) == "b"
    assert prefix_for(requested_pools=("m",)) == "m"
    assert prefix_for(requested_pools=("198.51.100.0/25",)) == "a"
    with pytest.raises(NoPool):
        finish(history, auto_assign(request(pools=pools)))
    with pytest.raises(NoPool):
        finish(history, auto_assign(request(pools=pools, requested_pools=("off",))))


def test_a_block_in_a_pool_no_longer_for_the_node_is_given_back() -> None:
    """Once a pool does not select the node any more, its empty block is released with the node's next request."""
    history = History()
    before = (pool("198.51.100.0/25", "a"), pool("198.51.100.128/25", "b"))
    finish(history, auto_assign(request(pools=before, requested_pools=("a",))))
    finish(history, release_by_handle("net.c1", NOW))
    after = (pool("198.51.100.0/25", "a", nodeSelector="rack == 'a'"), before[1])
    finish(history, auto_assign(request(pools=after)))

    assert all(block.prefix.subnet_of(network("198.51.100.128/25")) for block in blocks(history))
    assert len(affinities(history)) == 1


def test_an_idle_block_of_another_node_is_reclaimed_after_a_minute() -> None:
    """With no block left, one that is empty and was claimed a minute ago changes its node; a fresh one does not."""
    history = History()
    small = (pool("198.51.100.0/28"),)
    strict = configuration(strictAffinity=True)
    finish(history, auto_assign(request(pools=small)))
    finish(history, release_by_handle("net.c1", NOW))
    soon = finish(history, auto_assign(request("node-2", pools=small, configuration=strict)))
    later = NOW + timedelta(seconds=61)
    late = finish(history, auto_assign(request("node-2", pools=small, configuration=strict, now=later)))

    assert soon.addresses == ()
    assert len(late.addresses) == 1
    assert [block.affinity for block in blocks(history)] == ["host:node-2"]
    assert [node for node, _ in affinities(history).values()] == ["node-2"]


def test_a_block_that_cannot_be_read_hides_no_other() -> None:
    """A spoilt block of the node, or of another, is passed over; addresses come from elsewhere."""
    history = History()
    finish(history, auto_assign(request()))
    (entry,) = history.list("IPAMBlock").entries
    prefix = network(entry.value["spec"]["cidr"])
    history.update(
        block_key(prefix), {**entry.value, "spec": {"cidr": str(prefix), "allocations": "?"}}, entry.revision
    )
    result = finish(history, auto_assign(request(handle="net.c2", known_blocks=(prefix,))))

    assert len(result.addresses) == 1
    assert addresses(result).isdisjoint(set(prefix))


def test_a_deletion_left_half_done_is_ended() -> None:
    """An affinity that Calico's client marked as deleted and did not remove counts as gone."""
    history = History()
    finish(history, auto_assign(request()))
    (entry,) = history.list("BlockAffinity").entries
    history.update(entry.key, {**entry.value, "spec": {**entry.value["spec"], "deleted": True}}, entry.revision)
    result = finish(history, auto_assign(request(handle="net.c2")))

    assert len(result.addresses) == 1
    check(history)


def test_ipv6_blocks_are_found_in_a_pool_too_large_to_walk() -> None:
    """A /64 pool has 2^58 blocks; the first is found at once, and its objects have Calico's names."""
    history = History()
    big = (pool("2001:db8:0:1::/64", "six", blockSize=122),)
    result = finish(history, auto_assign(request(pools=big, version=6)))
    (block,) = blocks(history)

    assert len(result.addresses) == 1
    assert block.prefix.prefixlen == 122
    assert history.get(Key("IPAMBlock", str(block.prefix).replace(":", "-").replace("/", "-")))


@pytest.mark.parametrize("handles", [["a", "b", "c"], ["a", "b", "a"], ["old", "a"], list("abcdefghijklmnopqrst"), []])
def test_addresses_given_out_together_are_those_given_out_one_by_one(handles: list[str]) -> None:
    """The same addresses and block, also for who has one already, around reserved ones, and where too few are left."""
    block = Block.new(network("198.51.100.0/28"), "host:node-1", NOW)
    block, _ = block.assigned(2, Attribute("old", {"pod": "old"}))
    attributes = [Attribute(handle, {"pod": handle}) for handle in handles]

    def reserved(address: Address) -> bool:
        return int(address) % 5 == 0

    one_by_one, expected = block, list[Address]()
    for attribute in attributes:
        one_by_one, given = one_by_one.assigned(1, attribute, reserved)
        expected += given

    assert block.assigned_each(attributes, reserved) == (one_by_one, tuple(expected))


@pytest.mark.parametrize("steps", range(5))
def test_a_death_at_any_step_of_giving_out_together_is_made_good_by_releasing(steps: int) -> None:
    """Handles count what the block may not have given yet, never the other way round; releasing leaves nothing."""
    history = History()
    finish(history, auto_assign(request(handle="net.first")))
    (block,) = blocks(history)
    names = [f"net.{number}" for number in range(3)]
    client = Client(assign_together([request(handle=name, known_blocks=(block.prefix,)) for name in names]))

    for _ in range(steps):
        if not client.done:
            client.step(history)
    client.crash()

    check(history)
    for name in names:
        finish(history, release_by_handle(name, NOW))
    check(history)
    assert list(held(history).values()) == ["net.first"]
    assert [key.name for key in (entry.key for entry in history.list("IPAMHandle").entries)] == ["net.first"]
