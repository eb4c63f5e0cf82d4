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
from muslin.resources.keys import Key

__all__ = ["NodeIdentity", "node_object", "register"]


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What a node knows about itself when it starts.

    `address` is the address of its BGP speaker with the length of its subnet; `labels` are added to the node's own.
    """

    name: str
    address: InterfaceAddress
    labels: Mapping[str, str] = field(default_factory=dict)


def node_object(identity: NodeIdentity, current: Json | None) -> dict[str, Any]:
    """The Node as it should stand in the datastore, given what stands there now. Pure."""
    value: dict[str, Any] = (
        {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": identity.name}, "spec": {}}
        if current is None
        else copy.deepcopy(dict(current))
    )
    metadata = value.setdefault("metadata", {})
    labels = {"kubernetes.io/hostname": identity.name, **(metadata.get("labels") or {}), **identity.labels}
    metadata["labels"] = labels
    spec = value.setdefault("spec", {})
    family = "ipv4Address" if identity.address.version == 4 else "ipv6Address"
    spec["bgp"] = {**(spec.get("bgp") or {}), family: str(identity.address)}
    spec["addresses"] = [
        {"address": str(identity.address), "type": "CalicoNodeIP"},
        *(other for other in spec.get("addresses") or () if other.get("type") != "CalicoNodeIP"),
    ]
    return value


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
