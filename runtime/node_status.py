"""What a node reports: CalicoNodeStatus with its sessions and routes, and the revision it has applied.

Gates look here: a session counts when both the peer's state and the applied revision say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, NotFound
from muslin.net import Address, Prefix
from muslin.resources.keys import Key

__all__ = ["APPLIED_REVISION", "ReportedRoute", "ReportedSession", "node_status_object", "report"]

APPLIED_REVISION = "muslin/applied-revision"
"""Annotation: the datastore revision whose meaning the node's kernel has."""
_MOST_ROUTES = 1000
"""Of one IP version in a report, the first by prefix. A peer may announce more than an object of a datastore can hold,
and must not keep the applied revision from being told by that."""


_MESH = "NodeMesh"


@dataclass(frozen=True, slots=True)
class ReportedSession:
    """A session as a person reads it: `kind` NodeMesh, NodePeer or GlobalPeer, `since` in RFC 3339."""

    peer_address: Address
    kind: str
    state: str
    since: str


@dataclass(frozen=True, slots=True)
class ReportedRoute:
    """A route in the kernel (FIB), and who it was learnt from: None for the node's own."""

    prefix: Prefix
    next_hop: Address | None
    interface: str | None
    learnt_from: Address | None


def node_status_object(
    node: str,
    sessions: Sequence[ReportedSession],
    routes: Sequence[ReportedRoute],
    applied: str,
    now: str,
    *,
    speaking: bool = True,
) -> dict[str, Any]:
    """The CalicoNodeStatus of this node. Pure; `now` is RFC 3339, `speaking` whether its speaker answers."""
    bgp: dict[str, Any] = {}
    kinds = {session.peer_address: session.kind for session in sessions}
    for version, suffix in ((4, "V4"), (6, "V6")):
        family = [session for session in sessions if session.peer_address.version == version]
        up = sum(session.state == "Established" for session in family)
        bgp[f"numberEstablished{suffix}"] = up
        bgp[f"numberNotEstablished{suffix}"] = len(family) - up
        bgp[f"peers{suffix}"] = [
            {"peerIP": str(session.peer_address), "type": session.kind, "state": session.state, "since": session.since}
            for session in sorted(family, key=lambda session: session.peer_address.packed)
        ]
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "CalicoNodeStatus",
        "metadata": {"name": node, "annotations": {APPLIED_REVISION: applied}},
        "spec": {"node": node, "classes": ["Agent", "BGP", "Routes"], "updatePeriodSeconds": 10},
        "status": {
            "lastUpdated": now,
            "agent": {"birdV4": {"state": "Ready" if speaking else "NotReady", "version": "muslin"}},
            "bgp": bgp,
            "routes": {
                f"routes{suffix}": [
                    _route(route, kinds)
                    for route in islice((each for each in routes if each.prefix.version == version), _MOST_ROUTES)
                ]
                for version, suffix in ((4, "V4"), (6, "V6"))
            },
        },
    }


def _route(route: ReportedRoute, kinds: Mapping[Address, str]) -> dict[str, Any]:
    learnt: dict[str, Any] = {"sourceType": "Kernel"}
    if route.learnt_from is not None:
        mesh = kinds.get(route.learnt_from, _MESH) == _MESH
        learnt = {"sourceType": _MESH if mesh else "BGPPeer", "peerIP": str(route.learnt_from)}
    value: dict[str, Any] = {"type": "FIB", "destination": str(route.prefix), "learnedFrom": learnt}
    if route.next_hop is not None:
        value["gateway"] = str(route.next_hop)
    if route.interface is not None:
        value["interface"] = route.interface
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    """What should be an object, read leniently: somebody may have written anything there, and we write it anew."""
    return value if isinstance(value, Mapping) else {}


def _annotations(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(_mapping(value.get("metadata")).get("annotations"))


def _without_time(value: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    status = {key: part for key, part in _mapping(value.get("status")).items() if key != "lastUpdated"}
    return status, _annotations(value).get(APPLIED_REVISION), value.get("spec")


async def report(datastore: Datastore, value: dict[str, Any]) -> None:
    """Write the node's status; nothing when only the time is new. Raises `Unavailable`."""
    key = Key("CalicoNodeStatus", value["metadata"]["name"])
    while True:
        try:
            current = await datastore.get(key)
        except NotFound:
            try:
                await datastore.create(key, value)
            except AlreadyExists:
                continue
            return
        if _without_time(current.value) == _without_time(value):
            return
        annotations = {**_annotations(current.value), **_annotations(value)}
        kept = {**_mapping(current.value.get("metadata")), **value["metadata"]}
        wanted = {**value, "metadata": {**kept, "annotations": annotations}}
        try:
            await datastore.update(key, wanted, current.revision)
        except (Conflict, NotFound):
            continue
        return
