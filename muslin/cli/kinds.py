"""The kinds that verbs work on, by every name that people type: Calico's, and what the reconciler keeps beside them.

A table without models: a verb that only shows objects must not wait for pydantic. A test holds it equal to the
registry of `muslin.resources`.
"""

from __future__ import annotations

from dataclasses import dataclass

from muslin.errors import BadInput, Problem

__all__ = ["SHOWN_KINDS", "ShownKind", "kind_named"]


@dataclass(frozen=True, slots=True)
class ShownKind:
    """A kind: its name in manifests, its API, and whether its objects live in a namespace."""

    name: str
    api_version: str
    namespaced: bool


_V3 = "projectcalico.org/v3"
_RECONCILER = "reconciler.muslin/v1alpha1"
_CLUSTER = {
    "BGPConfiguration": "bgpconfigurations bgpconfig bgpconfigs",
    "BGPFilter": "bgpfilters bgpf bgpfs bf bfs",
    "BGPPeer": "bgppeers bgpp bgpps bp bps",
    "BlockAffinity": "blockaffinities affinity affinities",
    "CalicoNodeStatus": "caliconodestatuses nodestatus nodestatuses",
    "ClusterInformation": "clusterinformations clusterinfo clusterinfos",
    "FelixConfiguration": "felixconfigurations felixconfig felixconfigs",
    "GlobalNetworkPolicy": "globalnetworkpolicies gnp gnps cgnp",
    "GlobalNetworkSet": "globalnetworksets gns gnetset gnetsets",
    "HostEndpoint": "hostendpoints hep heps",
    "IPAMBlock": "ipamblocks",
    "IPAMConfiguration": "ipamconfigurations ipamconfig ipamconfigs",
    "IPAMHandle": "ipamhandles",
    "IPPool": "ippools ipp ipps pool pools",
    "IPReservation": "ipreservations reservation reservations",
    "KubeControllersConfiguration": (
        "kubecontrollersconfigurations kubecontrollersconfig kubecontrollersconfigs kcc kccs"
    ),
    "Node": "nodes no nos",
    "Profile": "profiles pro pros",
    "StagedGlobalNetworkPolicy": "stagedglobalnetworkpolicies sgnp sgnps",
    "Tier": "tiers",
}
_NAMESPACED = {
    "LiveMigration": "livemigrations",
    "NetworkPolicy": "networkpolicies np nps cnp caliconetworkpolicy policy policies pol pols",
    "NetworkSet": "networksets netset netsets",
    "StagedKubernetesNetworkPolicy": (
        "stagedkubernetesnetworkpolicies stagedkubernetespolicy stagedkubernetespolicies sknp sknps skpol skpols"
    ),
    "StagedNetworkPolicy": "stagednetworkpolicies stagedpolicy stagedpolicies snp snps scnp spol spols",
    "WorkloadEndpoint": "workloadendpoints wep weps",
}
_OURS = {
    "ReconcilerBatch": "reconcilerbatches",
    "ReconcilerControl": "reconcilercontrols",
    "ReconcilerHistory": "reconcilerhistories",
    "ReconcilerLease": "reconcilerleases",
    "ReconcilerLedger": "reconcilerledgers",
    "ReconcilerProbe": "reconcilerprobes",
    "ReconcilerStatus": "reconcilerstatuses",
}

SHOWN_KINDS = {
    **{name: ShownKind(name, _V3, namespaced=False) for name in _CLUSTER},
    **{name: ShownKind(name, _V3, namespaced=True) for name in _NAMESPACED},
    **{name: ShownKind(name, _RECONCILER, namespaced=False) for name in _OURS},
}
"""Mapping[str, ShownKind]: every kind, by its name in manifests."""

_BY_ALIAS = {
    alias: name
    for table in (_CLUSTER, _NAMESPACED, _OURS)
    for name, aliases in table.items()
    for alias in (name.lower(), *aliases.split())
}


def kind_named(alias: str) -> ShownKind:
    """The kind that people mean by this word, in any case. Raises BadInput."""
    name = _BY_ALIAS.get(alias.lower())
    if name is None:
        raise BadInput(Problem(f"{alias!r} is not a kind of resource", "KIND", _suggestion(alias.lower())))
    return SHOWN_KINDS[name]


def _suggestion(word: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for mistakes

    singular = sorted(name.lower() for name in SHOWN_KINDS)
    meant = get_close_matches(word, [*singular, *sorted(set(_BY_ALIAS) - set(singular))], 1)
    return f"did you mean {meant[0]}?" if meant else f"use one of {', '.join(singular)}"
