"""Rules over BGPPeer and BGPConfiguration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from muslin.resources.validation import Breach, ValidationRule, cel, go

if TYPE_CHECKING:
    from muslin.resources.bgp_configuration import BGPConfiguration, BGPConfigurationSpec
    from muslin.resources.bgp_peer import BGPPeerSpec

__all__ = ["BGP_OBJECT_RULES", "BGP_RULES", "PEER_RULES"]


def _given(field: str) -> str:
    return f"(has(self.{field}) && size(self.{field}) > 0)"


def _same_family(peer: BGPPeerSpec) -> Iterator[Breach]:
    if peer.reachable_by and peer.peer_ip and peer.reachable_by.version != peer.peer_ip.address.version:
        yield Breach("ReachableBy and PeerIP address family mismatched", ("reachableBy",))


PEER_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "node-or-selector",
        f"!({_given('node')} && {_given('nodeSelector')})",
        "node and nodeSelector cannot both be set",
        lambda peer: not (peer.node and peer.node_selector),
        path=("nodeSelector",),
        fix="remove node or nodeSelector",
    ),
    cel(
        "address-or-selector",
        f"!({_given('peerIP')} && {_given('peerSelector')})",
        "peerIP and peerSelector cannot both be set",
        lambda peer: not (peer.peer_ip and peer.peer_selector),
        path=("peerSelector",),
        fix="remove peerIP or peerSelector",
    ),
    cel(
        "selected-peers-have-their-as",
        f"!({_given('peerSelector')} && has(self.asNumber) && self.asNumber != 0)",
        "asNumber must be empty when peerSelector is set",
        lambda peer: not (peer.peer_selector and peer.as_number),
        path=("asNumber",),
        fix="remove asNumber; the selected nodes' own is used",
    ),
    cel(
        "workloads-have-their-address",
        f"!({_given('localWorkloadSelector')} && {_given('peerIP')})",
        "peerIP must be empty when localWorkloadSelector is set",
        lambda peer: not (peer.local_workload_selector and peer.peer_ip),
        path=("peerIP",),
        fix="remove peerIP",
    ),
    cel(
        "workloads-or-nodes",
        f"!({_given('localWorkloadSelector')} && {_given('peerSelector')})",
        "peerSelector must be empty when localWorkloadSelector is set",
        lambda peer: not (peer.local_workload_selector and peer.peer_selector),
        path=("peerSelector",),
        fix="remove peerSelector",
    ),
    cel(
        "workloads-need-an-as",
        f"!{_given('localWorkloadSelector')} || (has(self.asNumber) && self.asNumber != 0)",
        "asNumber is required when localWorkloadSelector is set",
        lambda peer: not peer.local_workload_selector or bool(peer.as_number),
        path=("asNumber",),
        fix="set asNumber to the workloads' AS",
    ),
    cel(
        "reachable-by-needs-address",
        f"!{_given('reachableBy')} || {_given('peerIP')}",
        "reachableBy must be empty when peerIP is empty",
        lambda peer: peer.reachable_by is None or peer.peer_ip is not None,
        path=("reachableBy",),
        fix="set peerIP, or remove reachableBy",
    ),
    cel(
        "one-form-of-next-hop",
        "!(has(self.keepOriginalNextHop) && self.keepOriginalNextHop && has(self.nextHopMode))",
        "keepOriginalNextHop and nextHopMode cannot both be set; "
        "keepOriginalNextHop is deprecated, use nextHopMode instead",
        lambda peer: not (peer.keep_original_next_hop and peer.next_hop_mode),
        path=("keepOriginalNextHop",),
        fix="remove keepOriginalNextHop",
    ),
    go("one-family", "both addresses have one IP version", _same_family, fix="name a gateway of the peer's IP version"),
)

_STANDARD = re.compile(r"(\d{1,12}):(\d{1,12})", re.ASCII)
_LARGE = re.compile(r"(\d{1,12}):(\d{1,12}):(\d{1,12})", re.ASCII)


def community_problem(text: str) -> str | None:
    """What is wrong with the value of a community; None if it is right, empty if it is no community at all."""
    for form, most, bits in ((_STANDARD, 0xFFFF, 16), (_LARGE, 0xFFFFFFFF, 32)):
        match = form.fullmatch(text)
        if match:
            right = all(int(number) <= most for number in match.groups())
            return None if right else f"invalid community value, expected {bits} bit value"
    return ""


def _communities(spec: BGPConfigurationSpec) -> Iterator[Breach]:
    for index, community in enumerate(spec.communities):
        problem = community_problem(community.value)
        if problem is not None:
            what = problem or "invalid community value or format used."
            yield Breach(f"{community.value!r}: {what}", ("communities", index, "value"))
    defined = {community.name for community in spec.communities}
    for index, advertisement in enumerate(spec.prefix_advertisements):
        for position, used in enumerate(advertisement.communities):
            problem = community_problem(used)
            if problem is not None and used not in defined:
                what = problem or "community used is invalid or not defined."
                yield Breach(f"{used!r}: {what}", ("prefixAdvertisements", index, "communities", position))


BGP_RULES: Final[tuple[ValidationRule, ...]] = (
    cel(
        "password-needs-mesh",
        "!has(self.nodeMeshPassword) || !has(self.nodeToNodeMeshEnabled) || self.nodeToNodeMeshEnabled",
        "nodeMeshPassword cannot be set when nodeToNodeMeshEnabled is false",
        lambda spec: spec.node_mesh_password is None or spec.node_to_node_mesh_enabled is not False,
        path=("nodeMeshPassword",),
        fix="remove nodeMeshPassword; passwords of other sessions stand in BGPPeer",
    ),
    cel(
        "restart-time-needs-mesh",
        "!has(self.nodeMeshMaxRestartTime) || !has(self.nodeToNodeMeshEnabled) || self.nodeToNodeMeshEnabled",
        "nodeMeshMaxRestartTime cannot be set when nodeToNodeMeshEnabled is false",
        lambda spec: spec.node_mesh_max_restart_time is None or spec.node_to_node_mesh_enabled is not False,
        path=("nodeMeshMaxRestartTime",),
        fix="remove nodeMeshMaxRestartTime; that of other sessions stands in BGPPeer",
    ),
    cel(
        "communities-are-used",
        "!has(self.communities) || size(self.communities) == 0 || "
        "(has(self.prefixAdvertisements) && size(self.prefixAdvertisements) > 0)",
        "communities are defined but not used in prefixAdvertisements",
        lambda spec: not spec.communities or bool(spec.prefix_advertisements),
        path=("communities",),
        fix="use them in prefixAdvertisements, or remove them",
    ),
    go(
        "communities",
        "communities are well formed",
        _communities,
        fix="write aa:nn or aa:nn:mm, or a name from communities",
    ),
)

_ONLY_ON_DEFAULT: Final = {
    "node_to_node_mesh_enabled": "nodeToNodeMeshEnabled",
    "as_number": "asNumber",
    "service_external_ips": "serviceExternalIPs",
    "service_cluster_ips": "serviceClusterIPs",
    "service_load_balancer_ips": "serviceLoadBalancerIPs",
    "node_mesh_password": "nodeMeshPassword",
    "node_mesh_max_restart_time": "nodeMeshMaxRestartTime",
}


def _only_on_default(configuration: BGPConfiguration) -> Iterator[Breach]:
    name = configuration.metadata.name
    if name == "default":
        return
    for field, spelt in _ONLY_ON_DEFAULT.items():
        if getattr(configuration.spec, field) not in (None, ()):
            yield Breach(f"Cannot set {spelt} on a non default BGP Configuration.", ("spec", spelt))


BGP_OBJECT_RULES: Final[tuple[ValidationRule, ...]] = (
    go(
        "only-on-default",
        "some settings are those of the cluster",
        _only_on_default,
        fix="set it in BGPConfiguration default",
    ),
)
