"""Reflectors outside of the cluster: everybody peers with them, and no node reflects."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.draft import fitting
from blueprints.facts import Facts
from blueprints.musts import Must, Refusal
from blueprints.route_reflectors import route_reflectors
from blueprints.stages import Condition
from muslin.errors import BadInput
from muslin.semantics.sessions import sessions
from tests.blueprints.clusters import facts, nodes_in
from tests.blueprints.spreading import cluster

_TWO = [{"name": "bird-1", "address": "203.0.113.1"}, {"name": "bird-2", "address": "203.0.113.2"}]


def _given(*reflectors: dict[str, Any], **changed: Any) -> Facts:
    return facts(**{**nodes_in(4), "externalReflectors": list(reflectors), **changed})


def test_every_node_peers_with_each() -> None:
    """Two sessions on each node, none between nodes, in the nodes' AS; the mesh is off."""
    given = _given(*_TWO, asNumber=64500)
    blueprint = route_reflectors(given)
    state = cluster(given, blueprint.resources)
    found = {node.name: sessions(state, node.name) for node in given.nodes}

    assert blueprint.decision("reflectors").chosen == "bird-1, bird-2"
    assert {len(held) for held in found.values()} == {2}
    assert {(str(s.peer_address), int(s.peer_as)) for held in found.values() for s in held} == {
        ("203.0.113.1", 64500), ("203.0.113.2", 64500),
    }  # fmt: skip
    assert "network/nodes.yaml" not in blueprint.files


def test_both_families_have_their_own_sessions() -> None:
    """An address of each family is needed where both are told over BGP."""
    nodes = [{"name": f"n{i}", "address": f"10.0.0.{i}", "addressV6": f"2001:db8::{i}"} for i in (1, 2, 3)]
    told = {"nodes": nodes, "subnets": ["10.0.0.0/16", "2001:db8::/64"], "podRangeV6": "2001:db8:48::/48"}
    both = [each | {"addressV6": f"2001:db8:9::{index}"} for index, each in enumerate(_TWO, 1)]
    names = [each.metadata.name for each in route_reflectors(_given(*both, **told)).files["network/bgp-peers.yaml"]]
    with pytest.raises(BadInput) as caught:
        route_reflectors(_given(*_TWO, **told))

    assert names == ["rr-bird-1", "rr-bird-1-v6", "rr-bird-2", "rr-bird-2-v6"]
    assert [each.what for each in caught.value.problems] == [
        f"the reflector {name} has no IPv6 address, and routes of that family need one" for name in ("bird-1", "bird-2")
    ]


@pytest.mark.parametrize(
    ("given", "must"),
    [
        (_given(_TWO[0]), Must.TWO_REFLECTORS),
        (_given(*(each | {"rack": "r1"} for each in _TWO)), Must.REFLECTORS_APART),
        (_given(*_TWO, asNumber=64500, externalReflectors=[e | {"asNumber": 64501} for e in _TWO]), Must.ONE_AS_INSIDE),
        (_given(*_TWO, nodes=[e | {"roles": ["reflector"]} for e in nodes_in(4)["nodes"]]),
         Must.ONE_KIND_OF_REFLECTOR),
    ],
)  # fmt: skip
def test_what_speaks_against_them(given: Facts, must: Must) -> None:
    """One alone, another AS, nodes that reflect as well."""
    with pytest.raises(BadInput) as caught:
        route_reflectors(given)

    assert {each.must for each in caught.value.problems if isinstance(each, Refusal)} == {must}


@pytest.mark.parametrize("address", ["10.48.0.9", "10.96.0.1"])
def test_a_reflector_is_no_pod_and_no_service(address: str) -> None:
    """Its address lies in none of these ranges."""
    with pytest.raises(BadInput, match="which lies in the"):
        _given({"name": "bird-1", "address": address}, _TWO[1], serviceRanges=["10.96.0.0/12"])


def test_a_mesh_gives_way_to_them_in_stages() -> None:
    """Sessions with both come first; the mesh goes last."""
    blueprint = route_reflectors(_given(*_TWO, running={"routeDistribution": "node-to-node mesh"}))
    (procedure,) = blueprint.procedures

    assert [each.name for each in procedure.stages] == ["declare who will peer with whom", "turn the mesh off"]
    assert [each.peers for each in procedure.stages[0].until if each.condition is Condition.SESSIONS] == [
        ("203.0.113.1",), ("203.0.113.2",),
    ]  # fmt: skip


def test_who_names_them_means_them() -> None:
    """Without a blueprint's name it is the one for reflectors."""
    assert fitting(_given(*_TWO)) == "route_reflectors"


def test_those_that_run_need_no_stages() -> None:
    """What runs as decided stays."""
    told = _given(*_TWO, running={"routeDistribution": "route reflectors"})

    assert route_reflectors(told).procedures == ()
