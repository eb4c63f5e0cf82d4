"""Peering with switches of the network's own, rack by rack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from blueprints.asking import Asked
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.distribution import BGP, DEFAULT_AS, only
from blueprints.encapsulation import Mode
from blueprints.fact_parts import Distribution, TopOfRackFacts
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from blueprints.network_traits import NetworkTrait, lets
from muslin import resources
from muslin.errors import Problem
from muslin.resources.keys import Key
from muslin.semantics.encapsulations import Encapsulation

if TYPE_CHECKING:
    from muslin.resources.bgp_peer import BGPPeer

__all__ = ["AUTO", "LABEL", "switch_distribution", "switch_peering", "switch_peers"]

AUTO: Final = "Auto"
"""The next hop that BIRD tells by itself."""
LABEL: Final = "rack"
"""Which rack a node stands in, for the selectors of BGPPeers."""

_SOURCE: Final = section("Node-Specific Route Reflection")


def switch_distribution(asked: Asked, modes: Iterable[Mode]) -> Outcome:
    """The switches tell each other, and their nodes, where pods are."""
    facts, modes = asked.facts, tuple(modes)
    problems = (*only(asked, Distribution.TOP_OF_RACK), *_unserved(asked, modes), *_unheard(asked))
    if problems:
        return problems
    sessions = sum(each.rack in tor.racks for each in facts.nodes for tor in facts.top_of_rack)
    each_node = sessions / max(1, len(facts.nodes))
    return Decision(
        "route distribution",
        Distribution.TOP_OF_RACK.value,
        "every node peers with the switches of its rack, and these carry the routes on",
        {
            "nodes": str(len(facts.nodes)),
            "topOfRack": ", ".join(each.name for each in facts.top_of_rack),
            "encapsulation": ", ".join(dict.fromkeys(mode.value for mode in modes)),
        },
        (
            Alternative(
                Distribution.MESH.value, f"{len(facts.nodes) - 1} sessions on every node; switches learn nothing"
            ),
            Alternative(Distribution.REFLECTORS.value, "nodes of the cluster would do what the network does itself"),
        ),
        f"{sessions} sessions, {each_node:g} on a node on average; the mesh is off, so turn it off last in a running "
        "cluster; there is no BFD: a switch that fails silently is missed only when the hold time ends",
        _SOURCE,
        ((BGP, ("spec", "nodeToNodeMeshEnabled")),),
    )


def _unserved(asked: Asked, modes: tuple[Mode, ...]) -> Iterator[Problem]:
    """Nodes without a switch that tells them routes, in any family that needs these."""
    facts = asked.facts
    if not facts.top_of_rack:
        what = "no switches are given, and this blueprint is about them"
        yield from refuse(Must.SWITCH_IN_EACH_RACK, what, asked.place("topOfRack"), "name them under topOfRack")
        return
    needed = [v for v, mode in zip(facts.families, modes, strict=True) if mode.encapsulation is not Encapsulation.VXLAN]
    served = [
        (
            f"IPv{version}",
            {rack for each in facts.top_of_rack if each.address.version == version for rack in each.racks},
        )
        for version in needed
    ]
    if not needed:
        served = [("any", {rack for each in facts.top_of_rack for rack in each.racks})]
    for index, node in enumerate(facts.nodes):
        missing = [family for family, racks in served if node.rack not in racks]
        if missing:
            stands = (
                "it is not said in which rack"
                if node.rack is None
                else f"no switch with an {' or '.join(missing)} address serves rack {node.rack}"
            )
            yield from refuse(
                Must.SWITCH_IN_EACH_RACK,
                f"node {node.name} would learn no routes: {stands}",
                asked.place("nodes", index),
                "set its rack, and a switch for it under topOfRack",
            )


def _unheard(asked: Asked) -> Iterator[Problem]:
    if not lets(asked.facts, NetworkTrait.BGP):
        what = "BGP is blocked, so nodes can't peer with switches"
        fix = "allow TCP port 179 between nodes and switches, or use another blueprint"
        yield from refuse(Must.ROUTES_OVER_BGP, what, asked.place("network"), fix)


def _as_of_nodes(facts: Facts, each: TopOfRackFacts) -> int:
    return int(each.node_as_number or facts.as_number or DEFAULT_AS)


def _reused(facts: Facts) -> bool:
    """Whether nodes of different racks have one AS and see each other's routes through another."""
    numbers = {rack: _as_of_nodes(facts, each) for each in facts.top_of_rack for rack in each.racks}
    outside = any(int(each.as_number) != _as_of_nodes(facts, each) for each in facts.top_of_rack)
    return outside and len(set(numbers.values())) < len(numbers)


def switch_peering(asked: Asked, *, alone: bool) -> Outcome:
    """The decision on AS numbers, and what protects the sessions.

    Args:
        asked: about which cluster.
        alone: whether nodes learn each other's routes from switches only, not from each other too.
    """
    facts = asked.facts
    inside = int(facts.as_number or DEFAULT_AS)
    local = [each.name for each in facts.top_of_rack if not alone and _as_of_nodes(facts, each) != inside]
    per_rack = len({_as_of_nodes(facts, each) for each in facts.top_of_rack}) > 1
    reused = alone and _reused(facts)
    inner = [each.name for each in facts.top_of_rack if int(each.as_number) == _as_of_nodes(facts, each)]
    told = [
        "a switch in the nodes' own AS must reflect to them: " + ", ".join(inner) if inner else "",
        f"between themselves nodes stay in AS {inside}, and call themselves another only to {', '.join(local)}"
        if local
        else "",
    ]
    fields = [(Key("BGPPeer", each.metadata.name), ("spec", "asNumber")) for each in switch_peers(facts, alone=alone)]
    if reused:
        fields += [(key, ("spec", "numAllowedLocalASNumbers")) for key, _ in tuple(fields)]
    fields += [(Key("BGPPeer", f"tor-{name}"), ("spec", "localASNumber")) for name in local]
    return Decision(
        "switch peering",
        ("an AS for each rack" if per_rack else "one AS for all nodes")
        + (", allowed once in paths" if reused else "")
        + (", local to these sessions" if local else ""),
        "nodes of different racks see each other's routes through the switches: with one AS they must accept paths that"
        " hold their own number"
        if reused
        else "no node sees its own AS number in a path that it needs",
        {
            f"topOfRack.{each.name}": f"AS {each.as_number}, nodes {_as_of_nodes(facts, each)}"
            for each in facts.top_of_rack
        },
        (
            Alternative(
                "one AS for all nodes" if per_rack else "an AS for each rack",
                "the facts give each rack its own" if per_rack else "the facts give racks none of their own",
            ),
        ),
        "; ".join(text for text in told if text),
        _SOURCE,
        tuple(fields),
    )


def switch_peers(facts: Facts, *, alone: bool, mode: str = AUTO) -> tuple[BGPPeer, ...]:
    """One BGPPeer a switch, for the nodes of its racks.

    Args:
        facts: of the cluster.
        alone: whether nodes learn each other's routes from switches only, not from each other too.
        mode: which next hop nodes tell, as decided.
    """
    allowed = {"numAllowedLocalASNumbers": 1} if alone and _reused(facts) else {}
    told = {} if mode == AUTO else {"nextHopMode": mode}
    return tuple(
        resources.BGPPeer.model_validate(
            {
                "metadata": {"name": f"tor-{each.name}"},
                "spec": {**_peer(each), **_local(facts, each, alone=alone), **allowed, **told},
            }
        )
        for each in facts.top_of_rack
    )


def _local(facts: Facts, each: TopOfRackFacts, *, alone: bool) -> dict[str, int]:
    """The AS that nodes have for a switch alone, where they share another with each other."""
    wished = _as_of_nodes(facts, each)
    return {} if alone or wished == int(facts.as_number or DEFAULT_AS) else {"localASNumber": wished}


def _peer(each: TopOfRackFacts) -> dict[str, Any]:
    listed = ", ".join(f"'{rack}'" for rack in sorted(each.racks))
    spec: dict[str, Any] = {
        "nodeSelector": f"{LABEL} == {listed}" if len(each.racks) == 1 else f"{LABEL} in {{{listed}}}",
        "peerIP": str(each.address),
        "asNumber": int(each.as_number),
    }
    if each.next_to_nodes:
        spec["ttlSecurity"] = 1
    if each.password_secret is not None:
        spec["password"] = {"secretKeyRef": {"name": each.password_secret, "key": "password"}}
    return spec
