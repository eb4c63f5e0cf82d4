"""Whatever the facts: what is emitted is valid, and means what the decisions say. `muslin.semantics` is the oracle."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.catalogue import BLUEPRINTS
from blueprints.decision import Blueprint
from blueprints.distribution import MESH_LIMIT
from blueprints.emit import render
from blueprints.encapsulation import Mode, encapsulation_name, switches_know_pods
from blueprints.facts import Facts, load
from blueprints.musts import Refusal
from blueprints.staged import staged, stages_of
from muslin.errors import BadInput, Problem
from muslin.resources import as_stored, dump
from muslin.resources import load as load_resource
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.ip_pool import IPPool
from muslin.resources.node import Node
from muslin.semantics.mtu import encapsulation_mtu, node_pod_mtu
from muslin.semantics.routes import Encapsulation, encapsulation
from muslin.semantics.sessions import sessions
from muslin.yaml import load as read_yaml
from tests.blueprints.clusters import documents
from tests.blueprints.spreading import cluster, everybody_learns, reached

pytestmark = pytest.mark.slow

_ANY_BLUEPRINT = st.sampled_from(sorted(BLUEPRINTS))


def _decided(name: str, document: dict[str, Any]) -> tuple[Facts, Blueprint] | None:
    """What a blueprint says; None where it says no, which it must do with reasons."""
    facts = load(document)
    problems: tuple[Problem, ...] = ()
    try:
        return facts, BLUEPRINTS[name](facts, None, None)
    except BadInput as refused:
        problems = refused.problems
    assert problems
    assert all(isinstance(each, Refusal) and each.must is not None for each in problems)
    return None


@given(_ANY_BLUEPRINT, documents())
@settings(max_examples=60, deadline=None)
def test_what_is_emitted_is_valid_and_reads_back(name: str, document: dict[str, Any]) -> None:
    """Every file loads as the same resources, each of which a datastore takes; the same facts give the same bytes."""
    if (found := _decided(name, document)) is None:
        return
    facts, blueprint = found
    texts = render(blueprint)
    read: list[Resource] = [
        load_resource(each.value) for path in blueprint.files for each in read_yaml(texts[path].encode(), path)
    ]

    assert list(blueprint.resources) == read
    assert all(as_stored(each)["kind"] == each.kind for each in read)
    assert render(BLUEPRINTS[name](facts, None, None)) == texts


@given(_ANY_BLUEPRINT, documents())
@settings(max_examples=60, deadline=None)
def test_pools_mean_the_encapsulation_that_was_decided(name: str, document: dict[str, Any]) -> None:
    """Between two nodes of a subnet and of two, packets are wrapped as the decision says."""
    if (found := _decided(name, document)) is None:
        return
    facts, blueprint = found
    snapshot = cluster(facts, blueprint.resources)
    for pool in snapshot.all(IPPool):
        version = pool.spec.cidr.version
        mode = Mode(blueprint.decision(encapsulation_name(version)).chosen)
        always, crossing = mode in (Mode.IPIP, Mode.VXLAN), mode in (Mode.IPIP_CROSS_SUBNET, Mode.VXLAN_CROSS_SUBNET)
        for here, there in pairwise(facts.nodes):
            apart = facts.subnet_of(here, version) != facts.subnet_of(there, version)
            expected = mode.encapsulation if always or (crossing and apart) else Encapsulation.NONE
            ends = snapshot.get(Node, here.name), snapshot.get(Node, there.name)
            assert ends[0] is not None
            assert ends[1] is not None

            assert encapsulation(pool, ends[0], ends[1]) is expected
            assert switches_know_pods(facts, version) or not (apart and expected is Encapsulation.NONE)


@given(_ANY_BLUEPRINT, documents())
@settings(max_examples=60, deadline=None)
def test_no_packet_is_larger_than_any_hop(name: str, document: dict[str, Any]) -> None:
    """What a pod sends, wrapped, fits the narrowest link; agents with wider links come to the same figure."""
    if (found := _decided(name, document)) is None:
        return
    facts, blueprint = found
    snapshot, decided = cluster(facts, blueprint.resources), int(blueprint.decision("MTU").chosen)
    narrowest = min(value for _, value in facts.mtus())
    modes = {v: Mode(blueprint.decision(encapsulation_name(v)).chosen) for v in facts.families}

    assert decided == min(encapsulation_mtu(narrowest, mode.encapsulation, v) for v, mode in modes.items())
    for node in facts.nodes:
        assert node_pod_mtu(snapshot, node.name, narrowest) == decided
        if any(mode is not Mode.NATIVE for mode in modes.values()):
            assert node_pod_mtu(snapshot, node.name, narrowest + 1000) == decided


@given(_ANY_BLUEPRINT, documents())
@settings(max_examples=100, deadline=None)
def test_every_node_learns_every_route(name: str, document: dict[str, Any]) -> None:
    """Where BGP distributes routes, each node has a way to each other that reflection allows; else there are none."""
    if (found := _decided(name, document)) is None:
        return
    facts, blueprint = found
    snapshot = cluster(facts, blueprint.resources)
    names = [node.name for node in facts.nodes]
    peers = {each: {s.peer_node for s in sessions(snapshot, each) if s.peer_node} for each in names}
    chosen = blueprint.decision("route distribution").chosen
    versions = {each: {s.peer_address.version for s in sessions(snapshot, each) if s.peer_node} for each in names}

    if chosen == "none":
        assert not any(peers.values())
        return
    reflected_outside = bool(facts.external_reflectors) and chosen == "route reflectors"
    others = {str(e.address_of(v)) for e in facts.external_reflectors for v in (4, 6)} if reflected_outside else set()
    if facts.top_of_rack:
        for node in facts.nodes:
            outside = {str(s.peer_address) for s in sessions(snapshot, node.name) if s.peer_node is None}
            assert outside - others == {str(each.address) for each in facts.top_of_rack if node.rack in each.racks}
    if chosen == "top-of-rack switches":
        assert not any(peers.values())
        told = {each: {s.peer_address.version for s in sessions(snapshot, each)} for each in names}
        assert all(told[each] == set(facts.families) for each in names)
        return
    if reflected_outside:
        assert everybody_learns(snapshot)
        return
    for source in names:
        assert reached(snapshot, source, peers) == set(names)
    assert len(names) == 1 or all(versions[each] == set(facts.families) for each in names)
    if chosen == "route reflectors":
        reflecting = {each for each in names if each in blueprint.decision("reflectors").chosen.split(", ")}
        assert len(reflecting) >= 2
        assert all(peers[each] == reflecting - {each} for each in set(names) - reflecting)
        assert {facts.subnet_of(node) for node in facts.nodes} == {
            facts.subnet_of(node) for node in facts.nodes if node.name in reflecting
        }
    else:
        assert facts.size < MESH_LIMIT


@given(_ANY_BLUEPRINT, documents())
@settings(max_examples=60, deadline=None)
def test_every_stage_ends_and_can_be_written(name: str, document: dict[str, Any]) -> None:
    """Each has what ends it and the way back; its files read back; the last are as decided."""
    if (found := _decided(name, document)) is None:
        return
    _, blueprint = found
    for number, stage in enumerate(stages_of(blueprint), 1):
        now = staged(blueprint, number)
        texts = render(now)
        read = [load_resource(each.value) for path in now.files for each in read_yaml(texts[path].encode(), path)]

        assert stage.until
        assert stage.back
        assert list(now.resources) == read
    if blueprint.procedures:
        assert set(now.resources) == set(blueprint.resources)


@given(_ANY_BLUEPRINT, documents())
@settings(max_examples=40, deadline=None)
def test_every_field_that_differs_from_calico_has_a_decision(name: str, document: dict[str, Any]) -> None:
    """No copied defaults: of BGP, agents and nodes only what a decision determines is written."""
    if (found := _decided(name, document)) is None:
        return
    _, blueprint = found
    determined = {(key, path[:2]) for decision in blueprint.decisions for key, path in decision.fields}

    for resource in blueprint.resources:
        if resource.kind in ("BGPConfiguration", "FelixConfiguration"):
            assert {(resource.key, ("spec", field)) for field in dump(resource)["spec"]} <= determined
    assert {key for key, _ in determined} <= {each.key for each in blueprint.resources}


@pytest.mark.parametrize("name", sorted(BLUEPRINTS))
def test_the_properties_are_not_about_refusals_alone(name: str) -> None:
    """Of the drawn facts each blueprint takes some, and the mesh is on or off as it says."""
    taken: list[Blueprint] = []

    @given(documents())
    @settings(max_examples=120, deadline=None, database=None, derandomize=True)
    def draw(document: dict[str, Any]) -> None:
        if (found := _decided(name, document)) is not None:
            taken.append(found[1])

    draw()

    assert len(taken) >= 5
    for blueprint in taken:
        (bgp,) = [each for each in blueprint.resources if isinstance(each, BGPConfiguration)]
        mesh = blueprint.decision("route distribution").chosen == "node-to-node mesh"
        assert bgp.spec.effective_node_to_node_mesh_enabled is mesh
