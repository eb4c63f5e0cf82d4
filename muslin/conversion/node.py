"""A core Node as Calico's Node, and what a change of that writes back into the core Node.

What only Calico knows of a node stands in annotations of the core Node. Its labels are those of the core Node over
Calico's own; a copy of the former travels with the object, so that they can be told apart again.
Source: calico.md sections 1a and 2.15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_interface, ip_network
from typing import Any, Final

from muslin.conversion.reading import (
    API_VERSION,
    Converted,
    Json,
    as_list,
    as_mapping,
    as_text,
    as_texts,
    born,
    compact_json,
    metadata_of,
    parse_json,
    place,
)
from muslin.errors import BadInput, Problem
from muslin.ipam.names import block_name
from muslin.net import AsNumber, ClusterId, Mac, parse_wireguard_key
from muslin.resources.names import annotation_problems, label_problems

__all__ = ["KUBE_LABELS", "blocks_of_pod_cidrs", "node_from_core", "node_patch"]

_PREFIX = "projectcalico.org/"
KUBE_LABELS: Final = "projectcalico.org/kube-labels"
"""Annotation of Calico's Node only: the labels that it has from the core Node, as JSON."""
_LABELS, _ANNOTATIONS, _INTERFACES = _PREFIX + "labels", _PREFIX + "annotations", _PREFIX + "Interfaces"
_PUBLIC_KEY = _PREFIX + "WireguardPublicKey"

_Check = Callable[[str], str | int]
Path = tuple[str, ...]


def _address(version: int) -> _Check:
    """Accepts an address, also with the length of its network."""

    def check(text: str) -> str:
        if "%" in text or ip_interface(text).version != version:
            raise ValueError(f"{text!r} is not an IPv{version} address")
        return text

    return check


def _single(version: int) -> _Check:
    """Accepts an address alone; one that is written as a network of itself is that address."""

    def check(text: str) -> str:
        found = None if "%" in text else ip_interface(text)
        if found is None or found.version != version or found.network.num_addresses != 1:
            raise ValueError(f"{text!r} is not a single IPv{version} address")
        return text.partition("/")[0]

    return check


def _cluster_id(text: str) -> str:
    return str(ClusterId(text))


_FIELDS: Final[tuple[tuple[str, Path, _Check], ...]] = (
    ("IPv4Address", ("spec", "bgp", "ipv4Address"), _address(4)),
    ("IPv6Address", ("spec", "bgp", "ipv6Address"), _address(6)),
    ("ASNumber", ("spec", "bgp", "asNumber"), lambda text: int(AsNumber(text))),
    ("RouteReflectorClusterID", ("spec", "bgp", "routeReflectorClusterID"), _cluster_id),
    ("IPv4IPIPTunnelAddr", ("spec", "bgp", "ipv4IPIPTunnelAddr"), _single(4)),
    ("IPv4VXLANTunnelAddr", ("spec", "ipv4VXLANTunnelAddr"), _single(4)),
    ("IPv6VXLANTunnelAddr", ("spec", "ipv6VXLANTunnelAddr"), _single(6)),
    ("VXLANTunnelMACAddr", ("spec", "vxlanTunnelMACAddr"), Mac),
    ("VXLANTunnelMACAddrV6", ("spec", "vxlanTunnelMACAddrV6"), Mac),
    ("IPv4WireguardInterfaceAddr", ("spec", "wireguard", "interfaceIPv4Address"), _single(4)),
    ("IPv6WireguardInterfaceAddr", ("spec", "wireguard", "interfaceIPv6Address"), _single(6)),
    ("WireguardPublicKey", ("status", "wireguardPublicKey"), parse_wireguard_key),
    ("WireguardPublicKeyV6", ("status", "wireguardPublicKeyV6"), parse_wireguard_key),
)
"""Annotation (below `projectcalico.org/`), the field it is, and what refuses a value of it."""

_OF_POD_CIDR: Final = frozenset({"IPv4IPIPTunnelAddr", "IPv4WireguardInterfaceAddr", "IPv6WireguardInterfaceAddr"})
_SHOWN_ADDRESSES = ("InternalIP", "ExternalIP")


def node_from_core(core: Json, *, use_pod_cidr: bool = False) -> Converted:
    """Calico's view of a core Node. What others wrote wrongly into an annotation is left out, and told.

    Args:
        core: a Node of the core API.
        use_pod_cidr: addresses of pods and tunnels come from the node's podCIDR (`USE_POD_CIDR`), not from our IPAM.
    """
    metadata, problems = metadata_of(core), list[Problem]()
    annotations = as_texts(metadata.get("annotations"))

    def tell(what: str, path: str) -> None:
        problems.append(Problem(what, place("Node", core, path), "correct or remove it"))

    tunnel = _tunnel_of_pod_cidr(core, tell) if use_pod_cidr else None
    node: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "Node",
        "metadata": _metadata(core, annotations, tell),
        "spec": {"orchRefs": [{"nodeName": as_text(metadata.get("name")), "orchestrator": "k8s"}]},
    }
    for name, path, check in _FIELDS:
        text = annotations.get(_PREFIX + name)
        if not text or (tunnel is not None and name in _OF_POD_CIDR):
            continue
        try:
            _put(node, path, check(text))
        except ValueError as error:
            tell(str(error), f"metadata.annotations[{_PREFIX}{name}]")
    if tunnel:
        _put(node, ("spec", "bgp", "ipv4IPIPTunnelAddr"), tunnel)
        if annotations.get(_PUBLIC_KEY):
            _put(node, ("spec", "wireguard", "interfaceIPv4Address"), tunnel)
    if addresses := _addresses(core, node, tell):
        node["spec"]["addresses"] = addresses
    if interfaces := _interfaces(annotations, tell):
        node["spec"]["interfaces"] = interfaces
    if cidrs := list(_usable(as_list(as_mapping(core.get("spec")).get("podCIDRs")), "spec.podCIDRs", tell)):
        _put(node, ("status", "podCIDRs"), cidrs)
    return Converted(node, tuple(problems))


def node_patch(node: Json, core: Json, *, use_pod_cidr: bool = False) -> dict[str, Any]:
    """What to change of a core Node, so that it says what Calico's Node says: a merge patch for its status.

    The patch holds the resourceVersion that the core Node was read with, and only what differs from what the core
    Node says now: an annotation that could not be read stays. Fields that come from the core Node itself
    (`orchRefs`, `addresses`, `podCIDRs`, labels of Kubernetes) are never written.

    Raises:
        BadInput: the record of Kubernetes' labels in `node` cannot be read, or a field has a wrong type.
    """
    kube_labels = as_texts(metadata_of(core).get("labels"))
    shown = _calicos_annotations(node_from_core(core, use_pod_cidr=use_pod_cidr).value, kube_labels)
    wanted = _calicos_annotations(node, kube_labels)
    names = sorted(shown.keys() | wanted.keys())
    changed = {name: wanted.get(name) for name in names if wanted.get(name) != shown.get(name)}
    metadata: dict[str, Any] = {"annotations": changed} if changed else {}
    if revision := metadata_of(core).get("resourceVersion"):
        metadata["resourceVersion"] = revision
    return {"metadata": metadata}


def blocks_of_pod_cidrs(core: Json) -> tuple[dict[str, Any], ...]:
    """The IPAMBlocks that nodes act on where addresses come from podCIDRs: one for each, with only its owner."""
    affinity = f"host:{as_text(metadata_of(core).get('name'))}"
    spec = as_mapping(core.get("spec"))
    found = []
    for each in as_list(spec.get("podCIDRs")) or [spec.get("podCIDR")]:
        try:
            prefix = ip_network(as_text(each))
        except ValueError:
            continue
        held = {"allocations": [], "unallocated": [], "attributes": [], "deleted": False, "strictAffinity": False}
        found.append(
            {
                "apiVersion": API_VERSION,
                "kind": "IPAMBlock",
                "metadata": {"name": block_name(prefix)},
                "spec": {"cidr": str(prefix), "affinity": affinity, **held},
            }
        )
    return tuple(found)


def _metadata(core: Json, annotations: Mapping[str, str], tell: Callable[[str, str], None]) -> dict[str, Any]:
    own = {name: _texts(annotations, name, tell) for name in (_LABELS, _ANNOTATIONS)}
    kube_labels = metadata_of(core).get("labels")
    labels = own[_LABELS] | as_texts(kube_labels)
    recorded = as_texts(kube_labels) if isinstance(kube_labels, Mapping) else None
    found: dict[str, Any] = {"name": as_text(metadata_of(core).get("name")), **born(core)}
    if labels:
        found["labels"] = labels
    found["annotations"] = own[_ANNOTATIONS] | {KUBE_LABELS: compact_json(recorded)}
    return found


def _texts(annotations: Mapping[str, str], name: str, tell: Callable[[str, str], None]) -> dict[str, str]:
    if not annotations.get(name):
        return {}
    path = f"metadata.annotations[{name}]"
    try:
        value = parse_json(annotations[name])
    except ValueError as error:
        tell(str(error), path)
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        tell("it is no JSON mapping of text to text", path)
        return {}
    problems = dict(label_problems(value) if name == _LABELS else annotation_problems(value))
    for key, what in problems.items():
        tell(what if key is None else f"{key!r}: {what}", path)
    return {key: text for key, text in value.items() if key not in problems}


def _interfaces(annotations: Mapping[str, str], tell: Callable[[str, str], None]) -> list[dict[str, Any]]:
    if not annotations.get(_INTERFACES):
        return []
    path = f"metadata.annotations[{_INTERFACES}]"
    try:
        value = parse_json(annotations[_INTERFACES])
    except ValueError as error:
        tell(str(error), path)
        return []
    found = []
    for index, each in enumerate(value if isinstance(value, list) else [value]):
        if not (isinstance(each, dict) and isinstance(each.get("name"), str)):
            tell("it is no interface with name and addresses", f"{path}[{index}]")
            continue
        addresses = list(_usable(as_list(each.get("addresses")), f"{path}[{index}]", tell))
        found.append({"name": each["name"], **({"addresses": addresses} if addresses else {})})
    return found


def _usable(addresses: Iterable[Any], path: str, tell: Callable[[str, str], None]) -> Iterator[str]:
    """Addresses and prefixes; some who write them write names of hosts."""
    for each in addresses:
        try:
            if isinstance(each, str) and "%" not in each and ip_interface(each):
                yield each
                continue
        except ValueError:
            pass
        tell(f"{each!r} is no address", path)


def _addresses(core: Json, node: Json, tell: Callable[[str, str], None]) -> list[dict[str, str]]:
    bgp = as_mapping(as_mapping(node.get("spec")).get("bgp"))
    found = [{"address": bgp[f], "type": "CalicoNodeIP"} for f in ("ipv4Address", "ipv6Address") if f in bgp]
    for index, each in enumerate(as_list(as_mapping(core.get("status")).get("addresses"))):
        kind, path = as_text(as_mapping(each).get("type")), f"status.addresses[{index}]"
        if kind in _SHOWN_ADDRESSES:
            found += [{"address": a, "type": kind} for a in _usable([as_mapping(each).get("address")], path, tell)]
    return found


def _tunnel_of_pod_cidr(core: Json, tell: Callable[[str, str], None]) -> str | None:
    """The first address of the podCIDR; empty where it is IPv6; None where there is no podCIDR."""
    cidr = as_mapping(core.get("spec")).get("podCIDR")
    if not isinstance(cidr, str) or not cidr:
        return None
    try:
        prefix = ip_network(cidr, strict=False)
    except ValueError as error:
        tell(str(error), "spec.podCIDR")
        return ""
    return str(prefix.network_address + 1) if prefix.version == 4 else ""


def _put(node: dict[str, Any], path: Path, value: Any) -> None:
    *parents, last = path
    at = node
    for parent in parents:
        at = at.setdefault(parent, {})
    at[last] = value


def _calicos_annotations(node: Json, kube_labels: Mapping[str, str]) -> dict[str, str]:
    """What a node says, as the annotations that say it; `kube_labels` count where it has no record of its own."""
    metadata = metadata_of(node)
    annotations, labels = as_texts(metadata.get("annotations")), as_texts(metadata.get("labels"))
    recorded = annotations.pop(KUBE_LABELS, "")
    if not recorded:
        labels = dict(labels.items() - kube_labels.items())
    else:
        try:
            known = parse_json(recorded)
        except ValueError as error:
            raise _bad(
                node, f"the record of Kubernetes' labels: {error}", f"metadata.annotations[{KUBE_LABELS}]"
            ) from None
        if known is not None and not isinstance(known, Mapping):
            raise _bad(node, "the record of Kubernetes' labels is no mapping", f"metadata.annotations[{KUBE_LABELS}]")
        labels = {name: value for name, value in labels.items() if name not in (known or {})}
    wanted = {}
    for name, path, _ in _FIELDS:
        value: Any = node
        for step in path:
            value = as_mapping(value).get(step)
        if value in (None, ""):
            continue
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise _bad(node, f"{value!r} is neither text nor a number", ".".join(path))
        wanted[_PREFIX + name] = str(value)
    interfaces = as_mapping(node.get("spec")).get("interfaces")
    for name, found in ((_LABELS, labels), (_ANNOTATIONS, annotations), (_INTERFACES, interfaces)):
        if found:
            wanted[name] = compact_json(found, sort=name != _INTERFACES)
    return wanted


def _bad(node: Json, what: str, path: str) -> BadInput:
    return BadInput(Problem(what, place("Node", node, path), "read the node again, and repeat the change"))
