"""What nodes say of themselves (CalicoNodeStatus), read leniently: gates look at nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from muslin.datastore.protocol import Entry, Json
from muslin.semantics.sessions import SessionKind

__all__ = ["APPLIED_REVISION", "MADE_FOR", "NodeReport", "by_node", "made_for_gate", "status_to_make"]

APPLIED_REVISION: Final = "muslin/applied-revision"
"""Annotation of our agents: the datastore revision whose meaning the node's kernel has. Upstream's write none."""

MADE_FOR: Final = "muslin/made-for-gate"
"""Annotation of a CalicoNodeStatus that we made so that a node reports, with the name of the set: ours to remove."""

_LONGEST_REVISION: Final = 20
"""No store counts further; and a text of thousands of digits is no number to Python."""

_ESTABLISHED: Final = "Established"


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node's word.

    Attributes:
        node: its name.
        applied: the revision that its agent has applied, None where none of ours runs there.
        established: Mapping[address of a peer with an Established session, as text; whether it is of the mesh].
        learnt: Mapping[prefix, the peer that said so ("" for the node itself)], as text; empty where not reported.
        heard: whether it has reported sessions at all.
    """

    node: str
    applied: str | None = None
    established: Mapping[str, bool] = field(default_factory=dict)
    learnt: Mapping[str, str] = field(default_factory=dict)
    heard: bool = False


def by_node(entries: Iterable[Entry]) -> dict[str, NodeReport]:
    """Mapping[node, its report]; of several objects about one node the one of an agent of ours, else the fullest."""
    found: dict[str, NodeReport] = {}
    for entry in entries:
        report = _report(entry.value)
        known = found.get(report.node)
        if known is None or _weight(report) > _weight(known):
            found[report.node] = report
    return found


def _weight(report: NodeReport) -> tuple[bool, bool, int]:
    return report.applied is not None, report.heard, len(report.learnt)


def _report(value: Json) -> NodeReport:
    metadata, spec, status = _mapping(value, "metadata"), _mapping(value, "spec"), _mapping(value, "status")
    bgp, routes = _mapping(status, "bgp"), _mapping(status, "routes")
    established = {
        str(peer.get("peerIP")): peer.get("type") == SessionKind.NODE_MESH.value
        for family in ("peersV4", "peersV6")
        for peer in _mappings(bgp, family)
        if peer.get("state") == _ESTABLISHED
    }
    learnt = {
        str(route.get("destination")): str(_mapping(route, "learnedFrom").get("peerIP") or "")
        for family in ("routesV4", "routesV6")
        for route in _mappings(routes, family)
    }
    applied = _mapping(metadata, "annotations").get(APPLIED_REVISION)
    return NodeReport(
        str(spec.get("node") or metadata.get("name")),
        applied if isinstance(applied, str) and len(applied) <= _LONGEST_REVISION else None,
        established,
        learnt,
        bool(bgp),
    )


def status_to_make(node: str, set_name: str) -> dict[str, Any]:
    """The CalicoNodeStatus that asks a node to report."""
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "CalicoNodeStatus",
        "metadata": {"name": node, "annotations": {MADE_FOR: set_name}},
        "spec": {"node": node, "classes": ["Agent", "BGP", "Routes"], "updatePeriodSeconds": 1},
    }


def made_for_gate(entry: Entry, set_name: str) -> bool:
    """Whether we made this object and no agent of ours keeps it."""
    annotations = _mapping(_mapping(entry.value, "metadata"), "annotations")
    return annotations.get(MADE_FOR) == set_name and APPLIED_REVISION not in annotations


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _mappings(value: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    found = value.get(name)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list | tuple) else ()
