"""The order in which a cluster's resources are written, as data.

Additions follow dependencies, removals reverse them and come last, so that whatever replaces a thing is there before
the thing goes. Where traffic is judged, what allows comes before what denies: between two writes an agent may see
the first without the second, and a flow that both commits allow must not be dropped in between.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

from muslin.resources.keys import Key

__all__ = [
    "WAITS_FOR", "Group", "Place", "Stage", "cluster_id", "depths", "placed", "position", "stage", "stages", "waits",
]  # fmt: skip


class Stage(IntEnum):
    """When an object is written, earliest first; deletes walk the same table backwards."""

    CONFIGURATION = 1
    POOLS = 2
    MESH = 3
    FILTERS = 4
    NODES = 5
    PEERS = 6
    REFLECTORS = 7
    RETIRING = 8
    MESH_OFF = 9
    TIERS = 10
    SELECTED = 11
    STAGED = 12
    ALLOWING = 13
    DENYING = 14
    CLOSING = 15
    SHUTTING = 16
    ENDPOINTS = 17


Group: TypeAlias = tuple[Stage, bool]
"""All changes of one stage; True for deletes."""


class Place(NamedTuple):
    """Of a change, what its place in the graph depends on."""

    key: Key
    stage: Stage
    delete: bool
    tier: str


_STAGE_OF_KIND: Final[Mapping[str, Stage]] = {
    "ClusterInformation": Stage.CONFIGURATION,
    "FelixConfiguration": Stage.CONFIGURATION,
    "KubeControllersConfiguration": Stage.CONFIGURATION,
    "IPAMConfiguration": Stage.CONFIGURATION,
    "IPReservation": Stage.POOLS,
    "IPPool": Stage.POOLS,
    "BGPConfiguration": Stage.MESH,
    "BGPFilter": Stage.FILTERS,
    "Node": Stage.NODES,
    "BGPPeer": Stage.PEERS,
    "Tier": Stage.TIERS,
    "Profile": Stage.SELECTED,
    "NetworkSet": Stage.SELECTED,
    "GlobalNetworkSet": Stage.SELECTED,
    "StagedKubernetesNetworkPolicy": Stage.STAGED,
    "StagedNetworkPolicy": Stage.STAGED,
    "StagedGlobalNetworkPolicy": Stage.STAGED,
    "NetworkPolicy": Stage.ALLOWING,
    "GlobalNetworkPolicy": Stage.ALLOWING,
    "HostEndpoint": Stage.ENDPOINTS,
    "WorkloadEndpoint": Stage.ENDPOINTS,
}
"""A kind that is not named here has no known dependencies: it goes with the configuration."""

WAITS_FOR: Final[Mapping[Stage, frozenset[Stage]]] = {
    Stage.PEERS: frozenset({Stage.FILTERS}),
    Stage.REFLECTORS: frozenset({Stage.FILTERS, Stage.PEERS}),
    Stage.RETIRING: frozenset({Stage.MESH, Stage.FILTERS, Stage.NODES, Stage.PEERS, Stage.REFLECTORS}),
    Stage.MESH_OFF: frozenset({Stage.FILTERS, Stage.NODES, Stage.PEERS, Stage.REFLECTORS}),
    Stage.ALLOWING: frozenset({Stage.TIERS, Stage.SELECTED}),
    Stage.DENYING: frozenset({Stage.TIERS, Stage.SELECTED, Stage.ALLOWING}),
    Stage.STAGED: frozenset({Stage.TIERS}),
    Stage.CLOSING: frozenset({Stage.TIERS, Stage.SELECTED, Stage.ALLOWING, Stage.DENYING}),
    Stage.SHUTTING: frozenset({Stage.TIERS, Stage.SELECTED, Stage.ALLOWING, Stage.DENYING, Stage.CLOSING}),
    Stage.ENDPOINTS: frozenset({Stage.ALLOWING, Stage.DENYING, Stage.CLOSING, Stage.SHUTTING}),
}
"""Which stages must have gone through before a stage may: a failure there holds the later object back."""

_POLICIES: Final = frozenset({Stage.ALLOWING, Stage.DENYING, Stage.CLOSING, Stage.SHUTTING})
_DELETE_WAITS_FOR_WRITES: Final[Mapping[Stage, frozenset[Stage]]] = {
    Stage.POOLS: frozenset({Stage.POOLS}),
    Stage.PEERS: frozenset({Stage.NODES, Stage.PEERS, Stage.MESH, Stage.REFLECTORS, Stage.RETIRING}),
    Stage.FILTERS: frozenset({Stage.PEERS}),
    Stage.NODES: frozenset({Stage.PEERS, Stage.REFLECTORS}),
    Stage.TIERS: frozenset({*_POLICIES, Stage.STAGED}),
    Stage.SELECTED: _POLICIES,
    Stage.ALLOWING: _POLICIES,
    Stage.DENYING: _POLICIES,
    Stage.CLOSING: _POLICIES,
    Stage.SHUTTING: _POLICIES,
}
"""A removal waits until what replaces the object, or stops pointing to it, has been written."""


_AFTER: Final[Mapping[Stage, frozenset[Stage]]] = {
    Stage.POOLS: frozenset({Stage.CONFIGURATION}),
    Stage.PEERS: frozenset({Stage.MESH, Stage.NODES}),
    Stage.REFLECTORS: frozenset({Stage.MESH, Stage.NODES}),
}
"""What comes later without being held back by a failure: the earlier one is better there, and not needed."""

_STAGES_WITH_POLICIES: Final = _POLICIES | {Stage.STAGED}


def stage(key: Key, value: Mapping[str, Any], former: Mapping[str, Any] | None = None) -> Stage:
    """When this object is written. `value` is the object as JSON, `former` what stands there before, where known.

    A policy that denies is later than one that allows, and one that allows nothing is the last. The node-to-node mesh
    goes off after the peers that replace it; a node leaves it for its reflecting peers after they are declared, and one
    that gives up what peers select it by does so after the others are ready.
    """
    found = _STAGE_OF_KIND.get(key.kind, Stage.CONFIGURATION)
    if found is Stage.MESH and _spec(value).get("nodeToNodeMeshEnabled") is False:
        return Stage.MESH_OFF
    if found is Stage.NODES:
        return _node_stage(value, former or {})
    return _policy_stage(_spec(value)) if found is Stage.ALLOWING else found


def position(
    key: Key, value: Mapping[str, Any], *, delete: bool = False, former: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """Where this step stands in the walk: sort by it. Writes first, then deletes in reverse.

    Within a stage: policies by tier and order (no order is the last), then by identity.
    """
    spec = _spec(value)
    when = stage(key, value, former)
    order = spec.get("order")
    number = math.inf if not isinstance(order, (int, float)) or isinstance(order, bool) else float(order)
    identity = (key.kind, key.namespace or "", key.name)
    if delete:
        return (1, -int(when), -number, *identity)
    return (0, int(when), number, *identity)


def placed(
    key: Key, value: Mapping[str, Any], *, delete: bool = False, former: Mapping[str, Any] | None = None
) -> Place:
    """Where this change stands in the graph. `former` as for `stage`."""
    return Place(key, stage(key, value, former), delete, _tier(value))


def waits(mine: Place, theirs: Place) -> bool:
    """Whether this change must not happen while the other one, earlier in the walk, has not."""
    if mine.delete and theirs.delete:
        if theirs.stage not in _STAGES_WITH_POLICIES or mine.stage is not Stage.TIERS:
            return mine.stage in WAITS_FOR.get(theirs.stage, frozenset())
        return theirs.tier == mine.key.name
    if mine.delete:
        return theirs.stage in _DELETE_WAITS_FOR_WRITES.get(mine.stage, frozenset())
    if theirs.delete or theirs.stage not in WAITS_FOR.get(mine.stage, frozenset()):
        return False
    return theirs.stage is not Stage.TIERS or mine.tier == theirs.key.name


def depths(groups: Collection[Group], *, staged_first: bool = False) -> dict[Group, int]:
    """The level of each group of changes, from 1: what has no way to each other in the graph shares a level.

    Deletes come after all writes. `staged_first`: staged policies are a level of their own before enforced ones.
    """
    found: dict[Group, int] = {}
    for mine in sorted(groups, key=lambda group: (group[1], -group[0] if group[1] else group[0])):
        found[mine] = 1 + max((found[other] for other in found if _follows(mine, other, staged_first)), default=0)
    return found


def _follows(mine: Group, other: Group, staged_first: bool) -> bool:
    if mine[1] and other[1]:
        return mine[0] in WAITS_FOR.get(other[0], frozenset())
    if mine[1]:
        return True
    if staged_first and other[0] is Stage.STAGED and mine[0] in _POLICIES:
        return True
    return other[0] in WAITS_FOR.get(mine[0], frozenset()) or other[0] in _AFTER.get(mine[0], frozenset())


def stages() -> tuple[str, ...]:
    """The whole order in words, one line a stage, as it is walked: writes forward, deletes backward."""
    kinds: dict[Stage, list[str]] = {each: [] for each in Stage}
    for kind, when in _STAGE_OF_KIND.items():
        kinds[when].append(kind)
    kinds[Stage.MESH_OFF].append("BGPConfiguration with nodeToNodeMeshEnabled: false")
    kinds[Stage.REFLECTORS].append("Node that becomes a reflector")
    kinds[Stage.RETIRING].append("Node that loses its cluster ID or a label")
    for when, what in (
        (Stage.DENYING, "with a Deny rule"),
        (Stage.CLOSING, "that allows and selects everything"),
        (Stage.SHUTTING, "that allows nothing"),
    ):
        kinds[when] += [f"NetworkPolicy {what}", f"GlobalNetworkPolicy {what}"]
    forward = [f"write {each.name}: {', '.join(kinds[each])}" for each in Stage]
    backward = [f"delete {each.name}: {', '.join(kinds[each])}" for each in reversed(Stage)]
    return (*forward, *backward)


def _spec(value: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = value.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def _node_stage(value: Mapping[str, Any], former: Mapping[str, Any]) -> Stage:
    """A cluster ID ends a node's part in the mesh at once; a label may be what a peer selects it by."""
    if cluster_id(former) and not cluster_id(value):
        return Stage.RETIRING
    if cluster_id(value) and not cluster_id(former):
        return Stage.REFLECTORS
    return Stage.RETIRING if _labels(former).items() - _labels(value).items() else Stage.NODES


def cluster_id(value: Mapping[str, Any]) -> object:
    """Of a Node as JSON, what makes it a reflector; None where it is none."""
    bgp = _spec(value).get("bgp")
    return bgp.get("routeReflectorClusterID") if isinstance(bgp, Mapping) else None


def _labels(value: Mapping[str, Any]) -> dict[str, str]:
    metadata = value.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return {str(name): str(text) for name, text in labels.items()} if isinstance(labels, Mapping) else {}


def _tier(value: Mapping[str, Any]) -> str:
    return str(_spec(value).get("tier") or "default")


def _policy_stage(spec: Mapping[str, Any]) -> Stage:
    """How a policy takes traffic away: not, by a Deny rule, or by selecting alone.

    What an endpoint's last tier does not allow is denied as soon as one policy selects the endpoint. So a policy that
    selects everything closes, and goes after narrower ones that deny this and allow that; one that allows nothing
    shuts, and goes last.
    """
    rules = [rule for side in ("ingress", "egress") for rule in spec.get(side) or () if isinstance(rule, Mapping)]
    actions = {str(rule.get("action")) for rule in rules}
    if "Deny" in actions:
        return Stage.DENYING
    everything = str(spec.get("selector") or "all()").strip() == "all()"
    if not actions & {"Allow", "Pass"}:
        return Stage.SHUTTING
    return Stage.CLOSING if everything else Stage.ALLOWING
