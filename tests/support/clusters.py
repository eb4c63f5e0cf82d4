"""Resources of small clusters, short to write: reserved addresses, Calico's spelling inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from muslin.resources.global_network_policy import GlobalNetworkPolicy
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import BlockAffinity, IPAMBlock
from muslin.resources.network_policy import NetworkPolicy
from muslin.resources.network_sets import GlobalNetworkSet, NetworkSet
from muslin.resources.node import Node
from muslin.resources.profile import Profile
from muslin.resources.tier import Tier
from muslin.resources.workload_endpoint import WorkloadEndpoint

__all__ = [
    "ALLOW_ALL",
    "affinity",
    "block",
    "global_policy",
    "global_set",
    "namespace_profile",
    "network_set",
    "node",
    "policy",
    "pool",
    "profile",
    "tier",
    "workload",
]

ALLOW_ALL: Mapping[str, Any] = {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}
"""Rules of the profile that Kubernetes mode gives every namespace."""


def node(name: str, address: str | None = None, labels: Mapping[str, str] | None = None, **bgp: Any) -> Node:
    """A node; `address` with length, further keywords are fields of `spec.bgp`."""
    spec = {"bgp": {"ipv4Address": address, **bgp}} if address else {"bgp": bgp} if bgp else {}
    return Node.model_validate({"metadata": {"name": name, "labels": dict(labels or {})}, "spec": spec})


def pool(name: str, cidr: str, **spec: Any) -> IPPool:
    """A pool; keywords are fields of its spec."""
    return IPPool.model_validate({"metadata": {"name": name}, "spec": {"cidr": cidr, **spec}})


def affinity(owner: str, cidr: str, state: str = "confirmed", **spec: Any) -> BlockAffinity:
    """A node's claim on a block."""
    name = f"{owner}-{cidr.replace('.', '-').replace('/', '-').replace(':', '-')}"
    spec = {"state": state, "node": owner, "cidr": cidr, "deleted": False, **spec}
    return BlockAffinity.model_validate({"metadata": {"name": name}, "spec": spec})


def block(cidr: str, owner: str | None) -> IPAMBlock:
    """A block with nothing assigned."""
    spec = {"cidr": cidr, "affinity": f"host:{owner}" if owner else None}
    name = cidr.replace(".", "-").replace("/", "-").replace(":", "-")
    return IPAMBlock.model_validate({"metadata": {"name": name}, "spec": spec})


def profile(name: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Profile:
    """A profile; keywords are fields of its spec."""
    return Profile.model_validate({"metadata": {"name": name}, "spec": {"labelsToApply": dict(labels or {}), **spec}})


def namespace_profile(namespace: str, labels: Mapping[str, str] | None = None) -> Profile:
    """The profile of a namespace as Kubernetes mode has it: its labels and name, and everything allowed."""
    seen = {"projectcalico.org/name": namespace, **(labels or {})}
    return profile(f"kns.{namespace}", {f"pcns.{key}": value for key, value in seen.items()}, **ALLOW_ALL)


def workload(
    name: str,
    address: str | Iterable[str],
    *,
    on: str = "node-a",
    namespace: str = "default",
    labels: Mapping[str, str] | None = None,
    profiles: Iterable[str] | None = None,
    **spec: Any,
) -> WorkloadEndpoint:
    """A pod; its interface is `cali-<name>`, its only profile that of its namespace unless told otherwise."""
    addresses = [address] if isinstance(address, str) else list(address)
    return WorkloadEndpoint.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {})},
            "spec": {
                "node": on,
                "interfaceName": f"cali-{name}"[:15],
                "ipNetworks": addresses,
                "profiles": [f"kns.{namespace}"] if profiles is None else list(profiles),
                **spec,
            },
        }
    )


def tier(name: str, order: float | None = None, default_action: str = "Deny") -> Tier:
    """A tier."""
    return Tier.model_validate({"metadata": {"name": name}, "spec": {"order": order, "defaultAction": default_action}})


def policy(name: str, namespace: str = "default", **spec: Any) -> NetworkPolicy:
    """A namespaced policy; keywords are fields of its spec."""
    return NetworkPolicy.model_validate({"metadata": {"name": name, "namespace": namespace}, "spec": spec})


def global_policy(name: str, **spec: Any) -> GlobalNetworkPolicy:
    """A global policy; keywords are fields of its spec."""
    return GlobalNetworkPolicy.model_validate({"metadata": {"name": name}, "spec": spec})


def global_set(name: str, nets: Iterable[str], labels: Mapping[str, str]) -> GlobalNetworkSet:
    """Networks with labels, for all namespaces."""
    return GlobalNetworkSet.model_validate(
        {"metadata": {"name": name, "labels": dict(labels)}, "spec": {"nets": list(nets)}}
    )


def network_set(name: str, nets: Iterable[str], labels: Mapping[str, str], namespace: str = "default") -> NetworkSet:
    """Networks with labels, for one namespace."""
    return NetworkSet.model_validate(
        {"metadata": {"name": name, "namespace": namespace, "labels": dict(labels)}, "spec": {"nets": list(nets)}}
    )
