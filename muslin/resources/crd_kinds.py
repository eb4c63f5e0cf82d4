"""What a CustomResourceDefinition says of each kind beside its schema: short names, columns, status, defaults.

A default here is one that the API server writes into objects, because Calico's definitions do. All others stay
`effective_` properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

__all__ = ["CUSTOM_KINDS", "Column", "CustomKind"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`.

    Attributes:
        wide: shown only with `-o wide`.
    """

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class CustomKind:
    """What there is to say of one kind.

    Attributes:
        status: whether status is written apart from the rest.
        defaults: by path, such as `spec.tier`.
    """

    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    status: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_TIER = Column("Tier", ".spec.tier")
_ORDER = Column("Order", ".spec.order", "number")
_SELECTOR = Column("Selector", ".spec.selector", wide=True)
_POLICY_COLUMNS = (_TIER, _ORDER, _SELECTOR, _AGE)
_STAGED = Column("Action", ".spec.stagedAction")
_CIDR = Column("CIDR", ".spec.cidr")
_NODE = Column("Node", ".spec.node")
_NETS = Column("Nets", ".spec.nets", wide=True)
_IN_TIER = {"spec.tier": "default"}
_ON_TRIAL = {"spec.stagedAction": "Set"}


def _ready(condition: str) -> str:
    return f".status.conditions[?(@.type=='{condition}')].reason"


CUSTOM_KINDS: Final[Mapping[str, CustomKind]] = MappingProxyType(
    {
        "BGPConfiguration": CustomKind(
            ("bgpconfig", "bgpconfigs"),
            (
                Column("LogSeverity", ".spec.logSeverityScreen"),
                Column("MeshEnabled", ".spec.nodeToNodeMeshEnabled", "boolean"),
                Column("ASNumber", ".spec.asNumber"),
                _AGE,
            ),
            defaults={"spec.logSeverityScreen": "Info", "spec.serviceLoadBalancerAggregation": "Enabled"},
        ),
        "BGPFilter": CustomKind(columns=(_AGE,)),
        "BGPPeer": CustomKind(
            columns=(
                _NODE,
                Column("Node Selector", ".spec.nodeSelector"),
                Column("Peer IP", ".spec.peerIP"),
                Column("Peer Selector", ".spec.peerSelector"),
                Column("Peer ASN", ".spec.asNumber"),
                Column("Local ASN", ".spec.localASNumber", wide=True),
                _AGE,
            )
        ),
        "BlockAffinity": CustomKind(
            ("affinity", "affinities"),
            (_CIDR, _NODE, Column("Type", ".spec.type"), Column("State", ".spec.state"), _AGE),
            defaults={"spec.deleted": False},
        ),
        "CalicoNodeStatus": CustomKind(
            columns=(_NODE, Column("Updated", ".status.lastUpdated", "date"), _AGE), status=True
        ),
        "ClusterInformation": CustomKind(
            ("clusterinfo", "clusterinfos"),
            (
                Column("Version", ".spec.calicoVersion"),
                Column("Type", ".spec.clusterType"),
                Column("Ready", ".spec.datastoreReady", "boolean"),
                Column("GUID", ".spec.clusterGUID", wide=True),
                _AGE,
            ),
        ),
        "FelixConfiguration": CustomKind(
            ("felixconfig", "felixconfigs"),
            (Column("Node Selector", ".spec.nodeSelector"), _AGE),
            defaults={
                "spec.bpfConnectTimeLoadBalancing": "TCP",
                "spec.bpfHostNetworkedNATWithoutCTLB": "Enabled",
                "spec.floatingIPs": "Disabled",
                "spec.nftablesFlowTableOffload": "Disabled",
                "spec.nftablesMode": "Auto",
            },
        ),
        "GlobalNetworkPolicy": CustomKind(("gnp", "cgnp"), _POLICY_COLUMNS, defaults=_IN_TIER),
        "GlobalNetworkSet": CustomKind(("gns",), (_NETS, _AGE)),
        "HostEndpoint": CustomKind(
            ("hep", "heps"),
            (_NODE, Column("Interface", ".spec.interfaceName"), Column("IPs", ".spec.expectedIPs"), _AGE),
        ),
        "IPAMBlock": CustomKind(columns=(_CIDR, Column("Affinity", ".spec.affinity"), _AGE)),
        "IPAMConfiguration": CustomKind(
            ("ipamconfig", "ipamconfigs"),
            (
                Column("StrictAffinity", ".spec.strictAffinity", "boolean"),
                Column("MaxBlocksPerHost", ".spec.maxBlocksPerHost", "integer"),
                Column("AutoAllocateBlocks", ".spec.autoAllocateBlocks", "boolean"),
                _AGE,
            ),
            defaults={"spec.strictAffinity": False, "spec.autoAllocateBlocks": True, "spec.maxBlocksPerHost": 0},
        ),
        "IPAMHandle": CustomKind(columns=(Column("Handle", ".spec.handleID", wide=True), _AGE)),
        "IPPool": CustomKind(
            columns=(
                _CIDR,
                Column("IPIP", ".spec.ipipMode"),
                Column("VXLAN", ".spec.vxlanMode"),
                Column("NAT", ".spec.natOutgoing", "boolean"),
                Column("Status", _ready("Allocatable")),
                Column("Selector", ".spec.nodeSelector", wide=True),
                Column("Disabled", ".spec.disabled", "boolean", wide=True),
                _AGE,
            ),
            status=True,
            defaults={"spec.nodeSelector": "all()", "spec.assignmentMode": "Automatic"},
        ),
        "IPReservation": CustomKind(columns=(Column("CIDRs", ".spec.reservedCIDRs"), _AGE)),
        "KubeControllersConfiguration": CustomKind(
            ("kcc", "kccs"),
            (Column("Health Checks", ".spec.healthChecks"), _AGE),
            status=True,
            defaults={
                "spec.healthChecks": "Enabled",
                "spec.prometheusMetricsPort": 9094,
                "spec.controllers.loadBalancer.assignIPs": "AllServices",
                "spec.controllers.migration.policyNameMigrator": "Enabled",
            },
        ),
        "NetworkPolicy": CustomKind(("cnp", "caliconetworkpolicy"), _POLICY_COLUMNS, defaults=_IN_TIER),
        "NetworkSet": CustomKind(columns=(_NETS, _AGE)),
        "StagedGlobalNetworkPolicy": CustomKind(("sgnp",), (_STAGED, *_POLICY_COLUMNS), defaults=_IN_TIER | _ON_TRIAL),
        "StagedKubernetesNetworkPolicy": CustomKind(("sknp",), (_STAGED, _AGE), defaults=_ON_TRIAL),
        "StagedNetworkPolicy": CustomKind(("scnp", "snp"), (_STAGED, *_POLICY_COLUMNS), defaults=_IN_TIER | _ON_TRIAL),
        "Tier": CustomKind(
            columns=(
                _ORDER,
                Column("DefaultAction", ".spec.defaultAction"),
                Column("Status", _ready("Ready")),
                _AGE,
            ),
            status=True,
            defaults={"spec.defaultAction": "Deny"},
        ),
    }
)
"""Mapping[str, CustomKind]: the kinds that have a definition. Node, WorkloadEndpoint, Profile are views of Kubernetes'
own objects, and LiveMigration is another project's."""
