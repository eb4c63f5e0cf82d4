"""What kubeadm's configuration and Kubernetes' own nodes tell of a cluster, as facts; the rest a person must say.

Pure: whoever reads files or asks an API server hands in what was read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any

from blueprints.found_running import CLUSTER_ID, NETWORK_TYPE, mapping, rack_of
from muslin.net import Prefix, parse_address, parse_prefix

__all__ = ["facts_of_dns", "facts_of_kubeadm", "facts_of_nodes", "merged"]

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_OWN_ADDRESSES = ("projectcalico.org/IPv4Address", "projectcalico.org/IPv6Address")
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
                networking = mapping(document.get("networking"))
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
                address = mapping(document.get("localAPIEndpoint")).get("advertiseAddress")
                if address and "apiServer" not in kubernetes:
                    kubernetes["apiServer"] = str(parse_address(address))
    return {**found, **({"kubernetes": kubernetes} if kubernetes else {})}


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
        metadata, spec = mapping(obj.get("metadata")), mapping(obj.get("spec"))
        labels, annotations = mapping(metadata.get("labels")), mapping(metadata.get("annotations"))
        own = dict(_addresses(mapping(obj.get("status")).get("addresses")))
        if "address" not in own and "addressV6" in own:
            own = {"address": own["addressV6"]}
        node: dict[str, Any] = {"name": metadata.get("name"), **own}
        if (rack := rack_of(labels)) is not None:
            node["rack"] = rack
        if annotations.get(CLUSTER_ID):
            node["roles"] = ["reflector"]
        elif any(label in labels for label in _CONTROL_PLANE):
            node["roles"] = ["control-plane"]
        if labels.get(NETWORK_TYPE):
            node["labels"] = {NETWORK_TYPE: str(labels[NETWORK_TYPE])}
        told.append(node)
        subnets |= dict.fromkeys(_subnets(annotations))
        providers.add(str(spec.get("providerID", "")).partition(":")[0])
    found: dict[str, Any] = {"nodes": told}
    if subnets:
        found["subnets"] = list(subnets)
    if len(providers) == 1 and (provider := _PROVIDERS.get(providers.pop())):
        found["provider"] = provider
    return found


def _subnets(annotations: Mapping[str, Any]) -> Iterator[str]:
    """The networks of the addresses that Calico noted; what somebody else wrote there is passed over."""
    for annotation in _OWN_ADDRESSES:
        written = str(annotations.get(annotation, ""))
        with contextlib.suppress(ValueError):
            if "/" in written:
                yield str(ip_interface(written).network)


def _addresses(listed: Any) -> Iterator[tuple[str, str]]:
    """The first address of each family that nodes reach each other by."""
    seen = set()
    for each in listed if isinstance(listed, list) else ():
        if mapping(each).get("type") != "InternalIP":
            continue
        try:
            address = parse_address(str(each.get("address")))
        except ValueError:
            continue  # some providers write names
        if address.version not in seen:
            seen.add(address.version)
            yield ("address" if address.version == 4 else "addressV6"), str(address)


def facts_of_dns(service: Mapping[str, Any]) -> dict[str, Any]:
    """Facts from the Service of the cluster's DNS."""
    spec = mapping(service.get("spec"))
    listed = spec.get("clusterIPs") or [spec.get("clusterIP")]
    dns = [str(parse_address(each)) for each in listed if isinstance(each, str) and each not in ("", "None")]
    return {"kubernetes": {"dns": dns}} if dns else {}


def merged(*found: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of several sources; a later one wins, within what Kubernetes was told too."""
    whole: dict[str, Any] = {}
    for each in found:
        kubernetes = {**mapping(whole.get("kubernetes")), **mapping(each.get("kubernetes"))}
        whole |= each
        if kubernetes:
            whole["kubernetes"] = kubernetes
    return whole
