"""The cluster that runs, as resources: what facts say of it, and for the rest what is decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from blueprints import rack_reflectors, reflectors, switches
from blueprints.addressing import BLOCK_LENGTHS, POOLS, pool_key
from blueprints.distribution import DEFAULT_AS
from blueprints.encapsulation import mode_named
from blueprints.fact_parts import Distribution, RunningFacts
from blueprints.facts import Facts
from muslin.resources.base import Resource
from muslin.resources.bgp_configuration import BGPConfiguration
from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.ip_pool import IPPool
from muslin.resources.node import Node
from muslin.semantics.encapsulations import Encapsulation

__all__ = ["running_distribution", "running_pools", "running_resources"]

_OURS: Final = ("IPPool", "BGPConfiguration", "BGPPeer", "Node", "FelixConfiguration")
"""Kinds of which the facts speak. Agents' settings are left out: who runs with which MTU, `running.mtu` says."""


def running_distribution(running: RunningFacts, decided: Distribution) -> Distribution:
    """How routes are distributed.

    Where it is not said: by the reflectors that are named, by a mesh, which Calico begins with, or as is decided.
    """
    if running.route_distribution is not None:
        return running.route_distribution
    if running.reflectors:
        return Distribution.REFLECTORS
    return Distribution.MESH if decided in (Distribution.REFLECTORS, Distribution.TOP_OF_RACK) else decided


def running_pools(facts: Facts, running: RunningFacts, wished: Iterable[IPPool]) -> Iterator[IPPool]:
    """Its pools. Those that facts do not speak of are as they are wished.

    Where every wished range runs already, pools with other ranges are somebody's own, and none of our business.
    """
    after = {each.metadata.name: each for each in wished}
    if running.pools:
        ranges = {each.spec.cidr for each in after.values()}
        settled = ranges <= {told.cidr for told in running.pools}
        for told in running.pools:
            if settled and told.cidr not in ranges:
                continue
            like = after.get(told.name) or after.get(pool_key(facts, told.cidr.version).name)
            yield _pool(told.name, told.cidr, told.block_size, told.encapsulation, like)
        return
    family = running.pod_range.version if running.pod_range is not None else facts.first_family
    ours = after.pop(pool_key(facts, family).name, None)
    if ours is not None:
        cidr = running.pod_range or ours.spec.cidr
        yield _pool(POOLS[family].name, cidr, running.block_size, running.encapsulation, ours)
    yield from after.values()


def _pool(name: str, cidr: object, length: int | None, mode: str | None, like: IPPool | None) -> IPPool:
    spec: dict[str, Any] = dict(like.spec.to_json()) if like is not None else {}
    spec |= {"cidr": str(cidr)}
    if length is not None:
        spec["blockSize"] = length
    elif like is None:
        spec["blockSize"] = BLOCK_LENGTHS[6 if ":" in str(cidr) else 4]
    named = mode_named(mode) if mode is not None else None
    if named is not None:
        for kind, field in ((Encapsulation.IPIP, "ipipMode"), (Encapsulation.VXLAN, "vxlanMode")):
            spec[field] = named.when.value if named.encapsulation is kind else "Never"
    return IPPool.model_validate({"metadata": {"name": name}, "spec": spec})


def running_resources(
    facts: Facts, running: RunningFacts, wished: Sequence[Resource], decided: Distribution
) -> tuple[Resource, ...]:
    """Pools, BGP and nodes as they run.

    Args:
        facts: of the cluster.
        running: what they say of it.
        wished: every resource that is decided.
        decided: how its routes shall be distributed.
    """
    kept = [each for each in wished if each.kind not in _OURS]
    pools = [each for each in wished if isinstance(each, IPPool)]
    how = running_distribution(running, decided)
    return (
        *kept,
        *running_pools(facts, running, pools),
        *_bgp(running, wished, how),
        *_peers(facts, wished, how, decided),
        *_nodes(facts, running, wished, how, decided),
    )


def _bgp(running: RunningFacts, wished: Iterable[Resource], how: Distribution) -> Iterator[BGPConfiguration]:
    for each in wished:
        if isinstance(each, BGPConfiguration) and each.metadata.name == "default":
            number = running.as_number or each.spec.as_number or DEFAULT_AS
            spec = {**each.spec.to_json(), "nodeToNodeMeshEnabled": how is Distribution.MESH, "asNumber": int(number)}
            yield BGPConfiguration.model_validate({"metadata": {"name": "default"}, "spec": spec})


def _outside(facts: Facts, how: Distribution, decided: Distribution) -> bool:
    """Whether nodes peer with the switches already."""
    return bool(facts.top_of_rack) and how in (Distribution.TOP_OF_RACK, decided)


def _nodes_reflect(facts: Facts) -> bool:
    """Whether nodes do, where reflectors run: the facts name some that do, or none outside."""
    return bool(facts.running is not None and facts.running.reflectors) or not facts.external_reflectors


def _peers(facts: Facts, wished: Iterable[Resource], how: Distribution, decided: Distribution) -> Iterator[BGPPeer]:
    if how is Distribution.REFLECTORS and _nodes_reflect(facts):
        yield from rack_reflectors.rack_peers(facts) if facts.reflectors_per_rack else reflectors.peer_resources()
    elif how is Distribution.REFLECTORS:
        yield from (each for each in wished if isinstance(each, BGPPeer) and not each.spec.node_selector)
    if _outside(facts, how, decided):
        ours = [each for each in wished if isinstance(each, BGPPeer) and each.spec.peer_ip and each.spec.node_selector]
        yield from ours or switches.switch_peers(facts, alone=how is Distribution.TOP_OF_RACK)


def _nodes(
    facts: Facts, running: RunningFacts, wished: Iterable[Resource], how: Distribution, decided: Distribution
) -> Iterator[Node]:
    """What is declared of nodes: racks where they peer with switches, and who reflects."""
    after = {each.metadata.name: each for each in wished if isinstance(each, Node)}
    reflecting = set[str](running.reflectors)
    if how is Distribution.REFLECTORS and not reflecting:
        reflecting = {name for name, each in after.items() if reflectors.LABEL in each.metadata.labels}
    if how is not Distribution.REFLECTORS or not _nodes_reflect(facts):
        reflecting = set()
    outside = _outside(facts, how, decided)
    ours = facts.cluster_id or reflectors.CLUSTER_ID
    ids = rack_reflectors.rack_cluster_ids(facts) if facts.reflectors_per_rack else {}
    for node in facts.nodes:
        declared = after.get(node.name)
        labels = dict(declared.metadata.labels) if declared is not None else {}
        labels.pop(reflectors.LABEL, None)
        if not outside:
            labels.pop(switches.LABEL, None)
        number = declared.spec.bgp.as_number if declared is not None and declared.spec.bgp is not None else None
        bgp: dict[str, Any] = {"asNumber": int(number)} if number is not None and outside else {}
        if node.name in reflecting:
            labels[reflectors.LABEL] = "true"
            bgp["routeReflectorClusterID"] = str(running.cluster_id or ids.get(node.rack or "") or ours)
        if labels or bgp:
            spec = {"bgp": bgp} if bgp else {}
            yield Node.model_validate({"metadata": {"name": node.name, "labels": labels}, "spec": spec})
