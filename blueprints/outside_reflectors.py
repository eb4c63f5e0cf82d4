"""Route reflectors outside of the cluster, which every node peers with: agents elsewhere, or a BIRD of the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from blueprints.asking import Asked
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.distribution import DEFAULT_AS
from blueprints.fact_parts import ExternalReflectorFacts, NodeRole
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from blueprints.reflectors import mesh_sessions
from muslin import resources
from muslin.errors import Problem
from muslin.net import Address

if TYPE_CHECKING:
    from muslin.resources.bgp_peer import BGPPeer

__all__ = ["outside_peers", "outside_placement"]

_AT_LEAST: Final = 2
_SOURCE: Final = "Configuring Route Reflectors in Calico"


def outside_placement(asked: Asked, families: Sequence[int]) -> Outcome:
    """The decision that these reflect, or what speaks against it.

    Args:
        asked: about which cluster; it names at least one such reflector.
        families: IP versions whose routes BGP distributes.
    """
    problems = tuple(_objections(asked, families))
    if problems:
        return problems
    facts = asked.facts
    given = facts.external_reflectors
    size, count = facts.size, len(given)
    peers = outside_peers(facts, families)
    racks = {each.rack for each in given}
    return Decision(
        "reflectors",
        ", ".join(each.name for each in given),
        "reflectors outside of the cluster are given: every node peers with each of them, and no node reflects",
        {"externalReflectors": ", ".join(f"{each.name} {each.address}" for each in given), "plannedNodes": str(size)},
        (
            Alternative("nodes that reflect", "would be set aside for it, and others are there already"),
            Alternative("full mesh", f"{mesh_sessions(size)} sessions, {size - 1} on every node"),
        ),
        f"{size * len(peers)} sessions: {len(peers)} on every node, {size} on each reflector for each family; whoever"
        f" runs them makes the nodes their clients, peers the {count} with each other, and gives those that serve the"
        " same clients one cluster ID"
        + ("; say in which racks they stand, so that they do not fail together" if None in racks else ""),
        _SOURCE,
        tuple((each.key, ("spec", "peerIP")) for each in peers),
    )


def _objections(asked: Asked, families: Sequence[int]) -> Iterator[Problem]:
    facts = asked.facts
    where = asked.place("externalReflectors")
    if len(facts.external_reflectors) < _AT_LEAST:
        what = f"{facts.external_reflectors[0].name} alone would reflect all routes: when it fails, nobody learns any"
        yield from refuse(Must.TWO_REFLECTORS, what, where, "name a second one")
    racks = {each.rack for each in facts.external_reflectors}
    if len(facts.external_reflectors) >= _AT_LEAST and len(racks) == 1 and None not in racks:
        what = f"all reflectors stand in rack {facts.external_reflectors[0].rack} and fail with it"
        yield from refuse(Must.REFLECTORS_APART, what, where, "name one of another rack")
    for index, node in enumerate(facts.nodes):
        if NodeRole.REFLECTOR in node.roles:
            what = f"node {node.name} is to reflect, and so are machines outside of the cluster"
            fix = "take the role reflector from it, or leave externalReflectors out"
            place = asked.place("nodes", index, "roles")
            yield from refuse(Must.ONE_KIND_OF_REFLECTOR, what, place, fix)
    own = int(facts.as_number or DEFAULT_AS)
    for index, each in enumerate(facts.external_reflectors):
        if each.as_number is not None and int(each.as_number) != own:
            what = f"the reflector {each.name} is in AS {each.as_number}, and nodes are in {own}: it would not reflect"
            fix = f"set asNumber: {each.as_number} for the cluster, or name a router of another AS under topOfRack"
            place = asked.place("externalReflectors", index, "asNumber")
            yield from refuse(Must.ONE_AS_INSIDE, what, place, fix, section("Global Route Reflection"))
        for version in families:
            if each.address_of(version) is None:
                what = f"the reflector {each.name} has no IPv{version} address, and routes of that family need one"
                yield from refuse(
                    Must.TWO_REFLECTORS, what, asked.place("externalReflectors", index), "give address and addressV6"
                )


def outside_peers(facts: Facts, families: Sequence[int]) -> tuple[BGPPeer, ...]:
    """One BGPPeer for each address of each reflector, for all nodes."""
    return tuple(
        _peer(facts, each, version, address)
        for each in facts.external_reflectors
        for version in families
        if (address := each.address_of(version)) is not None
    )


def _peer(facts: Facts, each: ExternalReflectorFacts, version: int, address: Address) -> BGPPeer:
    own = int(facts.as_number or DEFAULT_AS)
    spec: dict[str, Any] = {"peerIP": str(address), "asNumber": own}
    if each.password_secret is not None:
        spec["password"] = {"secretKeyRef": {"name": each.password_secret, "key": "password"}}
    name = f"rr-{each.name}" + ("-v6" if version == 6 and facts.families != (6,) else "")
    return resources.BGPPeer.model_validate({"metadata": {"name": name}, "spec": spec})
