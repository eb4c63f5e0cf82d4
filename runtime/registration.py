"""A node's own object in the datastore: who it is and which address its BGP speaker has.

Another writer's fields (labels, the AS number, a reflector's cluster id) are kept: only what this node knows about
itself is written, and nothing at all when it is there already.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, Json, NotFound
from muslin.net import InterfaceAddress
from muslin.resources.base import API_VERSION
from muslin.resources.keys import Key
from muslin.semantics.felix_sources import Local

__all__ = ["NodeIdentity", "node_object", "register"]


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What a node knows about itself when it starts.

    `address` is the address of its BGP speaker with the length of its subnet; `labels` are added to the node's own;
    `local` are the settings of its environment and file.
    """

    name: str
    address: InterfaceAddress
    labels: Mapping[str, str] = field(default_factory=dict)
    local: Local = field(default_factory=Local)


def node_object(identity: NodeIdentity, current: Json | None) -> dict[str, Any]:
    """The Node as it should stand in the datastore, given what stands there now, which may be anything. Pure."""
    fresh = {"apiVersion": API_VERSION, "kind": "Node", "metadata": {"name": identity.name}}
    ours = current is not None and (current.get("apiVersion"), current.get("kind")) == (API_VERSION, "Node")
    value: dict[str, Any] = copy.deepcopy(dict(current)) if current is not None and ours else fresh
    metadata, spec = _object(value.get("metadata")), _object(value.get("spec"))
    metadata["name"] = identity.name
    metadata["labels"] = {
        "kubernetes.io/hostname": identity.name, **_object(metadata.get("labels")), **identity.labels
    }  # fmt: skip
    family = "ipv4Address" if identity.address.version == 4 else "ipv6Address"
    spec["bgp"] = {**_object(spec.get("bgp")), family: str(identity.address)}
    others = spec.get("addresses")
    spec["addresses"] = [
        {"address": str(identity.address), "type": "CalicoNodeIP"},
        *(other for other in (others if isinstance(others, list) else ()) if _is_other(other)),
    ]
    return {**value, "metadata": metadata, "spec": spec}


def _object(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _is_other(address: Any) -> bool:
    return isinstance(address, Mapping) and address.get("type") != "CalicoNodeIP"


async def register(datastore: Datastore, identity: NodeIdentity) -> Entry:
    """Create or correct the node's object; writes nothing when it is right. Raises `Unavailable`."""
    key = Key("Node", identity.name)
    while True:
        try:
            current = await datastore.get(key)
        except NotFound:
            try:
                return await datastore.create(key, node_object(identity, None))
            except AlreadyExists:
                continue
        wanted = node_object(identity, current.value)
        if wanted == current.value:
            return current
        try:
            return await datastore.update(key, wanted, current.revision)
        except (Conflict, NotFound):
            continue
