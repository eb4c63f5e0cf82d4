"""Everything that a change does to a network, as one value: pure, from two snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from muslin.resources.bgp_peer import BGPPeer
from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.host_endpoint import HostEndpoint
from muslin.resources.keys import Key
from muslin.resources.network_policy import NetworkPolicy
from muslin.semantics.selector_scope import effective_selector
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.addressing import Lost, MtuChange, PoolChange, lost_pools, mtu_changes, pool_changes
from reconciler.effect.agents import Agents, StateOf, agents
from reconciler.effect.paths import Path, TrafficChange, traffic_change
from reconciler.effect.routing import RoutingChange, routing_change
from reconciler.effect.staged import enforced, new_or_changed

__all__ = ["NETWORK_MTU", "Effect", "Staged", "Unjudged", "effect"]

NETWORK_MTU: Final = 1500
"""Of the links between nodes, where nobody tells."""


class Unjudged(StrEnum):
    """What a change contains that no part of the effect can say anything of."""

    HOST_POLICY = "HostPolicy"
    SERVICES = "ServicesOrHTTP"
    BGP_FILTERS = "BGPFilters"

    @property
    def meaning(self) -> str:
        """A sentence for people."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    Unjudged.HOST_POLICY: "what it does to hosts themselves is not computed, only to workloads",
    Unjudged.SERVICES: "rules that name services or HTTP are taken as agents take them: nothing is allowed by them",
    Unjudged.BGP_FILTERS: "filters of peers are not applied: a prefix that is told may still be dropped there",
}


@dataclass(frozen=True, slots=True)
class Staged:
    """What staged policies that come or change would do if they were enforced; not part of any total."""

    policies: tuple[Key, ...] = ()
    traffic: TrafficChange = field(default_factory=TrafficChange)

    def __bool__(self) -> bool:
        return bool(self.policies)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does.

    Attributes:
        endpoints: workloads that were looked at, after the change: where there are none, nothing can be told of
            traffic.
        traffic: who gains and loses what.
        staged: the same of staged policies, apart.
        routing: BGP sessions and prefixes.
        lost: addresses that lose their pool.
        pools: pools that treat packets or assignments otherwise.
        mtus: whom another MTU reaches.
        agents: who must act.
        unjudged: what this says nothing of, with the objects that contain it.
    """

    endpoints: int
    traffic: TrafficChange
    staged: Staged
    routing: RoutingChange
    lost: tuple[Lost, ...]
    pools: tuple[PoolChange, ...]
    mtus: tuple[MtuChange, ...]
    agents: Agents
    unjudged: tuple[tuple[Unjudged, tuple[Key, ...]], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changes for anybody, staged policies aside."""
        return bool(self.traffic or self.routing or self.lost or self.pools or self.mtus)

    def to_json(self, *, full: bool = False) -> dict[str, Any]:
        """For programs. Totals and counts are of everything; with `full` every member is named as well."""
        routing = self.routing
        return {
            "endpoints": self.endpoints,
            "traffic": _traffic(self.traffic, full=full),
            "staged": {"policies": list(map(str, self.staged.policies)), **_traffic(self.staged.traffic, full=full)},
            "sessions": {
                "come": [each.to_json() for each in routing.came],
                "go": [each.to_json() for each in routing.went],
                "change": [each.to_json() for each in routing.changed],
            },
            "prefixes": {
                "nodes": {name: each.to_json() for name, each in (routing.of_nodes or {}).items()},
                "peers": {name: each.to_json() for name, each in (routing.of_peers or {}).items()},
            },
            "addressesWithoutPool": [each.to_json(full=full) for each in self.lost],
            "pools": [each.to_json() for each in self.pools],
            "mtu": [each.to_json() for each in self.mtus],
            "agents": self.agents.to_json(full=full),
            "notJudged": [
                {"reason": reason.value, "meaning": reason.meaning, "objects": list(map(str, keys))}
                for reason, keys in self.unjudged
            ],
        }


def effect(
    before: Snapshot, after: Snapshot, *, network_mtu: int = NETWORK_MTU, state: StateOf | None = None
) -> Effect:
    """What a change does.

    Args:
        before: the cluster as it is, endpoints and books of addresses included.
        after: as it is to be.
        network_mtu: of the links between the nodes, bytes.
        state: gives a node's state, to count agents exactly; it costs one computation a node and version.
    """
    traffic, routing = traffic_change(before, after), routing_change(before, after)
    staged = new_or_changed(before, after)
    trial = Staged(staged, traffic_change(after, enforced(after, staged))) if staged else Staged()
    return Effect(
        endpoints=sum(key.kind == "WorkloadEndpoint" for key in after.resources),
        traffic=traffic,
        staged=trial,
        routing=routing,
        lost=lost_pools(before, after),
        pools=pool_changes(before, after),
        mtus=mtu_changes(before, after, network_mtu),
        agents=agents(before, after, traffic, routing, state),
        unjudged=tuple(_unjudged(before, after, routing)),
    )


def _traffic(change: TrafficChange, *, full: bool) -> dict[str, Any]:
    def told(paths: tuple[Path, ...], pairs: int) -> dict[str, Any]:
        return {"pairs": pairs, "paths": [each.to_json(full=full) for each in paths]}

    return {
        "opened": told(change.opened, change.opened_pairs),
        "closed": told(change.closed, change.closed_pairs),
        "endpointsJudgedOtherwise": change.touched,
        "endpointsWithConnectionsCut": change.cut,
    }


def _unjudged(before: Snapshot, after: Snapshot, routing: RoutingChange) -> Iterator[tuple[Unjudged, tuple[Key, ...]]]:
    hosts = [host.metadata.labels for snapshot in (before, after) for host in snapshot.all(HostEndpoint)]
    of_hosts, of_services = [], []
    for policy in _changed_policies(before, after):
        if isinstance(policy, GlobalNetworkPolicy) and (
            policy.spec.do_not_track or policy.spec.pre_dnat or any(map(effective_selector(policy).matches, hosts))
        ):
            of_hosts.append(policy.key)
        rules = (*policy.spec.ingress, *policy.spec.egress)
        if any(rule.http is not None or rule.source.services or rule.destination.services for rule in rules):
            of_services.append(policy.key)
    filtered = [peer.key for peer in after.all(BGPPeer) if peer.spec.filters] if routing else []
    for reason, keys in (
        (Unjudged.HOST_POLICY, of_hosts),
        (Unjudged.SERVICES, of_services),
        (Unjudged.BGP_FILTERS, filtered),
    ):
        if keys:
            yield reason, tuple(dict.fromkeys(keys))


def _changed_policies(before: Snapshot, after: Snapshot) -> Iterator[NetworkPolicy | GlobalNetworkPolicy]:
    for one, other in ((before, after), (after, before)):
        for key, each in one.resources.items():
            if isinstance(each, NetworkPolicy | GlobalNetworkPolicy):
                there = other.resources.get(key)
                if there is not each and there != each:
                    yield each
