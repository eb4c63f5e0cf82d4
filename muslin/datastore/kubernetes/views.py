"""What a kind is made of in a Kubernetes API: which objects it is read from, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

from muslin.conversion.reading import API_VERSION, Converted, as_text, metadata_of
from muslin.datastore.objects import UNREADABLE
from muslin.datastore.protocol import Entry, Json, Revision
from muslin.errors import Problem
from muslin.resources.keys import Key

__all__ = ["FIELD_MANAGER", "Source", "View", "entry_of", "is_segment", "readable", "revision_of"]

FIELD_MANAGER: Final = "muslin"
"""Who writes, in the API's record of who manages which field."""


@dataclass(frozen=True, slots=True)
class Source:
    """One resource of the API, the objects of all namespaces under `path`.

    Attributes:
        path: where it is; its name in positions.
        read: the entries that one of its objects is; none for those that are none of this kind. Never raises.
        namespaced: whether its objects, and what they are read as, live in namespaces.
    """

    path: str
    read: Callable[[dict[str, Any]], tuple[Entry, ...]]
    namespaced: bool = False

    def within(self, namespace: str | None) -> str | None:
        """Where the objects of one namespace are, or all for None. None where there can't be any."""
        if namespace is None:
            return self.path
        if not self.namespaced or not is_segment(namespace):
            return None
        parents, _, plural = self.path.rpartition("/")
        return f"{parents}/namespaces/{quote(namespace, safe='')}/{plural}"


class View(Protocol):
    """One kind. A value that comes in has been checked to be the object of its key; errors are the datastore's."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """What its objects are read from, in the order of a list's pages."""
        ...

    @property
    def fixed(self) -> tuple[Entry, ...]:
        """Objects that always exist and that nobody can write."""
        ...

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        ...

    async def create(self, key: Key, value: dict[str, Any]) -> Entry:
        """See `Datastore.create`."""
        ...

    async def update(self, key: Key, value: dict[str, Any], revision: Revision) -> Entry:
        """See `Datastore.update`."""
        ...

    async def delete(self, key: Key, revision: Revision | None) -> Entry:
        """See `Datastore.delete`."""
        ...


def is_segment(name: str) -> bool:
    """Whether an object can have this name at all: Kubernetes keeps names apart from paths by this rule."""
    return bool(name) and name not in (".", "..") and "/" not in name and "%" not in name


def revision_of(obj: Json) -> Revision:
    """The resourceVersion of an object, empty where somebody's server gave none."""
    return Revision(as_text(metadata_of(obj).get("resourceVersion")))


def entry_of(kind: str, read: Converted) -> Entry:
    """The entry of an object as Calico's clients see it."""
    value, problems = read
    metadata = metadata_of(value)
    key = Key(kind, as_text(metadata.get("name")), as_text(metadata.get("namespace")) or None)
    return Entry(key, value, revision_of(value), problems)


def readable(kind: str, raw: dict[str, Any], convert: Callable[[dict[str, Any]], Converted]) -> Converted:
    """What `convert` makes of an object; where that fails, an object that no model accepts.

    One object that somebody else wrote wrongly must not hide the others: whoever decodes it meets the problem there.
    """
    try:
        return convert(raw)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one object must not end a list or a watch
        metadata = raw.get("metadata")
        kept = {
            name: metadata[name]
            for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
            if isinstance(metadata, Mapping) and isinstance(metadata.get(name), str)
        }
        why = f"{type(error).__name__}: {error}"[:200]
        value = {"apiVersion": API_VERSION, "kind": kind, "metadata": kept, UNREADABLE: why}
        name = "/".join(kept[part] for part in ("namespace", "name") if part in kept)
        what = f"the object can't be read as {kind}: {why}"
        return Converted(
            value, (Problem(what, f"{raw.get('kind') or kind} {name}", "write it again in its kind's form"),)
        )
