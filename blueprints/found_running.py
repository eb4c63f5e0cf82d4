"""What Calico's own objects tell of a cluster that runs, as facts: pools, numbers, who tells routes, what is outside.

What runs is taken for proof of what the network lets through, and for a wish where nobody has said otherwise: facts
that are begun from a cluster do not change it by leaving something out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from muslin.net import AsNumber, parse_address, parse_prefix
from muslin.selectors import SelectorError, parse

__all__ = ["CLUSTER_ID", "NETWORK_TYPE", "facts_of_running", "mapping", "rack_of", "unsaid_peers"]

CLUSTER_ID: Final = "projectcalico.org/RouteReflectorClusterID"
NETWORK_TYPE: Final = "network-type"
"""Label of nodes whose pods are routable."""
_ROUTABLE_POOL: Final = "routable-ipv4-ippool"
_OWN_AS: Final = "projectcalico.org/ASNumber"
_RACK, _ZONE = "rack", "topology.kubernetes.io/zone"
_FIELDS: Final = {"ipipMode": "IP-in-IP", "vxlanMode": "VXLAN"}
_MTUS: Final = {"IP-in-IP": "ipipMTU", "VXLAN": "vxlanMTU"}
_MTUS_V6: Final = {"VXLAN": "vxlanMTUV6"}
_PLAIN: Final = "no encapsulation"
_DEFAULT_AS: Final = 64512
_OURS: Final = "tor-"
"""What blueprints put before a switch's name."""
_REFLECTOR, _SIX = "rr-", "-v6"
"""What they put before a reflector's name, and behind it for its IPv6 address."""


def facts_of_running(
    pools: Iterable[Mapping[str, Any]],
    settings: Mapping[str, Any] | None,
    nodes: Iterable[Mapping[str, Any]],
    peers: Iterable[Mapping[str, Any]] = (),
    felix: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What runs, and the facts that follow from it.

    Args:
        pools: Calico's.
        settings: BGPConfiguration `default`.
        nodes: Kubernetes', with Calico's annotations.
        peers: BGPPeers.
        felix: FelixConfiguration `default`.
    """
    listed, machines, peers = list(pools), list(nodes), list(peers)
    told = [_pool(mapping(each.get("metadata")), mapping(each.get("spec"))) for each in listed]
    spec, agents = mapping((settings or {}).get("spec")), mapping((felix or {}).get("spec"))
    used = [each for each in listed if not mapping(each.get("spec")).get("disabled")] or listed
    modes = [each["encapsulation"] for each, whole in zip(told, listed, strict=True) if whole in used]
    number = spec.get("asNumber")
    reflecting = {_name(each): str(its) for each in machines if (its := _annotations(each).get(CLUSTER_ID))}
    outside = _outside(peers, machines, _number(number, _DEFAULT_AS))
    running: dict[str, Any] = {"pools": told, "asNumber": number or _DEFAULT_AS}
    if (mtu := _mtu(agents, told)) is not None:
        running["mtu"] = mtu
    if reflecting:
        running |= {"routeDistribution": "route reflectors", "reflectors": sorted(reflecting)}
        running["clusterID"] = min(reflecting.values())
    elif (how := _distribution(spec, modes, outside, unsaid=bool(unsaid_peers(peers, machines, settings)))) is not None:
        running["routeDistribution"] = how
    routable = [str(each["cidr"]) for each in told if each["name"] == _ROUTABLE_POOL]
    found: dict[str, Any] = {**_ranges(told, used), **outside, **_announced(spec, routable)}
    if number:
        found["asNumber"] = number
    if len(set(reflecting.values())) == 1:
        found["clusterID"] = running["clusterID"]
    if not _any_nat(used):
        found["natOutgoing"] = False
    if agents.get("wireguardEnabled") or agents.get("wireguardEnabledV6"):
        found["wireguard"] = True
    if len(machines) > 1 and any(mode == _PLAIN or mode.endswith("CrossSubnet") for mode in modes):
        found["network"] = {"sourceDestinationChecks": False, "podAddresses": True}
    return {**found, "running": running}


def unsaid_peers(
    peers: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]], settings: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Names of BGPPeers with an address that facts can't say: a port, a selector of other things than racks."""
    machines, listed = list(nodes), list(peers)
    number = _number(mapping((settings or {}).get("spec")).get("asNumber"), _DEFAULT_AS)
    told = [each for found in _outside(listed, machines, number).values() for each in found]
    said = {each[field] for each in told for field in ("address", "addressV6") if field in each}
    return tuple(
        _name(each)
        for each in listed
        if (address := mapping(each.get("spec")).get("peerIP")) and str(address) not in said
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, empty where it is none."""
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def rack_of(labels: Mapping[str, Any]) -> str | None:
    """What a node fails with, as its labels tell: its rack, else its zone."""
    return labels.get(_RACK) or labels.get(_ZONE) or None


def _name(obj: Mapping[str, Any]) -> str:
    return str(mapping(obj.get("metadata")).get("name"))


def _labels(obj: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in mapping(mapping(obj.get("metadata")).get("labels")).items()}


def _annotations(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(obj.get("metadata")).get("annotations"))


def _pool(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    named = {(field, mode): f"{name} {mode}" for field, name in _FIELDS.items() for mode in ("Always", "CrossSubnet")}
    modes = [named[each] for field in _FIELDS if (each := (field, str(spec.get(field)))) in named]
    pool = {"name": metadata.get("name"), "cidr": spec.get("cidr")}
    length = {"blockSize": spec["blockSize"]} if "blockSize" in spec else {}
    return {**pool, **length, "encapsulation": modes[0] if modes else _PLAIN}


def _ranges(told: Sequence[Mapping[str, Any]], used: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each family the range of the first pool that gives addresses."""
    names = [_name(each) for each in used]
    ranges: dict[str, Any] = {}
    usual = [pool for pool in told if pool["name"] != _ROUTABLE_POOL]
    for each in sorted(usual, key=lambda pool: pool["name"] not in names):
        cidr = parse_prefix(str(each["cidr"]))
        ranges.setdefault("podRange" if cidr.version == 4 else "podRangeV6", str(cidr))
    return ranges


def _any_nat(used: Sequence[Mapping[str, Any]]) -> bool:
    """Whether pods leave with their node's address; of IPv4 alone, where there is such a pool."""
    specs = [mapping(each.get("spec")) for each in used if _name(each) != _ROUTABLE_POOL]
    old = [each for each in specs if ":" not in str(each.get("cidr"))]
    return any(each.get("natOutgoing") for each in old or specs)


def _mtu(agents: Mapping[str, Any], told: Sequence[Mapping[str, Any]]) -> int | None:
    """What pods have, where agents are told it for every tunnel that is used."""
    fields = set[str]()
    for pool in told:
        kind = str(pool["encapsulation"]).rpartition(" ")[0]
        by_kind = _MTUS_V6 if ":" in str(pool["cidr"]) else _MTUS
        fields |= {by_kind[kind]} if kind in by_kind else set()
    fields |= {"wireguardMTU"} if agents.get("wireguardEnabled") else set()
    given = [each for field in fields if isinstance(each := agents.get(field), int) and each > 0]
    return min(given) if given and len(given) == len(fields) else None


def _distribution(
    spec: Mapping[str, Any], modes: Sequence[str], outside: Mapping[str, Any], *, unsaid: bool
) -> str | None:
    """How routes are told where no node reflects; None where it is not plain."""
    if spec.get("nodeToNodeMeshEnabled", True):
        return None if all(each.startswith("VXLAN") for each in modes) else "node-to-node mesh"
    if "externalReflectors" in outside:
        return "route reflectors"
    return "top-of-rack switches" if "topOfRack" in outside else None if unsaid else "none"


def _announced(spec: Mapping[str, Any], pods: Sequence[str]) -> dict[str, Any]:
    """Services and pods that the outside hears of."""
    ranges = {
        name: [str(mapping(each).get("cidr")) for each in _list(spec.get(name))]
        for name in ("serviceClusterIPs", "serviceExternalIPs", "serviceLoadBalancerIPs")
    }
    told: dict[str, Any] = {"clusterIPs": True} if ranges["serviceClusterIPs"] else {}
    told |= {"externalIPs": ranges["serviceExternalIPs"]} if ranges["serviceExternalIPs"] else {}
    told |= {"loadBalancerIPs": ranges["serviceLoadBalancerIPs"]} if ranges["serviceLoadBalancerIPs"] else {}
    told |= {"pods": pods[0]} if pods else {}
    found: dict[str, Any] = {"routable": told} if told else {}
    return found | ({"serviceRanges": ranges["serviceClusterIPs"]} if ranges["serviceClusterIPs"] else {})


def _outside(
    peers: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]], number: int
) -> dict[str, list[dict[str, Any]]]:
    """Switches, and reflectors outside: peers by address, as far as facts can say them."""
    switches, reflectors = [], []
    for each in peers:
        spec = mapping(each.get("spec"))
        try:
            address = str(parse_address(str(spec.get("peerIP") or "")))
            chosen = [node for node in nodes if _selects(spec, node)]
        except (ValueError, SelectorError):
            continue
        its = _number(spec.get("asNumber"), number)
        common = {"name": _name(each).removeprefix(_OURS), "address": address, "asNumber": its, **_secret(spec)}
        if its == number and len(chosen) == len(nodes) and not (spec.get("node") or spec.get("nodeSelector")):
            reflectors.append(common)
        elif racks := _racks(chosen, nodes):
            near = {"nextToNodes": True} if spec.get("ttlSecurity") == 1 else {}
            switches.append({**common, "racks": racks, **_own_number(spec, chosen, number), **near})
    told = (("topOfRack", switches), ("externalReflectors", _whole(reflectors)))
    return {name: listed for name, listed in told if listed}


def _whole(peers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reflectors with the addresses of both families, where their BGPPeers are named as ours are."""
    listed = {each["name"]: {**each, "name": str(each["name"]).removeprefix(_REFLECTOR)} for each in peers}
    for name in sorted(listed):
        other = listed.get(f"{name}{_SIX}")
        if other is not None and ":" in str(other["address"]):
            listed[name]["addressV6"] = other["address"]
            del listed[f"{name}{_SIX}"]
    return list(listed.values())


def _selects(spec: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    if spec.get("node"):
        return bool(spec["node"] == _name(node))
    return not spec.get("nodeSelector") or parse(str(spec["nodeSelector"])).matches(_labels(node))


def _racks(chosen: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Racks whose nodes these are; none where they are not all nodes of some racks."""
    racks = sorted({rack for each in chosen if (rack := rack_of(_labels(each))) is not None})
    theirs = [each for each in nodes if rack_of(_labels(each)) in racks]
    return racks if len(theirs) == len(chosen) else []


def _own_number(spec: Mapping[str, Any], chosen: Iterable[Mapping[str, Any]], number: int) -> dict[str, int]:
    """The AS that nodes have for a switch, where it is not everybody's."""
    own = {_number(_annotations(each).get(_OWN_AS), number) for each in chosen}
    told = _number(spec.get("localASNumber"), own.pop() if len(own) == 1 else number)
    return {} if told == number else {"nodeASNumber": told}


def _number(given: Any, default: int) -> int:
    """An AS number as objects spell it. Raises ValueError."""
    if not given:
        return default
    return int(AsNumber(given if isinstance(given, int) else str(given)))


def _secret(spec: Mapping[str, Any]) -> dict[str, str]:
    """Where the session's password is kept, if it is under the key that blueprints know."""
    kept = mapping(mapping(spec.get("password")).get("secretKeyRef"))
    return {"passwordSecret": str(kept["name"])} if kept.get("key") == "password" and kept.get("name") else {}
