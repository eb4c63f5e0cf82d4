"""Settings of the eBPF dataplane, which nothing here runs: they are checked, kept and given back."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from muslin.resources.felix_values import Switch
from muslin.resources.fields import (
    AnyJson,
    Bool,
    DurationField,
    Int,
    PortField,
    Regexp,
    StringMap,
    Text,
    one_of,
)
from muslin.resources.part import Part

__all__ = ["FelixBPF"]

ConnectTimeBalancing: TypeAlias = Annotated[Text, one_of("TCP", "Enabled", "Disabled")]
InterfaceFilter: TypeAlias = Annotated[Text, Field(pattern=r"^[a-zA-Z0-9_.*+-]{1,15}$")]


class FelixBPF(Part):
    """Settings whose names begin with `bpf`."""

    bpf_attach_type: Text | None = None
    bpf_ctlb_log_filter: Text | None = None
    bpf_connect_time_load_balancing: ConnectTimeBalancing | None = None
    bpf_connect_time_load_balancing_enabled: Bool | None = None
    bpf_conntrack_cleanup_mode: Text | None = None
    bpf_conntrack_log_level: Text | None = None
    bpf_conntrack_timeouts: AnyJson = None
    bpf_dsr_optout_cidrs: tuple[Text, ...] | None = None
    bpf_data_iface_pattern: Regexp | None = None
    bpf_disable_gro_for_ifaces: Regexp | None = None
    bpf_disable_unprivileged: Bool | None = None
    bpf_enabled: Bool | None = None
    bpf_enforce_rpf: Text | None = None
    bpf_exclude_cidrs_from_nat: tuple[Text, ...] | None = None
    bpf_export_buffer_size_mb: Int | None = None
    bpf_ext_to_service_connmark: Int | None = Field(default=None, ge=0, le=4294967295)
    bpf_external_service_mode: Text | None = None
    bpf_force_track_packets_from_ifaces: tuple[InterfaceFilter, ...] | None = None
    bpf_host_conntrack_bypass: Bool | None = None
    bpf_host_networked_nat_without_ctlb: Switch | None = None
    bpf_ip_frag_timeout: DurationField | None = None
    bpf_ip_fragment_reassembly_enabled: Bool | None = None
    bpf_jit_hardening: Text | None = None
    bpf_kube_proxy_healthz_port: Int | None = None
    bpf_kube_proxy_iptables_cleanup_enabled: Bool | None = None
    bpf_kube_proxy_min_sync_period: DurationField | None = None
    bpf_l3_iface_pattern: Regexp | None = None
    bpf_log_filters: StringMap | None = None
    bpf_log_level: Text | None = None
    bpf_maglev_max_endpoints_per_service: Int | None = None
    bpf_maglev_max_services: Int | None = None
    bpf_map_size_conntrack: Int | None = None
    bpf_map_size_conntrack_cleanup_queue: Int | None = None
    bpf_map_size_conntrack_scaling: Text | None = None
    bpf_map_size_ipsets: Int | None = None
    bpf_map_size_if_state: Int | None = None
    bpf_map_size_nat_affinity: Int | None = None
    bpf_map_size_nat_backend: Int | None = None
    bpf_map_size_nat_frontend: Int | None = None
    bpf_map_size_per_cpu_conntrack: Int | None = None
    bpf_map_size_route: Int | None = None
    bpf_overlay_host_source_ip: Text | None = None
    bpf_psnat_ports: PortField | None = None
    bpf_policy_debug_enabled: Bool | None = None
    bpf_profiling: Text | None = None
    bpf_redirect_to_peer: Text | None = None
