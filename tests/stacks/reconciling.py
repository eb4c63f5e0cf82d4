"""A reconciler that looks once: what a push would lead to, without the repository."""

from __future__ import annotations

import asyncio
from pathlib import Path

from muslin.datastore.kubernetes.store import KubernetesDatastore
from muslin.datastore.settings import KubernetesSettings
from reconciler.apply import apply
from reconciler.ledger import Ledger
from reconciler.local import read_folder
from reconciler.ownership import Ownership, manager_of
from reconciler.plan import Plan
from reconciler.preview import preview
from tests.support.kube_apiserver import KubeApiserver

__all__ = ["reconciled"]


def reconciled(server: KubeApiserver, files: Path) -> Plan:
    """One look of a reconciler at these files; gives the plan that it took."""

    async def look() -> Plan:
        store = await KubernetesDatastore.open(KubernetesSettings(kubeconfig=str(server.kubeconfig), qps=100))
        try:
            proposed = await preview(store, read_folder(files))
            ownership, ledger = Ownership(manager_of("default")), await Ledger.load(store, "default")
            await apply(store, proposed, ledger, wrote=lambda *_: None, ownership=ownership)
            return proposed
        finally:
            await store.close()

    return asyncio.run(look())
