"""What each kind is called in its stores: both API groups of Kubernetes, and etcd. Data only, quick to import.

Source: calico.md sections 1a and 1b.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from muslin.resources.keys import Key

__all__ = [
    "CRD_KINDS", "ETCD_KINDS", "IPAM_KINDS", "NAMED_POLICIES", "SYNTHESISED", "ApiGroup", "StoredKind", "api_group",
    "api_path", "api_path_of", "kind_of_plural", "native_path",
]  # fmt: skip


class ApiGroup(enum.Enum):
    """Which CRDs hold a cluster's objects; the value is their `apiVersion`."""

    V1 = "crd.projectcalico.org/v1"
    V3 = "projectcalico.org/v3"

    @property
    def group(self) -> str:
        """The group alone, as discovery lists it."""
        return self.value.partition("/")[0]


@dataclass(frozen=True, slots=True)
class StoredKind:
    """Names of a kind.

    Attributes:
        kind: as in manifests.
        plural: in addresses of the API and keys of etcd.
        namespaced: whether objects live in a namespace.
        v1_kind: in the group `crd.projectcalico.org`.
        v1_plural: likewise.
    """

    kind: str
    plural: str
    namespaced: bool
    v1_kind: str
    v1_plural: str


def _table(*rows: tuple[str, str, bool]) -> Mapping[str, StoredKind]:
    renamed = {"IPAMConfiguration": ("IPAMConfig", "ipamconfigs")}
    return MappingProxyType(
        {
            kind: StoredKind(kind, plural, namespaced, *renamed.get(kind, (kind, plural)))
            for kind, plural, namespaced in rows
        }
    )


CRD_KINDS: Final = _table(
    ("BGPConfiguration", "bgpconfigurations", False),
    ("BGPFilter", "bgpfilters", False),
    ("BGPPeer", "bgppeers", False),
    ("BlockAffinity", "blockaffinities", False),
    ("CalicoNodeStatus", "caliconodestatuses", False),
    ("ClusterInformation", "clusterinformations", False),
    ("FelixConfiguration", "felixconfigurations", False),
    ("GlobalNetworkPolicy", "globalnetworkpolicies", False),
    ("GlobalNetworkSet", "globalnetworksets", False),
    ("HostEndpoint", "hostendpoints", False),
    ("IPAMBlock", "ipamblocks", False),
    ("IPAMConfiguration", "ipamconfigurations", False),
    ("IPAMHandle", "ipamhandles", False),
    ("IPPool", "ippools", False),
    ("IPReservation", "ipreservations", False),
    ("KubeControllersConfiguration", "kubecontrollersconfigurations", False),
    ("NetworkPolicy", "networkpolicies", True),
    ("NetworkSet", "networksets", True),
    ("StagedGlobalNetworkPolicy", "stagedglobalnetworkpolicies", False),
    ("StagedKubernetesNetworkPolicy", "stagedkubernetesnetworkpolicies", True),
    ("StagedNetworkPolicy", "stagednetworkpolicies", True),
    ("Tier", "tiers", False),
)
"""Mapping[kind, StoredKind]: kinds that are CRDs in Kubernetes, in both groups."""

SYNTHESISED: Final = frozenset({"Node", "Profile", "WorkloadEndpoint"})
"""Kinds without a CRD: views of core Nodes, of Namespaces and ServiceAccounts, of Pods."""

IPAM_KINDS: Final = frozenset({"BlockAffinity", "IPAMBlock", "IPAMConfiguration", "IPAMHandle"})
"""Kinds with keys and JSON of their own in etcd."""

NAMED_POLICIES: Final = frozenset(
    {"GlobalNetworkPolicy", "NetworkPolicy", "StagedGlobalNetworkPolicy", "StagedNetworkPolicy"}
)
"""Policies whose name is recorded in an annotation, because older releases stored them under another."""

ETCD_KINDS: Final[Mapping[str, StoredKind]] = MappingProxyType(
    {
        **{kind: stored for kind, stored in CRD_KINDS.items() if kind not in IPAM_KINDS},
        **_table(
            ("LiveMigration", "livemigrations", True),
            ("Node", "nodes", False),
            ("Profile", "profiles", False),
            ("WorkloadEndpoint", "workloadendpoints", True),
        ),
    }
)
"""Mapping[kind, StoredKind]: kinds that etcd keeps as whole objects."""

_BY_PLURAL = {stored.plural: stored for stored in ETCD_KINDS.values()}


def kind_of_plural(plural: str) -> StoredKind | None:
    """The kind whose objects etcd keeps under this name, None if there is none."""
    return _BY_PLURAL.get(plural)


def api_group(groups: Collection[str] | None, setting: str | None = None) -> ApiGroup:
    """Which CRDs a cluster's objects are in.

    Args:
        groups: names of all API groups that the cluster serves, None where they could not be asked for.
        setting: what somebody set (`CALICO_API_GROUP`, `calicoAPIGroup`), None or empty for nothing.
    """
    if setting:
        return ApiGroup.V3 if setting.casefold() == ApiGroup.V3.value else ApiGroup.V1
    if groups is not None and ApiGroup.V3.group in groups and ApiGroup.V1.group not in groups:
        return ApiGroup.V3
    return ApiGroup.V1


def api_path(group: ApiGroup, kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """Address of a kind's objects in the Kubernetes API, of one namespace, or of one object.

    Raises:
        KeyError: the kind is no CRD.
    """
    stored = CRD_KINDS[kind]
    plural = stored.v1_plural if group is ApiGroup.V1 else stored.plural
    within = ["namespaces", namespace] if stored.namespaced and namespace else []
    parts = [*within, plural, *([name] if name else [])]
    return "/".join(["/apis", group.value, *(quote(part, safe="") for part in parts)])


def api_path_of(group: ApiGroup, key: Key) -> str:
    """Address of one object."""
    return api_path(group, key.kind, key.namespace, key.name)


def native_path(key: Key) -> str:
    """Address of what holds an object in a cluster with the newer CRDs: of a Node the core one."""
    return f"/api/v1/nodes/{quote(key.name, safe='')}" if key.kind == "Node" else api_path_of(ApiGroup.V3, key)
