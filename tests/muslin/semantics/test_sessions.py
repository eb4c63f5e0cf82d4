"""Which BGP sessions a node has, and how each end behaves."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import combinations
from typing import Any

import pytest

from muslin.net import ClusterId
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.bgp_peer import BGPPeer
from muslin.semantics.sessions import Session, SessionKind, listen_port, sessions
from muslin.semantics.snapshot import Snapshot
from tests.support.clusters import node

_NODES = [node(name, f"192.0.2.{number}/24") for name, number in (("a", 1), ("b", 2), ("c", 10))]


def _peer(name: str, **spec: Any) -> BGPPeer:
    return BGPPeer.model_validate({"metadata": {"name": name}, "spec": spec})


def _configuration(name: str = "default", **spec: Any) -> BGPConfiguration:
    return BGPConfiguration.model_validate({"metadata": {"name": name}, "spec": spec})


def _of(node_name: str, *resources: Resource) -> tuple[Session, ...]:
    return sessions(Snapshot.of(resources), node_name)


def _ends(found: tuple[Session, ...]) -> list[tuple[str, SessionKind, bool]]:
    return [(str(each.peer_address), each.kind, each.passive) for each in found]


def test_mesh_connects_every_node_with_every_other() -> None:
    """Without configuration there is a mesh of AS 64512 on port 179, from the node's own address."""
    assert (
        Session(
            peer_address=ip_address("192.0.2.10"),
            peer_as=64512,  # type: ignore[arg-type]
            local_as=64512,  # type: ignore[arg-type]
            kind=SessionKind.NODE_MESH,
            local_address=ip_address("192.0.2.1"),
            passive=True,
            peer_node="c",
        ),
        Session(
            peer_address=ip_address("192.0.2.2"),
            peer_as=64512,  # type: ignore[arg-type]
            local_as=64512,  # type: ignore[arg-type]
            kind=SessionKind.NODE_MESH,
            local_address=ip_address("192.0.2.1"),
            passive=True,
            peer_node="b",
        ),
    ) == _of("a", *_NODES)


def test_one_end_of_each_mesh_session_dials() -> None:
    """Addresses are compared as text, as the reference does: 192.0.2.10 is before 192.0.2.2."""
    passive = {(local, str(session.peer_node)): session.passive for local in "abc" for session in _of(local, *_NODES)}

    assert all(passive[one, other] is not passive[other, one] for one, other in combinations("abc", 2))
    assert passive["c", "b"] is True


def test_mesh_can_be_switched_off() -> None:
    """`nodeToNodeMeshEnabled: false` ends every mesh session."""
    assert _of("a", *_NODES, _configuration(nodeToNodeMeshEnabled=False)) == ()


def test_reflectors_take_no_part_in_the_mesh() -> None:
    """A node with a cluster id has no mesh session at either end."""
    reflector = node("rr", "192.0.2.9/24", routeReflectorClusterID="192.0.2.9")

    assert _of("rr", *_NODES, reflector) == ()
    assert [each.peer_node for each in _of("a", *_NODES, reflector)] == ["c", "b"]


def test_as_number_and_port_come_from_the_node_or_the_default() -> None:
    """A node's own AS number and listen port win over those of `default`, at both ends."""
    special = node("d", "192.0.2.4/24", asNumber=64500)
    resources = [
        *_NODES[:1],
        special,
        _configuration(asNumber=64496, listenPort=1179),
        _configuration("node.d", listenPort=1180),
    ]
    (from_a,), (from_d,) = _of("a", *resources), _of("d", *resources)

    assert (from_a.peer_as, from_a.local_as, from_a.peer_port) == (64500, 64496, 1180)
    assert (from_d.peer_as, from_d.local_as, from_d.peer_port) == (64496, 64500, 1179)


def test_both_families_have_their_mesh() -> None:
    """A node with addresses of both families has a session over each."""
    both = [
        node(name, f"192.0.2.{number}/24", ipv6Address=f"2001:db8::{number}/64")
        for name, number in (("a", 1), ("b", 2))
    ]

    assert [str(each.peer_address) for each in _of("a", *both)] == ["192.0.2.2", "2001:db8::2"]


def test_nodes_without_address_have_no_session() -> None:
    """A node that is unknown, or has no address, has none and is nobody's peer."""
    assert _of("nobody", *_NODES) == ()
    assert _of("bare", *_NODES, node("bare")) == ()
    assert [each.peer_node for each in _of("a", *_NODES, node("bare"))] == ["c", "b"]


def test_global_peer_is_everybodys() -> None:
    """A BGPPeer without node names a router that every node dials."""
    peer = _peer("tor", peerIP="192.0.2.254", asNumber=64500)
    off = _configuration(nodeToNodeMeshEnabled=False)

    for name in "abc":
        (found,) = _of(name, *_NODES, peer, off)
        assert (ip_address("192.0.2.254"), 64500, SessionKind.GLOBAL_PEER, False, None) == (
            found.peer_address,
            found.peer_as,
            found.kind,
            found.passive,
            found.peer_node,
        )


def test_node_peers_are_their_nodes_only() -> None:
    """`node` and `nodeSelector` say whose peer it is; the port and the source address are taken over."""
    labelled = node("d", "192.0.2.4/24", {"rack": "a"})
    peers = [
        _peer("one", node="a", peerIP="192.0.2.254:1179", asNumber=64500, sourceAddress="None"),
        _peer("two", nodeSelector="rack == 'a'", peerIP="192.0.2.253", asNumber=64500, ttlSecurity=1),
    ]
    off = _configuration(nodeToNodeMeshEnabled=False)
    (of_a,), (of_d,) = _of("a", *_NODES, labelled, *peers, off), _of("d", *_NODES, labelled, *peers, off)

    assert (of_a.peer_port, of_a.local_address, of_a.kind) == (1179, None, SessionKind.NODE_PEER)
    assert (ip_address("192.0.2.253"), 1) == (of_d.peer_address, of_d.ttl_security_hops)
    assert _of("b", *_NODES, labelled, *peers, off) == ()


@pytest.mark.parametrize("reverse", ["Auto", "Manual", None])
def test_selected_peers_get_the_other_end(reverse: str | None) -> None:
    """One BGPPeer with a peerSelector makes both ends, unless reverse peering is manual; both ends dial."""
    reflector = node("rr", "192.0.2.9/24", {"rr": "yes"}, routeReflectorClusterID="192.0.2.9")
    peer = _peer("to-rr", nodeSelector="!has(rr)", peerSelector="has(rr)", reversePeering=reverse)
    off = _configuration(nodeToNodeMeshEnabled=False)
    resources = [*_NODES, reflector, peer, off]

    assert _ends(_of("a", *resources)) == [("192.0.2.9", SessionKind.NODE_PEER, False)]
    other_ends = _of("rr", *resources)
    assert [each for each in _ends(other_ends) if each[1] is not SessionKind.NODE_PEER or each[2]] == []
    assert ([] if reverse == "Manual" else ["a", "c", "b"]) == [each.peer_node for each in other_ends]
    assert all(ClusterId("192.0.2.9") == each.cluster_id for each in other_ends)


def test_reflectors_of_one_cluster_do_not_reflect_to_each_other() -> None:
    """A peer with the same cluster id is no client; one with another id is."""
    labels = {"rr": "yes"}
    reflectors = [
        node("rr-1", "192.0.2.11/24", labels, routeReflectorClusterID="192.0.2.11"),
        node("rr-2", "192.0.2.12/24", labels, routeReflectorClusterID="192.0.2.11"),
        node("rr-3", "192.0.2.13/24", labels, routeReflectorClusterID="192.0.2.13"),
    ]
    found = _of("rr-1", *reflectors, _peer("rr-to-rr", nodeSelector="has(rr)", peerSelector="has(rr)"))

    assert [("rr-2", None), ("rr-3", ClusterId("192.0.2.11"))] == [(each.peer_node, each.cluster_id) for each in found]


def test_address_of_a_node_makes_both_ends_of_a_peering() -> None:
    """A peerIP that is a node's, with its AS, gives that node the other end; with another AS it does not."""
    off = _configuration(nodeToNodeMeshEnabled=False)
    right, wrong = (_peer("p", node="a", peerIP="192.0.2.2", asNumber=number) for number in (64512, 64500))

    assert _ends(_of("b", *_NODES, right, off)) == [("192.0.2.1", SessionKind.NODE_PEER, False)]
    assert _of("b", *_NODES, wrong, off) == ()
    assert _of("c", *_NODES, right, off) == ()


def test_one_session_a_peer() -> None:
    """A BGPPeer replaces the mesh session to the same peer, and a global peer wins over a node peer."""
    peers = [_peer("x", node="a", peerIP="192.0.2.2", asNumber=64512), _peer("y", peerIP="192.0.2.2", asNumber=64512)]
    found = _of("a", *_NODES, *peers)

    assert _ends(found) == [("192.0.2.10", SessionKind.NODE_MESH, True), ("192.0.2.2", SessionKind.GLOBAL_PEER, True)]


def test_restart_time_and_password_are_taken_over() -> None:
    """Mesh and peers carry their restart time in seconds and where their password is."""
    secret = {"secretKeyRef": {"name": "bgp", "key": "password"}}
    mesh = _of("a", *_NODES[:2], _configuration(nodeMeshMaxRestartTime="90s", nodeMeshPassword=secret))
    peer = _of("a", _NODES[0], _peer("t", peerIP="192.0.2.254", asNumber=64500, maxRestartTime="5m", password=secret))

    assert [(each.graceful_restart_s, each.password_ref) for each in mesh] == [(90, ("bgp", "password"))]
    assert [(each.graceful_restart_s, each.password_ref) for each in peer] == [(300, ("bgp", "password"))]


def test_a_node_listens_where_its_peers_dial() -> None:
    """Its own BGPConfiguration says the port, else the default one, else it is BGP's."""
    every = Snapshot.of([_configuration(listenPort=1790), _configuration("node.b", listenPort=1791)])
    assert (listen_port(every, "a"), listen_port(every, "b")) == (1790, 1791)
    assert listen_port(Snapshot(), "b") == 179


def test_a_node_with_as_number_0_keeps_its_sessions() -> None:
    """0 is nobody's AS number, so it means the cluster's, on both ends."""
    nodes = (_NODES[0], node("b", "192.0.2.2/24", asNumber=0))
    for name in ("a", "b"):
        assert [(each.local_as, each.peer_as) for each in _of(name, *nodes)] == [(64512, 64512)]
