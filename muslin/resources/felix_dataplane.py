"""Settings of packets: rules, routes, encapsulation, addresses."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from muslin.resources.felix_values import (
    AllowAction,
    AWSSrcDstCheck,
    CheckedRouteTableRange,
    DenyAction,
    NFTablesMode,
    PortNumber,
    ProtoPort,
    RouteTableRange,
    Switch,
)
from muslin.resources.fields import (
    AnyJson,
    Bool,
    DurationField,
    Int,
    InterfaceName,
    PortField,
    Regexp,
    Text,
    any_case,
    one_of,
)
from muslin.resources.part import Part

__all__ = ["FelixDataplane", "FelixOverlay"]

ChainInsertMode: TypeAlias = Annotated[Text, any_case("Append", "Insert")]
EndpointToHostAction: TypeAlias = Annotated[Text, any_case("Accept", "Drop", "Return")]
IptablesBackend: TypeAlias = Annotated[Text, any_case("Auto", "Legacy", "NFT")]
L2Reachability: TypeAlias = Annotated[Text, one_of("Disabled", "PodsAndLoadBalancers")]
NATExclusions: TypeAlias = Annotated[Text, one_of("IPPoolsOnly", "IPPoolsAndHostIPs")]
FlowTableOffload: TypeAlias = Annotated[Text, one_of("All", "Disabled")]
ClusterRoutes: TypeAlias = Annotated[Text, one_of("Disabled", "Enabled", "EnabledIPIPOnly", "EnabledNoEncapOnly")]
RouteSource: TypeAlias = Annotated[Text, one_of("CalicoIPAM", "WorkloadIPs")]
LoopPrevention: TypeAlias = Annotated[Text, one_of("Drop", "Reject", "Disabled")]
SourceSpoofing: TypeAlias = Annotated[Text, one_of("Any", "Disabled")]
RoutePriority: TypeAlias = Annotated[Int, Field(ge=1, le=2147483646)]


class FelixDataplane(Part):
    """Settings of rules and routes."""

    allow_ipip_packets_from_workloads: Bool | None = None
    allow_vxlan_packets_from_workloads: Bool | None = None
    aws_src_dst_check: AWSSrcDstCheck | None = None
    cgroup_v2_path: Text | None = None
    chain_insert_mode: ChainInsertMode | None = None
    default_endpoint_to_host_action: EndpointToHostAction | None = None
    device_route_protocol: Int | None = None
    device_route_source_address: Text | None = None
    device_route_source_address_ipv6: Text | None = None
    disable_conntrack_invalid_check: Bool | None = None
    external_nodes_list: tuple[Text, ...] | None = None
    failsafe_inbound_host_ports: tuple[ProtoPort, ...] | None = None
    failsafe_outbound_host_ports: tuple[ProtoPort, ...] | None = None
    floating_ips: Switch | None = None
    ip_forwarding: Switch | None = None
    ipv4_elevated_route_priority: RoutePriority | None = None
    ipv4_normal_route_priority: RoutePriority | None = None
    ipv6_elevated_route_priority: RoutePriority | None = None
    ipv6_normal_route_priority: RoutePriority | None = None
    interface_exclude: Text | None = None
    interface_prefix: Text | None = None
    interface_refresh_interval: DurationField | None = None
    ipv6_support: Bool | None = None
    istio_ambient_mode: Switch | None = None
    istio_dscp_mark: AnyJson = None
    live_migration_route_convergence_time: DurationField | None = None
    local_subnet_l2_reachability: L2Reachability | None = None
    local_subnet_l2_reachability_refresh_interval: DurationField | None = None
    metadata_addr: Text | None = None
    metadata_port: PortNumber | None = None
    mtu_iface_pattern: Regexp | None = None
    nat_outgoing_address: Text | None = None
    nat_outgoing_exclusions: NATExclusions | None = None
    nat_port_range: PortField | None = None
    netlink_timeout: DurationField | None = None
    program_cluster_routes: ClusterRoutes | None = None
    remove_external_routes: Bool | None = None
    require_mtu_file: Bool | None = None
    route_refresh_interval: DurationField | None = None
    route_source: RouteSource | None = None
    route_sync_disabled: Bool | None = None
    route_table_range: RouteTableRange | None = None
    route_table_ranges: tuple[CheckedRouteTableRange, ...] | None = None
    service_loop_prevention: LoopPrevention | None = None
    sidecar_acceleration_enabled: Bool | None = None
    workload_source_spoofing: SourceSpoofing | None = None
    ipsets_refresh_interval: DurationField | None = None
    iptables_backend: IptablesBackend | None = None
    iptables_filter_allow_action: AllowAction | None = None
    iptables_filter_deny_action: DenyAction | None = None
    iptables_lock_probe_interval: DurationField | None = None
    iptables_mangle_allow_action: AllowAction | None = None
    iptables_mark_mask: Int | None = None
    iptables_nat_outgoing_interface_filter: Text | None = None
    iptables_post_write_check_interval: DurationField | None = None
    iptables_refresh_interval: DurationField | None = None
    kube_node_port_ranges: tuple[PortField, ...] | None = Field(default=None, max_length=7)
    max_ipset_size: Int | None = None
    nftables_filter_allow_action: AllowAction | None = None
    nftables_filter_deny_action: DenyAction | None = None
    nftables_flow_table_data_iface_pattern: Regexp | None = None
    nftables_flow_table_offload: FlowTableOffload | None = None
    nftables_mangle_allow_action: AllowAction | None = None
    nftables_mark_mask: Int | None = None
    nftables_mode: NFTablesMode | None = None
    nftables_refresh_interval: DurationField | None = None
    generic_xdp_enabled: Bool | None = None
    xdp_enabled: Bool | None = None
    xdp_refresh_interval: DurationField | None = None
    windows_manage_firewall_rules: Switch | None = None


class FelixOverlay(Part):
    """Settings of encapsulation."""

    vxlan_enabled: Bool | None = None
    vxlan_mtu: Int | None = None
    vxlan_mtu_v6: Int | None = None
    vxlan_port: PortNumber | None = None
    vxlan_vni: Int | None = None
    ipip_enabled: Bool | None = None
    ipip_mtu: Int | None = None
    wireguard_enabled: Bool | None = None
    wireguard_enabled_v6: Bool | None = None
    wireguard_host_encryption_enabled: Bool | None = None
    wireguard_interface_name: InterfaceName | None = None
    wireguard_interface_name_v6: InterfaceName | None = None
    wireguard_listening_port: PortNumber | None = None
    wireguard_listening_port_v6: PortNumber | None = None
    wireguard_mtu: Int | None = None
    wireguard_mtu_v6: Int | None = None
    wireguard_keep_alive: DurationField | None = None
    wireguard_routing_rule_priority: Int | None = Field(default=None, gt=0, lt=32766)
    wireguard_threading_enabled: Bool | None = None
