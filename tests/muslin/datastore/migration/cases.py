"""A cluster to move: an object of nearly every kind, with nodes whose names in Kubernetes are others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.ipam import run
from muslin.datastore.opening import opened
from muslin.datastore.protocol import Datastore
from muslin.datastore.settings import DatastoreSettings
from muslin.ipam.assign import auto_assign
from muslin.ipam.assignment import AssignmentRequest
from muslin.ipam.names import tunnel_attributes, tunnel_handle
from muslin.resources import load
from muslin.resources.keys import Key

__all__ = ["NAMES", "NOW", "contents", "filled", "key_value", "over"]

NAMES: Mapping[str, str] = {"node1": "k1.example", "node2": "k2.example"}
"""Nodes, and the names by which Kubernetes knows them."""
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SHOP = "shop"


def key_value(kind: str, name: str, namespace: str | None = None, **parts: Any) -> tuple[Key, dict[str, Any]]:
    """An object and its key."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    metadata |= parts.pop("metadata", {})
    value = {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, **parts}
    return Key(kind, name, namespace), value


def _objects() -> list[tuple[Key, dict[str, Any]]]:
    rule = {"action": "Allow", "protocol": "TCP", "destination": {"ports": [80, "8000:9000"]}}
    of_tier = {"labels": {"projectcalico.org/tier": "security"}}
    found = [
        key_value("Tier", "security", spec={"order": 10}),
        key_value("IPPool", "pods", spec={"cidr": "198.51.100.0/24", "blockSize": 28, "ipipMode": "Never",
                                          "vxlanMode": "Never", "nodeSelector": "all()",
                                          "allowedUses": ["Workload", "Tunnel"]}),
        key_value("IPReservation", "kept", spec={"reservedCIDRs": ["198.51.100.0/30"]}),
        key_value("IPAMConfiguration", "default", spec={"strictAffinity": False, "autoAllocateBlocks": True,
                                                        "maxBlocksPerHost": 4}),
        key_value("BGPFilter", "narrow", spec={"exportV4": [{"action": "Reject", "matchOperator": "In",
                                                             "cidr": "203.0.113.0/24"}]}),
        key_value("BGPConfiguration", "default", spec={"asNumber": 64496, "nodeToNodeMeshEnabled": False}),
        key_value("BGPConfiguration", "node.node1", spec={"logSeverityScreen": "Info"}),
        key_value("BGPPeer", "rack", spec={"node": "node1", "peerIP": "192.0.2.254", "asNumber": 64500,
                                           "filters": ["narrow"]}),
        key_value("FelixConfiguration", "default", spec={"logSeverityScreen": "Info"}),
        key_value("FelixConfiguration", "node.node2", spec={"logSeverityScreen": "Debug"}),
        key_value("KubeControllersConfiguration", "default",
                  spec={"controllers": {"node": {"reconcilerPeriod": "5m"}}}),
        key_value("GlobalNetworkSet", "bad", metadata={"labels": {"bad": "yes"}}, spec={"nets": ["203.0.113.0/25"]}),
        key_value("NetworkSet", "partners", SHOP, spec={"nets": ["203.0.113.128/25"]}),
        key_value("HostEndpoint", "uplink", spec={"node": "node2", "interfaceName": "eth0",
                                                  "expectedIPs": ["192.0.2.2"]}),
        key_value("GlobalNetworkPolicy", "allow-dns", metadata=of_tier,
                  spec={"tier": "security", "order": 5, "selector": "all()", "types": ["Egress"], "egress": [rule]}),
        key_value("NetworkPolicy", "web", SHOP, metadata=of_tier | {"annotations": {"why": "tried"}},
                  spec={"tier": "security", "selector": "app == 'web'", "types": ["Ingress"], "ingress": [rule]}),
        key_value("StagedGlobalNetworkPolicy", "later", metadata=of_tier,
                  spec={"tier": "security", "stagedAction": "Set", "selector": "all()", "types": ["Ingress"]}),
        key_value("ReconcilerLedger", "default", spec={"entries": []}),
    ]  # fmt: skip
    for number, (node, name) in enumerate(NAMES.items(), 1):
        spec = {
            "bgp": {"ipv4Address": f"192.0.2.{number}/24"},
            "orchRefs": [{"nodeName": name, "orchestrator": "k8s"}],
        }
        found.append(key_value("Node", node, spec=spec))
    return found


async def filled(store: Datastore, *, sets: int = 0) -> None:
    """Write the cluster, with addresses that its nodes and pods have; and so many sets more."""
    await ensure_initialized(store, version="v3.33.0", cluster_type=("muslin", "bgp"))
    for key, value in _objects():
        await store.create(key, value)
    for number in range(sets):
        nets = [f"203.0.113.{number % 256}/32"]
        await store.create(*key_value("GlobalNetworkSet", f"set-{number:05}", spec={"nets": nets}))
    pool: Any = load((await store.get(Key("IPPool", "pods"))).value)
    for node in NAMES:
        tunnel = tunnel_handle("vxlanTunnelAddress", node)
        attributes = tunnel_attributes("vxlanTunnelAddress", node)
        for handle, held in ((tunnel, attributes), (f"k8s-pod-network.{node}", {"node": node, "pod": "p"})):
            request = AssignmentRequest(node, 2, handle, NOW + timedelta(seconds=1), [pool], attributes=held)
            assert len((await run(store, auto_assign(request))).addresses) == 2
    assert ip_network("198.51.100.0/24").num_addresses == 256


async def contents(store: Datastore, kinds: tuple[str, ...]) -> dict[Key, dict[str, Any]]:
    """Every object of these kinds, without what a store writes."""
    found = {}
    for kind in kinds:
        for entry in (await store.list(kind)).entries:
            metadata = {
                name: part
                for name, part in entry.value["metadata"].items()
                if name not in ("uid", "resourceVersion", "creationTimestamp", "generation")
            }
            found[entry.key] = {**entry.value, "metadata": metadata}
    return found


def over(settings: DatastoreSettings, **options: Any) -> AbstractAsyncContextManager[Datastore]:
    """The store, opened; an embedded one is made."""
    return opened(settings, make=True, **options)
