"""The verbs of the Kubernetes API over plain dictionaries.

Paths are API paths (`/apis/projectcalico.org/v3/ippools/x`, `.../status` for the subresource). Every method may raise
`ApiError` and its kinds, and `NoAnswer` (an `Unavailable`) where nobody answers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from random import Random
from typing import Any, Self
from urllib.parse import urlencode

from muslin.errors import BadInput, Problem
from muslin.kubernetes import opening
from muslin.kubernetes.access import Access
from muslin.kubernetes.json_text import encode
from muslin.kubernetes.pace import Limits
from muslin.kubernetes.sending import Sender
from muslin.kubernetes.watch import EventType, WatchEvent, watch

__all__ = ["METADATA_ONLY", "TABLE", "EventType", "KubernetesClient", "PatchType", "WatchEvent"]

_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~:@!$&'()*+,;=%-]+)+")
"""What a path may hold; no query, no white space, no `..`: a name that somebody chose can't become another request."""
_JSON, _APPLY = "application/json", "application/apply-patch+yaml"
_PACKED = (("Accept-Encoding", "gzip"),)
"""For lists: unpacking costs less than half of what reading so much more from the network does (measured)."""
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA_ONLY = "application/json;as=PartialObjectMetadata{};v=v1;g=meta.k8s.io"
"""For `accept`: objects without spec and status. `METADATA_ONLY.format('')` for one, `'List'` for a list."""


class PatchType(StrEnum):
    """How a patch is meant; the value is its content type. CRDs know no STRATEGIC."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"


class KubernetesClient:
    """One API server as one user."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @classmethod
    async def connect(cls, access: Access, *, limits: Limits | None = None, random: Random | None = None) -> Self:
        """A client for an access; nothing is asked yet.

        Raises BadInput for files and certificates that are missing, expired or wrong.
        """
        return cls(await opening.sender(access, limits or Limits(), random or Random()))  # noqa: S311  spreads waits

    async def get(self, path: str, *, params: Mapping[str, str] | None = None, accept: str = _JSON) -> dict[str, Any]:
        """One object, or whatever is at a path. Raises NotFound."""
        return await self._ask("GET", path, params, accept=accept)

    async def page(
        self,
        path: str,
        *,
        limit: int = 500,
        continue_: str | None = None,
        params: Mapping[str, str] | None = None,
        accept: str = _JSON,
    ) -> dict[str, Any]:
        """One page of a list; `metadata.continue` is the next one's `continue_`, missing or empty on the last.

        All pages are of the first one's instant, whose revision is `metadata.resourceVersion`.

        Raises:
            Expired: the token is older than what the server keeps (minutes). Begin again for one instant, or go on
                with the error's `restart` for the rest as it is now.
        """
        query = {**(params or {}), "limit": str(limit)}
        if continue_:
            query["continue"] = continue_
        return await self._ask("GET", path, query, accept=accept, fields=_PACKED)

    async def create(
        self, path: str, obj: Mapping[str, Any], *, field_manager: str | None = None, dry_run: bool = False
    ) -> dict[str, Any]:
        """Write an object that is not there; the path is the collection's. Raises AlreadyExists, Invalid."""
        return await self._write("POST", path, obj, _JSON, _query(field_manager, dry_run))

    async def replace(
        self, path: str, obj: Mapping[str, Any], *, field_manager: str | None = None, dry_run: bool = False
    ) -> dict[str, Any]:
        """Write a whole object, at its `metadata.resourceVersion` if it has one. Raises NotFound, Conflict, Invalid."""
        return await self._write("PUT", path, obj, _JSON, _query(field_manager, dry_run))

    async def patch(
        self, path: str, patch: Any, *, how: PatchType, field_manager: str | None = None, dry_run: bool = False
    ) -> dict[str, Any]:
        """Write a part of an object; with a `metadata.resourceVersion` or `uid` in it only if they hold.

        Raises NotFound, Conflict, Invalid.
        """
        return await self._write("PATCH", path, patch, how.value, _query(field_manager, dry_run))

    async def apply(
        self, path: str, obj: Mapping[str, Any], *, field_manager: str, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Server-side apply: the fields in `obj` are ours from now on, those we no longer name are removed.

        Raises Conflict, one problem for each field that another manager owns, unless forced; Invalid.
        """
        query = _query(field_manager, dry_run) | ({"force": "true"} if force else {})
        return await self._write("PATCH", path, obj, _APPLY, query, again=True)

    async def delete(
        self,
        path: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_seconds: int | None = None,
        propagation: str | None = None,
    ) -> dict[str, Any]:
        """Remove an object, only as given; gives a Status, or the object while it is still going away.

        Args:
            path: of the object.
            uid: it must be this one.
            resource_version: it must be at this revision.
            grace_seconds: time that it is given to end.
            propagation: `Background`, `Foreground` or `Orphan`.

        Raises NotFound, Conflict where `uid` or `resource_version` do not hold.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if given := {name: value for name, value in preconditions.items() if value is not None}:
            options["preconditions"] = given
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        return await self._write("DELETE", path, options, _JSON, {})

    def watch(
        self,
        path: str,
        *,
        resource_version: str,
        params: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Every change of a collection later than `resource_version`, in order, for ever; it reconnects by itself.

        Args:
            path: of the collection.
            resource_version: of a list.
            params: labelSelector, fieldSelector, timeoutSeconds of one connection.
            patience_s: how long to be without a connection before raising `NoAnswer`; None for ever.

        Raises Expired (list again), ApiError where the server refuses.
        """
        return watch(
            self._sender, _checked(path), resource_version=resource_version, params=params, patience_s=patience_s
        )

    async def group_versions(self) -> frozenset[str]:
        """What the server has, as in `apiVersion`: `v1`, `projectcalico.org/v3` ..."""
        core, groups = await self.get("/api"), await self.get("/apis")
        named = (each["groupVersion"] for group in groups.get("groups", ()) for each in group.get("versions", ()))
        return frozenset((*core.get("versions", ()), *named))

    async def resources(self, group_version: str) -> dict[str, dict[str, Any]]:
        """The resources of one group and version by plural name (`ippools`, `ippools/status`).

        Each is an APIResource: `kind`, `namespaced`, `verbs` ... Raises NotFound where the server has no such group.
        """
        root = "/apis" if "/" in group_version else "/api"
        found = await self.get(f"{root}/{group_version}")
        return {each["name"]: each for each in found.get("resources", ())}

    async def close(self) -> None:
        """Closes all connections; watches end."""
        await self._sender.transport.close()

    async def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        *,
        accept: str,
        fields: tuple[tuple[str, str], ...] = (),
    ) -> dict[str, Any]:
        target = _checked(path)
        if params:
            target = f"{target}?{urlencode(params)}"
        answer: dict[str, Any] = await self._sender.send(
            method, target, fields=(("Accept", accept), *fields), again=True
        )
        return answer

    async def _write(
        self, method: str, path: str, value: Any, content: str, query: Mapping[str, str], *, again: bool = False
    ) -> dict[str, Any]:
        target = _checked(path)
        if query:
            target = f"{target}?{urlencode(query)}"
        fields = (("Accept", _JSON), ("Content-Type", content))
        try:
            body = encode(value)
        except (TypeError, ValueError) as error:
            raise BadInput(Problem(f"the object is no JSON: {error}", path, "use only what JSON can say")) from error
        answer: dict[str, Any] = await self._sender.send(
            method, target, fields=fields, body=body, again=again or "dryRun" in query
        )
        return answer


def _query(field_manager: str | None, dry_run: bool) -> dict[str, str]:
    return ({"fieldManager": field_manager} if field_manager else {}) | ({"dryRun": "All"} if dry_run else {})


def _checked(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise BadInput(
            Problem(
                "this is no path of an API", repr(path), "write it as /api/v1/... with names that are percent-encoded"
            )
        )
    return path
