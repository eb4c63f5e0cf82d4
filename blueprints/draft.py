"""The text of a cluster's file from what is known so far, with a word on each fact; and which blueprint suits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from blueprints import multi_subnet, route_reflectors, single_subnet, top_of_rack
from blueprints.addressing import BLOCK_LENGTHS
from blueprints.asking import Asked
from blueprints.decision import Blueprint, Decision
from blueprints.distribution import MESH_LIMIT
from blueprints.encapsulation import Mode, encapsulation, mode_named
from blueprints.fact_parts import NodeRole
from blueprints.facts import API_VERSION, KIND, Facts
from muslin.errors import BadInput
from muslin.semantics.encapsulations import Encapsulation

__all__ = ["document", "fitting", "kept", "text"]

_ORDER: Final = (
    "apiVersion", "kind", "name", "blueprint", "nodes", "plannedNodes", "podsPerNode", "subnets", "networkMTU",
    "provider", "network", "podRange", "podRangeV6", "serviceRanges", "natOutgoing", "wireguard", "asNumber",
    "clusterID", "topOfRack", "externalReflectors", "routable", "datastore", "kubernetes", "running", "overrides",
)  # fmt: skip
_SAID: Final = {
    "blueprint": "Which blueprint decides; `muslin explain --help` names them.",
    "nodes": "The machines of today; rack: what fails as a whole; roles: control-plane, worker, reflector.",
    "plannedNodes": "How many it may grow to: it decides how routes are distributed, and whether the ranges suffice.",
    "subnets": "What the nodes' addresses lie in.",
    "networkMTU": "MTU of the links between the nodes, bytes.",
    "provider": "Whose network it is; it fills facts that are left out below.",
    "network": "What the network lets through between nodes.",
    "podRange": "The addresses of pods: a range that nobody else uses.",
    "natOutgoing": "Whether pods leave that range with their node's address.",
    "datastore": "Where resources are kept.",
    "running": "What runs already: what can't change at once is told, and done in stages.",
    "topOfRack": "Switches that speak BGP with the nodes of their racks.",
    "externalReflectors": "Route reflectors outside of the cluster.",
    "routable": "What the outside reaches by its own address.",
    "overrides": "Answers other than the rules', each with its reason. Take one out to follow the rule.",
    "kubernetes": "What Kubernetes was told; everything else is compared with it.",
}


def fitting(facts: Facts) -> str:
    """The name of the blueprint for such a cluster: the first that says yes, else the one whose reasons help most."""
    candidates: list[tuple[str, Callable[[Facts], Blueprint]]] = []
    if facts.top_of_rack:
        candidates.append((top_of_rack.NAME, top_of_rack.top_of_rack))
    named = facts.reflectors_per_rack or any(NodeRole.REFLECTOR in node.roles for node in facts.nodes)
    if facts.size >= MESH_LIMIT or facts.external_reflectors or named:
        candidates.append((route_reflectors.NAME, route_reflectors.route_reflectors))
    if facts.external_reflectors:
        pass  # who has such wants no mesh: what speaks against them is told instead
    elif max(len(facts.subnets_of(version)) for version in facts.families) > 1:
        candidates.append((multi_subnet.NAME, multi_subnet.multi_subnet))
    else:
        candidates.append((single_subnet.NAME, single_subnet.single_subnet))
    for name, decide in candidates:
        try:
            decide(facts)
        except BadInput:
            continue
        return name
    return candidates[0][0]


def kept(facts: Facts) -> list[dict[str, str]]:
    """Overrides by which a cluster that runs stays as it is, where the rules would have what can't be changed live."""
    running = facts.running
    if running is None:
        return []
    asked = Asked(facts)
    by_range = {each.cidr: each for each in running.pools}
    found: list[tuple[str, str]] = []
    for version in facts.families:
        wished = facts.pod_range_of(version)
        pool = by_range.get(wished) if wished is not None else None
        if pool is None:
            continue
        ours, by_rule = mode_named(pool.encapsulation or ""), encapsulation(asked, version)
        if ours is not None and isinstance(by_rule, Decision) and _vxlan(ours) is not _vxlan(Mode(by_rule.chosen)):
            found.append((by_rule.name, ours.value))
        if version == 4 and pool.block_size not in (None, BLOCK_LENGTHS[4]):
            found.append(("block size", f"/{pool.block_size}"))
    reason = "it runs so, and must not be changed in a running cluster"
    return [{"decision": name, "chosen": chosen, "reason": reason} for name, chosen in found]


def _vxlan(mode: Mode) -> bool:
    return mode.encapsulation is Encapsulation.VXLAN


def document(known: Mapping[str, Any]) -> dict[str, Any]:
    """A cluster's file as a value, in the order in which people read it."""
    whole = {"apiVersion": API_VERSION, "kind": KIND, **known}
    first = {name: whole[name] for name in _ORDER if name in whole}
    return first | {name: value for name, value in whole.items() if name not in first}


def text(known: Mapping[str, Any]) -> str:
    """The same as text, with a word on each fact."""
    from muslin.yaml.write import Comments, dump  # noqa: PLC0415 - who only chooses a blueprint writes nothing

    value = document(known)
    header = (
        "A cluster, as its owner describes it: facts, no decisions. What follows from them:\n\n"
        "  muslin explain cluster.yaml\n  muslin render cluster.yaml --out .\n\n"
        "A fact that is left out is unknown; what is assumed then, the decisions say."
    )
    return dump(value, Comments(header, {(name,): said for name, said in _SAID.items() if name in value}))
