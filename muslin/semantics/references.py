"""Which objects name others that are not there, and which pools cover the same addresses. Pure, on objects as they are.

Selectors are no references: that one selects nothing is no mistake. Kinds are read leniently: what is of another shape
than expected names nothing, and is told by whoever decodes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any, Final

from muslin.net import Prefix
from muslin.resources.keys import Key
from muslin.semantics.inconsistency import Inconsistency, Reason

__all__ = ["NAMING_KINDS", "dangling", "overlapping_pools"]

_Objects = Mapping[Key, Mapping[str, Any]]

_POLICIES: Final = (
    "NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy",
)  # fmt: skip
_OF_A_NODE: Final = ("BGPPeer", "HostEndpoint", "WorkloadEndpoint", "CalicoNodeStatus")
_FOR_ONE_NODE: Final = ("FelixConfiguration", "BGPConfiguration")
_WITH_PROFILES: Final = ("HostEndpoint", "WorkloadEndpoint")
_ALWAYS_THERE: Final = frozenset({("Profile", "projectcalico-default-allow"), ("Tier", "default")})

NAMING_KINDS: Final = (*_POLICIES, *_OF_A_NODE, *_FOR_ONE_NODE, "Tier", "Profile", "BGPFilter", "Node", "IPPool")
"""Kinds that must have been read: those that name, and those that are named."""


def dangling(objects: _Objects) -> Iterator[Inconsistency]:
    """References to tiers, profiles, filters and nodes that are not there."""
    there = {(key.kind, key.name) for key in objects} | _ALWAYS_THERE
    for key, value in objects.items():
        for kind, name, path in _named(key, value):
            if (kind, name) in there:
                continue
            what = f"{path} names {kind} {name}, which is not there"
            if kind == "Node":
                fix = f"start the node again, or delete this object: muslin delete {key.kind.lower()} {key.name}"
                yield Inconsistency(Reason.NODE_GONE, key, what, fix)
            else:
                yield Inconsistency(Reason.REFERENCE_DANGLES, key, what, f"create {kind} {name}, or name another")


def overlapping_pools(objects: _Objects) -> Iterator[Inconsistency]:
    """Pools with common addresses: the later of the two by name is told."""
    pools = sorted(
        ((prefix, key) for key, value in objects.items() if key.kind == "IPPool" and (prefix := _prefix(value))),
        key=lambda each: (each[0].version, int(each[0].network_address), each[0].prefixlen, each[1]),
    )
    outer: tuple[Prefix, Key] | None = None
    for prefix, key in pools:
        if outer is not None and outer[0].version == prefix.version and outer[0].overlaps(prefix):
            what = f"{prefix} overlaps {outer[0]} of {outer[1]}"
            fix = "disable one of them, and delete it when no address of it is in use"
            yield Inconsistency(Reason.POOLS_OVERLAP, key, what, fix)
        if (
            outer is None
            or outer[0].version != prefix.version
            or int(prefix.broadcast_address) > int(outer[0].broadcast_address)
        ):
            outer = (prefix, key)


def _named(key: Key, value: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    spec = value.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    if key.kind in _POLICIES and isinstance(tier := spec.get("tier"), str) and tier:
        yield "Tier", tier, "spec.tier"
    if key.kind in _WITH_PROFILES:
        yield from (("Profile", name, f"spec.profiles[{i}]") for i, name in enumerate(_texts(spec.get("profiles"))))
    if key.kind == "BGPPeer":
        yield from (("BGPFilter", name, f"spec.filters[{i}]") for i, name in enumerate(_texts(spec.get("filters"))))
    if key.kind in _OF_A_NODE and isinstance(node := spec.get("node"), str) and node:
        yield "Node", node, "spec.node"
    if key.kind in _FOR_ONE_NODE and key.name.startswith("node."):
        yield "Node", key.name.removeprefix("node."), "metadata.name"


def _texts(value: Any) -> Sequence[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []


def _prefix(pool: Mapping[str, Any]) -> Prefix | None:
    spec = pool.get("spec")
    try:
        return ip_network(str(spec.get("cidr"))) if isinstance(spec, Mapping) else None
    except ValueError:
        return None
