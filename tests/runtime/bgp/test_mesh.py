"""A cluster of speakers on a simulated clock."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network

import pytest

from runtime.bgp.settings import PeerSettings, SpeakerSettings
from tests.runtime.bgp.simulation import (
    AS,
    POOL,
    World,
    address_of,
    block_of,
    converged,
    established,
    mesh,
    peer_of,
    ups,
)


@pytest.mark.parametrize("both_dial", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_mesh_of_ten_converges(seed: int, both_dial: bool) -> None:
    """Every node learns every block with the right next hop, and says in sync, well before the wait is over."""
    world = World(seed)
    nodes = mesh(world, 10, both_dial=both_dial)
    for node in nodes:
        world.after(world.random.uniform(0, 0.2), node.start)

    world.run(4.5)

    assert converged(nodes)
    assert all(node.view.in_sync for node in nodes)
    assert [established(node) for node in nodes] == [9] * 10


def test_the_same_seed_gives_the_same_trace() -> None:
    """Nothing but the seed decides what happens."""

    def run(seed: int) -> list[str]:
        world = World(seed)
        nodes = mesh(world, 5, both_dial=True)
        for node in nodes:
            node.start()
        world.run(20)
        return world.trace

    assert run(7) == run(7)
    assert run(7) != run(8)


@pytest.mark.parametrize("seed", range(6))
def test_a_mesh_survives_refused_and_broken_connections(seed: int) -> None:
    """Half of all connection attempts fail and connections break at random; in the end every route is there."""
    world = World(seed)
    nodes = mesh(world, 4, both_dial=True)
    world.refuse = 0.5
    for node in nodes:
        node.start()

    def break_one() -> None:
        node = world.random.choice(nodes)
        if node.wires:
            number = world.random.choice(sorted(node.wires))
            assert node.core is not None
            node.core.closed(number, world.now)
            world.hang_up(node, number)
            world.act(node)

    for _ in range(20):
        world.after(world.random.uniform(0, 30), break_one)
    world.run(30)
    world.refuse = 0.0
    world.run(15)

    assert converged(nodes)
    assert [established(node) for node in nodes] == [3] * 4


def test_an_idle_mesh_only_keeps_alive() -> None:
    """At rest a node wakes up for keepalives and hold timers alone."""
    world = World(1)
    nodes = mesh(world, 3)
    for node in nodes:
        node.start()
    world.run(60)
    before, wakes = ups(world), 0
    for node in nodes:
        assert node.core is not None
        original = node.core.advance

        def counting(now: float, original: Callable[[float], None] = original) -> None:
            nonlocal wakes
            wakes += 1
            original(now)

        node.core.advance = counting  # type: ignore[method-assign]
    world.run(300)

    assert ups(world) == before
    assert wakes <= 3 * 2 * (300 / 30 + 1) * 2


def test_a_frozen_peer_is_noticed_when_the_hold_time_is_over() -> None:
    """Without GR for notifications nobody keeps routes of a peer that fell silent longer than the hold time."""
    world = World(1)
    nodes = mesh(world, 2, hold_time_s=9, graceful_restart_s=0)
    for node in nodes:
        node.start()
    world.run(5)
    world.silence(nodes[1])

    took = world.run(30, until=lambda: not nodes[0].prefixes)

    assert 6 <= took <= 10


def test_a_removed_peer_takes_its_routes_along_at_once() -> None:
    """De-configuration is a Hard Reset: graceful restart does not keep the routes at either end."""
    world = World(1)
    nodes = mesh(world, 3)
    for node in nodes:
        node.start()
    world.run(5)
    settings = nodes[0].settings
    kept = tuple(peer for peer in settings.peers if peer.address != address_of(2))
    nodes[0].configure(
        type(settings)(settings.router_id, settings.listen, 179, kept, settings.originated, settings.importable)
    )
    world.run(0.1)

    assert nodes[0].prefixes == set(nodes[2].settings.originated)
    assert nodes[1].prefixes == set(nodes[2].settings.originated)
    assert nodes[2].prefixes == {*nodes[0].settings.originated, *nodes[1].settings.originated}


def test_both_families_beside_each_other() -> None:
    """An IPv4 session carries IPv4 and an IPv6 session IPv6, each with next hops of its own, in one speaker."""
    world = World(1)
    v6 = {index: IPv6Address(f"2001:db8::{index}") for index in (1, 2)}
    pools = (POOL, IPv6Network("2001:db8:48::/48"))
    nodes = []
    for me, other in ((1, 2), (2, 1)):
        peers = (
            peer_of(other, local_address=address_of(me), passive=me > other),
            PeerSettings(v6[other], AS, AS, local_address=v6[me], passive=me > other),
        )
        blocks = (block_of(me), IPv6Network(f"2001:db8:48:{me}::/64"))
        nodes.append(world.add(SpeakerSettings(address_of(me), (), 179, peers, blocks, pools)))
        world.nodes[v6[me]] = nodes[-1]
    for node in nodes:
        node.start()
    world.run(5)

    assert {prefix: route.next_hop for prefix, route in nodes[0].view.routes.items()} == {
        block_of(2): address_of(2),
        IPv6Network("2001:db8:48:2::/64"): v6[2],
    }
    assert established(nodes[0]) == established(nodes[1]) == 2
