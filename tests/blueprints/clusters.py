"""Clusters to ask about: short to write, and drawn at random."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from hypothesis import strategies as st

from blueprints.facts import Facts, load

__all__ = ["documents", "facts", "nodes_in"]


def facts(**changed: Any) -> Facts:
    """Two nodes in one subnet, and what is told otherwise."""
    return load(
        {
            "apiVersion": "blueprints.muslin/v1alpha1",
            "kind": "Cluster",
            "name": "demo",
            "nodes": [{"name": "node-a", "address": "192.0.2.1"}, {"name": "node-b", "address": "192.0.2.2"}],
            "subnets": ["192.0.2.0/24"],
            "networkMTU": 1500,
            "podRange": "10.48.0.0/16",
            **changed,
        }
    )


def nodes_in(*counts: int, racks: int = 0, **more: Any) -> dict[str, Any]:
    """`nodes` and `subnets`: so many nodes in the first subnet, so many in the second, ...; racks in turn."""
    nodes, subnets = [], []
    for number, count in enumerate(counts):
        subnets.append(f"10.{number}.0.0/16")
        for index in range(count):
            node = {"name": f"n{number}-{index}", "address": str(ip_network(subnets[-1])[index + 1]), **more}
            if racks:
                node["rack"] = f"r{index % racks}"
            nodes.append(node)
    return {"nodes": nodes, "subnets": subnets}


@st.composite
def _running(draw: st.DrawFn, *, six: bool) -> dict[str, Any]:
    """What runs already, as far as somebody has said it."""
    ranges = ["2001:db8:4800::/48", "2001:db8:4900::/48"] if six else ["10.48.0.0/16", "10.44.0.0/16"]
    choices: dict[str, list[Any]] = {
        "encapsulation": ["no encapsulation", "IP-in-IP Always", "VXLAN Always"],
        "podRange": ranges,
        "blockSize": [26],
        "asNumber": [64500, 64512],
        "mtu": [1280, 1450, 1500, 9001],
        "routeDistribution": ["node-to-node mesh", "route reflectors", "top-of-rack switches", "none"],
    }
    told = {name: draw(st.sampled_from(values)) for name, values in choices.items() if draw(st.booleans())}
    return told if not six else {name: value for name, value in told.items() if name != "blockSize"}


@st.composite
def documents(draw: st.DrawFn, most_subnets: int = 3) -> dict[str, Any]:
    """Facts as a person may write them: any network, families, size, subnets, MTU, wishes; not all of them possible."""
    maybe = st.sampled_from([None, True, False])
    subnets = draw(st.integers(1, most_subnets))
    families = draw(st.sampled_from(["4", "46", "6"]))
    both, six = families == "46", families == "6"
    nodes, prefixes = [], []
    for number in range(subnets):
        mtu = draw(st.sampled_from([None, 1400, 1500, 9000]))
        own = [f"10.{number}.0.0/24"] * ("4" in families) + [f"2001:db8:{number}::/64"] * ("6" in families)
        in_short = mtu is None and draw(st.booleans())
        prefixes += [cidr if in_short else {"cidr": cidr, **({"mtu": mtu} if mtu else {})} for cidr in own]
        for index in range(1, draw(st.integers(1, 4)) + 1):
            address = f"2001:db8:{number}::{index}" if six else f"10.{number}.0.{index}"
            node: dict[str, Any] = {"name": f"n{number}-{index}", "address": address}
            if both:
                node["addressV6"] = f"2001:db8:{number}::{index}"
            if draw(st.booleans()):
                node["rack"] = draw(st.sampled_from(["r1", "r2", "r3"]))
            if draw(st.integers(0, 7)) == 0:
                node["roles"] = [draw(st.sampled_from(["control-plane", "worker", "reflector"]))]
            if draw(st.integers(0, 3)) == 0:
                node["interfaces"] = [{"name": "eth0", "mtu": draw(st.sampled_from([1450, 1500, 9001]))}]
            nodes.append(node)
    network = {
        name: value
        for name in ("bgp", "ipip", "vxlan", "sourceDestinationChecks", "podAddresses")
        if (value := draw(maybe)) is not None
    }
    told: dict[str, Any] = {
        "apiVersion": "blueprints.muslin/v1alpha1",
        "kind": "Cluster",
        "name": "drawn",
        "nodes": nodes,
        "subnets": prefixes,
        "networkMTU": draw(st.sampled_from([1280, 1500, 9001])),
        **({} if six else {"podRange": draw(st.sampled_from(["10.48.0.0/16", "10.49.0.0/20"]))}),
        "natOutgoing": draw(st.booleans()),
        "network": network,
        "provider": draw(st.sampled_from(["bare-metal", "aws", "azure", "gcp", "other"])),
        "plannedNodes": draw(st.sampled_from([1, 5, 49, 50, 51, 250, 1000])),
    }
    if draw(st.integers(0, 2)) == 0:
        told["topOfRack"] = [
            {"name": f"{rack}{name}", "address": f"{address}{number}", "racks": [rack]}
            | {"asNumber": draw(st.sampled_from([64400, 64401, 64512])), "nextToNodes": draw(st.booleans())}
            for number, rack in enumerate(("r1", "r2")[: len(nodes)], 1)
            for name, address in (("", "10.250.0."), ("-v6", "2001:db8:250::"))[six : 2 - (families == "4")]
        ]
        for index, node in enumerate(nodes):
            node["rack"] = f"r{1 + index % 2}"
        if draw(st.integers(0, 3)) == 0:
            for switch in told["topOfRack"]:
                switch["nodeASNumber"] = 64520 + int(switch["racks"][0][1])
        told["serviceRanges"] = ["10.96.0.0/16"]
        told["routable"] = {"clusterIPs": draw(st.booleans())}
        if not six and draw(st.booleans()):
            told["routable"]["pods"] = "203.0.113.0/26"
            nodes[0]["labels"] = {"network-type": "routable"}
    if "6" in families:
        told["podRangeV6"] = "2001:db8:4800::/48"
    if draw(st.integers(0, 5)) == 0:
        told["externalReflectors"] = [
            {"name": f"bird-{number}", "address": f"2001:db8:260::{number}" if six else f"10.251.0.{number}"}
            | ({"addressV6": f"2001:db8:260::{number}"} if both else {})
            for number in (1, 2)
        ]
    if draw(st.integers(0, 5)) == 0:
        told["hostEndpoints"] = {"operators": ["198.51.100.0/24"], "sshPort": draw(st.sampled_from([22, 2222]))}
    if draw(st.integers(0, 3)) == 0:
        told["running"] = draw(_running(six=six))
    if draw(st.booleans()):
        told["podsPerNode"] = draw(st.sampled_from([30, 110]))
    if draw(st.booleans()):
        told["asNumber"] = draw(st.sampled_from([64500, 4200000000]))
    return told
