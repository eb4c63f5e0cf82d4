"""What Calico's own client does with one object on any store, and a store by itself does not.

Objects are checked and completed before they are written, rules between objects hold, an update starts from what is
there now. The verbs of calicoctl are these methods, one object after the other.
Source: calico.md section 1a, "clientv3 semantics", and section 10.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from muslin.cli.client_rules import check_create, check_delete, check_update, delete_with_dependents
from muslin.cli.documents import Given
from muslin.cli.stored import mapping_at
from muslin.cli.wording import Unsupported
from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, Json, NotSupported, Revision
from muslin.datastore.settings import DatastoreSettings, KubernetesSettings
from muslin.errors import BadInput, Problem, Unavailable
from muslin.resources.keys import Key

__all__ = ["Client", "checked"]

_TRIES: Final = 5
_PAUSE_S: Final = 1.0
_KEPT_ON_CREATE = ("name", "namespace", "labels", "annotations")


class Client:
    """Calico's client on a store.

    Args:
        store: where.
        settings: how it was opened: in Kubernetes the API server keeps some rules itself, most with native definitions.
        pause_s: between tries of an update that met somebody else's.
    """

    def __init__(self, store: Datastore, settings: DatastoreSettings | None = None, pause_s: float = _PAUSE_S) -> None:
        self.store = store
        self._kubernetes = isinstance(settings, KubernetesSettings)
        self._pause_s = pause_s

    async def create(self, given: Given, key: Key) -> Json:
        """Write an object that is not there. Raises AlreadyExists, BadInput, Unsupported, NotFound of what it needs."""
        _refuse_read_only(key, "create or apply")
        if mapping_at(given.value, "metadata").get("resourceVersion"):
            what = "field must not be set for a Create request"
            where = (
                str(given.places.at(("metadata", "resourceVersion"))) if given.places else "metadata.resourceVersion"
            )
            raise BadInput(Problem(what, where, "remove it; the datastore numbers its objects"))
        metadata = {name: held for name in _KEPT_ON_CREATE if (held := _metadata(given).get(name))}
        value = checked(given, {**given.value, "metadata": metadata | _identity(key)})
        await check_create(self.store, key, value, given=given, native=await self._native())
        return (await self.store.create(key, value)).value

    async def apply(self, given: Given, key: Key) -> Json:
        """Create the object, or update it where it is there or can't be created."""
        _refuse_read_only(key, "apply", "resource is readonly")
        metadata = {name: held for name, held in _metadata(given).items() if name != "resourceVersion"}
        try:
            return await self.create(Given({**given.value, "metadata": metadata}, given.file, given.places), key)
        except (AlreadyExists, NotSupported):
            return await self.update(given, key)

    async def update(self, given: Given, key: Key) -> Json:
        """Write over an object that is there.

        A resourceVersion in the given object must be the current one. Without one, five tries are made.

        Raises:
            NotFound: it is not there.
            Conflict: it is at another version, or somebody else was faster.
            BadInput: a rule does not hold, or the change is not allowed.
        """
        _refuse_read_only(key, "apply or replace")
        wanted = _metadata(given).get("resourceVersion")
        for attempt in range(_TRIES):
            live = await self.store.get(key)
            if wanted and str(wanted) != live.revision:
                raise Conflict(live)
            value = _with_status_of(live.value, checked(given, _over(live.value, given.value)))
            await check_update(self.store, key, live.value, value, given)
            try:
                return (await self.store.update(key, value, live.revision)).value
            except Conflict:
                if wanted:
                    raise
            if attempt < _TRIES - 1:
                await asyncio.sleep(self._pause_s)
        what = f"failed to update the resource: {key} changes all the time"
        raise Unavailable(Problem(what, str(key), "look for who writes it, and try again"))

    async def write_over(self, live: Entry, value: Json) -> Json:
        """Write exactly this over exactly that: for edits of what is stored. Raises Conflict."""
        _refuse_read_only(live.key, "apply or replace")
        await check_update(self.store, live.key, live.value, value)
        return (await self.store.update(live.key, value, live.revision)).value

    async def delete(self, key: Key, revision: str | None = None) -> Json:
        """Remove an object, if given only at this revision, and what can't be without it. Raises NotFound, Conflict."""
        _refuse_read_only(key, "delete")
        await check_delete(self.store, key)
        return await delete_with_dependents(
            self.store,
            key,
            Revision(revision) if revision else None,
            kubernetes=self._kubernetes,
            native=await self._native(),
        )

    async def _native(self) -> bool:
        """Whether the definitions are Kubernetes' newer ones: the server and the controllers care for pools then."""
        if not self._kubernetes:
            return False
        from muslin.conversion.kinds import ApiGroup  # noqa: PLC0415 - only Kubernetes pays for them
        from muslin.datastore.kubernetes.store import KubernetesDatastore  # noqa: PLC0415

        return isinstance(self.store, KubernetesDatastore) and await self.store.api_group() is ApiGroup.V3


def checked(given: Given, value: Mapping[str, Any] | None = None, *, stored: bool = True) -> Json:
    """An object as it is stored: every rule holds, in canonical form, with the defaults that Calico's client writes.

    Args:
        given: for its places.
        value: the object, if it is no longer the given one's.
        stored: false for the object as it was given, checked without what only a store would refuse.

    Raises:
        BadInput: with every problem at its place.
    """
    from muslin import resources  # noqa: PLC0415 - reading verbs do without the models
    from muslin.resources.stored_form import as_stored  # noqa: PLC0415

    resource = resources.load(value or given.value, given.places, given.file, as_calicoctl=True)
    if not stored:
        return resources.dump(resource)
    found = as_stored(resource, given.places, given.file)
    if resource.kind == "WorkloadEndpoint":
        from muslin.conversion.endpoint_name import name_problems  # noqa: PLC0415 - one kind pays for it

        problems = name_problems(resource.metadata.name, found["spec"])
        if problems:
            raise BadInput(problems)
    return found


def _refuse_read_only(key: Key, operation: str, reason: str = "") -> None:
    """What the cluster writes about itself is not for people. Raises Unsupported."""
    if key.kind == "ClusterInformation":
        fix = "use `datastore migrate lock` and `unlock`; the rest is written by the cluster itself"
        raise Unsupported(operation, "ClusterInformation", reason, fix)


def _metadata(given: Given) -> Mapping[str, Any]:
    return mapping_at(given.value, "metadata")


def _identity(key: Key) -> dict[str, str]:
    return {"name": key.name} | ({"namespace": key.namespace} if key.namespace is not None else {})


def _over(live: Json, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given object with the live one's metadata, labels and annotations apart; a status is not taken away."""
    metadata = dict(mapping_at(live, "metadata"))
    for name in ("labels", "annotations"):
        metadata.pop(name, None)
        held = mapping_at(given, "metadata", name)
        if held:
            metadata[name] = dict(held)
    kept = {"status": live["status"]} if _keeps_status(live) and not given.get("status") else {}
    return {**given, "metadata": metadata, **kept}


def _keeps_status(live: Json) -> bool:
    """Whether there is a status, and one that the models know."""
    from muslin.resources.stored import has_status  # noqa: PLC0415 - reading verbs do without the models

    return "status" in live and has_status(str(live.get("kind")))


def _with_status_of(live: Json, value: Json) -> Json:
    """The object with a status that only somebody newer knows: no model could say whether it is right."""
    return value if "status" not in live or _keeps_status(live) else {**value, "status": live["status"]}
