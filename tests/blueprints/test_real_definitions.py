"""What blueprints emit, a real kube-apiserver with our definitions takes."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.staged import states_of
from muslin.resources import dump
from muslin.resources.crd_kinds import CUSTOM_KINDS
from muslin.resources.crds import definitions
from tests.blueprints.clusters import facts, nodes_in
from tests.engines.verdicts import path_of
from tests.support.kube_apiserver import KubeApiserver

pytestmark = pytest.mark.engines

_V6 = {
    "nodes": [
        {"name": "a", "address": "192.0.2.1", "addressV6": "2001:db8:0:1::1", "rack": "r1"},
        {"name": "b", "address": "198.51.100.1", "addressV6": "2001:db8:0:2::1", "rack": "r1"},
    ],
    "subnets": ["192.0.2.0/24", "198.51.100.0/24", "2001:db8:0:1::/64", "2001:db8:0:2::/64"],
    "podRangeV6": "2001:db8:48::/48",
}
_SWITCH = {"name": "t1", "address": "192.0.2.254", "asNumber": 64400, "racks": ["r1"], "passwordSecret": "bgp"}
_ROUTABLE = {"clusterIPs": True, "externalIPs": ["203.0.113.0/27"], "loadBalancerIPs": ["203.0.113.32/27"]}


@pytest.mark.parametrize(
    ("blueprint", "told"),
    [
        ("single_subnet", {}),
        ("single_subnet", {"network": {"bgp": False}}),
        ("multi_subnet", nodes_in(2, 2)),
        ("multi_subnet", {**_V6, "topOfRack": [_SWITCH], "serviceRanges": ["10.96.0.0/16"], "routable": _ROUTABLE}),
        ("route_reflectors", nodes_in(30, 30)),
        ("route_reflectors", {**nodes_in(2), "externalReflectors": [
            {"name": f"bird-{n}", "address": f"203.0.113.{n}", "passwordSecret": "bgp"} for n in (1, 2)]}),
        ("single_subnet", {"startingPolicies": ["default"], "hostEndpoints": {
            "operators": ["198.51.100.0/24"], "sshPort": 2222, "open": [{"protocol": "SCTP", "port": 9}]}}),
        ("single_subnet", {"podRange": None, "podRangeV6": "2001:db8:48::/48", "subnets": ["2001:db8::/64"],
                           "nodes": [{"name": "a", "address": "2001:db8::1"}]}),
        ("multi_subnet", {**_V6, "wireguard": True}),
        ("single_subnet", {"podRange": "10.49.0.0/16", "running": {"podRange": "10.48.0.0/16", "asNumber": 64500}}),
        ("top_of_rack", {**nodes_in(2, racks=1), "topOfRack": [{**_SWITCH, "racks": ["r0"], "nextToNodes": True}]}),
    ],
)  # fmt: skip
def test_the_server_takes_it(kube_apiserver: KubeApiserver, blueprint: str, told: dict[str, Any]) -> None:
    """Every resource that has a definition, in each stage, is created, in a dry run; Nodes are Kubernetes' own."""
    for definition in definitions():
        kube_apiserver.install(definition)
    decided = BLUEPRINTS[blueprint](facts(**told), None, None)
    states = [resource for state in states_of(decided) for resource in state.values()]
    resources = [each for each in dict.fromkeys([*decided.resources, *states]) if each.kind != "Node"]

    assert {each.kind for each in resources} <= set(CUSTOM_KINDS)
    for each in resources:
        namespace = each.metadata.namespace or ""
        answer = kube_apiserver.request("POST", f"{path_of(each.kind, namespace)}?dryRun=All", dump(each))
        assert answer.status == 201, answer
