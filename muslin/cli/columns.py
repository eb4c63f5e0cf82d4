"""Which columns `get` shows for each kind, as calicoctl does. Values are read from the object as JSON.

Reading JSON and not models means that an object which breaks a rule can still be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["COLUMNS", "Column", "columns_of"]

_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how its cell is read; `wide` ones are shown with `-o wide` only."""

    heading: str
    cell: Callable[[_Object], str]
    wide: bool = False


def _at(path: str, default: str = "") -> Callable[[_Object], str]:
    def cell(value: _Object) -> str:
        here: Any = value
        for part in path.split("."):
            if not isinstance(here, Mapping) or part not in here:
                return default
            here = here[part]
        return _text(here)

    return cell


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(_text(item) for item in value)
    return "" if value is None else str(value)


def _count(path: str) -> Callable[[_Object], str]:
    def cell(value: _Object) -> str:
        here: Any = value
        for part in path.split("."):
            here = here.get(part, ()) if isinstance(here, Mapping) else ()
        return str(len(here))

    return cell


def _node_as(value: _Object) -> str:
    own = _at("spec.bgp.asNumber")(value)
    return own or "(64512)"


_NAME = Column("NAME", _at("metadata.name"))
_POLICY = (
    _NAME,
    Column("TIER", _at("spec.tier", "default")),
    Column("ORDER", _at("spec.order"), wide=True),
    Column("SELECTOR", _at("spec.selector"), wide=True),
)

COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "BGPConfiguration": (
        _NAME,
        Column("LOGSEVERITY", _at("spec.logSeverityScreen", "Info")),
        Column("MESHENABLED", _at("spec.nodeToNodeMeshEnabled", "true")),
        Column("ASNUMBER", _at("spec.asNumber", "-")),
    ),
    "BGPPeer": (
        _NAME,
        Column("PEERIP", _at("spec.peerIP")),
        Column("NODE", lambda value: _at("spec.node")(value) or _at("spec.nodeSelector", "(global)")(value)),
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
    "GlobalNetworkSet": (_NAME, Column("NETS", _at("spec.nets"), wide=True)),
    "NetworkSet": (_NAME, Column("NETS", _at("spec.nets"), wide=True)),
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
        Column("SELECTOR", _at("spec.nodeSelector", "all()")),
        Column("NAT", _at("spec.natOutgoing", "false"), wide=True),
        Column("IPIPMODE", _at("spec.ipipMode", "Never"), wide=True),
        Column("VXLANMODE", _at("spec.vxlanMode", "Never"), wide=True),
        Column("DISABLED", _at("spec.disabled", "false"), wide=True),
        Column("DISABLEBGPEXPORT", _at("spec.disableBGPExport", "false"), wide=True),
        Column("ASSIGNMENTMODE", _at("spec.assignmentMode", "Automatic"), wide=True),
    ),
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
    "Profile": (_NAME, Column("LABELS", _at("spec.labelsToApply"), wide=True)),
    "Tier": (_NAME, Column("ORDER", _at("spec.order"))),
    "WorkloadEndpoint": (
        Column("WORKLOAD", lambda value: _at("spec.pod")(value) or _at("spec.workload")(value)),
        Column("NODE", _at("spec.node")),
        Column("NETWORKS", _at("spec.ipNetworks")),
        Column("INTERFACE", _at("spec.interfaceName")),
        Column("NAME", _at("metadata.name"), wide=True),
        Column("PROFILES", _at("spec.profiles"), wide=True),
    ),
}


def columns_of(kind: str, *, wide: bool, namespace: bool) -> tuple[Column, ...]:
    """The columns for one listing; `namespace` puts a NAMESPACE column first."""
    columns = tuple(column for column in COLUMNS.get(kind, (_NAME,)) if wide or not column.wide)
    return (Column("NAMESPACE", _at("metadata.namespace")), *columns) if namespace else columns
