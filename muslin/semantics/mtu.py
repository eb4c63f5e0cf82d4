"""How many bytes a pod may send at once: the network's MTU less what the encapsulation adds.

Pure arithmetic; who asks the kernel for the MTU of a link hands the figure in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from muslin.resources.ip_pool import IPPool
from muslin.semantics.routes import Encapsulation, possible_encapsulations
from muslin.semantics.snapshot import Snapshot

if TYPE_CHECKING:
    from muslin.semantics.felix_sources import Local

__all__ = ["OVERHEAD", "SMALLEST_USEFUL_MTU", "encapsulation_mtu", "node_pod_mtu", "pod_mtu"]

_OuterVersion = int

OVERHEAD: Mapping[tuple[Encapsulation, _OuterVersion], int] = MappingProxyType(
    {
        (Encapsulation.NONE, 4): 0,
        (Encapsulation.NONE, 6): 0,
        (Encapsulation.IPIP, 4): 20,
        (Encapsulation.VXLAN, 4): 50,
        (Encapsulation.VXLAN, 6): 70,
        (Encapsulation.WIREGUARD, 4): 60,
        (Encapsulation.WIREGUARD, 6): 80,
    }
)
"""Mapping[(encapsulation, IP version of the outer header), bytes added to every packet]."""

SMALLEST_USEFUL_MTU = 576
"""What every IPv4 host must be able to receive (RFC 791 section 3.1); less is a mistake in the facts."""


def encapsulation_mtu(network_mtu: int, encapsulation: Encapsulation, ip_version: int = 4) -> int:
    """MTU inside one encapsulation.

    Args:
        network_mtu: MTU of the links between the nodes, bytes.
        encapsulation: what wraps the packet.
        ip_version: of the outer header, 4 or 6.

    Raises:
        ValueError: this encapsulation does not exist over that version (IP-in-IP is IPv4 only).
    """
    try:
        return network_mtu - OVERHEAD[encapsulation, ip_version]
    except KeyError:
        raise ValueError(f"there is no {encapsulation.value} over IPv{ip_version}") from None


def pod_mtu(network_mtu: int, encapsulations: Iterable[tuple[Encapsulation, int]]) -> int:
    """MTU of a pod's interface: it must fit the most expensive way that its packets may go.

    Args:
        network_mtu: MTU of the links between the nodes, bytes.
        encapsulations: every (encapsulation, outer IP version) that is in use; none means no encapsulation.
    """
    return min((encapsulation_mtu(network_mtu, *each) for each in encapsulations), default=network_mtu)


_OVERRIDES: Mapping[tuple[Encapsulation, int], str] = MappingProxyType(
    {
        (Encapsulation.IPIP, 4): "IpInIpMtu",
        (Encapsulation.VXLAN, 4): "VXLANMTU",
        (Encapsulation.VXLAN, 6): "VXLANMTUV6",
    }
)


def node_pod_mtu(snapshot: Snapshot, node_name: str, network_mtu: int, local: Local | None = None) -> int:
    """MTU of pods on a node, from the pools' encapsulations and the agent's settings.

    A figure among the settings (`ipipMTU`, `vxlanMTU`, ...) replaces the computed one unless it is 0.
    Source: calico.md section 11.

    Args:
        snapshot: all resources.
        node_name: whose pods.
        network_mtu: MTU of the links between the nodes, bytes.
        local: settings of the node's environment and file.
    """
    from muslin.semantics.felix import felix_settings  # noqa: PLC0415 - a large model; arithmetic does without it
    from muslin.semantics.felix_sources import Local  # noqa: PLC0415

    candidates = []
    settings = felix_settings(snapshot, node_name, local or Local())
    for pool in snapshot.all(IPPool):
        for encapsulation in possible_encapsulations(pool) - {Encapsulation.NONE}:
            each = (encapsulation, pool.spec.cidr.version)
            candidates.append(settings[_OVERRIDES[each]] or encapsulation_mtu(network_mtu, *each))
    return min(candidates, default=network_mtu)
