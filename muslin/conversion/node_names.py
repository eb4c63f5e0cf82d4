"""Objects with nodes under other names: in Kubernetes a node has the name that Kubernetes knows it by.

Pure. Every place that names a node follows: names of settings for one node, owners of blocks, attributes and handles.
Source: calico.md section 10, "datastore".
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Final

from muslin.conversion.reading import Json, as_list, as_mapping, as_text, metadata_of
from muslin.ipam.names import TUNNEL_HANDLES, affinity_labels, affinity_name, handle_name
from muslin.resources.keys import Key

__all__ = ["kubernetes_name", "renamed", "renamed_handle"]

_BY_NAME: Final = frozenset({"FelixConfiguration", "BGPConfiguration"})
_BY_FIELD: Final = frozenset({"BGPPeer", "HostEndpoint", "CalicoNodeStatus", "WorkloadEndpoint"})
_FOR_ONE_NODE: Final = "node."


def kubernetes_name(node: Json) -> str | None:
    """The name by which Kubernetes knows a Node: its `orchRefs` say it; None where they do not."""
    for each in as_list(as_mapping(node.get("spec")).get("orchRefs")):
        reference = as_mapping(each)
        if reference.get("orchestrator") == "k8s" and as_text(reference.get("nodeName")):
            return as_text(reference.get("nodeName"))
    return None


def renamed(key: Key, value: Json, names: Mapping[str, str]) -> tuple[Key, dict[str, Any]]:
    """An object, and its key, with every node under its new name; a node that is not in `names` keeps its own."""
    spec = dict(as_mapping(value.get("spec")))
    name = key.name
    match key.kind:
        case "Node":
            name = names.get(name, name)
        case kind if kind in _BY_NAME:
            if name.startswith(_FOR_ONE_NODE):
                node = name.removeprefix(_FOR_ONE_NODE)
                name = f"{_FOR_ONE_NODE}{names.get(node, node)}"
        case kind if kind in _BY_FIELD:
            if spec.get("node") in names:
                spec["node"] = names[spec["node"]]
        case "BlockAffinity":
            return _affinity(key, value, names)
        case "IPAMHandle":
            spec["handleID"] = renamed_handle(as_text(spec.get("handleID")), names)
            if spec["handleID"]:
                name = handle_name(spec["handleID"])
        case "IPAMBlock":
            spec = _block(spec, names)
    changed: dict[str, Any] = {**value, "metadata": {**metadata_of(value), "name": name}}
    if "spec" in value:
        changed["spec"] = spec
    return key._replace(name=name), changed


def renamed_handle(handle: str, names: Mapping[str, str]) -> str:
    """A handle; that of a node's tunnel names the node."""
    for beginning in TUNNEL_HANDLES.values():
        node = handle.removeprefix(f"{beginning}-")
        if node != handle and node in names:
            return f"{beginning}-{names[node]}"
    return handle


def _affinity(key: Key, value: Json, names: Mapping[str, str]) -> tuple[Key, dict[str, Any]]:
    spec, metadata = dict(as_mapping(value.get("spec"))), dict(metadata_of(value))
    node = as_text(spec.get("node"))
    if node not in names or spec.get("type", "host") not in ("host", ""):
        return key, dict(value)
    spec["node"], name = names[node], key.name
    with contextlib.suppress(ValueError):
        prefix = ip_network(as_text(spec.get("cidr")))
        name = affinity_name(names[node], prefix)
        metadata["labels"] = {**as_mapping(metadata.get("labels")), **affinity_labels(names[node], prefix)}
    return key._replace(name=name), {**value, "metadata": {**metadata, "name": name}, "spec": spec}


def _block(spec: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    owner, _, host = as_text(spec.get("affinity")).partition(":")
    if owner == "host" and host in names:
        spec["affinity"] = f"host:{names[host]}"
    if isinstance(spec.get("attributes"), list):
        spec["attributes"] = [_attribute(each, names) for each in spec["attributes"]]
    return spec


def _attribute(attribute: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(attribute, Mapping):
        return attribute
    changed = dict(attribute)
    if as_text(attribute.get("handle_id")):
        changed["handle_id"] = renamed_handle(as_text(attribute.get("handle_id")), names)
    for part in ("secondary", "alternateOwnerAttrs"):
        node = as_text(as_mapping(attribute.get(part)).get("node"))
        if node in names:
            changed[part] = {**as_mapping(attribute.get(part)), "node": names[node]}
    return changed
