"""Between two states of a running cluster: every stage leaves every node its routes, or the change is refused."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.decision import Blueprint
from blueprints.fact_parts import Distribution
from blueprints.facts import Facts
from blueprints.running import running_resources
from blueprints.stages import Condition, after_stage, count_of_stages
from blueprints.transitions import transition
from muslin.errors import BadInput
from muslin.resources.base import Resource
from muslin.resources.ip_pool import IPPool
from muslin.resources.node import Node
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.sessions import sessions
from tests.blueprints.clusters import facts, nodes_in
from tests.blueprints.spreading import cluster, everybody_learns

_NODES = nodes_in(6)
_PER_RACK = {**_NODES, "nodes": [each | {"rack": f"r{n % 2}"} for n, each in enumerate(_NODES["nodes"])]}
_SWITCH = {"topOfRack": [{"name": "s1", "address": "203.0.113.1", "asNumber": 64400, "racks": ["r0", "r1"]}]}


def _with_reflectors(*names: str) -> dict[str, Any]:
    nodes = [each | ({"roles": ["reflector"]} if each["name"] in names else {}) for each in _NODES["nodes"]]
    return {**_NODES, "nodes": nodes}


_STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "mesh": ("single_subnet", _NODES),
    "two reflectors": ("route_reflectors", _with_reflectors("n0-0", "n0-1")),
    "two others": ("route_reflectors", _with_reflectors("n0-2", "n0-3")),
    "three": ("route_reflectors", _with_reflectors("n0-1", "n0-2", "n0-4")),
    "three with another id": ("route_reflectors", _with_reflectors("n0-1", "n0-2", "n0-4") | {"clusterID": "1.0.0.9"}),
    "racks of their own": ("route_reflectors", {**_PER_RACK, "reflectorsPerRack": True}),
    "switches": ("top_of_rack", {**_PER_RACK, **_SWITCH}),
}


def _decided(state: str) -> tuple[Facts, Blueprint]:
    name, told = _STATES[state]
    given = facts(**told)
    return given, BLUEPRINTS[name](given, None, None)


@pytest.mark.parametrize(("old", "new"), list(permutations(_STATES, 2)))
def test_no_stage_takes_a_route_from_anybody(old: str, new: str) -> None:
    """From any way of telling routes to any other, after each stage every node learns every other's."""
    told, running = _decided(old)
    _, wished = _decided(new)
    found = transition(running.resources, wished.resources, nodes=[each.name for each in told.nodes])
    walked = [
        after_stage(found.procedures, wished.resources, number)
        for number in range(count_of_stages(found.procedures) + 1)
    ]

    assert not found.refused
    assert len(walked) > 1
    assert all(everybody_learns(cluster(told, state.values())) for state in walked)
    assert set(walked[-1].values()) == set(wished.resources)
    assert all(stage.until and stage.back and stage.reason for each in found.procedures for stage in each.stages)


@pytest.mark.parametrize(("old", "new"), list(permutations(_STATES, 2)))
def test_what_a_datastore_holds_of_nodes_is_left_alone(old: str, new: str) -> None:
    """Nodes as agents and Kubernetes have them: the same procedures, which take nothing from them but what is ours."""
    told, running = _decided(old)
    labelled = told.model_copy(
        update={"nodes": tuple(n.model_copy(update={"labels": {"kubernetes.io/os": "linux"}}) for n in told.nodes)}
    )
    _, wished = _decided(new)
    live, later = (cluster(labelled, each.resources).resources.values() for each in (running, wished))
    declared = transition(running.resources, wished.resources, nodes=[each.name for each in told.nodes])
    found = transition(live, later)
    gone = [key for each in found.procedures for stage in each.stages for key in stage.remove if key.kind == "Node"]
    before = [each for procedure in found.procedures for each in procedure.before if each.kind == "Node"]

    assert [each.name for each in found.procedures] == [each.name for each in declared.procedures]
    assert gone == []
    assert all("kubernetes.io/os" not in each.metadata.labels for each in before)


@pytest.mark.parametrize("state", _STATES)
def test_nothing_is_to_do_between_equals(state: str) -> None:
    """The same state on both sides needs no stage."""
    _, blueprint = _decided(state)

    assert transition(blueprint.resources, blueprint.resources).procedures == ()


def test_the_last_sessions_go_after_the_first_came() -> None:
    """With all at once there would be a moment without: that is what the test above could find."""
    told, running = _decided("mesh")
    _, wished = _decided("two reflectors")
    mesh_off_first = {each.key: each for each in running.resources}
    mesh_off_first |= {each.key: each for each in wished.resources if each.kind == "BGPConfiguration"}

    assert not everybody_learns(cluster(told, mesh_off_first.values()))


def test_a_pool_is_replaced_in_four_stages() -> None:
    """The new one in, the old one disabled, drained, out: both, until nobody has an address of the old."""
    given = facts(running={"podRange": "10.44.0.0/16"}, podRange="10.49.0.0/16")
    blueprint = BLUEPRINTS["single_subnet"](given, None, None)
    (procedure,) = blueprint.procedures
    walked = [
        sorted(
            (each.metadata.name, str(each.spec.cidr), bool(each.spec.disabled))
            for each in after_stage(blueprint.procedures, blueprint.resources, number).values()
            if isinstance(each, IPPool)
        )
        for number in range(5)
    ]
    old, new = ("default-ipv4-ippool", "10.44.0.0/16"), ("pods-10-49-0-0-16", "10.49.0.0/16")

    assert procedure.name == "pool 10.44.0.0/16 to 10.49.0.0/16"
    assert walked == [
        [(*old, False)],
        [(*old, False), (*new, False)],
        [(*old, True), (*new, False)],
        [(*old, True), (*new, False)],
        [(*new, False)],
    ]
    assert [each.until[0].condition for each in procedure.stages] == [
        Condition.STORED, Condition.STORED, Condition.POOL_EMPTY, Condition.STORED,
    ]  # fmt: skip


def test_a_pool_that_runs_keeps_its_name() -> None:
    """After the move the facts say what runs, and nothing is to move any more."""
    pools = [{"name": "pods-10-49-0-0-16", "cidr": "10.49.0.0/16"}]
    blueprint = BLUEPRINTS["single_subnet"](facts(running={"pools": pools}, podRange="10.49.0.0/16"), None, None)

    assert [each.metadata.name for each in blueprint.resources if isinstance(each, IPPool)] == ["pods-10-49-0-0-16"]
    assert blueprint.procedures == ()


@pytest.mark.parametrize(
    ("running", "told", "what"),
    [
        ({"encapsulation": "VXLAN Always"}, {}, "VXLAN runs, and no encapsulation can't replace it"),
        (
            {"encapsulation": "IP-in-IP Always"},
            {"network": {"bgp": False}},
            "IP-in-IP runs, and VXLAN can't",
        ),
        ({"blockSize": 24}, {}, "blocks of /24, which can't be changed"),
        ({"podRange": "10.48.0.0/15"}, {}, "they overlap"),
        ({"reflectors": ["nobody"]}, {}, "the reflector nobody is none of the nodes"),
        (
            {"pools": [{"name": "a", "cidr": "2001:db8::/64", "encapsulation": "IP-in-IP Always"}]},
            {},
            "no such pool runs",
        ),
        ({"pools": [{"name": "a", "cidr": "10.44.0.0/16", "blockSize": 122}]}, {}, "no such pool runs"),
    ],
)
def test_what_no_stages_make_safe_is_refused(running: dict[str, Any], told: dict[str, Any], what: str) -> None:
    """With the safe procedure as the fix, at the fact that says what runs."""
    with pytest.raises(BadInput) as caught:
        BLUEPRINTS["single_subnet"](facts(running=running, **told), None, None)
    (problem,) = caught.value.problems

    assert what in problem.what
    assert f"running.{next(iter(running))}" in problem.where
    assert problem.fix


def test_a_number_changes_node_by_node_in_a_mesh() -> None:
    """Each node has all its sessions after each stage, whichever AS the others are in."""
    given = facts(**nodes_in(4), asNumber=64500, running={"asNumber": 64512})
    blueprint = BLUEPRINTS["single_subnet"](given, None, None)
    total = count_of_stages(blueprint.procedures)
    states = [
        cluster(given, after_stage(blueprint.procedures, blueprint.resources, number).values())
        for number in range(total + 1)
    ]
    numbers = [
        sorted({int(s.local_as) for node in given.nodes for s in sessions(state, node.name)}) for state in states
    ]

    assert [each.name for each in blueprint.procedures] == ["AS 64512 to 64500"]
    assert numbers == [[64512]] * 2 + [[64500, 64512]] * 6 + [[64500]] * 3
    assert all(everybody_learns(state) for state in states)


def test_a_change_of_number_that_was_given_up_goes_on_or_back() -> None:
    """Where two of four nodes have the new number, the others follow, or these two get the old one again."""
    given, back = facts(**nodes_in(4), asNumber=64500), facts(**nodes_in(4), asNumber=64512)
    wished, former = (BLUEPRINTS["single_subnet"](each, None, None).resources for each in (given, back))
    names = [each.name for each in given.nodes]
    spec = {"bgp": {"asNumber": 64500}}
    own = [Node.model_validate({"metadata": {"name": name}, "spec": spec}) for name in names[:2]]
    for then, moving, stages in ((wished, names[2:], 6), (former, names[:2], 5)):
        found = transition([*former, *own], then, nodes=names)
        states = [cluster(given, after_stage(found.procedures, then, number).values()) for number in range(stages + 1)]
        given_to = [s.write[0].key.name for s in found.procedures[0].stages if s.name.startswith("give ")]

        assert not found.refused
        assert given_to == moving
        assert all(everybody_learns(state) for state in states)
        assert len({int(s.local_as) for name in names for s in sessions(states[-1], name)}) == 1


@pytest.mark.parametrize(
    ("blueprint", "told"),
    [("route_reflectors", nodes_in(4)), ("top_of_rack", {**_PER_RACK, **_SWITCH})],
)
def test_a_number_does_not_change_elsewhere(blueprint: str, told: dict[str, Any]) -> None:
    """Reflectors do not tell nodes of one AS about each other through another; switches expect one number."""
    how = {"route_reflectors": Distribution.REFLECTORS, "top_of_rack": Distribution.TOP_OF_RACK}[blueprint].value
    given = facts(**told, asNumber=64500, running={"asNumber": 64512, "routeDistribution": how})
    with pytest.raises(BadInput, match="every session ends at once") as caught:
        BLUEPRINTS[blueprint](given, None, None)

    assert "localASNumber" in caught.value.problems[0].fix


@pytest.mark.parametrize(("running", "stages"), [(1500, 2), (1480, 0), (1440, 0), (None, 2)])
def test_a_smaller_mtu_needs_new_pods(running: int | None, stages: int) -> None:
    """Pods keep what they have; only what is too large must go. Who does not say it has what the rule gave before."""
    told = {"running": {"encapsulation": "no encapsulation"} | ({"mtu": running} if running else {})}
    blueprint = BLUEPRINTS["single_subnet"](facts(network={"podAddresses": False}, **told), None, None)

    assert count_of_stages(blueprint.procedures) == stages
    if stages:
        assert blueprint.procedures[0].stages[1].until[0].condition is Condition.PODS_REMADE
        written = {each.kind for each in blueprint.procedures[0].stages[0].write}
        assert written == {"FelixConfiguration", "IPPool"}


def test_pods_that_keep_their_mtu_are_named() -> None:
    """Where the endpoints are known, as in a datastore."""
    given = facts(network={"podAddresses": False})
    wished = BLUEPRINTS["single_subnet"](given, None, None).resources
    spec = {"node": "node-a", "interfaceName": "cali1", "ipNetworks": ["10.48.0.1"]}
    pod = WorkloadEndpoint.model_validate({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})
    before: list[Resource] = [*wished, pod]
    (procedure,) = transition(before, wished, mtus=(1500, 1480)).procedures

    assert "shop/web keep 1500 until they are made again" in procedure.stages[0].reason


def test_what_runs_is_taken_for_as_decided_where_nothing_is_said() -> None:
    """An empty `running` has no stages and refuses nothing; only a mesh is assumed where reflectors come."""
    for name, told in (("single_subnet", nodes_in(3)), ("top_of_rack", {**_PER_RACK, **_SWITCH})):
        given = facts(**told, running={})
        wished = BLUEPRINTS[name](given, None, None)
        decided = Distribution(wished.decision("route distribution").chosen)
        assert given.running is not None
        before = running_resources(given, given.running, wished.resources, decided)

        assert (set(before) == set(wished.resources)) is (name == "single_subnet")


@pytest.mark.parametrize(
    ("runs", "more", "stages"),
    [
        ({"pools": [{"name": "a", "cidr": "10.48.0.0/16", "encapsulation": "no encapsulation"}]}, {}, 2),
        ({"pools": [{"name": "a", "cidr": "10.48.0.0/16", "encapsulation": "IP-in-IP CrossSubnet"}]}, {}, 0),
        ({"pools": [{"name": "a", "cidr": "10.48.0.0/16"}]}, {}, 0),
        ({"encapsulation": "no encapsulation"},
         {"overrides": [{"decision": "MTU", "chosen": "1400", "reason": "it is so already"}]}, 0),
    ],
)  # fmt: skip
def test_another_encapsulation_is_another_mtu(runs: dict[str, Any], more: dict[str, Any], stages: int) -> None:
    """What pods that run have follows from what wraps their packets now, unless somebody chose the MTU."""
    told = {"network": {"podAddresses": False}, "running": runs, **more}
    blueprint = BLUEPRINTS["single_subnet"](facts(**told), None, None)

    assert count_of_stages(blueprint.procedures) == stages
    assert ("keeps 1500" in blueprint.decision("MTU").consequence) is bool(stages)
