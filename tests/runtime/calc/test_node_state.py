"""What a node must have because of the resources, part by part."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from muslin.resources.base import Resource
from muslin.resources.cluster_information import ClusterInformation
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.host_endpoint import HostEndpoint
from muslin.semantics.snapshot import Snapshot
from runtime.calc.compute import compute
from runtime.calc.sets import without_covered
from runtime.calc.state import Action, IpPort, NodeState, PolicyId, Route, RouteClass, RouteKind
from tests.support.clusters import (
    affinity,
    block,
    global_policy,
    global_set,
    namespace_profile,
    network_set,
    node,
    policy,
    pool,
    tier,
    workload,
)


def _state(*resources: Resource, of: str = "node-a") -> NodeState:
    return compute(Snapshot.of(resources, revision="7"), of)


def test_only_local_workloads_are_endpoints() -> None:
    """Workloads of other nodes are none of ours."""
    state = _state(
        workload("here", "10.48.0.1"),
        workload("there", "10.48.0.2", on="node-b"),
    )

    assert list(state.endpoints) == ["cali-here"]
    assert (ip_address("10.48.0.1"),) == state.endpoints["cali-here"].addresses
    assert (state.node, state.revision) == ("node-a", "7")


def test_policies_that_no_local_endpoint_names_are_left_out() -> None:
    """A node knows the policies of its own workloads only, and the sets of those only."""
    state = _state(
        namespace_profile("default"),
        workload("here", "10.48.0.1", labels={"app": "web"}),
        policy("ours", selector="app == 'web'", ingress=[{"action": "Allow", "source": {"selector": "app == 'db'"}}]),
        policy("theirs", selector="app == 'db'", ingress=[{"action": "Allow", "source": {"selector": "has(x)"}}]),
    )

    assert {PolicyId("NetworkPolicy", "ours", "default"), PolicyId("Profile", "kns.default")} == set(state.policies)
    assert len(state.sets) == 1
    assert [frozenset()] == list(state.sets.values())


def test_missing_profile_is_named_but_not_there() -> None:
    """The dataplane denies for a profile that the state names and does not have."""
    state = _state(workload("here", "10.48.0.1", profiles=["gone"]))

    assert (PolicyId("Profile", "gone"),) == state.endpoints["cali-here"].profiles
    assert dict(state.policies) == {}


def test_tiers_come_with_their_end() -> None:
    """An endpoint's tiers are in order, with the default action of each."""
    state = _state(
        workload("here", "10.48.0.1"),
        tier("first", 1, "Pass"),
        global_policy("first.g", tier="first", types=["Egress"]),
        global_policy("g"),
    )
    first, default = state.endpoints["cali-here"].tiers

    assert ("first", Action.PASS, (), (PolicyId("GlobalNetworkPolicy", "first.g"),)) == (
        first.tier,
        first.default_action,
        first.ingress,
        first.egress,
    )
    assert (default.tier, default.default_action) == ("default", Action.DENY)


def test_members_are_addresses_and_networks_of_the_selected() -> None:
    """A selector's set has workloads of all nodes and network sets, without prefixes that others cover."""
    rule = {"action": "Allow", "source": {"selector": "color == 'red'"}}
    state = _state(
        workload("here", "10.48.0.1"),
        workload("far", ["10.48.0.2", "2001:db8:48::2"], on="node-b", labels={"color": "red"}),
        workload("blue", "10.48.0.3", labels={"color": "blue"}),
        global_set("red", ["203.0.113.0/24", "203.0.113.7/32", "10.48.0.0/30"], {"color": "red"}),
        network_set("mine", ["198.51.100.9"], {"color": "red"}, "elsewhere"),
        global_policy("g", ingress=[rule]),
    )

    assert [
        frozenset(
            ip_network(each) for each in ("2001:db8:48::2/128", "203.0.113.0/24", "10.48.0.0/30", "198.51.100.9/32")
        )
    ] == list(state.sets.values())


def test_named_ports_are_members_with_protocol_and_port() -> None:
    """A named port of a rule means the listeners of that name and protocol that the selector matches."""
    http = [{"name": "http", "protocol": "TCP", "port": 8080}, {"name": "http", "protocol": "UDP", "port": 8081}]
    to = {"selector": "app == 'web'", "ports": ["http"]}
    state = _state(
        workload("web", "10.48.0.1", labels={"app": "web"}, ports=http),
        workload("db", "10.48.0.2", labels={"app": "db"}, ports=http),
        global_policy("g", egress=[{"action": "Allow", "protocol": "TCP", "destination": to}]),
    )
    ((identity, members),) = state.sets.items()
    (rule,) = state.policies[PolicyId("GlobalNetworkPolicy", "g")].egress

    assert identity.startswith("n:")
    assert frozenset({IpPort(ip_address("10.48.0.1"), 6, 8080)}) == members
    assert ((identity,), ()) == (rule.match.destination_port_sets, rule.match.destination_sets)


def test_rules_that_match_nothing_are_left_out() -> None:
    """What only requests or services could match, and what is of both families, is not compiled."""
    state = _state(
        workload("here", "10.48.0.1"),
        global_policy(
            "g",
            ingress=[
                {"action": "Allow", "http": {"methods": ["GET"]}},
                {"action": "Deny", "source": {"notNets": ["2001:db8::/32"]}},
            ],
            egress=[{"action": "Allow", "destination": {"services": {"name": "dns", "namespace": "kube-system"}}}],
        ),
    )
    rules = state.policies[PolicyId("GlobalNetworkPolicy", "g")]

    assert [(rule.action, rule.match.ip_version) for rule in rules.ingress] == [(Action.DENY, 6)]
    assert rules.egress == ()


def test_routes_are_local_workloads_and_the_rest_of_own_blocks() -> None:
    """Every local address has a route, every own block a blackhole; a block of one address needs none."""
    state = _state(
        node("node-a", "192.0.2.1/24"),
        workload("here", ["10.48.0.1", "2001:db8:48::1"]),
        affinity("node-a", "10.48.0.0/26"),
        pool("singles", "10.50.0.0/24", blockSize=32),
        affinity("node-a", "10.50.0.9/32"),
        affinity("node-b", "10.48.0.64/26"),
        pool("p", "10.48.0.0/16", natOutgoing=True),
        pool("q", "10.49.0.0/16", disableBGPExport=True),
        affinity("node-a", "10.49.0.0/26"),
    )
    block, quiet = ip_network("10.48.0.0/26"), ip_network("10.49.0.0/26")

    assert (
        Route(block, RouteClass.BLACKHOLE, RouteKind.BLACKHOLE),
        Route(ip_network("10.48.0.1/32"), RouteClass.WORKLOAD, interface="cali-here"),
        Route(quiet, RouteClass.BLACKHOLE, RouteKind.BLACKHOLE),
        Route(ip_network("2001:db8:48::1/128"), RouteClass.WORKLOAD, interface="cali-here"),
    ) == state.routes
    assert (block, ip_network("10.50.0.9/32")) == state.originated
    assert frozenset({ip_network("10.48.0.0/16")}) == state.nat_pools
    assert {str(each) for each in state.all_pools} == {"10.48.0.0/16", "10.49.0.0/16", "10.50.0.0/24"}


def test_a_borrowed_address_is_announced_by_itself() -> None:
    """Out of another node's block, whose blackhole would have it; addresses of own blocks and of no pool are not."""
    state = _state(
        node("node-a", "192.0.2.1/24"),
        pool("p", "10.48.0.0/16"),
        pool("q", "10.49.0.0/16", disableBGPExport=True),
        affinity("node-a", "10.48.0.0/26"),
        affinity("node-b", "10.48.0.64/26"),
        block("10.48.0.64/26", "node-b"),
        workload("own", ["10.48.0.1"]),
        workload("lent", ["10.48.0.65"]),
        workload("quiet", ["10.49.0.1"]),
        workload("stray", ["203.0.113.7"]),
    )

    assert [str(prefix) for prefix in state.originated] == ["10.48.0.0/26", "10.48.0.65/32"]


def test_one_address_has_one_route() -> None:
    """Of two workloads with one address, or one interface, the first by namespace and name has it."""
    state = _state(
        workload("b", "10.48.0.1"),
        workload("a", "10.48.0.1"),
        workload("c", "10.48.0.2", interfaceName="cali-a"),
    )

    assert [route.interface for route in state.routes] == ["cali-a"]
    assert state.endpoints["cali-a"].name == "a"


@pytest.mark.parametrize(
    ("wish", "action"), [(None, Action.DENY), ("Drop", Action.DENY), ("Accept", Action.ALLOW), ("Return", Action.PASS)]
)
def test_packets_to_the_node_follow_the_setting(wish: str | None, action: Action) -> None:
    """`defaultEndpointToHostAction` is Drop where nobody sets it."""
    spec = {} if wish is None else {"defaultEndpointToHostAction": wish}
    felix = FelixConfiguration.model_validate({"metadata": {"name": "default"}, "spec": spec})

    assert action is _state(felix).endpoint_to_host


@pytest.mark.parametrize(("ready", "expected"), [(None, True), (True, True), (False, False)])
def test_datastore_that_is_not_ready_is_told(ready: bool | None, expected: bool) -> None:
    """Only an explicit false stops new work."""
    spec = {} if ready is None else {"datastoreReady": ready}

    assert expected is _state(ClusterInformation.model_validate({"metadata": {"name": "default"}, "spec": spec})).ready


def test_unknown_node_has_an_empty_state() -> None:
    """A node that no resource names has nothing, and no error."""
    assert NodeState("nobody", "7", ready=False) == _state(workload("here", "10.48.0.1"), of="nobody")
    assert _state(node("node-a", "192.0.2.1/24"), of="nobody").sessions == ()


@pytest.mark.parametrize(
    ("addresses", "networks", "kept"),
    [
        (["10.48.0.1/32"], [], ["10.48.0.1/32"]),
        (["10.48.0.1/32"], ["10.48.0.0/24"], ["10.48.0.0/24"]),
        (["10.48.1.1/32"], ["10.48.0.0/24", "10.48.0.0/25"], ["10.48.0.0/24", "10.48.1.1/32"]),
        (["10.48.1.1/32", "2001:db8::1/128"], ["0.0.0.0/0", "10.0.0.0/8"], ["0.0.0.0/0", "2001:db8::1/128"]),
        ([], ["10.48.0.0/25", "10.48.0.128/25"], ["10.48.0.0/25", "10.48.0.128/25"]),
    ],
)
def test_covered_prefixes_are_dropped_and_neighbours_not_joined(
    addresses: list[str], networks: list[str], kept: list[str]
) -> None:
    """No two members overlap, and every member is one that somebody wrote."""
    assert frozenset(map(ip_network, kept)) == without_covered(map(ip_network, addresses), map(ip_network, networks))


def test_hosts_and_their_ports_are_members_too() -> None:
    """A host endpoint's expected addresses and named ports count like a workload's."""
    host = HostEndpoint.model_validate(
        {
            "metadata": {"name": "h", "labels": {"role": "host"}},
            "spec": {
                "node": "node-b",
                "interfaceName": "eth0",
                "expectedIPs": ["192.0.2.2"],
                "ports": [{"name": "ssh", "protocol": "TCP", "port": 22}],
            },
        }
    )
    ports = {"selector": "role == 'host'", "ports": ["ssh", 80]}
    state = _state(
        workload("here", "10.48.0.1"),
        host,
        global_policy("g", egress=[{"action": "Allow", "protocol": "TCP", "destination": ports}]),
    )

    assert {frozenset({ip_network("192.0.2.2/32")}), frozenset({IpPort(ip_address("192.0.2.2"), 6, 22)})} == set(
        state.sets.values()
    )


@pytest.mark.parametrize("interface", ["eth0", "lo", "tap1", "..", "xcali1"])
def test_a_workload_has_a_workload_interface_only(interface: str) -> None:
    """An endpoint on the machine's own interface is told and nothing of it is in force."""
    state = _state(workload("web", "10.48.0.1", interfaceName=interface))
    assert (state.endpoints, state.routes) == ({}, ())
    (problem,) = state.problems
    assert interface in problem.what
    assert "web" in problem.where


@pytest.mark.parametrize(
    "cidr",
    [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.48.0.0/19",
        "10.48.0.64/27",
        "10.48.0.7/32",
        "192.0.2.0/26",
        "224.0.0.0/26",
        "203.0.113.0/26",
    ],
)
def test_a_block_that_cannot_be_one_is_neither_blackholed_nor_announced(cidr: str) -> None:
    """Larger than blocks are, not of its pool's size, or over the network between the nodes: told and left."""
    state = _state(
        pool("pods", "10.48.0.0/16"), node("node-a", "192.0.2.1/24"), affinity("node-a", cidr), block(cidr, "node-a"),
        affinity("node-a", "10.48.1.0/26"), block("10.48.1.0/26", "node-a"),
    )  # fmt: skip
    assert [str(route.prefix) for route in state.routes] == ["10.48.1.0/26"]
    assert [str(prefix) for prefix in state.originated] == ["10.48.1.0/26"]
    (problem,) = state.problems
    assert cidr in problem.what
