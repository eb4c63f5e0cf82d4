"""Settings of packets: routes, addresses, interfaces, and what is let through."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from muslin.resources.felix_patterns import PatternText
from muslin.resources.felix_values import (
    AWSSrcDstCheck,
    CheckedRouteTableRange,
    DSCPField,
    FelixDuration,
    ProtoPort,
    RouteTableRange,
    SourceAddress,
    Switch,
    setting,
    word,
)
from muslin.resources.fields import Bool, DurationField, Int, PortField, Text, any_case, one_of
from muslin.resources.part import Part

__all__ = ["FelixDataplane"]

EndpointToHostAction: TypeAlias = Annotated[Text, any_case("Accept", "Drop", "Return")]
L2Reachability: TypeAlias = Annotated[Text, one_of("Disabled", "PodsAndLoadBalancers")]
NATExclusions: TypeAlias = Annotated[Text, one_of("IPPoolsOnly", "IPPoolsAndHostIPs")]
ClusterRoutes: TypeAlias = Annotated[Text, one_of("Disabled", "Enabled", "EnabledIPIPOnly", "EnabledNoEncapOnly")]
Forwarding: TypeAlias = Annotated[Text, word("Enabled", "Disabled")]
RouteSource: TypeAlias = Annotated[Text, any_case("CalicoIPAM", "WorkloadIPs")]
LoopPrevention: TypeAlias = Annotated[Text, word("Drop", "Reject", "Disabled")]
SourceSpoofing: TypeAlias = Annotated[Text, word("Any", "Disabled")]
_PRIORITY = {"ge": 1, "le": 2147483646}


class FelixDataplane(Part):
    """Settings of routes and addresses."""

    allow_ipip_packets_from_workloads: Bool | None = setting("Let pods send packets in IP-in-IP themselves.")
    allow_vxlan_packets_from_workloads: Bool | None = setting("Let pods send packets in VXLAN themselves.")
    aws_src_dst_check: AWSSrcDstCheck | None = setting("What to do with EC2's check of sources and destinations.")
    cgroup_v2_path: Text | None = setting("Where the hierarchy of control groups is.")
    default_endpoint_to_host_action: EndpointToHostAction | None = setting(
        "What happens to packets of a pod to its own node once the pod's policy has let them pass."
    )
    device_route_protocol: Int | None = setting("Protocol number of the agent's routes, by which it knows them.")
    device_route_source_address: SourceAddress | None = setting("Source that the node prefers towards its pods, IPv4.")
    device_route_source_address_ipv6: SourceAddress | None = setting(
        "Source that the node prefers towards its pods, IPv6."
    )
    disable_conntrack_invalid_check: Bool | None = setting("Let packets pass that belong to no known connection.")
    external_nodes_list: tuple[Text, ...] | None = setting(
        "IPv4 prefixes of other machines that may send through tunnels."
    )
    failsafe_inbound_host_ports: tuple[ProtoPort, ...] | None = setting(
        "Ports of the node that stay open to others whatever policy says."
    )
    failsafe_outbound_host_ports: tuple[ProtoPort, ...] | None = setting(
        "Ports of others that stay open to the node whatever policy says."
    )
    floating_ips: Switch | None = setting("Translate addresses that a pod's annotation names.")
    ip_forwarding: Forwarding | None = setting("Switch forwarding on in the kernel.")
    ipv4_elevated_route_priority: Int | None = setting(
        "Metric of IPv4 routes to a pod that is moving here.", **_PRIORITY
    )
    ipv4_normal_route_priority: Int | None = setting("Metric of IPv4 routes to pods.", **_PRIORITY)
    ipv6_elevated_route_priority: Int | None = setting(
        "Metric of IPv6 routes to a pod that is moving here.", **_PRIORITY
    )
    ipv6_normal_route_priority: Int | None = setting("Metric of IPv6 routes to pods.", **_PRIORITY)
    interface_exclude: Text | None = setting("Interfaces to ignore: names and /regular expressions/ with commas.")
    interface_prefix: Text | None = setting("What names of pods' interfaces begin with; several with commas.")
    interface_refresh_interval: FelixDuration | None = setting("Time between two looks at all interfaces; 0 is never.")
    ipv6_support: Bool | None = setting("Care for IPv6.")
    istio_ambient_mode: Switch | None = setting("Work together with Istio's ambient mode.")
    istio_dscp_mark: DSCPField | None = setting("Class of traffic that marks packets for Istio's tunnel.")
    live_migration_route_convergence_time: FelixDuration | None = setting(
        "How long a pod's routes stay preferred after it moved here."
    )
    local_subnet_l2_reachability: L2Reachability | None = setting(
        "Answer ARP and neighbour discovery for pods' addresses of the node's own subnet."
    )
    local_subnet_l2_reachability_refresh_interval: DurationField | None = setting(
        "Time between two announcements of these addresses; 0 is only once."
    )
    metadata_addr: Text | None = setting("OpenStack: the server of metadata; none is none.")
    metadata_port: Int | None = setting("OpenStack: the port of the server of metadata.")
    mtu_iface_pattern: PatternText | None = setting("Interfaces whose MTU counts.")
    nat_outgoing_address: SourceAddress | None = setting(
        "IPv4 source of pods towards the outside; the link's if unset."
    )
    nat_outgoing_exclusions: NATExclusions | None = setting("Destinations that see pods' own addresses.")
    nat_port_range: PortField | None = setting(
        "Source ports of pods towards the outside; the kernel's choice if unset."
    )
    netlink_timeout: FelixDuration | None = setting("How long the kernel may take for an answer.")
    program_cluster_routes: ClusterRoutes | None = setting("Routes between nodes that the agent writes, not BGP.")
    remove_external_routes: Bool | None = setting("Remove others' routes to pods' interfaces.")
    require_mtu_file: Bool | None = setting("Do not start without the file of the MTU.")
    route_refresh_interval: FelixDuration | None = setting("Time between two looks at all routes; 0 is never.")
    route_source: RouteSource | None = setting("Where routes come from: blocks of addresses, or pods one by one.")
    route_sync_disabled: Bool | None = setting("Leave routes alone; only policy is enforced.")
    route_table_range: RouteTableRange | None = setting("Older form of routeTableRanges, one range of 1 to 250.")
    route_table_ranges: tuple[CheckedRouteTableRange, ...] | None = setting("Routing tables that the agent may take.")
    service_loop_prevention: LoopPrevention | None = setting("What happens to packets to a service's unused address.")
    sidecar_acceleration_enabled: Bool | None = setting(
        "Under trial: hand data between a pod and its sidecar directly."
    )
    workload_source_spoofing: SourceSpoofing | None = setting("Whether a pod's annotation may allow it other sources.")
