"""IPAM's blocks where addresses come from the podCIDRs of nodes (`USE_POD_CIDR`): views of core Nodes, to route by.

Nobody writes them here. Kubernetes gives a node its podCIDRs once, so that a node's change takes no block away.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from muslin.conversion.node import blocks_of_pod_cidrs
from muslin.conversion.reading import Converted, as_list, as_text, metadata_of
from muslin.datastore.kubernetes.refusals import NotSupported, Operation, said
from muslin.datastore.kubernetes.views import Source, entry_of, readable, revision_of
from muslin.datastore.protocol import AlreadyExists, Conflict, Entry, NotFound, Revision
from muslin.kubernetes.client import KubernetesClient
from muslin.resources.keys import Key

__all__ = ["PodCidrBlocks"]

_KIND: Final = "IPAMBlock"
_PATH: Final = "/api/v1/nodes"
_FIX: Final = "addresses come from the nodes' podCIDRs here; unset USE_POD_CIDR to let Calico's IPAM give them"


class PodCidrBlocks:
    """The kind IPAMBlock, one for each podCIDR."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self.sources = (Source(_PATH, _entries),)
        self.fixed: tuple[Entry, ...] = ()

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`. Names do not tell the node: all are asked."""
        token: str | None = None
        while True:
            with said(key):
                answer = await self._client.page(_PATH, continue_=token)
            for core in as_list(answer.get("items")):
                for entry in _entries(core):
                    if entry.key == key:
                        return entry
            token = as_text(metadata_of(answer).get("continue"))
            if not token:
                raise NotFound(key)

    async def create(self, key: Key, value: dict[str, Any]) -> Entry:  # noqa: ARG002 - of the protocol
        """See `Datastore.create`."""
        try:
            raise AlreadyExists(await self.get(key))
        except NotFound:
            raise NotSupported(Operation.CREATE, key, _FIX) from None

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
        raise NotSupported(operation, key, _FIX)


def _entries(core: dict[str, Any]) -> tuple[Entry, ...]:
    found: list[dict[str, Any]] = []

    def all_of(raw: dict[str, Any]) -> Converted:
        found.extend(blocks_of_pod_cidrs(raw))
        return Converted({})

    if readable(_KIND, core, all_of).value:
        return ()  # no block can be read from it, and the Node itself is told
    for block in found:
        block["metadata"]["resourceVersion"] = str(revision_of(core))
    return tuple(entry_of(_KIND, Converted(block)) for block in found)
