"""Names of other objects, ports, prefixes, filters and keys inside of objects: what is let pass and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.resources import dump, load

from .builders import manifest

_KEY = "jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY="


def _rule(**fields: Any) -> dict[str, Any]:
    return {"ingress": [{"action": "Allow", **fields}]}


def _filter(family: str = "V4", **fields: Any) -> dict[str, Any]:
    return {f"export{family}": [{"action": "Accept", **fields}]}


def _verdict(kind: str, spec: dict[str, Any], **more: Any) -> str | None:
    """What is wrong first and where, None if nothing is."""
    name = (
        "default" if kind in {"KubeControllersConfiguration", "BGPConfiguration", "FelixConfiguration"} else "example"
    )
    try:
        load(manifest(kind, spec, name) | more)
    except BadInput as error:
        return f"{error.problems[0].where}: {error.problems[0].what}"
    return None


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("GlobalNetworkPolicy", {"tier": ""}),
    ("FelixConfiguration", {"routeTableRanges": [{"min": 4294967295, "max": 4294967295}]}),
    ("Node", {"vxlanTunnelMACAddr": "AABB.ccdd.eeff"}),
    ("GlobalNetworkPolicy", _rule(notProtocol="ICMP", ipVersion=4)),
    ("GlobalNetworkPolicy", _rule(protocol="TCP", source={"ports": [80.0]})),
    ("GlobalNetworkPolicy", _rule(source={"nets": ["192.0.2.0/24", "198.51.100.7/32"]})),
    ("GlobalNetworkPolicy", _rule(source={"namespaceSelector": " global( ) "})),
    ("GlobalNetworkPolicy", _rule(source={"services": {"name": "a.b-c", "namespace": "shop"}})),
    ("GlobalNetworkPolicy", _rule(http={"paths": [{"exact": "/a\tb"}]})),
    ("GlobalNetworkPolicy", _rule(metadata={"annotations": {"example.org/Note": "any, value"}})),
    ("HostEndpoint", {"node": "node-1.example.org", "interfaceName": "*", "profiles": ["ksa.shop.web"]}),
    ("HostEndpoint", {"node": "a", "interfaceName": "eth0", "ports": [{"name": "a-2", "port": 1, "protocol": "TCP"}]}),
    ("BGPConfiguration", {"ignoredInterfaces": ["*.calico", "eth*", "a"]}),
    ("BGPConfiguration", {"serviceClusterIPs": [{"cidr": "192.0.2.0/24"}]}),
    ("BGPPeer", {"peerIP": "[2001:db8::1]:1"}),
    ("BGPPeer", {"peerIP": "192.0.2.1:65535"}),
    ("BGPPeer", {"peerIP": "[192.0.2.1]:179"}),
    ("Node", {"bgp": {"ipv4Address": "192.0.2.1", "ipv6Address": "2001:db8::1/64"}}),
    ("BGPFilter", _filter(interface="*", communities={"values": ["65535:0"]}, priority=2147483646)),
    ("BGPFilter", _filter(communities={"values": ["4294967295:0:1"]}, asPathPrefix=["1.10", 64496])),
    ("BGPFilter", _filter(cidr="192.0.2.0/24", matchOperator="In", prefixLength={"min": 0, "max": 32})),
    ("BGPFilter", _filter("V6", cidr="2001:db8::/32", matchOperator="NotIn", prefixLength={"max": 128})),
    ("BGPFilter", _filter(operations=[{"prependASPath": {"prefix": [64496] * 10}}, {"setPriority": {"value": 1}}])),
    ("IPReservation", {"reservedCIDRs": ["192.0.2.1/32", "2001:db8::/96"]}),
    ("IPReservation", {}),
]

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("GlobalNetworkPolicy", {"tier": "A B"}, "is not a name"),
    ("GlobalNetworkPolicy", _rule(notProtocol="ICMP", ipVersion=6), "protocol ICMP requires ipVersion 4"),
    ("GlobalNetworkPolicy", _rule(notProtocol=58, ipVersion=4), "protocol ICMPv6 requires ipVersion 6"),
    ("GlobalNetworkPolicy", _rule(protocol="TCP", source={"ports": [80.5]}), "is not a port"),
    ("IPPool", {"cidr": "10.0.0.0/255.255.0.0"}, "is not a prefix"),
    ("FelixConfiguration", {"routeTableRanges": [{"min": 1 << 32, "max": 1 << 32}]}, "max index too high"),
    ("IPPool", {"cidr": "10.0.0.0/016"}, "is not a prefix"),
    ("IPPool", {"cidr": "::ffff:10.0.0.0/112"}, "IPv4-mapped IPv6 address"),
    ("HostEndpoint", {"node": "a", "expectedIPs": ["fe80::1%eth0"]}, "is not an IP address"),
    ("GlobalNetworkPolicy", _rule(source={"nets": ["192.0.2.1"]}), "must be of type cidr"),
    ("GlobalNetworkPolicy", _rule(source={"nets": ["192.0.2.1/24"]}), "host bits"),
    ("GlobalNetworkPolicy", _rule(source={"selector": "a == 'global()'"}), "global() can only be used"),
    ("GlobalNetworkPolicy", _rule(source={"namespaceSelector": "!global()"}), "cannot be combined"),
    ("GlobalNetworkPolicy", _rule(source={"services": {"name": "a_b", "namespace": "shop"}}), "name of a service"),
    ("GlobalNetworkPolicy", _rule(source={"services": {"name": "a", "namespace": "Shop"}}), "namespace of a service"),
    ("GlobalNetworkPolicy", _rule(http={"paths": [{"exact": "/a b"}]}), "Invalid path"),
    ("GlobalNetworkPolicy", _rule(metadata={"annotations": {"a b": "c"}}), "annotation 'a b'"),
    ("HostEndpoint", {"node": "Node", "interfaceName": "eth0"}, "is not a name"),
    ("HostEndpoint", {"node": "a", "interfaceName": "eth0", "profiles": ["A"]}, "is not a name"),
    *(
        (
            "HostEndpoint",
            {"node": "a", "interfaceName": "eth0", "ports": [{"name": name, "port": 1, "protocol": "TCP"}]},
            "is not a port name",
        )
        for name in ("A", "1", "a--b", "-a", "a-", "a.b", "a" * 16)
    ),
    ("BGPConfiguration", {"ignoredInterfaces": ["*"]}, "other than '*' alone"),
    ("BGPConfiguration", {"ignoredInterfaces": ["a" * 16]}, "interface pattern"),
    ("BGPConfiguration", {"serviceClusterIPs": [{"cidr": "192.0.2.1/24"}]}, "host bits"),
    ("BGPPeer", {"peerIP": "[2001:db8::1]"}, "is not"),
    ("BGPPeer", {"peerIP": "[2001:db8::1]:0"}, "port must be"),
    ("BGPPeer", {"node": "a b"}, "is not a name"),
    ("IPPool", {"cidr": "192.0.2.1", "disabled": True}, "must be of type cidr"),
    ("Node", {"bgp": {"ipv4Address": "2001:db8::1/64"}}, "is not an IPv4 address"),
    ("Node", {"bgp": {"ipv6Address": "192.0.2.1/24"}}, "is not an IPv6 address"),
    ("Node", {"bgp": {}}, "Spec.BGP should not be empty"),
    ("BGPFilter", _filter(cidr="192.0.2.0/24"), "must both be set or both be empty"),
    ("BGPFilter", _filter(matchOperator="In"), "must both be set or both be empty"),
    ("BGPFilter", _filter(prefixLength={}), "cidr is required"),
    ("BGPFilter", _filter(cidr="192.0.2.0", matchOperator="In"), "must be of type cidr"),
    ("BGPFilter", _filter(cidr="192.0.2.1/24", matchOperator="In"), "host bits"),
    ("BGPFilter", _filter("V6", cidr="192.0.2.0/24", matchOperator="In"), "is not an IPv6 prefix"),
    ("BGPFilter", _filter(cidr="2001:db8::/32", matchOperator="In"), "is not an IPv4 prefix"),
    ("BGPFilter", _filter(cidr="192.0.2.0/24", matchOperator="In", prefixLength={"max": 33}), "out of range"),
    ("BGPFilter", _filter(operations=[{}]), "at least 1 properties"),
    (
        "BGPFilter",
        _filter(operations=[{"setPriority": {"value": 1}, "addCommunity": {"value": "1:1"}}]),
        "more than 1 properties",
    ),
    ("BGPFilter", _filter(operations=[]), "must not be empty"),
    ("BGPFilter", _filter(operations=[{"setPriority": {"value": 1}}] * 11), "at most 10"),
    ("BGPFilter", _filter(operations=[{"prependASPath": {"prefix": []}}]), "must not be empty"),
    ("BGPFilter", _filter(operations=[{"setPriority": {"value": 0}}]), "out of range"),
    ("BGPFilter", _filter(action="Reject", operations=[{"setPriority": {"value": 1}}]), "only be used with action"),
    ("BGPFilter", _filter(communities={"values": ["1:1", "2:2"]}), "at most 1"),
    ("BGPFilter", _filter(communities={"values": ["65536:0"]}), "expected 16 bit"),
    ("BGPFilter", _filter(communities={"values": ["1:2:4294967296"]}), "expected 32 bit"),
    ("BGPFilter", _filter(communities={"values": ["01:1"]}), "begins with 0"),
    ("BGPFilter", _filter(peerType="ebgp"), "is not allowed"),
    ("BGPFilter", _filter(priority=2147483647), "out of range"),
    ("BGPFilter", _filter(interface="eth 0"), "interface pattern"),
    ("IPReservation", {"reservedCIDRs": ["192.0.2.1"]}, "must be of type cidr"),
    ("IPReservation", {"reservedCIDRs": ["192.0.2.1/32", "192.0.2.1/32"]}, "Duplicate value"),
    ("KubeControllersConfiguration", {"controllers": {"node": {"syncLabels": "yes"}}}, "is not allowed"),
    ("KubeControllersConfiguration", {"logSeverityScreen": "info"}, "is not allowed"),
    ("KubeControllersConfiguration", {"prometheusMetricsPort": 65536}, "out of range"),
    (
        "KubeControllersConfiguration",
        {"controllers": {"node": {"hostEndpoint": {"templates": [{"labels": {"a b": "c"}}]}}}},
        "label 'a b'",
    ),
    *(
        (
            "KubeControllersConfiguration",
            {"controllers": {"node": {"hostEndpoint": {"templates": [{"interfacePattern": pattern}]}}}},
            "interfacePattern",
        )
        for pattern in ("(", "(?=eth)", r"(a)\1")
    ),
]


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED)
def test_right_ones_pass_and_are_kept(kind: str, spec: dict[str, Any]) -> None:
    """What the reference accepts is accepted and printed as it was."""
    assert _verdict(kind, spec) is None
    printed = dump(load(manifest(kind, spec, "default" if kind == "BGPConfiguration" else "example")))["spec"]
    if "asPathPrefix" not in str(spec):  # AS numbers are numbers, however they are written
        assert printed == spec


@pytest.mark.parametrize(("kind", "spec", "what"), REFUSED)
def test_wrong_ones_are_refused(kind: str, spec: dict[str, Any], what: str) -> None:
    """What the reference refuses is refused, and the message says why."""
    verdict = _verdict(kind, spec)

    assert verdict is not None
    assert what in verdict


def test_empty_text_is_nothing() -> None:
    """Where Go leaves an empty text out, it counts as not set."""
    spec = _filter(cidr="", matchOperator="", source="", interface="", peerType="")

    assert dump(load(manifest("BGPFilter", spec)))["spec"] == {"exportV4": [{"action": "Accept"}]}


@pytest.mark.parametrize(("key", "right"), [(_KEY, True), (_KEY[:-4], False), ("nonsense", False), ("ü" * 44, False)])
def test_keys_of_wireguard_are_whole(key: str, right: bool) -> None:
    """A public key is 32 octets in base64."""
    for field in ("wireguardPublicKey", "wireguardPublicKeyV6"):
        verdict = _verdict("Node", {}, status={field: key})

        assert (verdict is None) is right


def test_controllers_have_their_usual_settings() -> None:
    """What is not set is told by properties, as the reference documents it."""
    spec = load(
        manifest("KubeControllersConfiguration", {"controllers": {"node": {"hostEndpoint": {}}}}, "default")
    ).spec
    node = spec.controllers.node

    assert (spec.effective_log_severity_screen.value, spec.effective_health_checks) == ("Info", True)
    assert str(spec.effective_etcd_v3_compaction_period) == "10m0s"
    assert (str(node.effective_reconciler_period), str(node.effective_leak_grace_period)) == ("5m0s", "15m0s")
    assert node.effective_sync_labels
    assert not node.host_endpoint.effective_auto_create
    assert node.host_endpoint.effective_create_default_host_endpoint
    assert spec.controllers.load_balancer is None
