"""Settings of iptables, nftables, XDP and Windows: how rules are written."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from muslin.resources.felix_patterns import PatternText
from muslin.resources.felix_values import (
    AllowAction,
    DenyAction,
    FelixDuration,
    InterfaceFilter,
    MarkMask,
    NFTablesMode,
    Switch,
    setting,
)
from muslin.resources.fields import Bool, DurationField, Int, PortField, Text, any_case, one_of
from muslin.resources.part import Part

__all__ = ["FelixTables"]

ChainInsertMode: TypeAlias = Annotated[Text, any_case("Append", "Insert")]
FlowTableOffload: TypeAlias = Annotated[Text, one_of("All", "Disabled")]
IptablesBackend: TypeAlias = Annotated[Text, one_of("Auto", "Legacy", "NFT")]


class FelixTables(Part):
    """Settings of rules. Only nftables is written here; the others are kept for whoever writes them."""

    chain_insert_mode: ChainInsertMode | None = setting("Whether our rules stand before or after others' rules.")
    ipsets_refresh_interval: FelixDuration | None = setting("Time between two looks at all sets; 0 is never.")
    iptables_backend: IptablesBackend | None = setting("Which iptables is used.")
    iptables_filter_allow_action: AllowAction | None = setting("What iptables does with packets that policy allows.")
    iptables_filter_deny_action: DenyAction | None = setting("What iptables does with packets that policy denies.")
    iptables_lock_probe_interval: FelixDuration | None = setting("Time between two tries for iptables' lock.")
    iptables_mangle_allow_action: AllowAction | None = setting(
        "What iptables does with packets that policy allows before translation."
    )
    iptables_mark_mask: MarkMask | None = setting("Bits of the packet mark that iptables' rules may use.")
    iptables_nat_outgoing_interface_filter: InterfaceFilter | None = setting(
        "Only interface on which pods' sources are translated; '+' at the end for any rest."
    )
    iptables_post_write_check_interval: FelixDuration | None = setting(
        "Time after a write before it is looked at again."
    )
    iptables_refresh_interval: FelixDuration | None = setting("Time between two looks at all of iptables; 0 is never.")
    kube_node_port_ranges: tuple[PortField, ...] | None = setting(
        "Ports of services on nodes, as kube-proxy with IPVS has them.", max_length=7
    )
    max_ipset_size: Int | None = setting("Members of a set, at most.")
    nftables_filter_allow_action: AllowAction | None = setting("What nftables does with packets that policy allows.")
    nftables_filter_deny_action: DenyAction | None = setting("What nftables does with packets that policy denies.")
    nftables_flow_table_data_iface_pattern: PatternText | None = setting(
        "Interfaces between which flows are offloaded."
    )
    nftables_flow_table_offload: FlowTableOffload | None = setting("Which flows go past most of the kernel.")
    nftables_mangle_allow_action: AllowAction | None = setting(
        "What nftables does with packets that policy allows before translation."
    )
    nftables_mark_mask: MarkMask | None = setting("Bits of the packet mark that nftables' rules may use.")
    nftables_mode: NFTablesMode | None = setting("Whether nftables is used; Auto follows kube-proxy.")
    nftables_refresh_interval: DurationField | None = setting("Time between two looks at all of nftables; 0 is never.")
    generic_xdp_enabled: Bool | None = setting("Use XDP also where the driver does not know it.")
    xdp_enabled: Bool | None = setting("Drop early, by XDP, what untracked policy denies.")
    xdp_refresh_interval: FelixDuration | None = setting("Time between two looks at XDP; 0 is never.")
    windows_manage_firewall_rules: Switch | None = setting("Windows: write rules into its firewall.")
