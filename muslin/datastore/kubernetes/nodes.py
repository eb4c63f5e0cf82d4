"""Calico's Nodes: views of core Nodes. What only Calico knows of one stands in its annotations.

Written through the node's status, as Calico does, because that is what agents have the right to. Kubelet makes and
removes Nodes.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from muslin.conversion.node import node_from_core, node_patch
from muslin.datastore.kubernetes.refusals import NotSupported, Operation, said
from muslin.datastore.kubernetes.views import FIELD_MANAGER, Source, entry_of, is_segment, readable, revision_of
from muslin.datastore.protocol import AlreadyExists, Conflict, Entry, NotFound, Revision
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient, PatchType
from muslin.resources.keys import Key

__all__ = ["Nodes"]

_PATH: Final = "/api/v1/nodes"


class Nodes:
    """The kind Node.

    Args:
        client: of the API.
        use_pod_cidr: addresses come from the podCIDRs that Kubernetes gives, not from Calico's IPAM.
    """

    def __init__(self, client: KubernetesClient, *, use_pod_cidr: bool = False) -> None:
        self._client, self._use_pod_cidr = client, use_pod_cidr
        self.sources = (Source(_PATH, lambda core: (self._entry(core),)),)
        self.fixed: tuple[Entry, ...] = ()

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        return self._entry(await self._core(key))

    async def create(self, key: Key, value: dict[str, Any]) -> Entry:  # noqa: ARG002 - of the protocol
        """See `Datastore.create`."""
        try:
            raise AlreadyExists(await self.get(key))
        except NotFound:
            fix = "start kubelet on that machine, which registers its node; then update it"
            raise NotSupported(Operation.CREATE, key, fix) from None

    async def update(self, key: Key, value: dict[str, Any], revision: Revision) -> Entry:
        """See `Datastore.update`. What the core Node itself says (addresses, labels) stays."""
        core = await self._core(key)
        if revision_of(core) != revision:
            raise Conflict(self._entry(core))
        patch = node_patch(value, core, use_pod_cidr=self._use_pod_cidr)
        if not patch["metadata"].get("annotations"):
            return self._entry(core)
        try:
            with said(key):
                path = f"{_PATH}/{quote(key.name, safe='')}/status"
                return self._entry(
                    await self._client.patch(path, patch, how=PatchType.MERGE, field_manager=FIELD_MANAGER)
                )
        except api.NotFound as error:
            raise NotFound(key) from error
        except api.Conflict as error:
            raise Conflict(await self.get(key)) from error

    async def delete(self, key: Key, revision: Revision | None) -> Entry:
        """See `Datastore.delete`."""
        entry = await self.get(key)
        if revision is not None and entry.revision != revision:
            raise Conflict(entry)
        raise NotSupported(Operation.DELETE, key, f"kubectl delete node {key.name}")

    async def _core(self, key: Key) -> dict[str, Any]:
        if key.namespace is not None or not is_segment(key.name):
            raise NotFound(key)
        try:
            with said(key):
                return await self._client.get(f"{_PATH}/{quote(key.name, safe='')}")
        except api.NotFound as error:
            raise NotFound(key) from error

    def _entry(self, core: dict[str, Any]) -> Entry:
        return entry_of(
            "Node",
            readable("Node", core, lambda raw: node_from_core(raw, use_pod_cidr=self._use_pod_cidr)),
        )
