"""Rules that the reference's own examples do not touch: one object each, and the place that is blamed."""

from __future__ import annotations

from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.resources import load

from .builders import manifest

_LONG = "a" * 64


@pytest.mark.parametrize(
    ("kind", "spec", "metadata", "where", "what"),
    [
        ("Tier", {}, {"namespace": "shop"}, "metadata.namespace", "not a namespaced kind"),
        ("Tier", {}, {"name": ""}, "metadata.name", "no name"),
        ("Tier", {}, {"labels": {f"{_LONG}": "x"}}, f"metadata.labels.{_LONG}", "no more than 63"),
        ("Tier", {}, {"labels": {"Upper/role": "x"}}, "metadata.labels.Upper/role", "prefix part"),
        ("Tier", {}, {"labels": {"role": "-"}}, "metadata.labels.role", "valid label"),
        ("Tier", {}, {"annotations": {"note": "x" * 300_000}}, "metadata.annotations", "more than 262144"),
        (
            "BGPConfiguration",
            {
                "communities": [{"name": "c", "value": "x"}],
                "prefixAdvertisements": [{"cidr": "192.0.2.0/24", "communities": ["c"]}],
            },
            {"name": "default"},
            "spec.communities[0].value",
            "invalid community value or format used",
        ),
        ("BGPConfiguration", {"asNumber": 64512}, {"name": "node.node-1"}, "spec.asNumber", "non default"),
        ("BGPConfiguration", {"listenPort": 0}, {"name": "default"}, "spec.listenPort", "out of range"),
        ("HostEndpoint", {"node": "n", "interfaceName": "eth/0"}, {}, "spec.interfaceName", "not an interface name"),
        (
            "HostEndpoint",
            {"node": "n", "interfaceName": "*", "ports": [{"name": "p", "protocol": "ICMP", "port": 1}]},
            {},
            "spec.ports[0].protocol",
            "has no ports",
        ),
        (
            "HostEndpoint",
            {"node": "n", "interfaceName": "*", "ports": [{"name": "", "protocol": "TCP", "port": 1}]},
            {},
            "spec.ports[0].name",
            "no name",
        ),
        (
            "NetworkPolicy",
            {"ingress": [{"action": "Allow", "ipVersion": 6, "source": {"nets": ["192.0.2.0/24"]}}]},
            {"namespace": "shop"},
            "spec.ingress[0].ipVersion",
            "doesn't match CIDR version",
        ),
        (
            "NetworkPolicy",
            {"ingress": [{"action": "Allow", "destination": {"ports": [80]}}]},
            {"namespace": "shop"},
            "spec.ingress[0].destination.ports",
            "numeric port or port range must set protocol",
        ),
        (
            "NetworkPolicy",
            {"ingress": [{"action": "Allow", "http": {"paths": [{"exact": "/a", "prefix": "/b"}]}}]},
            {"namespace": "shop"},
            "spec.ingress[0].http.paths[0]",
            "exactly one",
        ),
        (
            "NetworkPolicy",
            {"ingress": [{"action": "Allow", "source": {"ports": ["a"] * 51}}]},
            {"namespace": "shop"},
            "spec.ingress[0].source.ports",
            "at most 50 items",
        ),
        ("NetworkPolicy", {"selector": "a" * 1025}, {"namespace": "shop"}, "spec.selector", "1025 characters"),
        (
            "NetworkPolicy",
            {"types": ["Ingress", "Ingress"]},
            {"namespace": "shop"},
            "spec.types",
            "Duplicate value: 'Ingress'",
        ),
        ("BGPPeer", {"node": "a" * 254}, {}, "spec.node", "too long"),
        ("IPAMBlock", {"cidr": "192.0.2.0/26", "affinity": "node-1"}, {}, "spec.affinity", "has not the form"),
        (
            "BlockAffinity",
            {"cidr": "192.0.2.0/26", "node": "n", "state": "maybe"},
            {},
            "spec.state",
            "supported values",
        ),
        (
            "WorkloadEndpoint",
            {"interfaceName": "cali0", "ipNetworks": ["192.0.2.0/24"]},
            {},
            "spec.ipNetworks[0]",
            "multiple",
        ),
        ("FelixConfiguration", {"nodeSelector": "all()"}, {"name": "default"}, "spec.nodeSelector", "must not be set"),
        (
            "FelixConfiguration",
            {"defaultEndpointToHostAction": "Acept"},
            {},
            "spec.defaultEndpointToHostAction",
            "supported",
        ),
        ("Node", {"bgp": {}}, {}, "spec.bgp", "Spec.BGP should not be empty"),
        ("CalicoNodeStatus", {"classes": ["BGP"], "updatePeriodSeconds": 0}, {}, "spec.node", "must be specified"),
        ("CalicoNodeStatus", {"node": "n", "updatePeriodSeconds": 10}, {}, "spec.classes", "must be specified"),
        ("CalicoNodeStatus", {"node": "n", "classes": []}, {}, "spec.updatePeriodSeconds", "must be specified"),
        ("BGPConfiguration", {"ignoredInterfaces": [""]}, {"name": "default"}, "spec.ignoredInterfaces[0]", "pattern"),
        ("HostEndpoint", {"node": "n", "interfaceName": "*", "profiles": [""]}, {}, "spec.profiles[0]", "not a name"),
        *(
            (
                "StagedKubernetesNetworkPolicy",
                {"egress": [{"ports": [{"port": "dns"}, port]}]},
                {"namespace": "shop"},
                "spec.egress[0].ports[1]",
                f"conversion to stagednetworkpolicy failed: invalid port {text}",
            )
            for port, text in (
                ({"port": 80, "endPort": 70}, "80:70: minimum port number (80) is greater"),
                ({"port": 65536}, "65536: invalid port format"),
                ({"port": "80", "endPort": 65536}, "80:65536: invalid port format"),
                ({"port": "http", "endPort": 90}, "http:90: invalid name"),
                ({"port": "a b"}, "a b: invalid name"),
            )
        ),
        ("Tier", {"order": float("nan")}, {}, "spec.order", "must be a number"),
    ],
)
def test_a_broken_rule_is_told_at_its_place(
    kind: str, spec: dict[str, Any], metadata: dict[str, Any], where: str, what: str
) -> None:
    """One fault makes one problem, at the field that is to be changed."""
    obj = manifest(kind, spec)
    obj["metadata"].update(metadata)

    with pytest.raises(BadInput) as caught:
        load(obj)

    (problem,) = caught.value.problems
    assert problem.where == where
    assert what in problem.what


@pytest.mark.parametrize(
    "port", [{}, {"port": 0}, {"port": 80, "endPort": 80}, {"endPort": 7}, {"port": "a_b"}, {"port": "8080"}]
)
def test_ports_of_a_staged_policy_that_become_calicos(port: dict[str, Any]) -> None:
    """Those that the reference can convert; an endPort without a port says nothing there."""
    obj = manifest("StagedKubernetesNetworkPolicy", {"ingress": [{"ports": [port]}]})
    obj["metadata"]["namespace"] = "shop"

    assert load(obj).to_json()["spec"]["ingress"] == [{"ports": [port]}]


def test_deleted_affinities_may_say_so_in_text() -> None:
    """The older API writes the flag as text; it is printed as a boolean."""
    spec = {"cidr": "192.0.2.0/26", "node": "node-1", "state": "confirmed", "deleted": "false"}

    assert load(manifest("BlockAffinity", spec)).to_json()["spec"]["deleted"] is False
