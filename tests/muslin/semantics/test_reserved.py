"""Addresses that no workload, block or learnt route may take, and who has what several claim."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from random import Random

import pytest

from muslin.resources.base import Resource
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.reserved import Reserved, admitted, is_host, reserved
from muslin.semantics.snapshot import Snapshot
from tests.support.clusters import node, pool, workload

HERE = ip_interface("192.0.2.1/24")
CLUSTER: tuple[Resource, ...] = (
    pool("pods", "10.48.0.0/16"),
    node("node-a", "192.0.2.1/24"),
    node("node-b", "192.0.2.2/24"),
    node("far", "198.51.100.7/24"),
)


def born(when: str, made: WorkloadEndpoint) -> WorkloadEndpoint:
    """The same, with a time of birth."""
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"creation_timestamp": when})})


@pytest.mark.parametrize(
    "prefix",
    [
        "192.0.2.1/32", "192.0.2.2/32", "198.51.100.7/32", "192.0.2.254/32", "192.0.2.0/26", "192.0.2.0/24",
        "192.0.0.0/8", "0.0.0.0/0", "0.0.0.0/32", "127.0.0.1/32", "169.254.1.1/32", "224.0.0.5/32",
        "255.255.255.255/32", "::1/128", "fe80::1/128",
    ],
)  # fmt: skip
def test_addresses_of_the_network_itself_are_reserved(prefix: str) -> None:
    """Nodes, the network between them, what holds it, and what is nobody's."""
    assert reserved(Snapshot.of(CLUSTER), "node-a", HERE).why(ip_network(prefix)) is not None


def test_which_addresses_are_a_hosts() -> None:
    """Not this machine's, a link's, a group's, everybody's or nobody's; not in disguise either."""
    asked = [
        "192.0.2.1",
        "2001:db8::1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "::ffff:127.0.0.1",
    ]

    assert [each for each in asked if is_host(ip_address(each))] == ["192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize("prefix", ["10.48.0.1/32", "10.48.0.64/26", "203.0.113.10/32", "2001:db8::1/128"])
def test_other_addresses_are_free(prefix: str) -> None:
    """Addresses of pools, and those of which nobody knows anything."""
    assert reserved(Snapshot.of(CLUSTER), "node-a", HERE).why(ip_network(prefix)) is None


@pytest.mark.parametrize(
    "hostile",
    [node("node-a", "10.48.0.1/16"), node("node-c", "10.48.0.1/32"), node("node-a"), node("node-b", "0.0.0.0/0")],
)
def test_no_node_takes_the_addresses_of_a_pool(hostile: Resource) -> None:
    """A Node that says it has a pod's address changes nothing, not even our own."""
    taken = reserved(Snapshot.of([*CLUSTER, hostile]), "node-a", HERE)
    assert taken.why(ip_network("10.48.0.1/32")) is None
    assert taken.why(ip_network("192.0.2.1/32")) is not None


def test_no_pool_frees_the_addresses_of_neighbours() -> None:
    """A pool over the network between the nodes lets pods in, but not at a node's address."""
    taken = reserved(Snapshot.of([*CLUSTER, pool("over", "192.0.2.0/24")]), "node-a", HERE)
    assert taken.why(ip_network("192.0.2.77/32")) is None
    assert taken.why(ip_network("192.0.2.2/32")) is not None


@pytest.mark.parametrize(
    "newer",
    [
        workload("aaa", "10.48.0.1", on="node-a", interfaceName="cali2"),
        workload("aaa", "10.48.0.9", on="node-a", interfaceName="cali1"),
        workload("aaa", ["10.48.0.9", "10.48.0.1"], on="node-a", interfaceName="cali2"),
        workload("aaa", "10.48.0.5", on="node-a", interfaceName="cali2"),
        workload("aaa", "192.0.2.2", on="node-a", interfaceName="cali2"),
    ],
)
def test_a_newer_workload_takes_nothing_from_an_older_one(newer: WorkloadEndpoint) -> None:
    """Of two with one address, on one node or two, or with one interface, the older has it; the other is told."""
    old = born("2026-01-01T00:00:00Z", workload("web", "10.48.0.1", on="node-a", interfaceName="cali1"))
    far = born("2026-01-01T00:00:00Z", workload("far", "10.48.0.5", on="node-b"))
    taken = reserved(Snapshot.of(CLUSTER), "node-a", HERE)
    for late in (newer, born("2026-02-02T00:00:00Z", newer)):
        accepted, problems = admitted([late, far, old], "node-a", taken)
        assert accepted == (old,)
        assert all("default/aaa" in problem.where and problem.fix for problem in problems)
        assert problems
    assert admitted([newer, far, old], "node-b", taken)[0] == (far,)


def test_one_that_is_refused_keeps_nobody_out() -> None:
    """An old workload with a node's address has neither its interface nor its other address."""
    wrong = born("2026-01-01T00:00:00Z", workload("aaa", ["10.48.0.1", "192.0.2.2"], interfaceName="cali1"))
    good = born("2026-02-02T00:00:00Z", workload("web", "10.48.0.1", interfaceName="cali1"))
    assert admitted([wrong, good], "node-a", reserved(Snapshot.of(CLUSTER), "node-a", HERE))[0] == (good,)


def test_a_prefix_that_holds_any_node_is_found_among_many() -> None:
    """As asking node by node would say, for prefixes of every length around and beside them."""
    random = Random(4)
    nodes = {ip_address(0xC0000200 + random.randrange(1 << 12)): f"node-{n}" for n in range(60)}
    taken = Reserved(nodes=nodes)
    for _ in range(2000):
        length = random.randint(16, 32)
        bits = 0xC0000200 + random.randrange(1 << 12)
        prefix = ip_network((bits >> (32 - length) << (32 - length), length))

        assert (taken.why(prefix) is not None) == any(address in prefix for address in nodes), prefix
