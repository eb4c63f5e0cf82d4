"""What is passed on: nothing learnt by iBGP, unless by a reflector (RFC 4456); nothing from one AS to another."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from runtime.bgp.settings import PeerSettings, SpeakerSettings
from tests.runtime.bgp.simulation import AS, POOL, Node, World, address_of, block_of, mesh, peer_of

CLUSTER = IPv4Address("192.0.2.200")


def reflector(world: World, index: int, clients: list[int], others: list[int]) -> Node:
    """A route reflector with these clients and these other peers."""
    peers = [peer_of(i, local_address=address_of(index), cluster_id=CLUSTER, passive=True) for i in clients]
    peers += [peer_of(i, local_address=address_of(index), passive=i < index) for i in others]
    return world.add(SpeakerSettings(address_of(index), (), 179, tuple(peers), (), (POOL,)))


def client(world: World, index: int, reflectors: list[int]) -> Node:
    """A node that has sessions with reflectors only."""
    peers = tuple(peer_of(i, local_address=address_of(index)) for i in reflectors)
    return world.add(SpeakerSettings(address_of(index), (), 179, peers, (block_of(index),), (POOL,)))


def test_a_mesh_node_does_not_pass_on() -> None:
    """Three nodes in a row without reflection: the outer two stay strangers."""
    world = World(1)
    nodes = mesh(world, 3)
    for node, missing in ((nodes[0], 3), (nodes[2], 1)):
        kept = tuple(peer for peer in node.settings.peers if peer.address != address_of(missing))
        node.settings = replace(node.settings, peers=kept)
    for node in nodes:
        node.start()
    world.run(6)

    assert nodes[0].prefixes == set(nodes[1].settings.originated)
    assert nodes[1].prefixes == set(nodes[0].settings.originated) | set(nodes[2].settings.originated)


def test_clients_of_two_reflectors_learn_all_with_the_next_hop_unchanged() -> None:
    """Two reflectors of one cluster, four clients; the death of one reflector loses nothing, nor does its return."""
    world = World(2)
    reflectors = [reflector(world, 1, [11, 12, 13, 14], [2]), reflector(world, 2, [11, 12, 13, 14], [1])]
    clients = [client(world, index, [1, 2]) for index in (11, 12, 13, 14)]
    for node in reflectors + clients:
        node.start()
    world.run(8)

    def complete() -> bool:
        return all(
            {prefix: route.next_hop for prefix, route in node.view.routes.items()}
            == {block_of(i): address_of(i) for i in (11, 12, 13, 14) if address_of(i) != node.address}
            for node in clients
        )

    assert complete()
    reflectors[0].kill()
    world.run(200)
    assert complete()
    reflectors[0].start()
    world.run(10)
    assert complete()
    assert all(session.prefixes == 3 for session in clients[0].core.sessions())  # type: ignore[union-attr]


def test_a_reflector_takes_its_word_back_from_a_client_that_now_has_the_best_route() -> None:
    """Two clients announce one prefix: whoever has the best route hears the other's no more."""
    world = World(3)
    node = reflector(world, 1, [11, 12], [])
    first, second = client(world, 12, [1]), client(world, 11, [1])
    second.settings = replace(second.settings, originated=())
    for each in (node, first, second):
        each.start()
    world.run(6)
    assert second.prefixes == {block_of(12)}
    second.configure(replace(second.settings, originated=(block_of(12),)))
    world.run(1)

    assert second.core is not None
    assert second.core.sessions()[0].prefixes == 0, "its own router id is lower: its route is best"
    assert first.core is not None
    assert first.core.sessions()[0].prefixes == 1


def test_ebgp_gets_our_routes_with_our_as_and_none_of_others() -> None:
    """Own routes go to another AS; what one AS says does not go to a second one nor into the mesh."""
    world = World(4)
    us = address_of(1)
    external = [(2, 64501), (3, 64502)]
    peers = (
        *(PeerSettings(address_of(i), asn, AS, local_address=us) for i, asn in external),
        peer_of(4, local_address=us),
    )
    node = world.add(SpeakerSettings(us, (), 179, peers, (block_of(1),), (POOL,)))
    outside = [
        world.add(
            SpeakerSettings(
                address_of(i), (), 179, (PeerSettings(us, AS, asn, local_address=address_of(i), passive=True),),
                (block_of(i),), (IPv4Network("0.0.0.0/0"),),
            )
        )
        for i, asn in external
    ]  # fmt: skip
    inside = world.add(
        SpeakerSettings(address_of(4), (), 179, (peer_of(1, passive=True, local_address=address_of(4)),), (), (POOL,))
    )
    for each in (node, *outside, inside):
        each.start()
    world.run(6)

    assert node.prefixes == {block_of(2), block_of(3)}
    assert [each.prefixes for each in outside] == [{block_of(1)}, {block_of(1)}]
    assert inside.prefixes == {block_of(1)}
