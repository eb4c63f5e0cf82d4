"""Profiles: views of Namespaces and of ServiceAccounts, and the one that allows everything. Nobody writes them here."""

from __future__ import annotations

from typing import Any, Final, NoReturn
from urllib.parse import quote

from muslin.conversion.profile import (
    DEFAULT_ALLOW,
    default_allow,
    namespace_of_profile,
    profile_from_namespace,
    profile_from_service_account,
    service_account_of_profile,
)
from muslin.conversion.reading import Converted
from muslin.datastore.kubernetes.refusals import NotSupported, Operation, said
from muslin.datastore.kubernetes.views import Source, entry_of, is_segment, readable
from muslin.datastore.protocol import AlreadyExists, Conflict, Entry, NotFound, Revision
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient
from muslin.resources.keys import Key

__all__ = ["Profiles"]

_KIND: Final = "Profile"
_FIX: Final = "label the namespace or the service account that it is made from"


class Profiles:
    """The kind Profile; its revisions are `<namespaces>/<service accounts>` with one of them empty."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self.sources = (
            Source("/api/v1/namespaces", lambda raw: (_of_namespace(raw),)),
            Source("/api/v1/serviceaccounts", lambda raw: (_of_service_account(raw),)),
        )

    @property
    def fixed(self) -> tuple[Entry, ...]:
        """The profile that allows everything."""
        return (entry_of(_KIND, Converted(default_allow())),)

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        if key.namespace is not None:
            raise NotFound(key)
        if key.name == DEFAULT_ALLOW:
            return self.fixed[0]
        namespace, account = namespace_of_profile(key.name), service_account_of_profile(key.name)
        if namespace is not None and is_segment(namespace):
            return _of_namespace(await self._raw(key, f"/api/v1/namespaces/{quote(namespace, safe='')}"))
        if account is not None and all(map(is_segment, account)):
            within, name = (quote(part, safe="") for part in account)
            return _of_service_account(await self._raw(key, f"/api/v1/namespaces/{within}/serviceaccounts/{name}"))
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

    async def _raw(self, key: Key, path: str) -> dict[str, Any]:
        try:
            with said(key):
                return await self._client.get(path)
        except api.NotFound as error:
            raise NotFound(key) from error


def _of_namespace(namespace: dict[str, Any]) -> Entry:
    return entry_of(_KIND, readable(_KIND, namespace, profile_from_namespace))


def _of_service_account(account: dict[str, Any]) -> Entry:
    return entry_of(_KIND, readable(_KIND, account, profile_from_service_account))
