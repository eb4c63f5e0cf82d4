"""Names and labels of IPAM's objects and handles; two implementations must compute them alike.

Source: libcalico-go `names`, `backend/k8s/resources/{ipam_block,ipam_affinity}.go`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from muslin.net import Prefix
from muslin.resources.keys import Key

__all__ = [
    "TUNNEL_HANDLES",
    "affinity_key",
    "affinity_labels",
    "affinity_name",
    "block_key",
    "block_name",
    "cni_handle",
    "handle_key",
    "handle_name",
    "tunnel_attributes",
    "tunnel_handle",
    "vm_handle",
]

_LONGEST_NAME = 252
_HASH_LENGTH = 11

TUNNEL_HANDLES: Mapping[str, str] = {
    "ipipTunnelAddress": "ipip-tunnel-addr",
    "vxlanTunnelAddress": "vxlan-tunnel-addr",
    "vxlanV6TunnelAddress": "vxlan-v6-tunnel-addr",
    "wireguardTunnelAddress": "wireguard-tunnel-addr",
    "wireguardV6TunnelAddress": "wireguard-v6-tunnel-addr",
}
"""Attribute `type` of a tunnel's address, and how its handle begins."""


def block_name(prefix: Prefix) -> str:
    """Name of a block's object: the compressed prefix with `-` for `.`, `:` and `/`, such as `192-0-2-0-26`."""
    return str(prefix).replace(".", "-").replace(":", "-").replace("/", "-")


def affinity_name(host: str, prefix: Prefix) -> str:
    """Name of an affinity's object: host and block; a long host is cut and told apart by a hash."""
    name = f"{host}-{block_name(prefix)}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(f"{host}+{block_name(prefix)}".encode()).hexdigest()[:_HASH_LENGTH]
    room = _LONGEST_NAME - len(block_name(prefix)) - _HASH_LENGTH - 2
    return f"{host.encode()[:room].decode(errors='ignore')}-{block_name(prefix)}-{digest}"


def affinity_labels(host: str, prefix: Prefix, kind: str = "host") -> dict[str, str]:
    """Labels by which Calico's clients list the affinities of a host."""
    digest = base64.b32encode(hashlib.sha3_256(host.encode()).digest()).decode().rstrip("=")
    return {
        "projectcalico.org/affinity-type": kind,
        "projectcalico.org/hostname-hash": digest,
        "projectcalico.org/ip-version": str(prefix.version),
    }


def handle_name(handle: str) -> str:
    """Name of a handle's object: the handle in lower case, cut at a carriage return (an old writer's mistake)."""
    return handle.split("\r", maxsplit=1)[0].lower()


def block_key(prefix: Prefix) -> Key:
    """Identity of a block's object."""
    return Key("IPAMBlock", block_name(prefix))


def affinity_key(host: str, prefix: Prefix) -> Key:
    """Identity of an affinity's object."""
    return Key("BlockAffinity", affinity_name(host, prefix))


def handle_key(handle: str) -> Key:
    """Identity of a handle's object."""
    return Key("IPAMHandle", handle_name(handle))


def cni_handle(network: str, container: str) -> str:
    """Handle of a container's addresses in a CNI network."""
    return f"{network}.{container}"


def vm_handle(namespace: str, machine: str, network: str = "") -> str:
    """Handle of a virtual machine's addresses, which outlive its pods."""
    return f"{network or 'k8s-pod-network'}.vmi.{namespace}.{machine}"


def tunnel_handle(kind: str, node: str) -> str:
    """Handle of a node's tunnel address; `kind` is one of `TUNNEL_HANDLES`."""
    return f"{TUNNEL_HANDLES[kind]}-{node}"


def tunnel_attributes(kind: str, node: str) -> dict[str, str]:
    """Attributes that go with `tunnel_handle`."""
    return {"node": node, "type": kind}
