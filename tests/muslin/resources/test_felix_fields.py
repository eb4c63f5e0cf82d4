"""What FelixConfiguration's fields accept, as calicoctl does: words, ranges, patterns, rules over several fields."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.errors import BadInput, Problem
from muslin.resources import dump, load
from muslin.resources.felix_configuration import FelixConfigurationSpec
from muslin.resources.openapi import schema_of


def _manifest(spec: dict[str, Any], name: str = "default") -> dict[str, Any]:
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "FelixConfiguration",
        "metadata": {"name": name},
        "spec": spec,
    }


def _problems(spec: dict[str, Any], name: str = "default") -> tuple[Problem, ...]:
    try:
        load(_manifest(spec, name))
    except BadInput as refused:
        return refused.problems
    return ()


_RANGES: tuple[tuple[str, int, int], ...] = (
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


@pytest.mark.parametrize(("field", "low", "high"), _RANGES)
def test_numbers_have_the_reference_s_ranges(field: str, low: int, high: int) -> None:
    """Both ends are accepted, one beyond is refused, and the schema says the same."""
    schema = schema_of(FelixConfigurationSpec)["properties"][field]
    ends = (
        schema["minimum"] + schema.get("exclusiveMinimum", 0),
        schema["maximum"] - schema.get("exclusiveMaximum", 0),
    )

    assert [bool(_problems({field: value})) for value in (low - 1, low, high, high + 1)] == [True, False, False, True]
    assert ends == (low, high)


@pytest.mark.parametrize(
    "spec",
    [
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
    ],
)
def test_what_the_reference_accepts_is_accepted_and_kept(spec: dict[str, Any]) -> None:
    """Such an object is read without a problem, and printed as it was given."""
    assert dump(load(_manifest(spec)))["spec"] == spec


@pytest.mark.parametrize(
    ("spec", "where"),
    [
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
    ],
)
def test_what_the_reference_refuses_is_refused_at_its_place(spec: dict[str, Any], where: str) -> None:
    """One problem, at the field that is wrong."""
    assert [problem.where for problem in _problems(spec)] == [where]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"routeTableRange": {"min": 1, "max": 2}, "routeTableRanges": []},
            "routeTableRange and routeTableRanges cannot both be set",
        ),
        ({"routeTableRange": {"min": 0, "max": 250}}, "must be a range of route table indices within 1..250"),
        ({"routeTableRange": {"min": 1, "max": 251}}, "must be a range of route table indices within 1..250"),
        ({"routeTableRanges": [{"min": 0, "max": 1}]}, "min must be >= 1"),
        ({"routeTableRanges": [{"min": 2, "max": 1}]}, "min must not be greater than max"),
        ({"routeTableRanges": [{"min": 1, "max": 65536}]}, "targets too many tables"),
        ({"natOutgoingAddress": "2001:db8::1"}, "natOutgoingAddress must be a valid IPv4 address"),
        ({"deviceRouteSourceAddress": "192.0.2.1/32"}, "deviceRouteSourceAddress must be a valid IPv4 address"),
        ({"deviceRouteSourceAddressIPv6": "192.0.2.1"}, "deviceRouteSourceAddressIPv6 must be a valid IPv6 address"),
        ({"kubeNodePortRanges": ["http"]}, "node port ranges should not contain named ports"),
        ({"externalNodesList": ["x"]}, "'x' has invalid CIDR(s)"),
        ({"externalNodesList": ["2001:db8::1"]}, "'2001:db8::1' has invalid IPv6 CIDR"),
    ],
)
def test_rules_have_the_reference_s_words(spec: dict[str, Any], message: str) -> None:
    """What is wrong between fields is told in the words that users know."""
    assert [problem.what for problem in _problems(spec)] == [message]


@pytest.mark.parametrize(("name", "allowed"), [("default", False), ("node.a", False), ("rack", True)])
def test_only_objects_of_their_own_name_select_nodes(name: str, allowed: bool) -> None:
    """A selector on the object for all or for one node would contradict its name."""
    assert (_problems({"nodeSelector": "all()"}, name) == ()) == allowed


def test_every_field_says_in_one_line_what_it_is() -> None:
    """The documentation and the CRD take each setting's line from the model."""
    lines = {name: field.description for name, field in FelixConfigurationSpec.model_fields.items()}

    assert [name for name, line in lines.items() if not line or "\n" in line or not line.endswith(".")] == []
    assert len(lines) == 188
