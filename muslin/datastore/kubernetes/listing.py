"""Lists of a kind: pages of the API of one instant, over all resources that the kind is read from.

Whole lists and each page are ordered by namespace, then name. One page follows another in the API's order, where
namespace `a-b` stands before `a`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from muslin.conversion.reading import as_list, as_mapping, as_text
from muslin.datastore.kubernetes.positions import positioned
from muslin.datastore.kubernetes.refusals import said
from muslin.datastore.kubernetes.views import View
from muslin.datastore.protocol import Compacted, Entry, Listing, NotFound, Revision
from muslin.errors import BadInput, Problem, Unavailable
from muslin.kubernetes import errors as api
from muslin.kubernetes.client import KubernetesClient
from muslin.resources.keys import Key

__all__ = ["Place", "everything", "head", "instant", "page"]

_PAGE: Final = 500
_TRIES: Final = 5
"""Whole lists that are begun again because the API forgot their instant while they were read: minutes each."""
_ANYWHERE: Final = ("/api/v1/namespaces", "/api/v1/nodes", "/api/v1/pods")
"""Resources that every server has: any of them tells the instant where the kind itself is not served."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a paged list goes on: of which instant it is, in which of the kind's resources, at which token."""

    instant: str
    source: int = 0
    token: str = ""

    @property
    def text(self) -> str:
        """What a caller gives back for the next page."""
        return json.dumps({"instant": self.instant, "source": self.source, "token": self.token})

    @classmethod
    def read(cls, text: str) -> Place:
        """What `text` gave. Raises `BadInput` for anything else."""
        try:
            given = json.loads(text)
            place = cls(given["instant"], given["source"], given["token"])
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            place = cls("")
        sound = (
            isinstance(place.instant, str) and place.instant.isascii() and place.instant.isdigit()
            and type(place.source) is int and 0 <= place.source < 8 and isinstance(place.token, str)
        )  # fmt: skip
        if not sound:
            raise BadInput(Problem("this is no continuation of a list", repr(text[:80]), "begin the list again"))
        return place


async def head(client: KubernetesClient, path: str) -> int | None:
    """The revision of the API now, as one of its resources tells it; None where that is not served."""
    try:
        with said(path):
            return int(_revision(await client.page(path, limit=1)))
    except api.NotFound:
        return None


async def instant(client: KubernetesClient) -> Revision:
    """The revision of the API now, from a resource that every server has."""
    refused: Exception | None = None
    for path in _ANYWHERE:
        try:
            with said(path):
                return Revision(_revision(await client.page(path, limit=1)))
        except api.NotFound:
            continue
        except Exception as error:  # another resource may be allowed, and the first refusal is the one to tell
            refused = refused or error
            if isinstance(error, Unavailable):
                raise
    raise refused or Unavailable(Problem("no resource of the core API is served", _ANYWHERE[0], "see the server's log"))


async def everything(client: KubernetesClient, view: View, kind: str, namespace: str | None) -> Listing:
    """All objects of a kind, in order, of one instant."""
    for _ in range(_TRIES):
        found: list[Entry] = [] if namespace is not None else [*view.fixed]
        place = Place("")
        try:
            while place.source < len(view.sources):
                entries, place = await _part(client, view, namespace, place, _PAGE)
                found += entries
        except Compacted:
            continue
        return Listing(await _in_order(view, found), await _revision_of(client, view, place))
    why = "the API forgets revisions faster than a list of them can be read"
    raise Unavailable(Problem(why, kind, "try again; see whether etcd is compacted all the time"))


async def page(client: KubernetesClient, view: View, namespace: str | None, limit: int, after: Place | None) -> Listing:
    """Up to `limit` objects. Raises `Compacted` where the instant of the first page is forgotten."""
    entries: list[Entry] = []
    place = after or Place("")
    while place.source < len(view.sources) and len(entries) < limit:
        part, place = await _part(client, view, namespace, place, min(_PAGE, limit - len(entries)))
        entries += part
    done = place.source >= len(view.sources)
    fixed = view.fixed if done and namespace is None else ()
    if len(entries) + len(fixed) <= limit:
        entries += fixed
    else:
        done = False
    revision = await _revision_of(client, view, place)
    more = None if done else Place(str(revision), place.source, place.token).text
    return Listing(await _in_order(view, entries), revision, more)


async def _in_order(view: View, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Entries ordered by namespace, then name, each key once.

    A policy that is being moved from the name that an old release gave it is there twice; which of the two counts is
    what `get` says.
    """
    found: dict[Key, Entry] = {}
    for entry in entries:
        if entry.key in found:
            with suppress(NotFound):
                found[entry.key] = await view.get(entry.key)
        else:
            found[entry.key] = entry
    return tuple(sorted(found.values(), key=lambda entry: (entry.key.namespace or "", entry.key.name)))


async def _part(
    client: KubernetesClient, view: View, namespace: str | None, place: Place, limit: int
) -> tuple[list[Entry], Place]:
    """What one request brings from a place on, and the place after it."""
    source = view.sources[place.source]
    path = source.within(namespace)
    params = {}
    if place.instant and not place.token:  # the next resource, as it was when the list began
        params = {"resourceVersion": place.instant, "resourceVersionMatch": "Exact"}
    try:
        if path is None:
            return [], Place(place.instant, place.source + 1)
        with said(path):
            answer = await client.page(path, limit=limit, continue_=place.token or None, params=params)
    except api.NotFound:  # this kind's CRD is not installed
        return [], Place(place.instant, place.source + 1)
    except Compacted as forgotten:
        raise Compacted(Revision(place.instant)) from forgotten
    token = as_text(as_mapping(answer.get("metadata")).get("continue"))
    now = place.instant or _revision(answer)
    entries = [entry for raw in as_list(answer.get("items")) for entry in source.read(raw)]
    return entries, Place(now, place.source, token) if token else Place(now, place.source + 1)


async def _revision_of(client: KubernetesClient, view: View, place: Place) -> Revision:
    if not place.instant:
        return await instant(client)
    number = int(place.instant)
    return positioned(place.instant, {source.path: number for source in view.sources})


def _revision(answer: dict[str, Any]) -> str:
    revision = as_text(as_mapping(answer.get("metadata")).get("resourceVersion"))
    if not revision.isdigit():
        raise Unavailable(
            Problem(f"a list has the revision {revision!r}", "metadata.resourceVersion", "see what answers for the API")
        )
    return revision
