"""How many bytes a pod may send at once: the network's MTU less what the encapsulation adds.

Pure arithmetic; who asks the kernel for the MTU of a link hands the figure in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from muslin.resources.ip_pool import IPPool
from muslin.semantics.encapsulations import OVERHEAD, SMALLEST_USEFUL_MTU, Encapsulation, encapsulation_mtu
from muslin.semantics.routes import possible_encapsulations
from muslin.semantics.snapshot import Snapshot

if TYPE_CHECKING:
    from muslin.semantics.felix_sources import Local

__all__ = ["OVERHEAD", "SMALLEST_USEFUL_MTU", "encapsulation_mtu", "node_pod_mtu", "pod_mtu"]


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
