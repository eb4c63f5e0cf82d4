"""What an object becomes in another datastore, whether it goes there at all, and whether it arrived. Pure.

Kubernetes makes some objects itself (profiles of namespaces, endpoints of pods, policies of its own), knows nodes by
names of its own, and fills in defaults. Source: calico.md sections 1a, 1b and 10.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from muslin.conversion.cluster_policy import CLUSTER_POLICY
from muslin.conversion.kinds import CRD_KINDS, IPAM_KINDS
from muslin.conversion.node import KUBE_LABELS
from muslin.conversion.node_names import renamed
from muslin.conversion.policy import KUBERNETES_POLICY
from muslin.conversion.policy_names import KUBERNETES_PREFIX, stored_name_of_kubernetes_policy
from muslin.conversion.profile import DEFAULT_ALLOW, namespace_of_profile, service_account_of_profile
from muslin.conversion.reading import Json, as_mapping, as_text, metadata_of, parse_json
from muslin.datastore.initialize import BUILT_IN_TIERS
from muslin.resources.keys import Key
from muslin.resources.stored import has_status

__all__ = [
    "MOVED_KINDS", "OF_KUBERNETES", "OWN_KINDS", "Journey", "StoreType", "Why", "differences", "is_of_the_store",
    "moved",
]  # fmt: skip

OWN_KINDS: Final = ("ReconcilerControl", "ReconcilerHistory", "ReconcilerLedger", "ReconcilerStatus")
"""What Muslin keeps beside Calico's kinds. Who leads at the moment (ReconcilerLease), what is being written
(ReconcilerBatch) and what nodes are asked (ReconcilerProbe) stay behind."""

MOVED_KINDS: Final = (
    "Tier", "Node", "IPPool", "IPReservation", "IPAMConfiguration", "BGPFilter", "BGPConfiguration", "BGPPeer",
    "FelixConfiguration", "KubeControllersConfiguration", "Profile", "GlobalNetworkSet", "NetworkSet", "HostEndpoint",
    "GlobalNetworkPolicy", "NetworkPolicy", "StagedGlobalNetworkPolicy", "StagedNetworkPolicy",
    "StagedKubernetesNetworkPolicy", "BlockAffinity", "IPAMHandle", "IPAMBlock", "WorkloadEndpoint", "LiveMigration",
    "CalicoNodeStatus", *OWN_KINDS,
)  # fmt: skip
"""In the order in which they are written: what others name comes first, a handle before the blocks it counts."""

OF_KUBERNETES: Final = (KUBERNETES_POLICY, CLUSTER_POLICY)
"""Kinds that only a Kubernetes datastore shows: its own policies."""

_OF_THE_WRITE: Final = frozenset(
    {
        "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
)  # fmt: skip
_OF_AN_API_SERVER: Final = frozenset({"finalizers", "ownerReferences"})
"""They name controllers and UIDs of one cluster: elsewhere an owner that is not there gets the object removed."""
_WITHOUT_DEFAULTS: Final = frozenset({"BlockAffinity", "IPAMBlock", "IPAMHandle"})
"""Kinds to which an API server adds nothing but what is nothing."""
_FROM_THE_CORE_NODE: Final = (("spec", "orchRefs"), ("spec", "addresses"), ("status", "podCIDRs"))


class StoreType(enum.Enum):
    """What kind of datastore it is; the value is for people."""

    EMBEDDED = "embedded"
    ETCD = "etcd"
    KUBERNETES = "Kubernetes"


class Why(enum.Enum):
    """Why an object does not come along; the value is for people."""

    MADE_THERE = "the datastore it goes to makes it itself"
    BEING_DELETED = "it is being deleted"
    NOT_KEPT = "the datastore it goes to keeps no such object"
    NO_NODE = "Kubernetes has no node of this name"
    NO_NAMESPACE = "Kubernetes has no such namespace"

    @property
    def is_loss(self) -> bool:
        """Whether somebody must have decided that it may be left behind."""
        return self not in (Why.MADE_THERE, Why.BEING_DELETED)


@dataclass(frozen=True, slots=True)
class Journey:
    """From which kind of store to which, and what is known of the destination.

    Attributes:
        source: where from.
        target: where to.
        names: Mapping[node, its name in Kubernetes], where the destination is Kubernetes.
        nodes: those that Kubernetes has there; None where the destination takes any.
        namespaces: likewise.
    """

    source: StoreType
    target: StoreType
    names: Mapping[str, str]
    nodes: Collection[str] | None = None
    namespaces: Collection[str] | None = None

    @property
    def to_kubernetes(self) -> bool:
        """Whether an API server takes the objects."""
        return self.target is StoreType.KUBERNETES


def moved(key: Key, value: Json, journey: Journey) -> tuple[Key, dict[str, Any]] | Why:
    """The object as it is to be written there, identity still in its metadata; or why it is not."""
    if metadata_of(value).get("deletionTimestamp") or _is_marked(key, value):
        return Why.BEING_DELETED
    if key == Key("Profile", DEFAULT_ALLOW):
        return Why.MADE_THERE
    if journey.to_kubernetes:
        why = _not_for_kubernetes(key, value, journey)
        if why is not None:
            return why
    elif key.kind == CLUSTER_POLICY:
        return Why.NOT_KEPT
    elif key.kind == KUBERNETES_POLICY:
        key = Key("NetworkPolicy", stored_name_of_kubernetes_policy(key.name), key.namespace)
        value = {**value, "kind": key.kind, "metadata": {"name": key.name, "namespace": key.namespace}}
    left_out = set(_OF_THE_WRITE) - {"uid", "creationTimestamp"}
    if StoreType.KUBERNETES in (journey.source, journey.target):
        left_out |= _OF_AN_API_SERVER
    metadata = {name: part for name, part in metadata_of(value).items() if name not in left_out}
    key, changed = renamed(key, {**value, "metadata": metadata}, journey.names)
    if key.kind == "BlockAffinity" and isinstance(changed.get("spec"), Mapping):
        changed["spec"] = {**changed["spec"], "deleted": False}  # text in the older CRDs
    if journey.to_kubernetes and key.kind in CRD_KINDS and not has_status(key.kind):
        changed.pop(
            "status", None
        )  # of somebody newer; the definitions have no place for it, and whose it is tells anew
    if journey.nodes is not None and key.kind == "Node" and key.name not in journey.nodes:
        return Why.NO_NODE
    return key, changed


def is_of_the_store(key: Key, target: StoreType, source: StoreType) -> bool:
    """Whether an object may be in a datastore to which nobody has moved or written anything."""
    if key.kind in OWN_KINDS and source is target is StoreType.KUBERNETES:
        return True  # both forms of the CRDs may be of one cluster, which has these once
    if key.kind in ("ClusterInformation", *OF_KUBERNETES) or (key.kind == "Tier" and key.name in BUILT_IN_TIERS):
        return True
    if key == Key("Profile", DEFAULT_ALLOW):
        return True
    return target is StoreType.KUBERNETES and key.kind in ("Node", "Profile", "WorkloadEndpoint")


def differences(key: Key, wanted: Json, there: Json, journey: Journey, *, exact: bool = False) -> list[str]:
    """Fields in which what arrived is not what was sent; empty if it arrived.

    Args:
        key: of the object, over there.
        wanted: what was sent.
        there: what is there.
        journey: an API server may add (defaults, a policy's types); nobody may lose or change anything.
        exact: what an API server added counts as well.
    """
    exact = exact or not journey.to_kubernetes or key.kind in _WITHOUT_DEFAULTS
    skipped = set(_of_the_core_node(there)) if journey.to_kubernetes and key.kind == "Node" else set()
    theirs, ours = metadata_of(there), metadata_of(wanted)
    found: list[str] = []
    if key.kind not in IPAM_KINDS:  # etcd keeps no metadata of these
        names = {*ours, *theirs} - _OF_THE_WRITE
        if StoreType.KUBERNETES in (journey.source, journey.target):
            names -= _OF_AN_API_SERVER
        for name in sorted(names):
            path = ("metadata", name)
            found += _differences(ours.get(name), theirs.get(name), path, exact=exact, skipped=skipped)
    parts = ({*wanted, *there} if exact else {*wanted}) - {"metadata", "apiVersion"}
    for name in sorted(parts):
        found += _differences(wanted.get(name), there.get(name), (name,), exact=exact, skipped=skipped)
    return found


def _not_for_kubernetes(key: Key, value: Json, journey: Journey) -> Why | None:
    if key.kind in OF_KUBERNETES:
        return Why.MADE_THERE
    if key.kind == "NetworkPolicy" and key.name.startswith(KUBERNETES_PREFIX):
        return Why.MADE_THERE
    if key.kind == "Profile":
        composed = namespace_of_profile(key.name) or service_account_of_profile(key.name)
        return Why.MADE_THERE if composed or journey.source is StoreType.KUBERNETES else Why.NOT_KEPT
    if key.kind == "WorkloadEndpoint":
        of_pod = as_text(as_mapping(value.get("spec")).get("orchestrator")) == "k8s"
        return Why.MADE_THERE if of_pod or journey.source is StoreType.KUBERNETES else Why.NOT_KEPT
    if key.kind not in CRD_KINDS and key.kind not in ("Node", *OWN_KINDS):
        return Why.NOT_KEPT
    if key.namespace is not None and journey.namespaces is not None and key.namespace not in journey.namespaces:
        return Why.NO_NAMESPACE
    return None


def _is_marked(key: Key, value: Json) -> bool:
    """Whether it is an object of address management that is gone for all who read it."""
    return key.kind in IPAM_KINDS and as_mapping(value.get("spec")).get("deleted") in (True, "true")


def _of_the_core_node(there: Json) -> Iterator[tuple[str, ...]]:
    """What a Node of Kubernetes says by itself, whatever Calico writes."""
    yield from _FROM_THE_CORE_NODE
    yield ("metadata", "annotations", KUBE_LABELS)
    recorded: Any = None
    try:
        recorded = parse_json(as_text(as_mapping(metadata_of(there).get("annotations")).get(KUBE_LABELS)) or "{}")
    except ValueError:
        return
    for label in as_mapping(recorded):
        yield ("metadata", "labels", label)


def _differences(
    wanted: Any, there: Any, path: tuple[str, ...], *, exact: bool, skipped: Collection[tuple[str, ...]]
) -> Iterator[str]:
    """Paths at which two values differ. Nothing, null, false, {} and [] are the same: stores leave them out at will."""
    if path in skipped or (_is_nothing(wanted) and (_is_nothing(there) or not exact)):
        return
    if isinstance(wanted, Mapping) and (isinstance(there, Mapping) or there is None):
        inside = as_mapping(there)
        for name in sorted({*wanted, *inside} if exact else {*wanted}, key=str):
            at = (*path, str(name))
            yield from _differences(wanted.get(name), inside.get(name), at, exact=exact, skipped=skipped)
    elif isinstance(wanted, list | tuple) and isinstance(there, list | tuple) and len(wanted) == len(there):
        for index, (one, other) in enumerate(zip(wanted, there, strict=True)):
            at = (*path[:-1], f"{path[-1]}[{index}]")
            yield from _differences(one, other, at, exact=exact, skipped=skipped)
    elif wanted != there or isinstance(wanted, bool) != isinstance(there, bool):
        yield ".".join(path)


def _is_nothing(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, Mapping | list | tuple | str) and not value)
