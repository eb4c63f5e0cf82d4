"""The documents' other mistakes: what a reader who copies would meet, and what we do instead."""

from __future__ import annotations

import os
import subprocess
from ipaddress import ip_network
from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.reflectors import peer_resources
from muslin.cli.get import get
from muslin.errors import BadInput
from muslin.resources import dump
from muslin.resources import load as load_resource
from muslin.semantics.sessions import SessionKind, sessions
from tests.blueprints.clusters import facts, nodes_in
from tests.blueprints.spreading import cluster, everybody_learns


def _spec(blueprint: str, kind: str, **told: Any) -> dict[str, Any]:
    decided = BLUEPRINTS[blueprint](facts(**told), None, None)
    return {each.metadata.name: dump(each)["spec"] for each in decided.resources if each.kind == kind}


def test_a_variable_that_is_not_exported_is_not_seen() -> None:
    """The shell keeps it to itself."""
    script = "CALICO_DATASTORE_TYPE=kubernetes\nenv"
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=environment)

    assert "CALICO_DATASTORE_TYPE" not in done.stdout


def test_a_pool_is_shown_whole_on_request_only() -> None:
    """The table has no column for every field: `-o yaml` has them all."""
    form = next(each for each in get.params if "--output" in each.opts)

    assert form.default != "yaml"


def test_sessions_with_reflectors_are_node_specific() -> None:
    """Their BGPPeers select nodes; a peer of all nodes would be global."""
    given = facts(**nodes_in(4))
    state = cluster(given, BLUEPRINTS["route_reflectors"](given, None, None).resources)

    assert {each.kind for node in given.nodes for each in sessions(state, node.name)} == {SessionKind.NODE_PEER}


def test_nothing_that_the_agent_knows_is_declared_of_nodes() -> None:
    """Labels and cluster ID, no addresses: neither the node's nor a tunnel's."""
    declared = _spec("route_reflectors", "Node", **nodes_in(4))

    assert list(declared.values()) == [{"bgp": {"routeReflectorClusterID": "1.0.0.1"}}] * 2


def test_reflectors_stand_in_several_subnets() -> None:
    """And every node learns every route there."""
    given = facts(**nodes_in(3, 3))
    blueprint = BLUEPRINTS["route_reflectors"](given, None, None)

    assert blueprint.decision("reflectors").chosen == "n0-0, n1-0"
    assert everybody_learns(cluster(given, blueprint.resources))


def test_cluster_ids_before_peers_cut_nodes_off() -> None:
    """In the documents' order nobody learns the reflectors' routes for a moment; in ours there is none."""
    given = facts(**nodes_in(4), running={"routeDistribution": "node-to-node mesh"})
    blueprint = BLUEPRINTS["route_reflectors"](given, None, None)
    (procedure,) = blueprint.procedures
    nodes = [each for each in blueprint.resources if each.kind == "Node"]
    kinds = [{each.kind for each in stage.write} for stage in procedure.stages]

    assert not everybody_learns(cluster(given, [*procedure.before, *nodes]))
    assert everybody_learns(cluster(given, [*procedure.before, *peer_resources(), *nodes]))
    assert kinds.index({"BGPPeer"}) < kinds.index({"Node"})


def test_the_control_plane_does_not_reflect() -> None:
    """Of its own accord no blueprint takes it, and those that it takes are drained and tainted first."""
    nodes = [
        each | ({"roles": ["control-plane"]} if index == 0 else {}) for index, each in enumerate(nodes_in(4)["nodes"])
    ]
    told = {**nodes_in(4), "nodes": nodes, "running": {"routeDistribution": "node-to-node mesh"}}
    blueprint = BLUEPRINTS["route_reflectors"](facts(**told), None, None)

    assert blueprint.decision("reflectors").chosen == "n0-1, n0-2"
    assert "kubectl taint node n0-1 route-reflector=true:NoSchedule" in blueprint.procedures[0].stages[0].commands


@pytest.mark.parametrize(("number", "told"), [(63400, True), (64400, True), (64512, False), (4200000001, False)])
def test_numbers_that_may_be_somebody_s_are_told(number: int, *, told: bool) -> None:
    """Private ones and those for documentation are nobody's."""
    decided = BLUEPRINTS["single_subnet"](facts(asNumber=number), None, None).decision("AS number")

    assert ("is not private" in decided.consequence) is told


def test_a_switch_is_no_pod() -> None:
    """The documents' switch lies in the documents' pool."""
    with pytest.raises(BadInput, match=r"192\.168\.1\.1, which lies in the pod range"):
        facts(
            podRange="192.168.0.0/16",
            nodes=[{"name": "a", "address": "192.0.2.1", "rack": "a"}],
            topOfRack=[{"name": "t", "address": "192.168.1.1", "asNumber": 64400, "racks": ["a"]}],
        )


def test_nodes_without_routable_pods_have_peers_too() -> None:
    """Every node has a session, whatever addresses its pods have."""
    nodes = [
        each | {"rack": "r1"} | ({"labels": {"network-type": "routable"}} if index == 0 else {})
        for index, each in enumerate(nodes_in(3)["nodes"])
    ]
    switch = {"name": "t", "address": "10.0.255.1", "asNumber": 64500, "racks": ["r1"]}
    given = facts(**{**nodes_in(3), "nodes": nodes}, topOfRack=[switch], routable={"pods": "203.0.113.0/26"})
    state = cluster(given, BLUEPRINTS["top_of_rack"](given, None, None).resources)

    assert [len(sessions(state, node.name)) for node in given.nodes] == [1, 1, 1]


def test_services_stand_beside_the_rest_of_bgp() -> None:
    """One object with the mesh, the number and the ranges; the ranges are those that Kubernetes has."""
    told = {
        "nodes": [{"name": "a", "address": "192.0.2.1", "rack": "r1"}],
        "topOfRack": [{"name": "t", "address": "192.0.2.254", "asNumber": 64500, "racks": ["r1"]}],
        "serviceRanges": ["10.96.0.0/16"],
        "routable": {"clusterIPs": True},
    }
    assert _spec("top_of_rack", "BGPConfiguration", **told) == {
        "default": {
            "nodeToNodeMeshEnabled": False, "asNumber": 64512, "serviceClusterIPs": [{"cidr": "10.96.0.0/16"}]
        }
    }  # fmt: skip
    with pytest.raises(BadInput, match="is not Kubernetes' own"):
        facts(**told | {"serviceRanges": ["172.34.12.0/24"], "kubernetes": {"serviceSubnets": ["10.96.0.0/16"]}})
    assert not ip_network("172.34.12.0/24").is_private


def test_orders_have_fractions() -> None:
    """Between two of them there is always a third."""
    policy = load_resource(
        {
            "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
            "metadata": {"name": "between"}, "spec": {"order": 1999.5},
        }
    )  # fmt: skip

    assert dump(policy)["spec"]["order"] == 1999.5


@pytest.mark.parametrize(("given", "borrow"), [("10.48.0.0/24", True), ("10.48.0.0/16", False)])
def test_a_node_may_have_several_blocks(given: str, *, borrow: bool) -> None:
    """How many there are, and whether nodes with their pods must borrow of each other's."""
    decided = BLUEPRINTS["single_subnet"](facts(podRange=given, podsPerNode=70, plannedNodes=3), None, None)

    assert ("borrow" in decided.decision("block size").consequence) is borrow
