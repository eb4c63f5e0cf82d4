"""Settings of encapsulation: IP-in-IP, VXLAN, WireGuard."""

from __future__ import annotations

from muslin.resources.felix_values import FelixDuration, WireguardInterface, setting
from muslin.resources.fields import Bool, Int
from muslin.resources.part import Part

__all__ = ["FelixOverlay"]

_PORT = {"gt": 0, "le": 65535}


class FelixOverlay(Part):
    """Settings of encapsulation. An MTU of 0 is computed from the links between the nodes."""

    vxlan_enabled: Bool | None = setting("Make the VXLAN device; if unset, where a pool needs it.")
    vxlan_mtu: Int | None = setting("MTU inside IPv4 VXLAN.")
    vxlan_mtu_v6: Int | None = setting("MTU inside IPv6 VXLAN.")
    vxlan_port: Int | None = setting("UDP port of VXLAN.")
    vxlan_vni: Int | None = setting("Network identifier of VXLAN.")
    ipip_enabled: Bool | None = setting("Make the IP-in-IP device; if unset, where a pool needs it.")
    ipip_mtu: Int | None = setting("MTU inside IP-in-IP.")
    wireguard_enabled: Bool | None = setting("Encrypt IPv4 between nodes.")
    wireguard_enabled_v6: Bool | None = setting("Encrypt IPv6 between nodes.")
    wireguard_host_encryption_enabled: Bool | None = setting("Encrypt also what nodes themselves send.")
    wireguard_interface_name: WireguardInterface | None = setting("Name of the WireGuard device for IPv4.")
    wireguard_interface_name_v6: WireguardInterface | None = setting("Name of the WireGuard device for IPv6.")
    wireguard_listening_port: Int | None = setting("UDP port of WireGuard for IPv4.", **_PORT)
    wireguard_listening_port_v6: Int | None = setting("UDP port of WireGuard for IPv6.", **_PORT)
    wireguard_mtu: Int | None = setting("MTU inside WireGuard for IPv4.")
    wireguard_mtu_v6: Int | None = setting("MTU inside WireGuard for IPv6.")
    wireguard_keep_alive: FelixDuration | None = setting("Time between two signs of life to a peer; 0 is never.")
    wireguard_routing_rule_priority: Int | None = setting(
        "Place of WireGuard's rule among routing rules.", gt=0, lt=32766
    )
    wireguard_threading_enabled: Bool | None = setting("Spread WireGuard's work over threads of the kernel.")
