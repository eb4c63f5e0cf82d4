"""Specs of FelixConfiguration that the reference's client accepts, and others that it refuses, field by field."""

from __future__ import annotations

from typing import Any

__all__ = ["ACCEPTED", "RANGES", "REFUSED", "felix_manifest"]


def felix_manifest(spec: dict[str, Any], name: str = "default") -> dict[str, Any]:
    """An object with this spec."""
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "FelixConfiguration",
        "metadata": {"name": name},
        "spec": spec,
    }


RANGES: tuple[tuple[str, int, int], ...] = (
    ("debugPort", 0, 65535),
    ("bpfExtToServiceConnmark", 0, 4294967295),
    ("bpfKubeProxyHealthzPort", 0, 65535),
    ("ipv4NormalRoutePriority", 1, 2147483646),
    ("ipv4ElevatedRoutePriority", 1, 2147483646),
    ("ipv6NormalRoutePriority", 1, 2147483646),
    ("ipv6ElevatedRoutePriority", 1, 2147483646),
    ("wireguardListeningPort", 1, 65535),
    ("wireguardListeningPortV6", 1, 65535),
    ("wireguardRoutingRulePriority", 1, 32765),
    ("bpfMaglevMaxEndpointsPerService", 1, 3000),
    ("bpfMaglevMaxServices", 1, 3000),
    ("logActionRateLimitBurst", 0, 9999),
    ("iptablesMarkMask", 0, 4294967295),
    ("nftablesMarkMask", 0, 4294967295),
)
"""Fields with the least and the greatest number that each may have."""

ACCEPTED: list[dict[str, Any]] = [
    {"healthPort": 70000, "prometheusMetricsPort": -1, "metadataPort": 70000, "vxlanPort": 0},
    {"goGCThreshold": -1, "goMaxProcs": -1, "goMemoryLimitMB": -1, "bpfMapSizeConntrackCleanupQueue": 1},
    {"logSeverityScreen": "debug", "chainInsertMode": "APPEND", "bpfLogLevel": "", "routeSource": "workloadips"},
    {"serviceLoopPrevention": "", "workloadSourceSpoofing": "Any", "bpfAttachType": "Netkit", "ipForwarding": ""},
    {"featureDetectOverride": "A=true,b-C=,D_1=false", "featureGates": "A=x,B=y;z"},
    {"logActionRateLimit": "10/minute", "logPrefix": "a %t/%n: _-1"},
    {
        "prometheusMetricsHost": "fe80::1",
        "wireguardInterfaceName": "*",
        "iptablesNATOutgoingInterfaceFilter": "eth+",
    },
    {"bpfForceTrackPacketsFromIfaces": ["docker+", "a:b"], "bpfLogFilters": {"eth0.1": "tcp port 80"}},
    {"bpfConntrackTimeouts": {"tcpFinsSeen": "Auto", "udpTimeout": "1m30s"}, "bpfConntrackMode": "BPFProgram"},
    {"bpfDSROptoutCIDRs": ["192.0.2.1", "198.51.100.7/24"], "bpfExcludeCIDRsFromNAT": []},
    {"routeRefreshInterval": "1h30m0s", "nftablesRefreshInterval": "-1µs", "netlinkTimeout": "10ms"},
    {"failsafeInboundHostPorts": [{"port": 0, "protocol": "anything", "net": "anywhere"}]},
    {"healthTimeoutOverrides": [{"name": "Calc graph_1-x", "timeout": "0s"}]},
    {"istioDSCPMark": 255, "mtuIfacePattern": r"(?P<x>a)[[:alpha:]]\z", "kubeNodePortRanges": [1, "2:3"]},
    {"natOutgoingAddress": "", "deviceRouteSourceAddressIPv6": "2001:db8::1", "openstackRegion": "r" * 47},
]
"""Specs that are accepted, written as they are printed."""

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"goGCThreshold": -2}, "spec.goGCThreshold"),
    ({"bpfMapSizeConntrackCleanupQueue": 0}, "spec.bpfMapSizeConntrackCleanupQueue"),
    ({"serviceLoopPrevention": "drop"}, "spec.serviceLoopPrevention"),
    ({"iptablesBackend": "nft"}, "spec.iptablesBackend"),
    ({"floatingIPs": ""}, "spec.floatingIPs"),
    ({"bpfConntrackCleanupMode": "Auto"}, "spec.bpfConntrackCleanupMode"),
    ({"featureDetectOverride": "A=yes"}, "spec.featureDetectOverride"),
    ({"featureGates": "A"}, "spec.featureGates"),
    ({"logActionRateLimit": "0/minute"}, "spec.logActionRateLimit"),
    ({"logPrefix": "a{b}"}, "spec.logPrefix"),
    ({"prometheusMetricsHost": "a b"}, "spec.prometheusMetricsHost"),
    ({"wireguardInterfaceNameV6": "wg&0"}, "spec.wireguardInterfaceNameV6"),
    ({"bpfForceTrackPacketsFromIfaces": ["a@b"]}, "spec.bpfForceTrackPacketsFromIfaces[0]"),
    ({"bpfLogFilters": {"a b": ""}}, "spec.bpfLogFilters"),
    ({"bpfConntrackTimeouts": {"udpTimeout": "60"}}, "spec.bpfConntrackTimeouts.udpTimeout"),
    ({"bpfDSROptoutCIDRs": ["x"]}, "spec.bpfDSROptoutCIDRs[0]"),
    ({"routeRefreshInterval": "-1s"}, "spec.routeRefreshInterval"),
    ({"routeRefreshInterval": ""}, "spec.routeRefreshInterval"),
    ({"failsafeInboundHostPorts": [{"protocol": "tcp"}]}, "spec.failsafeInboundHostPorts[0].port"),
    ({"healthTimeoutOverrides": [{"name": "a/b", "timeout": "1s"}]}, "spec.healthTimeoutOverrides[0].name"),
    ({"healthTimeoutOverrides": [{"name": "a", "timeout": "-1s"}]}, "spec.healthTimeoutOverrides[0].timeout"),
    ({"istioDSCPMark": 256}, "spec.istioDSCPMark"),
    ({"mtuIfacePattern": "(?=a)"}, "spec.mtuIfacePattern"),
    ({"kubeNodePortRanges": ["http"]}, "spec.kubeNodePortRanges[0]"),
    ({"kubeNodePortRanges": [0]}, "spec.kubeNodePortRanges[0]"),
    ({"kubeNodePortRanges": list(range(1, 9))}, "spec.kubeNodePortRanges"),
    ({"openstackRegion": "r" * 48}, "spec.openstackRegion"),
]
"""Specs with one mistake, and its place."""
