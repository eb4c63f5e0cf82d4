"""The order in which a cluster's resources are written, as data.

Additions follow dependencies, removals reverse them and come last, so that whatever replaces a thing is there before
the thing goes. Where traffic is judged, what allows comes before what denies: between two writes an agent may see
the first without the second, and a flow that both commits allow must not be dropped in between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from muslin.resources.keys import Key

__all__ = ["WAITS_FOR", "Stage", "position", "stage", "stages", "waits"]


class Stage(IntEnum):
    """When an object is written, earliest first; deletes walk the same table backwards."""

    CONFIGURATION = 1
    POOLS = 2
    MESH = 3
    FILTERS = 4
    NODES = 5
    PEERS = 6
    MESH_OFF = 7
    TIERS = 8
    SELECTED = 9
    STAGED = 10
    ALLOWING = 11
    DENYING = 12
    CLOSING = 13
    ENDPOINTS = 14


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
    Stage.MESH_OFF: frozenset({Stage.FILTERS, Stage.NODES, Stage.PEERS}),
    Stage.ALLOWING: frozenset({Stage.TIERS, Stage.SELECTED}),
    Stage.DENYING: frozenset({Stage.TIERS, Stage.SELECTED, Stage.ALLOWING}),
    Stage.STAGED: frozenset({Stage.TIERS}),
    Stage.CLOSING: frozenset({Stage.TIERS, Stage.SELECTED, Stage.ALLOWING, Stage.DENYING}),
    Stage.ENDPOINTS: frozenset({Stage.ALLOWING, Stage.DENYING, Stage.CLOSING}),
}
"""Which stages must have gone through before a stage may: a failure there holds the later object back."""

_POLICIES: Final = frozenset({Stage.ALLOWING, Stage.DENYING, Stage.CLOSING})
_DELETE_WAITS_FOR_WRITES: Final[Mapping[Stage, frozenset[Stage]]] = {
    Stage.POOLS: frozenset({Stage.POOLS}),
    Stage.PEERS: frozenset({Stage.NODES, Stage.PEERS, Stage.MESH}),
    Stage.FILTERS: frozenset({Stage.PEERS}),
    Stage.NODES: frozenset({Stage.PEERS}),
    Stage.TIERS: frozenset({*_POLICIES, Stage.STAGED}),
    Stage.SELECTED: _POLICIES,
    Stage.ALLOWING: _POLICIES,
    Stage.DENYING: _POLICIES,
    Stage.CLOSING: _POLICIES,
}
"""A removal waits until what replaces the object, or stops pointing to it, has been written."""


_STAGES_WITH_POLICIES: Final = _POLICIES | {Stage.STAGED}


def stage(key: Key, value: Mapping[str, Any]) -> Stage:
    """When this object is written. `value` is the object as JSON.

    A policy that denies is later than one that allows, and one that closes is the last. Turning the node-to-node mesh
    off comes after the peers that replace it.
    """
    found = _STAGE_OF_KIND.get(key.kind, Stage.CONFIGURATION)
    if found is Stage.MESH and _spec(value).get("nodeToNodeMeshEnabled") is False:
        return Stage.MESH_OFF
    return _policy_stage(_spec(value)) if found is Stage.ALLOWING else found


def position(key: Key, value: Mapping[str, Any], *, delete: bool = False) -> tuple[Any, ...]:
    """Where this step stands in the walk: sort by it. Writes first, then deletes in reverse.

    Within a stage: policies by tier and order (no order is the last), then by identity.
    """
    spec = _spec(value)
    when = stage(key, value)
    order = spec.get("order")
    number = math.inf if not isinstance(order, (int, float)) or isinstance(order, bool) else float(order)
    identity = (key.kind, key.namespace or "", key.name)
    if delete:
        return (1, -int(when), -number, *identity)
    return (0, int(when), number, *identity)


def waits(
    key: Key, value: Mapping[str, Any], on: Key, on_value: Mapping[str, Any], *, delete: bool, on_delete: bool
) -> bool:
    """Whether this step must not happen while the other one, earlier in the walk, has failed."""
    mine, theirs = stage(key, value), stage(on, on_value)
    if delete and on_delete:
        if theirs not in _STAGES_WITH_POLICIES or mine is not Stage.TIERS:
            return mine in WAITS_FOR.get(theirs, frozenset())
        return _tier(on_value) == key.name
    if delete:
        return theirs in _DELETE_WAITS_FOR_WRITES.get(mine, frozenset())
    if on_delete or theirs not in WAITS_FOR.get(mine, frozenset()):
        return False
    return theirs is not Stage.TIERS or _tier(value) == on.name


def stages() -> tuple[str, ...]:
    """The whole order in words, one line a stage, as it is walked: writes forward, deletes backward."""
    kinds: dict[Stage, list[str]] = {each: [] for each in Stage}
    for kind, when in _STAGE_OF_KIND.items():
        kinds[when].append(kind)
    kinds[Stage.MESH_OFF].append("BGPConfiguration with nodeToNodeMeshEnabled: false")
    for when, what in ((Stage.DENYING, "with a Deny rule"), (Stage.CLOSING, "that denies by selecting")):
        kinds[when] += [f"NetworkPolicy {what}", f"GlobalNetworkPolicy {what}"]
    forward = [f"write {each.name}: {', '.join(kinds[each])}" for each in Stage]
    backward = [f"delete {each.name}: {', '.join(kinds[each])}" for each in reversed(Stage)]
    return (*forward, *backward)


def _spec(value: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = value.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def _tier(value: Mapping[str, Any]) -> str:
    return str(_spec(value).get("tier") or "default")


def _policy_stage(spec: Mapping[str, Any]) -> Stage:
    """How a policy takes traffic away: not, by a Deny rule, or by selecting alone.

    What an endpoint's last tier does not allow is denied as soon as one policy selects the endpoint. So a policy that
    selects everything, or that allows nothing, closes; it goes after narrower ones that deny this and allow that.
    """
    rules = [rule for side in ("ingress", "egress") for rule in spec.get(side) or () if isinstance(rule, Mapping)]
    actions = {str(rule.get("action")) for rule in rules}
    if "Deny" in actions:
        return Stage.DENYING
    everything = str(spec.get("selector") or "all()").strip() == "all()"
    return Stage.CLOSING if everything or not actions & {"Allow", "Pass"} else Stage.ALLOWING
