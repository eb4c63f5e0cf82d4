"""The datastore that is a Kubernetes API: CRDs for most kinds, views of core objects for the others."""

from __future__ import annotations

from muslin.datastore.kubernetes.refusals import NotSupported
from muslin.datastore.kubernetes.store import KubernetesDatastore

__all__ = ["KubernetesDatastore", "NotSupported"]
