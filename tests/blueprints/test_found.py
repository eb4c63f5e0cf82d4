"""What a running cluster tells of itself, as facts: pools, numbers, who reflects."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.found import facts_of_dns, facts_of_kubeadm, facts_of_running, merged
from tests.blueprints.clusters import facts

_POOL = {
    "metadata": {"name": "default-ipv4-ippool"},
    "spec": {"cidr": "10.48.0.0/16", "ipipMode": "CrossSubnet", "vxlanMode": "Never", "blockSize": 26},
}


def _node(name: str, cluster_id: str | None = None) -> dict[str, Any]:
    annotations = {"projectcalico.org/RouteReflectorClusterID": cluster_id} if cluster_id else {}
    return {"metadata": {"name": name, "annotations": annotations}}


@pytest.mark.parametrize(
    ("settings", "nodes", "expected"),
    [
        (None, [_node("a")], {"asNumber": 64512, "routeDistribution": "node-to-node mesh"}),
        ({"spec": {"asNumber": 64500}}, [_node("a")], {"asNumber": 64500, "routeDistribution": "node-to-node mesh"}),
        ({"spec": {"nodeToNodeMeshEnabled": False}}, [_node("a", "1.0.0.1"), _node("b")],
         {"asNumber": 64512, "routeDistribution": "route reflectors", "reflectors": ["a"], "clusterID": "1.0.0.1"}),
        ({"spec": {"nodeToNodeMeshEnabled": False}}, [_node("a")], {"asNumber": 64512}),
    ],
)  # fmt: skip
def test_what_runs(settings: dict[str, Any] | None, nodes: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    """Pools with their encapsulation, the AS number, and how routes are told where that is plain."""
    told = facts_of_running([_POOL], settings, nodes)

    assert told.pop("podRange") == "10.48.0.0/16"
    assert told == {
        "running": {
            "pools": [
                {"name": "default-ipv4-ippool", "cidr": "10.48.0.0/16", "blockSize": 26,
                 "encapsulation": "IP-in-IP CrossSubnet"}
            ],
            **expected,
        }
    }  # fmt: skip


def test_pools_of_others_stay_theirs() -> None:
    """Where the wished range runs already, a pool of somebody's own is not drained away."""
    pools = [{"name": "default-ipv4-ippool", "cidr": "10.48.0.0/16"}, {"name": "mine", "cidr": "10.60.0.0/16"}]
    blueprint = BLUEPRINTS["single_subnet"](facts(running={"pools": pools}), None, None)

    assert blueprint.procedures == ()


@pytest.mark.parametrize(("mode", "told"), [("", "iptables"), ("ipvs", "ipvs"), ("nftables", "nftables")])
def test_kube_proxy_s_mode(mode: str, told: str) -> None:
    """An empty mode is iptables, as kube-proxy has it."""
    found = facts_of_kubeadm([{"kind": "KubeProxyConfiguration", "mode": mode}])

    assert found == {"kubernetes": {"kubeProxyMode": told}}


def test_what_several_sources_tell_is_joined() -> None:
    """Of Kubernetes' settings too, of which each source knows a part."""
    dns = facts_of_dns({"spec": {"clusterIPs": ["10.96.0.10", "2001:db8:96::a"]}})

    assert merged({"kubernetes": {"podSubnets": ["10.48.0.0/16"]}}, dns) == {
        "kubernetes": {"podSubnets": ["10.48.0.0/16"], "dns": ["10.96.0.10", "2001:db8:96::a"]}
    }
    assert facts_of_dns({"spec": {"clusterIP": "None"}}) == {}
