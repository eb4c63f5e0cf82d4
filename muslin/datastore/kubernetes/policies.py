"""Policies that Kubernetes itself has, as Calico's: kinds of their own, beside the policies of the same name.

Read only, for agents: `KubernetesNetworkPolicy` and `KubernetesClusterNetworkPolicy`. A list of NetworkPolicy does not
show them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import quote

from muslin.conversion.cluster_policy import CLUSTER_POLICY, cluster_policy_from_kubernetes
from muslin.conversion.policy import KUBERNETES_POLICY, policy_from_kubernetes
from muslin.conversion.reading import Converted, Json
from muslin.datastore.kubernetes.refusals import NotSupported, Operation, said
from muslin.datastore.kubernetes.views import Source, entry_of, is_segment, readable
from muslin.datastore.protocol import AlreadyExists, Conflict, Entry, NotFound, Revision
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient
from muslin.resources.keys import Key

__all__ = ["KubernetesPolicies", "cluster_network_policies", "network_policies"]


class KubernetesPolicies:
    """One kind of Kubernetes' own policies."""

    def __init__(
        self,
        client: KubernetesClient,
        kind: str,
        path: str,
        convert: Callable[[Json], Converted],
        *,
        namespaced: bool,
    ) -> None:
        self._client, self._kind, self._convert = client, kind, convert
        self._source = Source(path, lambda raw: (self._entry(raw),), namespaced)
        self.sources = (self._source,)
        self.fixed: tuple[Entry, ...] = ()

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        path = self._source.within(key.namespace)
        if path is None or (key.namespace is not None) != self._source.namespaced or not is_segment(key.name):
            raise NotFound(key)
        try:
            with said(key):
                return self._entry(await self._client.get(f"{path}/{quote(key.name, safe='')}"))
        except api.NotFound as error:
            raise NotFound(key) from error

    async def create(self, key: Key, value: dict[str, Any]) -> Entry:  # noqa: ARG002 - of the protocol
        """See `Datastore.create`."""
        try:
            raise AlreadyExists(await self.get(key))
        except NotFound:
            raise NotSupported(Operation.CREATE, key, self._fix) from None

    async def update(self, key: Key, value: dict[str, Any], revision: Revision) -> Entry:  # noqa: ARG002 - likewise
        """See `Datastore.update`."""
        await self._refuse(Operation.UPDATE, key, revision)

    async def delete(self, key: Key, revision: Revision | None) -> Entry:
        """See `Datastore.delete`."""
        await self._refuse(Operation.DELETE, key, revision)

    async def _refuse(self, operation: Operation, key: Key, revision: Revision | None) -> NoReturn:
        entry = await self.get(key)
        if revision is not None and entry.revision != revision:
            raise Conflict(entry)
        raise NotSupported(operation, key, self._fix)

    @property
    def _fix(self) -> str:
        return f"write it with kubectl, in {self._source.path}"

    def _entry(self, raw: dict[str, Any]) -> Entry:
        return entry_of(self._kind, readable(self._kind, raw, self._convert))


def network_policies(client: KubernetesClient) -> KubernetesPolicies:
    """NetworkPolicy of `networking.k8s.io`."""
    path = "/apis/networking.k8s.io/v1/networkpolicies"
    return KubernetesPolicies(client, KUBERNETES_POLICY, path, policy_from_kubernetes, namespaced=True)


def cluster_network_policies(client: KubernetesClient) -> KubernetesPolicies:
    """ClusterNetworkPolicy, a CRD that few clusters have."""
    path = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies"
    return KubernetesPolicies(client, CLUSTER_POLICY, path, cluster_policy_from_kubernetes, namespaced=False)
