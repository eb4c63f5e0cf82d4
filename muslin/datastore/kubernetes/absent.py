"""Kinds that other stores keep and Kubernetes does not: there are none of them here."""

from __future__ import annotations

from typing import Any

from muslin.datastore.kubernetes.refusals import NotSupported, Operation
from muslin.datastore.kubernetes.views import Source
from muslin.datastore.protocol import Entry, NotFound, Revision
from muslin.resources.keys import Key

__all__ = ["Absent"]


class Absent:
    """A kind without objects.

    Args:
        fix: what to write instead.
    """

    def __init__(self, fix: str) -> None:
        self._fix = fix
        self.sources: tuple[Source, ...] = ()
        self.fixed: tuple[Entry, ...] = ()

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        raise NotFound(key)

    async def create(self, key: Key, value: dict[str, Any]) -> Entry:  # noqa: ARG002 - of the protocol
        """See `Datastore.create`."""
        raise NotSupported(Operation.CREATE, key, self._fix)

    async def update(self, key: Key, value: dict[str, Any], revision: Revision) -> Entry:  # noqa: ARG002 - likewise
        """See `Datastore.update`."""
        raise NotFound(key)

    async def delete(self, key: Key, revision: Revision | None) -> Entry:  # noqa: ARG002 - likewise
        """See `Datastore.delete`."""
        raise NotFound(key)
