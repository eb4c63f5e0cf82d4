"""What kubeadm's configuration and Kubernetes' own nodes tell of a cluster, as facts; the rest a person must say.

Pure: whoever reads files or asks an API server hands in what was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any

from muslin.net import Prefix, parse_address, parse_prefix

__all__ = ["facts_of_dns", "facts_of_kubeadm", "facts_of_nodes", "facts_of_running", "merged"]

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_ZONE = "topology.kubernetes.io/zone"
_OWN_ADDRESSES = ("projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address")
_CLUSTER_ID = "projectcalico.org/RouteReflectorClusterID"
_FIELDS = {"ipipMode": "IP-in-IP", "vxlanMode": "VXLAN"}
_DEFAULT_AS = 64512
_PROVIDERS = {"aws": "aws", "azure": "azure", "gce": "gcp", "openstack": "openstack", "vsphere": "vsphere"}


def facts_of_kubeadm(documents: Iterable[Any]) -> dict[str, Any]:
    """Facts from the documents of a kubeadm configuration, in the spelling of a cluster's file.

    Raises:
        ValueError: a range or address in it is none.
    """
    found: dict[str, Any] = {}
    kubernetes: dict[str, Any] = {}
    for document in documents:
        if not isinstance(document, Mapping):
            continue
        match document.get("kind"):
            case "ClusterConfiguration":
                networking = _mapping(document.get("networking"))
                pods = _ranges(networking.get("podSubnet"))
                services = _ranges(networking.get("serviceSubnet"))
                if name := document.get("clusterName"):
                    found["name"] = name
                if pods:
                    kubernetes["podSubnets"] = [str(each) for each in pods]
                    found |= {"podRange" if each.version == 4 else "podRangeV6": str(each) for each in pods}
                if services:
                    kubernetes["serviceSubnets"] = found["serviceRanges"] = [str(each) for each in services]
                if (host := _host(document.get("controlPlaneEndpoint"))) is not None:
                    kubernetes["apiServer"] = host
            case "KubeletConfiguration":
                if dns := document.get("clusterDNS"):
                    kubernetes["dns"] = [str(parse_address(each)) for each in dns]
                if most := document.get("maxPods"):
                    found["podsPerNode"] = most
            case "KubeProxyConfiguration":
                kubernetes["kubeProxyMode"] = document.get("mode") or "iptables"
            case "InitConfiguration":
                address = _mapping(document.get("localAPIEndpoint")).get("advertiseAddress")
                if address and "apiServer" not in kubernetes:
                    kubernetes["apiServer"] = str(parse_address(address))
    return {**found, **({"kubernetes": kubernetes} if kubernetes else {})}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _ranges(text: Any) -> Sequence[Prefix]:
    return [parse_prefix(each.strip()) for each in text.split(",") if each.strip()] if isinstance(text, str) else ()


def _host(endpoint: Any) -> str | None:
    """The address of `address:port`, None for a name."""
    if not isinstance(endpoint, str):
        return None
    host = endpoint.rsplit(":", 1)[0] if endpoint.count(":") == 1 else endpoint.rpartition("]")[0].removeprefix("[")
    for candidate in (host, endpoint):
        try:
            return str(ip_address(candidate))
        except ValueError:
            continue
    return None


def facts_of_nodes(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Facts from Kubernetes' Node objects: names, addresses, racks (zones), roles; subnets where Calico noted them."""
    told: list[dict[str, Any]] = []
    subnets: dict[str, None] = {}
    providers: set[str] = set()
    for obj in nodes:
        metadata, spec = _mapping(obj.get("metadata")), _mapping(obj.get("spec"))
        labels, annotations = _mapping(metadata.get("labels")), _mapping(metadata.get("annotations"))
        own = dict(_addresses(_mapping(obj.get("status")).get("addresses")))
        if "address" not in own and "addressV6" in own:
            own = {"address": own["addressV6"]}
        node: dict[str, Any] = {"name": metadata.get("name"), **own}
        if labels.get(_ZONE):
            node["rack"] = labels[_ZONE]
        if any(label in labels for label in _CONTROL_PLANE):
            node["roles"] = ["control-plane"]
        told.append(node)
        for annotation in _OWN_ADDRESSES:
            if "/" in str(annotations.get(annotation, "")):
                subnets[str(ip_interface(annotations[annotation]).network)] = None
        providers.add(str(spec.get("providerID", "")).partition(":")[0])
    found: dict[str, Any] = {"nodes": told}
    if subnets:
        found["subnets"] = list(subnets)
    if len(providers) == 1 and (provider := _PROVIDERS.get(providers.pop())):
        found["provider"] = provider
    return found


def _addresses(listed: Any) -> Iterator[tuple[str, str]]:
    """The first address of each family that nodes reach each other by."""
    seen = set()
    for each in listed if isinstance(listed, list) else ():
        if _mapping(each).get("type") != "InternalIP":
            continue
        address = parse_address(each["address"])
        if address.version not in seen:
            seen.add(address.version)
            yield ("address" if address.version == 4 else "addressV6"), str(address)


def facts_of_dns(service: Mapping[str, Any]) -> dict[str, Any]:
    """Facts from the Service of the cluster's DNS."""
    spec = _mapping(service.get("spec"))
    listed = spec.get("clusterIPs") or [spec.get("clusterIP")]
    dns = [str(parse_address(each)) for each in listed if isinstance(each, str) and each not in ("", "None")]
    return {"kubernetes": {"dns": dns}} if dns else {}


def facts_of_running(
    pools: Iterable[Mapping[str, Any]], settings: Mapping[str, Any] | None, nodes: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """What runs: Calico's pools, BGPConfiguration `default`, and Kubernetes' nodes with Calico's annotations."""
    told = [_running_pool(_mapping(each.get("metadata")), _mapping(each.get("spec"))) for each in pools]
    spec = _mapping((settings or {}).get("spec"))
    reflecting = {
        str(_mapping(each.get("metadata")).get("name")): str(number)
        for each in nodes
        if (number := _mapping(_mapping(each.get("metadata")).get("annotations")).get(_CLUSTER_ID))
    }
    running: dict[str, Any] = {"pools": told, "asNumber": spec.get("asNumber") or _DEFAULT_AS}
    if reflecting:
        running |= {"routeDistribution": "route reflectors", "reflectors": sorted(reflecting)}
        running["clusterID"] = min(reflecting.values())
    elif spec.get("nodeToNodeMeshEnabled", True) and not all(_vxlan(each) for each in told):
        running["routeDistribution"] = "node-to-node mesh"
    ranges: dict[str, Any] = {}
    for each in told:
        cidr = parse_prefix(str(each["cidr"]))
        ranges.setdefault("podRange" if cidr.version == 4 else "podRangeV6", str(cidr))
    return {**ranges, "running": running}


def _vxlan(pool: Mapping[str, Any]) -> bool:
    return str(pool.get("encapsulation", "")).startswith("VXLAN")


def _running_pool(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    named = {(field, mode): f"{name} {mode}" for field, name in _FIELDS.items() for mode in ("Always", "CrossSubnet")}
    modes = [named[each] for field in _FIELDS if (each := (field, spec.get(field, "Never"))) in named]
    pool = {"name": metadata.get("name"), "cidr": spec.get("cidr")}
    length = {"blockSize": spec["blockSize"]} if "blockSize" in spec else {}
    return {**pool, **length, "encapsulation": modes[0] if modes else "no encapsulation"}


def merged(*found: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of several sources; a later one wins, within what Kubernetes was told too."""
    whole: dict[str, Any] = {}
    for each in found:
        kubernetes = {**_mapping(whole.get("kubernetes")), **_mapping(each.get("kubernetes"))}
        whole |= each
        if kubernetes:
            whole["kubernetes"] = kubernetes
    return whole
