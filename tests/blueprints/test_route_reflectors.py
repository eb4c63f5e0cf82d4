"""Reflectors: who reflects, what that costs in sessions, and how a running cluster gets there."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.emit import DECISIONS_FILE, render
from blueprints.reflectors import global_sessions, mesh_sessions
from blueprints.route_reflectors import route_reflectors
from blueprints.stages import after_stage
from muslin.resources import dump
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.node import Node
from muslin.semantics.sessions import sessions
from muslin.semantics.snapshot import Snapshot
from muslin.yaml import load as read_yaml
from tests.blueprints.clusters import facts, nodes_in
from tests.blueprints.spreading import cluster, everybody_learns


@pytest.mark.parametrize(
    ("told", "chosen"),
    [
        (nodes_in(4), "n0-0, n0-1"),
        (nodes_in(3, 2, 1), "n0-0, n1-0, n2-0"),
        (nodes_in(4, racks=2), "n0-0, n0-1"),
        ({**nodes_in(4), "nodes": [{**each, "rack": rack} for each, rack in zip(
            nodes_in(4)["nodes"], ["a", "a", "a", "b"], strict=True)]}, "n0-0, n0-3"),
        ({**nodes_in(4), "nodes": [{**each, "roles": roles} for each, roles in zip(
            nodes_in(4)["nodes"], [["control-plane"], [], [], []], strict=True)]}, "n0-1, n0-2"),
        ({**nodes_in(4), "nodes": [{**each, "roles": roles} for each, roles in zip(
            nodes_in(4)["nodes"], [[], ["reflector"], [], ["reflector"]], strict=True)]}, "n0-1, n0-3"),
    ],
)  # fmt: skip
def test_who_reflects(told: dict[str, Any], chosen: str) -> None:
    """Those that are named; else one in each subnet, at least two, racks apart, never the control plane."""
    assert route_reflectors(facts(**told, plannedNodes=60)).decision("reflectors").chosen == chosen


def test_what_the_architecture_shows_corrected() -> None:
    """Its BGPPeers, with the selector that begins with `!` in quotes, and the label as a text."""
    blueprint = route_reflectors(facts(**nodes_in(3)))
    texts = render(blueprint)
    peers = {each.metadata.name: dump(each)["spec"] for each in blueprint.resources if isinstance(each, BGPPeer)}
    (node, _) = [dump(each) for each in blueprint.resources if isinstance(each, Node)]

    assert peers == {
        "node-peer-to-rr": {"nodeSelector": "!has(route-reflector)", "peerSelector": "has(route-reflector)"},
        "rr-to-rr-peer": {"nodeSelector": "has(route-reflector)", "peerSelector": "has(route-reflector)"},
    }
    assert node["metadata"]["labels"] == {"route-reflector": "true"}
    assert node["spec"] == {"bgp": {"routeReflectorClusterID": "1.0.0.1"}}
    read = [each.value for each in read_yaml(texts["network/bgp-peers.yaml"].encode(), "bgp-peers.yaml")]
    assert read == [dump(each) for each in blueprint.files["network/bgp-peers.yaml"]]
    assert 'route-reflector: "true"' in texts["network/nodes.yaml"]


def test_sessions_are_as_many_as_are_told() -> None:
    """What the decision computes is what `muslin.semantics` counts, far below the mesh's."""
    told = facts(**nodes_in(30, 30), clusterID="192.0.2.30")
    blueprint = route_reflectors(told)
    declared = {each.metadata.name: dump(each) for each in blueprint.resources if isinstance(each, Node)}
    nodes = []
    for each in told.nodes:
        own = declared.get(each.name, {"metadata": {"name": each.name}, "spec": {"bgp": {}}})
        bgp = {**own["spec"]["bgp"], "ipv4Address": f"{each.address}/16"}
        nodes.append(Node.model_validate({"metadata": own["metadata"], "spec": {"bgp": bgp}}))
    snapshot = Snapshot.of([*(each for each in blueprint.resources if not isinstance(each, Node)), *nodes])
    ends = sum(len(sessions(snapshot, each.name)) for each in told.nodes)

    assert ends == 2 * global_sessions(60, 2) == 2 * 117
    assert blueprint.decision("reflectors").consequence.startswith(
        "117 sessions: 2 on every node, 59 on every reflector"
    )
    assert f"{mesh_sessions(60)} sessions, 59 on every node" in {
        each.against for each in blueprint.decision("reflectors").alternatives
    }
    assert blueprint.decision("cluster ID").chosen == "192.0.2.30"


def test_a_mesh_that_runs_is_replaced_in_stages() -> None:
    """Peers before ids, ids before the mesh goes; DECISIONS.md says each stage with what ends it."""
    told = facts(**nodes_in(5), running={"routeDistribution": "node-to-node mesh"})
    blueprint = route_reflectors(told)
    (procedure,) = blueprint.procedures
    fewest = []
    for number in range(5):
        state = cluster(told, after_stage(blueprint.procedures, blueprint.resources, number).values())
        fewest.append(min(len(sessions(state, each.name)) for each in told.nodes))
    text = render(blueprint)[DECISIONS_FILE]

    assert [sorted({each.kind for each in stage.write}) for stage in procedure.stages] == [
        [], ["BGPPeer"], ["Node"], ["BGPConfiguration"],
    ]  # fmt: skip
    assert fewest == [4, 4, 4, 4, 2]
    assert all(f"- {until}" in text for stage in procedure.stages for until in stage.until)
    assert "kubectl taint node n0-0 route-reflector=true:NoSchedule" in text


def test_reflectors_of_their_own_for_each_rack() -> None:
    """Nodes peer with their rack's two alone, reflectors with each other; ids differ, and all routes are learnt."""
    given = facts(**nodes_in(6, racks=2), reflectorsPerRack=True)
    blueprint = route_reflectors(given)
    state = cluster(given, blueprint.resources)
    peers = {node.name: sorted(str(s.peer_node) for s in sessions(state, node.name)) for node in given.nodes}
    ids = {
        each.metadata.name: str(each.spec.bgp.route_reflector_cluster_id)
        for each in blueprint.resources
        if isinstance(each, Node) and each.spec.bgp is not None
    }

    assert peers["n0-4"] == ["n0-0", "n0-2"]
    assert peers["n0-5"] == ["n0-1", "n0-3"]
    assert peers["n0-0"] == ["n0-1", "n0-2", "n0-3", "n0-4"]
    assert ids == {"n0-0": "1.0.0.1", "n0-2": "1.0.0.1", "n0-1": "1.0.0.2", "n0-3": "1.0.0.2"}
    assert everybody_learns(state)
    assert "10 sessions of today's nodes" in blueprint.decision("reflectors").consequence


@pytest.mark.parametrize("running", [None, {"routeDistribution": "route reflectors"}])
def test_without_a_running_mesh_there_are_no_stages(running: dict[str, Any] | None) -> None:
    """A new cluster, and one that reflects already, take it all at once."""
    told = {"running": running} if running else {}

    assert route_reflectors(facts(**nodes_in(5), **told)).procedures == ()


@pytest.mark.parametrize(("planned", "told"), [(49, "asked for"), (50, "from 50 nodes on")])
def test_why_reflectors(planned: int, told: str) -> None:
    """From 50 nodes on it is the rule, below a wish."""
    decided = route_reflectors(facts(**nodes_in(4), plannedNodes=planned)).decision("route distribution")

    assert (decided.chosen, decided.rule.startswith(told)) == ("route reflectors", True)
