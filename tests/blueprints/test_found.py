"""What a running cluster tells of itself, as facts: pools, numbers, who reflects."""

from __future__ import annotations

from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.draft import document, fitting, kept
from blueprints.emit import render
from blueprints.facts import load
from blueprints.found import facts_of_dns, facts_of_kubeadm, facts_of_nodes, merged
from blueprints.found_running import facts_of_running, unsaid_peers
from muslin.errors import BadInput
from muslin.resources import dump
from tests.blueprints.clusters import facts, nodes_in

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
        ({"spec": {"nodeToNodeMeshEnabled": False}}, [_node("a")], {"asNumber": 64512, "routeDistribution": "none"}),
    ],
)  # fmt: skip
def test_what_runs(settings: dict[str, Any] | None, nodes: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    """Pools with their encapsulation, the AS number, and how routes are told where that is plain."""
    told = facts_of_running([_POOL], settings, nodes)

    assert told["podRange"] == "10.48.0.0/16"
    assert told["running"] == {
        "pools": [
            {"name": "default-ipv4-ippool", "cidr": "10.48.0.0/16", "blockSize": 26,
             "encapsulation": "IP-in-IP CrossSubnet"}
        ],
        **expected,
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


def _machine(number: int, rack: str, cluster_id: str | None = None) -> dict[str, Any]:
    node = _node(f"n{number}", cluster_id)
    node["metadata"]["labels"] = {"rack": rack}
    node["status"] = {"addresses": [{"type": "InternalIP", "address": f"192.0.2.{number}"}]}
    return node


def _peer(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


_MACHINES = [_machine(number, f"r{number % 2}") for number in range(1, 5)]
_SETTINGS: dict[str, Any] = {"spec": {"asNumber": 64600, "nodeToNodeMeshEnabled": False}}
_NATIVE: dict[str, Any] = {"metadata": {"name": "mine"}, "spec": {"cidr": "10.48.0.0/16", "natOutgoing": True}}


def _begun(told: dict[str, Any], nodes: list[dict[str, Any]] = _MACHINES) -> dict[str, Any]:
    """The file as `init` begins it, of a cluster with these nodes."""
    known = merged(facts_of_nodes(nodes), told, {"subnets": ["192.0.2.0/24"], "networkMTU": 1500, "name": "demo"})
    overrides = kept(load(document(known)))
    return {**document(known), **({"overrides": overrides} if overrides else {})}


@pytest.mark.parametrize(
    ("pool", "settings", "nodes", "peers", "felix", "blueprint"),
    [
        ({}, {"spec": {"asNumber": 64600}}, _MACHINES, [], {}, "single_subnet"),
        ({"vxlanMode": "Always"}, None, _MACHINES, [], {"vxlanMTU": 1450}, "single_subnet"),
        ({"vxlanMode": "CrossSubnet"}, None, _MACHINES, [], {}, "single_subnet"),
        ({"ipipMode": "Always", "blockSize": 24}, None, _MACHINES, [], {"wireguardEnabled": True}, "single_subnet"),
        ({"natOutgoing": False}, None, _MACHINES, [], {}, "single_subnet"),
        ({}, _SETTINGS, _MACHINES, [_peer("tor-a", peerIP="192.0.2.254", asNumber=64700, nodeSelector="rack == 'r0'",
                                          ttlSecurity=1),
                                    _peer("tor-b", peerIP="192.0.2.253", asNumber=64700, nodeSelector="rack == 'r1'",
                                          password={"secretKeyRef": {"name": "bgp", "key": "password"}})],
         {}, "top_of_rack"),
        ({}, _SETTINGS, _MACHINES, [_peer("bird-1", peerIP="192.0.2.251"),
                                    _peer("bird-2", peerIP="192.0.2.252", asNumber=64600)], {}, "route_reflectors"),
        ({}, _SETTINGS, [_machine(1, "r1", "1.0.0.7"), _machine(2, "r2", "1.0.0.7"), *_MACHINES[2:]], [], {},
         "route_reflectors"),
    ],
)  # fmt: skip
def test_a_cluster_that_runs_goes_on_as_it_is(
    pool: dict[str, Any],
    settings: dict[str, Any] | None,
    nodes: list[dict[str, Any]],
    peers: list[dict[str, Any]],
    felix: dict[str, Any],
    blueprint: str,
) -> None:
    """Facts that are begun from it decide what cannot be changed live as it is, and nothing of it in stages."""
    running = {**_NATIVE, "spec": {**_NATIVE["spec"], **pool}}
    whole = load(_begun(facts_of_running([running], settings, nodes, peers, {"spec": felix}), nodes))
    decided = BLUEPRINTS[fitting(whole)](whole, None, None)
    specs = {(each.kind, each.metadata.name): dump(each).get("spec", {}) for each in decided.resources}

    assert (fitting(whole), decided.procedures) == (blueprint, ())
    written = specs["IPPool", "mine"]
    for field, usual in (("vxlanMode", "Never"), ("blockSize", 26), ("natOutgoing", True)):
        assert written.get(field, False) == pool.get(field, usual), field
    number = ((settings or {}).get("spec") or {}).get("asNumber", 64512)
    assert specs["BGPConfiguration", "default"].get("asNumber", 64512) == number
    assert specs.get(("FelixConfiguration", "default"), {}).get("wireguardEnabled", False) is (
        "wireguardEnabled" in felix
    )
    for each in peers:
        (ours,) = [
            spec for (kind, _), spec in specs.items() if kind == "BGPPeer" and spec["peerIP"] == each["spec"]["peerIP"]
        ]
        assert {name: ours[name] for name in ("ttlSecurity", "password", "nodeSelector") if name in ours} == {
            name: each["spec"][name] for name in ("ttlSecurity", "password", "nodeSelector") if name in each["spec"]
        }
    assert render(decided)


def test_services_and_pods_that_are_announced_stay_so() -> None:
    """With the second pool's nodes, whose label stays."""
    nodes = [*_MACHINES[1:], {**_machine(1, "r1")}]
    nodes[-1]["metadata"]["labels"]["network-type"] = "routable"
    second = {"metadata": {"name": "routable-ipv4-ippool"}, "spec": {"cidr": "203.0.113.0/26"}}
    settings = {"spec": {**_SETTINGS["spec"], "serviceClusterIPs": [{"cidr": "10.96.0.0/16"}],
                         "serviceExternalIPs": [{"cidr": "198.51.100.0/25"}],
                         "serviceLoadBalancerIPs": [{"cidr": "198.51.100.128/25"}]}}  # fmt: skip
    told = facts_of_running([second, _NATIVE], settings, nodes, [_peer("t", peerIP="192.0.2.254", asNumber=64700)])

    assert (told["podRange"], told["serviceRanges"]) == ("10.48.0.0/16", ["10.96.0.0/16"])
    assert told["routable"] == {
        "clusterIPs": True,
        "externalIPs": ["198.51.100.0/25"],
        "loadBalancerIPs": ["198.51.100.128/25"],
        "pods": "203.0.113.0/26",
    }
    whole = load(_begun(told, nodes))
    assert BLUEPRINTS[fitting(whole)](whole, None, None).decision("routable pods").chosen == "203.0.113.0/26"


@pytest.mark.parametrize(
    "spec",
    [
        {"peerIP": "192.0.2.254:1179", "asNumber": 64700},
        {"peerIP": "192.0.2.254", "asNumber": 64700, "nodeSelector": "kubernetes.io/hostname == 'n1'"},
        {"peerIP": "192.0.2.254", "asNumber": 64700, "nodeSelector": "rack == "},
        {"peerIP": "192.0.2.254", "asNumber": 64700, "node": "n1"},
    ],
)
def test_peers_that_facts_can_not_say(spec: dict[str, Any]) -> None:
    """They are named, and how routes are told is left open instead of wrong."""
    told = facts_of_running([_NATIVE], _SETTINGS, _MACHINES, [_peer("odd", **spec)])

    assert unsaid_peers([_peer("odd", **spec)], _MACHINES, _SETTINGS) == ("odd",)
    assert ("topOfRack" in told, "routeDistribution" in told["running"]) == (False, False)


def test_wrong_reflectors_outside_are_told() -> None:
    """Who names one gets no mesh instead, without a word."""
    given = facts(externalReflectors=[{"name": "bird-1", "address": "192.0.2.251"}])

    assert fitting(given) == "route_reflectors"
    with pytest.raises(BadInput, match="name a second one"):
        BLUEPRINTS[fitting(given)](given, None, None)


def test_nodes_that_are_named_for_it_reflect() -> None:
    """Also below 50 nodes, where a mesh would do."""
    roles = [{"name": f"n{number}", "address": f"192.0.2.{number}"} for number in range(1, 5)]
    for node in roles[:2]:
        node["roles"] = ["reflector"]  # type: ignore[assignment]

    assert fitting(facts(nodes=roles)) == "route_reflectors"
    racks = nodes_in(6, racks=2)
    assert (fitting(facts(**racks)), fitting(facts(**racks, reflectorsPerRack=True))) == (
        "single_subnet", "route_reflectors",
    )  # fmt: skip


def test_strange_nodes_are_read_as_far_as_they_are_known() -> None:
    """Names in place of addresses, notes of somebody else, and nothing at all."""
    strange = {
        "metadata": {"name": "n", "annotations": {"projectcalico.org/IPv4Address": "here/24"}},
        "status": {"addresses": [{"type": "InternalIP", "address": "host.example.org"}, {"type": "InternalIP"}, 7]},
    }

    assert facts_of_nodes([strange, {}]) == {"nodes": [{"name": "n"}, {"name": None}]}


def test_reflectors_of_ours_are_found_again() -> None:
    """With both addresses, and the names that facts gave them."""
    peers = [
        _peer("rr-bird-1", peerIP="192.0.2.251"), _peer("rr-bird-1-v6", peerIP="2001:db8::251"),
        _peer("rr-bird-2", peerIP="192.0.2.252"), _peer("rr-bird-2-v6", peerIP="2001:db8::252"),
    ]  # fmt: skip

    assert facts_of_running([_NATIVE], _SETTINGS, _MACHINES, peers)["externalReflectors"] == [
        {"name": "bird-1", "address": "192.0.2.251", "asNumber": 64600, "addressV6": "2001:db8::251"},
        {"name": "bird-2", "address": "192.0.2.252", "asNumber": 64600, "addressV6": "2001:db8::252"},
    ]
    assert unsaid_peers(peers, _MACHINES, _SETTINGS) == ()
