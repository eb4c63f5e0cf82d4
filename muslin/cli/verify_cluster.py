"""A running installation as values: what the Kubernetes API shows of Calico's processes, their settings and resources.

It only reads. Of Secrets the names of their keys are kept, never what they hold.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from blueprints.fact_parts import DatastoreWish
from blueprints.upstream.etcd import SECRET
from blueprints.upstream.manifests import CONFIG, NAMESPACE, NODE
from blueprints.upstream.network import Network
from blueprints.upstream.typha import NAME as TYPHA
from blueprints.upstream.verify.installed import Found, Installed
from blueprints.upstream.verify.operator_lines import SYSTEM
from muslin.datastore.kubernetes import KubernetesDatastore
from muslin.errors import Failed
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.errors import Forbidden, NotFound
from muslin.kubernetes.finding import find_access

__all__ = ["read_cluster"]

_KINDS: Final = ("IPPool", "FelixConfiguration", "BGPConfiguration", "BGPPeer", "Node", "GlobalNetworkPolicy")
_OPERATOR: Final = "operator.tigera.io/v1"


def _paths() -> Iterable[tuple[str, str, str]]:
    """(apiVersion, kind, path) of every object of Kubernetes that is asked for."""
    for namespace in (NAMESPACE, SYSTEM):
        yield "apps/v1", "DaemonSet", f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{NODE}"
        yield "apps/v1", "Deployment", f"/apis/apps/v1/namespaces/{namespace}/deployments/{TYPHA}"
        yield "v1", "Service", f"/api/v1/namespaces/{namespace}/services/{TYPHA}"
        path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets/{TYPHA}"
        yield "policy/v1", "PodDisruptionBudget", path
    yield "v1", "ConfigMap", f"/api/v1/namespaces/{NAMESPACE}/configmaps/{CONFIG}"
    yield _OPERATOR, "Installation", f"/apis/{_OPERATOR}/installations/default"
    yield _OPERATOR, "APIServer", f"/apis/{_OPERATOR}/apiservers/default"
    yield "v1", "Secret", f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}"


async def read_cluster(network: Network, kubeconfig: str | None, context: str | None) -> Installed:
    """What runs there.

    Args:
        network: what was decided: where resources are kept.
        kubeconfig: a file; else KUBECONFIG, else the user's own, else the pod's account.
        context: of the kubeconfig.

    Raises:
        BadInput: the kubeconfig can't be used.
        Unavailable: the server does not answer.
        Failed: it does not let us in at all.
    """
    usual = Path.home() / ".kube" / "config"
    named = kubeconfig or os.environ.get("KUBECONFIG") or (str(usual) if usual.exists() else None)
    client = await KubernetesClient.connect(find_access(kubeconfig=named, context=context))
    store = KubernetesDatastore(client)
    try:
        unread: dict[str, str] = {}
        found = [each async for each in _processes(client, unread, network)]
        if network.datastore is DatastoreWish.KUBERNETES:
            found += [each async for each in _resources(store, unread)]
        else:
            unread |= dict.fromkeys(_KINDS, "it is in the etcd, which was not asked")
        return Installed(tuple(found), running=True, unread=unread)
    finally:
        await store.close()


async def _processes(client: KubernetesClient, unread: dict[str, str], network: Network) -> AsyncIterator[Found]:
    for version, kind, path in _paths():
        if kind == "Secret" and network.datastore is not DatastoreWish.ETCD:
            continue
        try:
            value = await client.get(path)
        except NotFound:
            continue
        except Forbidden as error:
            unread[kind] = error.problems[0].what
            continue
        yield Found(_without_secrets({**value, "apiVersion": version, "kind": kind}), "the cluster")


def _without_secrets(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if value.get("kind") != "Secret":
        return value
    return {**value, "data": dict.fromkeys(value.get("data") or {}, ""), "stringData": {}}


async def _resources(store: KubernetesDatastore, unread: dict[str, str]) -> AsyncIterator[Found]:
    for kind in _KINDS:
        try:
            listing = await store.list(kind)
        except Failed as error:
            unread[kind] = error.problems[0].what
            continue
        for entry in listing.entries:
            yield Found({**entry.value, "apiVersion": "projectcalico.org/v3", "kind": kind}, "the cluster")
