"""Settings of the eBPF dataplane, which nothing here runs: they are checked, kept and given back."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from muslin.resources.felix_patterns import PatternText
from muslin.resources.felix_values import (
    ConntrackTimeouts,
    FelixDuration,
    InterfaceFilter,
    LogFilters,
    PortNumber,
    PrefixText,
    Switch,
    setting,
    word,
)
from muslin.resources.fields import Bool, Int, PortField, Text, any_case, one_of
from muslin.resources.part import Part

__all__ = ["FelixBPF"]

AttachType: TypeAlias = Annotated[Text, word("Netkit", "TCX", "TC")]
ConnectTimeBalancing: TypeAlias = Annotated[Text, one_of("TCP", "Enabled", "Disabled")]
ConntrackMode: TypeAlias = Annotated[Text, one_of("Auto", "Userspace", "BPFProgram")]
ConntrackLogLevel: TypeAlias = Annotated[Text, word("Off", "Debug")]
Hardening: TypeAlias = Annotated[Text, word("Auto", "Strict")]
LogLevel: TypeAlias = Annotated[Text, any_case("Off", "Info", "Debug")]
MapScaling: TypeAlias = Annotated[Text, any_case("Disabled", "DoubleIfFull")]
OverlaySource: TypeAlias = Annotated[Text, word("TunnelAddress", "HostAddress")]
PathFilter: TypeAlias = Annotated[Text, any_case("Disabled", "Strict", "Loose")]
Redirection: TypeAlias = Annotated[Text, word("Enabled", "Disabled", "L2Only")]
ServiceMode: TypeAlias = Annotated[Text, any_case("Tunnel", "DSR")]
WordSwitch: TypeAlias = Annotated[Text, word("Enabled", "Disabled")]


class FelixBPF(Part):
    """Settings whose names begin with `bpf`. There is no eBPF dataplane: they are kept for whoever has one."""

    bpf_attach_type: AttachType | None = setting("How programs are attached to interfaces.")
    bpf_ctlb_log_filter: Text | None = setting("What the connect-time balancer logs: all, or nothing.")
    bpf_connect_time_load_balancing: ConnectTimeBalancing | None = setting(
        "Which services connect-time balancing is for."
    )
    bpf_connect_time_load_balancing_enabled: Bool | None = setting("Older form of bpfConnectTimeLoadBalancing.")
    bpf_conntrack_cleanup_mode: ConntrackMode | None = setting(
        "Who removes old connections from the map.", alias="bpfConntrackMode"
    )
    bpf_conntrack_log_level: ConntrackLogLevel | None = setting("What the removal of old connections logs.")
    bpf_conntrack_timeouts: ConntrackTimeouts | None = setting("How long idle connections are remembered.")
    bpf_dsr_optout_cidrs: tuple[PrefixText, ...] | None = setting("Clients that get answers through the first node.")
    bpf_data_iface_pattern: PatternText | None = setting("Interfaces towards other nodes and the outside.")
    bpf_disable_gro_for_ifaces: PatternText | None = setting("Interfaces whose receive offload is switched off.")
    bpf_disable_unprivileged: Bool | None = setting("Keep unprivileged users from loading programs.")
    bpf_enabled: Bool | None = setting("Use the eBPF dataplane.")
    bpf_enforce_rpf: PathFilter | None = setting("How strictly a packet's source must belong to its interface.")
    bpf_exclude_cidrs_from_nat: tuple[PrefixText, ...] | None = setting("Services that the host's own NAT serves.")
    bpf_export_buffer_size_mb: Int | None = setting("Buffer for events from the kernel, megabytes.")
    bpf_ext_to_service_connmark: Int | None = setting(
        "Mark of connections from outside to local services.", ge=0, le=0xFFFFFFFF
    )
    bpf_external_service_mode: ServiceMode | None = setting("Way of answers to clients outside the cluster.")
    bpf_force_track_packets_from_ifaces: tuple[InterfaceFilter, ...] | None = setting(
        "Interfaces whose packets the kernel's own connection tracking sees."
    )
    bpf_host_conntrack_bypass: Bool | None = setting("Leave the kernel's connection tracking out.")
    bpf_host_networked_nat_without_ctlb: Switch | None = setting("NAT for the host's own traffic to services.")
    bpf_ip_frag_timeout: FelixDuration | None = setting("How long fragments wait for each other.")
    bpf_ip_fragment_reassembly_enabled: Bool | None = setting("Put fragments that come out of order together.")
    bpf_jit_hardening: Hardening | None = setting("Whether the kernel's strictest hardening is lowered.")
    bpf_kube_proxy_healthz_port: PortNumber | None = setting("Port of the health check for balancers; 0 is none.")
    bpf_kube_proxy_iptables_cleanup_enabled: Bool | None = setting("Remove rules that kube-proxy left.")
    bpf_kube_proxy_min_sync_period: FelixDuration | None = setting("Shortest time between two updates of services.")
    bpf_l3_iface_pattern: PatternText | None = setting("Tunnels of others, without Ethernet headers.")
    bpf_log_filters: LogFilters | None = setting("Filter expressions for logs, by interface.")
    bpf_log_level: LogLevel | None = setting("What the programs log.")
    bpf_maglev_max_endpoints_per_service: Int | None = setting("Endpoints of a Maglev service, at most.", ge=1, le=3000)
    bpf_maglev_max_services: Int | None = setting("Maglev services, at most.", ge=1, le=3000)
    bpf_map_size_conntrack: Int | None = setting("Entries of the map of connections.")
    bpf_map_size_conntrack_cleanup_queue: Int | None = setting("Entries of the queue of old connections.", ge=1)
    bpf_map_size_conntrack_scaling: MapScaling | None = setting("Whether a full map of connections grows.")
    bpf_map_size_ipsets: Int | None = setting("Entries of the map of sets.", alias="bpfMapSizeIPSets")
    bpf_map_size_if_state: Int | None = setting("Entries of the map of interfaces.")
    bpf_map_size_nat_affinity: Int | None = setting("Entries of the map of clients that stay with an endpoint.")
    bpf_map_size_nat_backend: Int | None = setting("Entries of the map of services' endpoints.")
    bpf_map_size_nat_frontend: Int | None = setting("Entries of the map of services' addresses.")
    bpf_map_size_per_cpu_conntrack: Int | None = setting(
        "Entries of the map of connections for each CPU; 0 takes bpfMapSizeConntrack.",
        alias="bpfMapSizePerCpuConntrack",
    )
    bpf_map_size_route: Int | None = setting("Entries of the map of routes.")
    bpf_overlay_host_source_ip: OverlaySource | None = setting("Source of the host's own packets through a tunnel.")
    bpf_psnat_ports: PortField | None = setting("Ports to choose from if two connections had the same source port.")
    bpf_policy_debug_enabled: Bool | None = setting("Keep details of policy's programs for looking at them.")
    bpf_profiling: WordSwitch | None = setting("Measure how long programs run.")
    bpf_redirect_to_peer: Redirection | None = setting("Hand packets to a pod past the host's end of its link.")
