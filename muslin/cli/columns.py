"""Which columns `get` shows for each kind, as calicoctl does. Values are read from the object as JSON.

Reading JSON and not models means that an object which breaks a rule can still be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muslin.cli.stored import mapping_at, mappings_at, text_at, value_at
from muslin.errors import BadInput, Problem

__all__ = ["COLUMNS", "Column", "Look", "chosen_columns", "columns_of"]

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What a cell needs beside its own object: the AS number that nodes inherit."""

    cluster_as: str = "64512"


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how its cell is read; `wide` ones are shown with `-o wide` only."""

    heading: str
    cell: Callable[[_Object, Look], str]
    wide: bool = False


def _at(path: str, default: str = "") -> Callable[[_Object, Look], str]:
    steps = path.split(".")
    return lambda value, _: text_at(value, *steps, default=default)


def _first(*paths: str, default: str = "") -> Callable[[_Object, Look], str]:
    """The first of these that says something."""
    steps = [path.split(".") for path in paths]
    return lambda value, _: next((text for each in steps if (text := text_at(value, *each))), default)


def _count(path: str) -> Callable[[_Object, Look], str]:
    steps = path.split(".")

    def cell(value: _Object, _: Look) -> str:
        found = value_at(value, *steps)
        return str(len(found)) if isinstance(found, list | tuple | Mapping) else "0"

    return cell


def _cut(path: str, longest: int) -> Callable[[_Object, Look], str]:
    """A long list ends in dots."""
    whole = _at(path)

    def cell(value: _Object, look: Look) -> str:
        text = whole(value, look)
        return text if len(text) <= longest else f"{text[: longest - 3]}..."

    return cell


def _node_as(value: _Object, look: Look) -> str:
    """The node's AS number, in brackets where it is the cluster's."""
    if not mapping_at(value, "spec", "bgp"):
        return ""
    return text_at(value, "spec", "bgp", "asNumber") or f"({look.cluster_as})"


def _nats(value: _Object, _: Look) -> str:
    pairs = mappings_at(value, "spec", "ipNATs")
    return ",".join(f"{text_at(pair, 'internalIP')}:{text_at(pair, 'externalIP')}" for pair in pairs)


def _held(value: _Object, _: Look) -> str:
    return text_at(value, "status", "held", "reason") or "-"


def _troubles(value: _Object, _: Look) -> str:
    """How many objects failed, wait or are blocked."""
    more = mapping_at(value, "status", "notListed")
    counts = (
        len(mappings_at(value, "status", name)) + (int(text) if (text := text_at(more, name)).isdecimal() else 0)
        for name in ("failed", "waiting", "blocked")
    )
    return str(sum(counts))


_NAME = Column("NAME", _at("metadata.name"))
_NAMESPACE = Column("NAMESPACE", _at("metadata.namespace"))
_POLICY = (
    _NAME,
    Column("TIER", _at("spec.tier", "default")),
    Column("ORDER", _at("spec.order"), wide=True),
    Column("SELECTOR", _at("spec.selector"), wide=True),
)

COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "BGPConfiguration": (
        _NAME,
        Column("LOGSEVERITY", _at("spec.logSeverityScreen")),
        Column("MESHENABLED", _at("spec.nodeToNodeMeshEnabled", "-")),
        Column("ASNUMBER", _at("spec.asNumber", "-")),
    ),
    "BGPFilter": (
        _NAME,
        Column("NUMEXPORTV4", _count("spec.exportV4")),
        Column("NUMIMPORTV4", _count("spec.importV4")),
        Column("NUMEXPORTV6", _count("spec.exportV6")),
        Column("NUMIMPORTV6", _count("spec.importV6")),
    ),
    "BGPPeer": (
        _NAME,
        Column("PEERIP", _at("spec.peerIP")),
        Column("NODE", _first("spec.node", "spec.nodeSelector", default="(global)")),
        Column("ASN", _at("spec.asNumber")),
    ),
    "CalicoNodeStatus": (
        _NAME,
        Column("NODE", _at("spec.node")),
        Column("CLASSES", _at("spec.classes"), wide=True),
    ),
    "ClusterInformation": (
        _NAME,
        Column("CLUSTERGUID", _at("spec.clusterGUID")),
        Column("CLUSTERTYPE", _at("spec.clusterType")),
        Column("CALICOVERSION", _at("spec.calicoVersion")),
        Column("DATASTOREREADY", _at("spec.datastoreReady")),
    ),
    "GlobalNetworkPolicy": _POLICY,
    "NetworkPolicy": _POLICY,
    "StagedGlobalNetworkPolicy": _POLICY,
    "StagedNetworkPolicy": _POLICY,
    "StagedKubernetesNetworkPolicy": (_NAME, Column("PODSELECTOR", _at("spec.podSelector"), wide=True)),
    "IPReservation": (_NAME, Column("CIDRS", _cut("spec.reservedCIDRs", 80), wide=True)),
    "GlobalNetworkSet": (_NAME, Column("NETS", _cut("spec.nets", 80), wide=True)),
    "NetworkSet": (_NAME, Column("NETS", _cut("spec.nets", 80), wide=True)),
    "HostEndpoint": (
        _NAME,
        Column("NODE", _at("spec.node")),
        Column("INTERFACE", _at("spec.interfaceName"), wide=True),
        Column("IPS", _at("spec.expectedIPs"), wide=True),
        Column("PROFILES", _at("spec.profiles"), wide=True),
    ),
    "IPPool": (
        _NAME,
        Column("CIDR", _at("spec.cidr")),
        Column("NAT", _at("spec.natOutgoing", "false"), wide=True),
        Column("IPIPMODE", _at("spec.ipipMode", "Never"), wide=True),
        Column("VXLANMODE", _at("spec.vxlanMode", "Never"), wide=True),
        Column("DISABLED", _at("spec.disabled", "false"), wide=True),
        Column("DISABLEBGPEXPORT", _at("spec.disableBGPExport", "false"), wide=True),
        Column("SELECTOR", _at("spec.nodeSelector", "all()")),
        Column("ASSIGNMENTMODE", _at("spec.assignmentMode", "Automatic"), wide=True),
    ),
    "IPAMConfiguration": (
        _NAME,
        Column("STRICTAFFINITY", _at("spec.strictAffinity", "false")),
        Column("AUTOALLOCATEBLOCKS", _at("spec.autoAllocateBlocks", "true")),
        Column("MAXBLOCKSPERHOST", _at("spec.maxBlocksPerHost"), wide=True),
    ),
    "IPAMHandle": (_NAME, Column("HANDLE", _at("spec.handleID")), Column("BLOCKS", _count("spec.block"))),
    "IPAMBlock": (
        _NAME,
        Column("CIDR", _at("spec.cidr")),
        Column("AFFINITY", _at("spec.affinity")),
        Column("FREE", _count("spec.unallocated")),
    ),
    "BlockAffinity": (
        _NAME,
        Column("NODE", _at("spec.node")),
        Column("CIDR", _at("spec.cidr")),
        Column("STATE", _at("spec.state")),
    ),
    "Node": (
        _NAME,
        Column("ASN", _node_as, wide=True),
        Column("IPV4", _at("spec.bgp.ipv4Address"), wide=True),
        Column("IPV6", _at("spec.bgp.ipv6Address"), wide=True),
    ),
    "ReconcilerBatch": (
        _NAME,
        Column("NUMBER", _at("spec.number")),
        Column("WRITES", _at("spec.writes")),
        Column("STATE", _at("spec.state")),
    ),
    "ReconcilerControl": (
        _NAME,
        Column("SUSPENDED", _at("spec.suspended.reason", "-")),
        Column("APPROVED", _at("spec.approved.digest", "-")),
        Column("HELD", _at("spec.held.commit", "-")),
    ),
    "ReconcilerHistory": (_NAME, Column("RECORDS", _count("spec.records"))),
    "ReconcilerLease": (
        _NAME,
        Column("HOLDER", _at("spec.holder", "-")),
        Column("RENEWED", _at("spec.renewed", "-")),
        Column("TERM", _at("spec.term", "-"), wide=True),
    ),
    "ReconcilerLedger": (
        _NAME,
        Column("SET", _at("spec.set")),
        Column("OBJECTS", _count("spec.items")),
        Column("ACCEPTED", _at("spec.accepted", "-")),
    ),
    "ReconcilerProbe": (
        _NAME,
        Column("SET", _at("spec.set")),
        Column("NODE", _at("spec.node")),
        Column("ASKED", _count("spec.pairs")),
        Column("ANSWERED", _count("status.answers")),
    ),
    "ReconcilerStatus": (
        _NAME,
        Column("APPLIED", _at("status.applied", "-")),
        Column("HELD", _held),
        Column("TROUBLES", _troubles),
        Column("DRIFT", _count("status.drift")),
        Column("AT", _at("status.at"), wide=True),
    ),
    "Profile": (_NAME, Column("LABELS", _at("spec.labelsToApply"), wide=True)),
    "Tier": (_NAME, Column("ORDER", _at("spec.order"))),
    "WorkloadEndpoint": (
        Column("NAME", _at("metadata.name"), wide=True),
        Column("WORKLOAD", _first("spec.workload", "spec.pod")),
        Column("NODE", _at("spec.node")),
        Column("NETWORKS", _at("spec.ipNetworks")),
        Column("INTERFACE", _at("spec.interfaceName")),
        Column("PROFILES", _at("spec.profiles"), wide=True),
        Column("NATS", _nats, wide=True),
    ),
}


def columns_of(kind: str, *, wide: bool, namespace: bool) -> tuple[Column, ...]:
    """The columns for one listing; `namespace` puts a NAMESPACE column first."""
    columns = tuple(column for column in COLUMNS.get(kind, (_NAME,)) if wide or not column.wide)
    return (_NAMESPACE, *columns) if namespace else columns


def chosen_columns(kind: str, headings: Sequence[str]) -> tuple[Column, ...]:
    """The columns of these headings, in any case, in their order. Raises BadInput."""
    known = {column.heading: column for column in (_NAMESPACE, *COLUMNS.get(kind, (_NAME,)))}
    unknown = [heading for heading in headings if heading.upper() not in known]
    if unknown:
        raise BadInput(
            Problem(f"{kind} has no column {unknown[0]!r}", "-o custom-columns", f"use some of {','.join(known)}")
        )
    return tuple(known[heading.upper()] for heading in headings)
