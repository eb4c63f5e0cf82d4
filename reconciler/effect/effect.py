"""Everything that a change does to a network, as one value: pure, from two snapshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.addressing import Lost, MtuChange, PoolChange, lost_pools, mtu_changes, pool_changes
from reconciler.effect.agents import Agents, StateOf, agents
from reconciler.effect.paths import Path, TrafficChange, traffic_change
from reconciler.effect.routing import RoutingChange, routing_change
from reconciler.effect.staged import enforced, new_or_changed
from reconciler.effect.unjudged import Unjudged, unjudged

__all__ = ["NETWORK_MTU", "Effect", "Staged", "Unjudged", "effect"]

NETWORK_MTU: Final = 1500
"""Of the links between nodes, where nobody tells."""


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
        unjudged=tuple(unjudged(before, after, routes=bool(routing))),
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
