"""Kinds that are CRDs: compare-and-swap on resourceVersion, status through its own address, deletion in two steps.

A kind whose CRD has a status subresource takes two writes where both parts change: the object, then its status at the
revision of the first. Whoever dies in between leaves the object without its new status, which level-triggered writers
of status make good. A value without `status` leaves the status alone.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

from muslin.conversion.reading import as_mapping, as_text, metadata_of
from muslin.datastore.field_ownership import FieldOwner
from muslin.datastore.kubernetes.fields import Target, applied, field_owners
from muslin.datastore.kubernetes.forms import Form
from muslin.datastore.kubernetes.refusals import not_served, said
from muslin.datastore.kubernetes.views import FIELD_MANAGER, Source, entry_of, is_segment
from muslin.datastore.protocol import AlreadyExists, Conflict, Entry, NotFound, Revision
from muslin.errors import BadInput, Failed, Problem, Unavailable
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient
from muslin.resources.keys import Key

__all__ = ["CustomResources"]

_TRIES: Final = 20
"""Each further one means that somebody else wrote or removed the object between two requests of ours."""
_IN_TWO_STEPS: Final = frozenset({"BlockAffinity", "IPAMBlock", "IPAMHandle"})
_DELETED: Final = (True, "true")
_REVISION: Final = re.compile(r"[1-9][0-9]{0,18}")
"""A write at anything else would not be compared by the server: it takes 0 and nothing for `whatever is there`."""


class CustomResources:
    """One kind that is a CRD."""

    def __init__(self, client: KubernetesClient, form: Form) -> None:
        self._client, self._form = client, form
        self.sources = (Source(form.path, lambda raw: (self._entry(raw),), form.namespaced),)
        self.fixed: tuple[Entry, ...] = ()

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`. An object whose deletion somebody left half done is gone: its second step is done."""
        return self._entry(await self._present(key))

    async def create(self, key: Key, value: dict[str, Any]) -> Entry:
        """See `Datastore.create`."""
        collection, body = self._collection(key), self._form.stored(value, None)
        if len(self._form.names(key)) > 1:
            await self._absent(key)
        for _ in range(_TRIES):
            try:
                with said(key):
                    raw = await self._client.create(collection, body, field_manager=FIELD_MANAGER)
            except (api.AlreadyExists, api.Conflict):
                await self._absent(key)
                await self._unnamed(key)
                continue
            except api.NotFound as error:
                raise self._homeless(key, error) from error
            return self._entry(await self._with_status(key, raw, value, fresh=True))
        raise _contended(key)

    async def update(self, key: Key, value: dict[str, Any], revision: Revision) -> Entry:
        """See `Datastore.update`."""
        if not self._is_possible(key):
            raise NotFound(key)
        current: dict[str, Any] = {"metadata": {"name": key.name, "resourceVersion": str(revision)}}
        for _ in range(_TRIES):
            if self._form.needs_current or not _REVISION.fullmatch(revision):
                current = await self._present(key)
                self._compare(current, revision)
            body = self._form.stored(value, current)
            try:
                with said(key):
                    raw = await self._client.replace(
                        self._address(key, _name(current)), body, field_manager=FIELD_MANAGER
                    )
            except api.NotFound as error:
                raise NotFound(key) from error
            except (api.Conflict, api.AlreadyExists):
                self._compare(await self._present(key), revision)
                continue  # nobody wrote: the server was in conflict with itself
            return self._entry(await self._with_status(key, raw, value))
        raise _contended(key)

    @property
    def keeps_owners(self) -> bool:
        """Whether the API's record of managers is about the fields as Calico's clients see them."""
        return not self._form.needs_current

    async def apply(
        self, key: Key, value: dict[str, Any], revision: Revision | None, *, manager: str, force: bool
    ) -> Entry:
        """See `FieldOwnership.apply`."""
        target = Target(key, self._form, self._address(key, key.name))
        return await applied(self._client, target, value, revision, manager=manager, force=force)

    async def owners(self, key: Key) -> tuple[FieldOwner, ...]:
        """See `FieldOwnership.owners`."""
        return field_owners(await self._present(key))

    async def delete(self, key: Key, revision: Revision | None) -> Entry:
        """See `Datastore.delete`. An object with finalizers stays, marked, until their owners are done.

        One whose deletion is half done is gone, except for who names exactly this state of it.
        """
        for _ in range(_TRIES):
            raw = await self._raw(key)
            entry = self._entry(raw)
            if revision != entry.revision and self._is_deleted(raw):
                raw = await self._present(key)
                entry = self._entry(raw)
            if revision is not None and entry.revision != revision:
                raise Conflict(entry)
            try:
                with said(key):
                    await self._remove(key, raw)
            except api.NotFound as error:
                raise NotFound(key) from error
            except (api.Conflict, api.AlreadyExists):
                continue
            return entry
        raise _contended(key)

    # Reading.

    def _entry(self, raw: dict[str, Any]) -> Entry:
        return entry_of(self._form.kind, self._form.shown(raw))

    async def _raw(self, key: Key) -> dict[str, Any]:
        """The object as it stands in the API, under whichever of its names. Raises `NotFound`."""
        if not self._is_possible(key):
            raise NotFound(key)
        for name in self._form.names(key):
            try:
                with said(key):
                    raw = await self._client.get(self._address(key, name))
            except api.NotFound:
                continue
            if self._form.is_of(raw, key):
                return raw
        raise NotFound(key)

    async def _present(self, key: Key) -> dict[str, Any]:
        """As `_raw`; an object whose deletion is half done is not there, and the second step is taken."""
        raw = await self._raw(key)
        if self._is_deleted(raw):
            with said(key):
                await self._end_deletion(key, raw)
            raise NotFound(key)
        return raw

    async def _absent(self, key: Key) -> None:
        """Raises `AlreadyExists` where the object is there, under whichever of its names."""
        with suppress(NotFound):
            raise AlreadyExists(await self.get(key))

    async def _unnamed(self, key: Key) -> None:
        """Raises `AlreadyExists` where another object is stored under this one's name."""
        with suppress(api.NotFound), said(key):
            raw = await self._client.get(self._address(key, key.name))
            if not self._form.is_of(raw, key):
                raise AlreadyExists(self._entry(raw))

    def _compare(self, raw: dict[str, Any], revision: Revision) -> None:
        if metadata_of(raw).get("resourceVersion") != revision:
            raise Conflict(self._entry(raw))

    def _is_deleted(self, raw: dict[str, Any]) -> bool:
        return self._form.kind in _IN_TWO_STEPS and as_mapping(raw.get("spec")).get("deleted") in _DELETED

    # Writing.

    async def _with_status(
        self, key: Key, raw: dict[str, Any], value: dict[str, Any], *, fresh: bool = False
    ) -> dict[str, Any]:
        """Write the status too, where the server took the object without it."""
        wanted = value.get("status")
        if "status" not in value or (raw.get("status") or None) == (wanted or None):
            return raw
        metadata = {name: part for name, part in metadata_of(raw).items() if name != "managedFields"}
        body = {**raw, "metadata": metadata, "status": wanted or {}}
        try:
            with said(key):
                return await self._client.replace(
                    f"{self._address(key, _name(raw))}/status", body, field_manager=FIELD_MANAGER
                )
        except api.NotFound:
            return raw  # this CRD has no such address: what the server dropped, its schema does not know
        except (api.Conflict, api.AlreadyExists) as error:
            if fresh:
                return raw  # somebody found what we made, and goes on from there
            raise Conflict(await self.get(key)) from error

    async def _remove(self, key: Key, raw: dict[str, Any]) -> None:
        """Remove exactly this. IPAM objects are first marked, which every client of Calico's takes for gone."""
        metadata = metadata_of(raw)
        revision = as_text(metadata.get("resourceVersion"))
        if self._form.kind in _IN_TWO_STEPS:
            with suppress(api.Invalid):  # one that today's rules refuse can still be removed at once
                if not self._is_deleted(raw):
                    marked = self._form.marked(raw)
                    address = self._address(key, _name(raw))
                    raw = await self._client.replace(address, marked, field_manager=FIELD_MANAGER)
                await self._end_deletion(key, raw)
                return
        await self._client.delete(
            self._address(key, _name(raw)), uid=as_text(metadata.get("uid")) or None, resource_version=revision or None
        )

    async def _end_deletion(self, key: Key, raw: dict[str, Any]) -> None:
        try:
            uid, revision = (as_text(metadata_of(raw).get(name)) or None for name in ("uid", "resourceVersion"))
            await self._client.delete(self._address(key, _name(raw)), uid=uid, resource_version=revision)
        except (api.NotFound, api.Conflict, api.AlreadyExists):
            return  # somebody else did it, and may have made a new one, or took the mark away again

    def _homeless(self, key: Key, error: api.NotFound) -> Failed:
        if key.namespace is not None and key.namespace in error.message:
            fix = "create the namespace first, or check its name"
            return Failed(Problem(f"namespace {key.namespace} does not exist", f"{key}  metadata.namespace", fix))
        return not_served(key, self._form.path)

    def _collection(self, key: Key) -> str:
        path = self.sources[0].within(key.namespace)
        if path is None or not self._is_possible(key):
            what = f"{key.name!r} in namespace {key.namespace!r} is no name in Kubernetes"
            fix = (
                "name it with lower case letters, digits, '-' and '.', and give a namespace only where the kind has one"
            )
            raise BadInput(Problem(what, f"{key}  metadata.name", fix))
        return path

    def _is_possible(self, key: Key) -> bool:
        """Whether an object can have this name in this place."""
        placed = (key.namespace is not None) == self._form.namespaced
        return placed and is_segment(key.name) and (key.namespace is None or is_segment(key.namespace))

    def _address(self, key: Key, name: str) -> str:
        return f"{self._collection(key)}/{quote(name, safe='')}"


def _name(raw: dict[str, Any]) -> str:
    return as_text(metadata_of(raw).get("name"))


def _contended(key: Key) -> Unavailable:
    fix = "see who writes this object all the time; trying again later is right"
    return Unavailable(Problem(f"{key} changes faster than it can be written", str(key), fix))
