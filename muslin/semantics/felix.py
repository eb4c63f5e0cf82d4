"""Which settings are in force for a node's agent, from all that a cluster says and what the machine itself says.

Of the FelixConfigurations that select a node, only the oldest counts: one that somebody adds by mistake must not take a
working setting away. Source: calico.md sections 1 and 2.21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from muslin.errors import Problem
from muslin.resources.cluster_information import ClusterInformation
from muslin.resources.felix_checks import is_for_all_or_one
from muslin.resources.felix_configuration import FelixConfiguration
from muslin.resources.node import Node
from muslin.selectors import parse
from muslin.semantics.felix_sources import Local, Settings, resolve
from muslin.semantics.felix_texts import felix_fields
from muslin.semantics.snapshot import Snapshot

__all__ = ["felix_problems", "felix_settings", "selecting"]

_NOWHERE: Final = Local()


def felix_settings(snapshot: Snapshot, node_name: str, local: Local = _NOWHERE) -> Settings:
    """All settings of the agent of one node.

    Args:
        snapshot: all resources.
        node_name: whose settings; the node itself need not exist.
        local: what its environment and file say; nothing for somebody who looks from elsewhere.
    """
    own = snapshot.get(FelixConfiguration, f"node.{node_name}")
    for_all = snapshot.get(FelixConfiguration, "default")
    selected = selecting(snapshot, node_name)
    return resolve(
        local,
        node={**_of_node(snapshot.get(Node, node_name)), **(felix_fields(own) if own else {})},
        selector=felix_fields(selected[0]) if selected else {},
        global_={
            **_of_cluster(snapshot.get(ClusterInformation, "default")),
            **(felix_fields(for_all) if for_all else {}),
        },
    )


def selecting(snapshot: Snapshot, node_name: str) -> tuple[FelixConfiguration, ...]:
    """FelixConfigurations that select a node, oldest first: the first one counts, the others are a mistake."""
    node = snapshot.get(Node, node_name)
    labels = node.metadata.labels if node is not None else {}
    found = [
        configuration
        for configuration in snapshot.all(FelixConfiguration)
        if configuration.spec.node_selector
        and not is_for_all_or_one(configuration)
        and parse(configuration.spec.node_selector).matches(labels)
    ]
    return tuple(sorted(found, key=lambda each: (each.metadata.creation_timestamp or "", each.metadata.name)))


def felix_problems(snapshot: Snapshot, node_name: str, settings: Settings) -> Iterator[Problem]:
    """What is wrong with the settings of a node's agent: bad values, and objects that do not count."""
    for bad in settings.problems:
        yield bad.problem
    first, *others = selecting(snapshot, node_name) or (None,)
    for each in others:
        what = f"{each.key} selects the node too, and does not count: {first.key if first else None} is older"
        yield Problem(what, f"{each.key}  spec.nodeSelector", "let one FelixConfiguration select a node")


def _of_node(node: Node | None) -> Mapping[str, str]:
    if node is None:
        return {}
    spec = node.spec
    said = {
        "IpInIpTunnelAddr": spec.bgp.ipv4_ipip_tunnel_addr if spec.bgp else None,
        "IPv4VXLANTunnelAddr": spec.ipv4_vxlan_tunnel_addr,
        "IPv6VXLANTunnelAddr": spec.ipv6_vxlan_tunnel_addr,
        "VXLANTunnelMACAddr": spec.vxlan_tunnel_mac_addr,
        "VXLANTunnelMACAddrV6": spec.vxlan_tunnel_mac_addr_v6,
    }
    return {name: str(value) for name, value in said.items() if value is not None}


def _of_cluster(information: ClusterInformation | None) -> Mapping[str, str]:
    if information is None:
        return {}
    spec = information.spec
    said = {
        "CalicoVersion": spec.calico_version,
        "ClusterGUID": spec.cluster_guid,
        "ClusterType": spec.cluster_type,
        "Variant": spec.variant,
    }
    return {name: text for name, text in said.items() if text}
