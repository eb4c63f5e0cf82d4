"""What a lab consists of."""

from __future__ import annotations

import pytest

from muslin.errors import BadInput
from muslin.lab.namespaces import plan
from muslin.lab.processes import commands
from muslin.lab.state import StateFolder
from muslin.lab.topology import OUTSIDE, ROUTER, Topology


def test_ten_nodes_stand_in_one_subnet() -> None:
    """Nodes have the addresses .1 to .10 of the subnet whose router is .254."""
    topology = Topology.of(10)

    assert [str(node.address) for node in topology.nodes] == [f"192.0.2.{n}/24" for n in range(1, 11)]
    assert all(node.address.network == topology.router.network for node in topology.nodes)


@pytest.mark.parametrize(
    ("nodes", "name", "mtu", "text"),
    [(0, "lab", 1500, "0 nodes"), (11, "lab", 1500, "11 nodes"), (3, "../x", 1500, "name"), (3, "lab", 100, "MTU 100")],
)
def test_an_impossible_lab_is_refused(nodes: int, name: str, mtu: int, text: str) -> None:
    """Node count, name and MTU have bounds."""
    with pytest.raises(BadInput, match=text):
        Topology.of(nodes, name=name, mtu=mtu)


def test_all_problems_are_told_at_once() -> None:
    """Three mistakes give three problems."""
    with pytest.raises(BadInput) as caught:
        Topology.of(0, name="", mtu=1)

    assert len(caught.value.problems) == 3


def test_a_topology_survives_its_file() -> None:
    """What is written for the supervisor is read as the same lab."""
    topology = Topology.of(4, name="four", mtu=9000, bare=True)

    assert Topology.from_json(topology.to_json()) == topology


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nodes": 99, "name": "x", "mtu": 1500, "bare": false}'])
def test_a_damaged_topology_is_bad_input(text: str) -> None:
    """A file that somebody damaged gives a problem, not a crash."""
    with pytest.raises(BadInput):
        Topology.from_json(text)


def test_nobody_outside_the_nodes_knows_pods() -> None:
    """Neither router nor outside host has a route that covers pods: without NAT no answer can come back."""
    topology = Topology.of(3)
    plans = {each.name: each for each in plan(topology)}
    routes = [line for name in (ROUTER, OUTSIDE) for line in plans[name].links if line.startswith("route")]

    assert routes == ["route add 192.0.2.0/24 via 203.0.113.1"]


def test_each_node_has_its_processes_in_its_namespace() -> None:
    """Agents and speakers run in their node's namespace, speakers first; fetcher and reconciler on none."""
    processes = commands(Topology.of(2), StateFolder.of("x"))

    assert [(process.name, process.namespace) for process in processes] == [
        ("speaker-node1", "node1"),
        ("agent-node1", "node1"),
        ("speaker-node2", "node2"),
        ("agent-node2", "node2"),
        ("fetcher", None),
        ("reconciler", None),
    ]
