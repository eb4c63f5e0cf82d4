"""What the network outside reaches by its own address: some pods, services."""

from __future__ import annotations

from typing import Any, Final

from blueprints.addressing import BLOCK_LENGTHS
from blueprints.asking import Asked
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.distribution import BGP
from blueprints.fact_parts import KubeProxyMode
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from muslin.net import Prefix
from muslin.resources.keys import Key

__all__ = ["LABEL", "OTHERS", "ROUTABLE", "ROUTABLE_POOL", "VALUE", "routable", "routable_pool", "service_fields"]

LABEL: Final = "network-type"
"""Nodes on which it is `routable` give their pods addresses that the outside reaches."""
VALUE: Final = "routable"
ROUTABLE: Final = f"{LABEL} == '{VALUE}'"
OTHERS: Final = f"{LABEL} != '{VALUE}'"
"""All other nodes, those without the label among them."""
ROUTABLE_POOL: Final = Key("IPPool", "routable-ipv4-ippool")

_LONGEST: Final = 32
_PROXY: Final = {
    None: "kube-proxy still spreads the connections, at random with iptables",
    KubeProxyMode.IPTABLES: "kube-proxy still spreads the connections, at random, and takes longer with each service",
    KubeProxyMode.IPVS: "kube-proxy still spreads the connections, in the same time for any number of services",
    KubeProxyMode.NFTABLES: "kube-proxy still spreads the connections, at random, in the same time for any number",
    KubeProxyMode.NONE: "what takes kube-proxy's place must answer for the services' addresses on every node",
}
"""Mapping[mode, what spreads the connections once a packet is on a node]."""


def routable(asked: Asked) -> None:
    """Ask about both, where the facts wish for them."""
    wish = asked.facts.routable
    if wish.pods is not None:
        asked.add(_pods(asked, wish.pods))
    if wish.services:
        asked.add(_services(asked))


def _nodes(facts: Facts) -> int:
    return sum(node.labels.get(LABEL) == VALUE for node in facts.nodes)


def _length(given: Prefix, nodes: int) -> int:
    """Of blocks: /26, or as long as it must be for every node to get one."""
    return max(BLOCK_LENGTHS[4], given.prefixlen + (max(1, nodes) - 1).bit_length())


def _pods(asked: Asked, given: Prefix) -> Outcome:
    facts, where = asked.facts, asked.place("routable", "pods")
    nodes = _nodes(facts)
    fix = "give an IPv4 range that nothing else uses, outside of podRange"
    if facts.pod_range is None:
        what = f"pods have no IPv4 addresses, so none of {given}; IPv6 needs no second pool: set natOutgoing: false"
        return refuse(Must.RANGE_OF_ITS_OWN, what, where, "leave it out", section("Routable Pod Network"))
    if given.version != 4 or given.overlaps(facts.pod_range):
        reason = "is not IPv4" if given.version != 4 else f"overlaps the pod range {facts.pod_range}: pools may not"
        source = section("Routable Pod Network")
        return refuse(Must.RANGE_OF_ITS_OWN, f"the range of routable pods {given} {reason}", where, fix, source)
    if not nodes:
        what = f"no node has the label {LABEL}: routable, so no pod would get an address of {given}"
        return refuse(
            Must.ROOM_FOR_ALL, what, asked.place("nodes"), "set the label of the nodes that are for such pods"
        )
    length = _length(given, nodes)
    if length > _LONGEST:
        what = f"{given} has fewer addresses than there are nodes for routable pods, {nodes}"
        return refuse(
            Must.ROOM_FOR_ALL, what, where, f"give a range of at least /{_LONGEST - (nodes - 1).bit_length()}"
        )
    if not facts.top_of_rack:
        return _unheard(asked, f"nobody outside would learn a route to {given}")
    return Decision(
        "routable pods",
        str(given),
        "a second pool for the nodes with the label; without NAT, which would hide the addresses it makes routable",
        {"routable.pods": str(given), "nodes with the label": str(nodes), "podRange": str(facts.pod_range)},
        (
            Alternative(
                "the whole pod range", f"would take {facts.pod_range.num_addresses} addresses of the network's"
            ),
            Alternative(
                "a cluster of its own with a small range", "simpler to run than two models in one; consider it"
            ),
            Alternative("services or an ingress controller", "pods' addresses come and go: prefer these where you can"),
        ),
        f"it costs {given.num_addresses} addresses of the network's; blocks of /{length}, one route each; taints and"
        " admission control decide who runs there; the switches learn routes of the other pool as well",
        section("Routable Pod Network"),
        (
            (ROUTABLE_POOL, ("spec", "cidr")),
            (ROUTABLE_POOL, ("spec", "nodeSelector")),
            (ROUTABLE_POOL, ("spec", "blockSize")),
        ),
    )


def _unheard(asked: Asked, what: str) -> Outcome:
    fix = "name the switches that shall hear of it under topOfRack, or leave this out"
    return refuse(Must.SOMEBODY_LISTENS, what, asked.place("routable"), fix)


def _services(asked: Asked) -> Outcome:
    facts = asked.facts
    wish = facts.routable
    if wish.cluster_ips and not facts.services:
        what = "the services' addresses are to be announced, and their range is not given"
        return refuse(Must.SOMEBODY_LISTENS, what, asked.place("routable"), "set serviceRanges")
    if not facts.top_of_rack:
        return _unheard(asked, "nobody outside would learn a route to services")
    fields = service_fields(facts)
    told = [each["cidr"] for ranges in fields.values() for each in ranges]
    return Decision(
        "routable services",
        ", ".join(told),
        "nodes announce the ranges of services to the switches; every node takes what comes for them",
        {
            "routable.clusterIPs": "true" if wish.cluster_ips else "false",
            "routable.externalIPs": ", ".join(map(str, wish.external_ips)) or "none",
            "routable.loadBalancerIPs": ", ".join(map(str, wish.load_balancer_ips)) or "none",
            "kubernetes.kubeProxyMode": proxy.value if (proxy := facts.kubernetes.kube_proxy_mode) else "unset",
        },
        (Alternative("an outside load balancer and an ingress controller", "not wished; more usual for Kubernetes"),),
        f"switches need ECMP, else one node carries everything; {_PROXY[facts.kubernetes.kube_proxy_mode]}; a service"
        " with externalTrafficPolicy Local is announced by its own nodes alone, and keeps the client's address",
        section("Routable Service Network"),
        tuple((BGP, ("spec", name)) for name in fields),
    )


def service_fields(facts: Facts) -> dict[str, list[dict[str, str]]]:
    """Mapping[field of BGPConfiguration, ranges] of what is announced."""
    wish = facts.routable
    ranges = {
        "serviceClusterIPs": facts.services if wish.cluster_ips else (),
        "serviceExternalIPs": wish.external_ips,
        "serviceLoadBalancerIPs": wish.load_balancer_ips,
    }
    return {name: [{"cidr": str(each)} for each in given] for name, given in ranges.items() if given}


def routable_pool(facts: Facts, like: dict[str, Any]) -> dict[str, Any]:
    """Spec of the second pool, with the encapsulation of the first."""
    given = facts.routable.pods
    if given is None:
        raise ValueError("no pods are to be routable")
    return {
        **like,
        "cidr": str(given),
        "blockSize": _length(given, _nodes(facts)),
        "natOutgoing": False,
        "nodeSelector": ROUTABLE,
    }
