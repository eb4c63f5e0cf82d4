"""Node: a machine of the cluster, its addresses and its BGP identity."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from muslin.net import parse_wireguard_key
from muslin.resources.base import Resource
from muslin.resources.fields import (
    EMPTY_IS_UNSET,
    AsNumberField,
    ClusterIdField,
    InterfaceAddressField,
    LooseNet,
    MacField,
    Text,
    V4Address,
    V6Address,
)
from muslin.resources.part import Part
from muslin.resources.validation import Breach, ValidationRule, cel, go

__all__ = [
    "Node", "NodeAddress", "NodeAddressType", "NodeBGP", "NodeInterface", "NodeSpec", "NodeStatus", "NodeWireguard",
    "OrchRef",
]  # fmt: skip


def _families(bgp: NodeBGP) -> Iterator[Breach]:
    for field, address, version in (("ipv4Address", bgp.ipv4_address, 4), ("ipv6Address", bgp.ipv6_address, 6)):
        if address is not None and address.version != version:
            yield Breach(f"{str(address)!r} is not an IPv{version} address", (field,), f"use an IPv{version} address")


class NodeBGP(Part):
    """A node's BGP identity; addresses carry the length of the network they stand in."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        cel(
            "not-empty",
            "size(self) > 0",
            "Spec.BGP should not be empty",
            lambda bgp: any(value is not None for _, value in bgp),
            fix="set an address, or remove bgp",
        ),
        go("families", "addresses are of the version that their field names", _families, fix="exchange the addresses"),
    )

    as_number: AsNumberField | None = None
    ipv4_address: Annotated[InterfaceAddressField | None, EMPTY_IS_UNSET] = None
    ipv6_address: Annotated[InterfaceAddressField | None, EMPTY_IS_UNSET] = None
    ipv4_ipip_tunnel_addr: Annotated[V4Address | None, EMPTY_IS_UNSET] = None
    route_reflector_cluster_id: Annotated[ClusterIdField | None, EMPTY_IS_UNSET] = None


class NodeWireguard(Part):
    """Addresses of a node's WireGuard interfaces."""

    interface_ipv4_address: Annotated[V4Address | None, EMPTY_IS_UNSET] = None
    interface_ipv6_address: Annotated[V6Address | None, EMPTY_IS_UNSET] = None


class OrchRef(Part):
    """What an orchestrator calls this node."""

    node_name: Text | None = None
    orchestrator: Text


class NodeAddressType(enum.Enum):
    """What an address of a node is for."""

    CALICO_NODE_IP = "CalicoNodeIP"
    INTERNAL_IP = "InternalIP"
    EXTERNAL_IP = "ExternalIP"


class NodeAddress(Part):
    """One address of a node."""

    address: InterfaceAddressField
    type: NodeAddressType | None = None


class NodeInterface(Part):
    """One interface of a node and its addresses."""

    name: Text
    addresses: tuple[InterfaceAddressField, ...] = ()


class NodeSpec(Part):
    """What is known of a node."""

    bgp: NodeBGP | None = None
    ipv4_vxlan_tunnel_addr: Annotated[V4Address | None, EMPTY_IS_UNSET] = None
    vxlan_tunnel_mac_addr: Annotated[MacField | None, EMPTY_IS_UNSET] = None
    ipv6_vxlan_tunnel_addr: Annotated[V6Address | None, EMPTY_IS_UNSET] = None
    vxlan_tunnel_mac_addr_v6: Annotated[MacField | None, EMPTY_IS_UNSET] = None
    wireguard: NodeWireguard | None = None
    orch_refs: tuple[OrchRef, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    interfaces: tuple[NodeInterface, ...] = ()


def _keys(status: NodeStatus) -> Iterator[Breach]:
    keys = (
        ("wireguardPublicKey", status.wireguard_public_key),
        ("wireguardPublicKeyV6", status.wireguard_public_key_v6),
    )
    for field, key in keys:
        try:
            if key:
                parse_wireguard_key(key)
        except ValueError as error:
            yield Breach(str(error), (field,))


class NodeStatus(Part):
    """What a node says of itself."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = (
        go("keys", "keys are 32 octets in base64", _keys, fix="copy the whole key, 44 characters"),
    )

    wireguard_public_key: Text | None = None
    wireguard_public_key_v6: Text | None = None
    pod_cidrs: tuple[LooseNet, ...] = ()


class Node(Resource):
    """A machine; cluster-scoped."""

    kind: Literal["Node"] = "Node"
    spec: NodeSpec = NodeSpec()
    status: NodeStatus | None = None
