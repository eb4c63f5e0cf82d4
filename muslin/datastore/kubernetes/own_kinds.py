"""What Muslin keeps beside Calico's kinds: what the reconciler remembers, says and is told, in a group of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["OWN_KINDS", "PACKED", "own_definitions"]

OWN_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "ReconcilerBatch": ("reconciler.muslin/v1alpha1", "reconcilerbatches"),
    "ReconcilerControl": ("reconciler.muslin/v1alpha1", "reconcilercontrols"),
    "ReconcilerHistory": ("reconciler.muslin/v1alpha1", "reconcilerhistories"),
    "ReconcilerLease": ("reconciler.muslin/v1alpha1", "reconcilerleases"),
    "ReconcilerLedger": ("reconciler.muslin/v1alpha1", "reconcilerledgers"),
    "ReconcilerProbe": ("reconciler.muslin/v1alpha1", "reconcilerprobes"),
    "ReconcilerStatus": ("reconciler.muslin/v1alpha1", "reconcilerstatuses"),
}
"""Mapping[kind, (apiVersion, plural)]; all are cluster-scoped."""

PACKED: Final[Mapping[str, str]] = {"ReconcilerLedger": "items"}
"""Mapping[kind, field of its spec]: what is stored as text, because it is large and only we read it."""


def own_definitions() -> list[dict[str, Any]]:
    """Their CustomResourceDefinitions. What is in them is the reconciler's own business: any object is taken."""
    return [_definition(kind, api_version, plural) for kind, (api_version, plural) in OWN_KINDS.items()]


def _definition(kind: str, api_version: str, plural: str) -> dict[str, Any]:
    group, _, version = api_version.partition("/")
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": "Cluster",
            "versions": [served],
        },
    }
