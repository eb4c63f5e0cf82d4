"""What is ours: for every object the canonical JSON that we last applied. Kept in the datastore, by compare-and-swap.

Ownership must survive SIGKILL between an object's write and the ledger's. So the intent is written first: an object
that we are about to create is in the ledger with `intent` and without `applied`. When the next process finds the
object, it is ours if it is what was intended, and a stranger's otherwise. A delete needs no intent: the object is
ours before, and its absence is success.

The ledger is split over a fixed number of objects, because stores limit the size of one; `accepted`, the commit that
is in force, stands in the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final
from zlib import crc32

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, Json
from muslin.errors import BadInput, Failed, Problem
from muslin.resources.keys import Key

__all__ = ["API_VERSION", "KIND", "PARTS", "Ledger", "Owned", "applied", "intended"]

API_VERSION: Final = "reconciler.muslin/v1alpha1"
KIND: Final = "ReconcilerLedger"
PARTS: Final = 8
"""Never to be changed without moving what is stored: which part an object is in follows from it."""

_SET_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Owned:
    """What we did, and what we are about to do, to one object.

    `applied` is what was last applied, None where the object is only about to be ours; `intent` what is about to be
    written, None where nothing is under way; `found` what it was before we took it over, None where we made it.
    """

    applied: Json | None
    intent: Json | None = None
    commit: str = ""
    found: Json | None = None


@dataclass(slots=True)
class _Part:
    entry: Entry | None = None
    items: dict[Key, Owned] = field(default_factory=dict)


class Ledger:
    """The ledger of one set, as read at one moment. Make it with `load`; after any error, load it again.

    Attributes:
        accepted: the commit in force, None before the first.
        before: the last commit that was in force before it and did no harm: where a rollback goes.
        others: objects that other sets claim, with the name of the set.
    """

    def __init__(self, datastore: Datastore, set_name: str) -> None:
        if not _SET_NAME.fullmatch(set_name):
            raise BadInput(Problem(f"{set_name!r} is not a name for a set", "set", "use lower case letters and digits"))
        self._datastore = datastore
        self._set = set_name
        self._parts = [_Part() for _ in range(PARTS)]
        self.accepted: str | None = None
        self.before: str | None = None
        self.others: dict[Key, str] = {}

    @property
    def owned(self) -> Mapping[Key, Owned]:
        """Mapping[Key, Owned]: every object that is ours or about to be."""
        return MappingProxyType({key: item for part in self._parts for key, item in part.items.items()})

    @classmethod
    async def load(cls, datastore: Datastore, set_name: str) -> Ledger:
        """The ledger now; empty where there is none.

        Raises:
            Failed: what is stored cannot be read; nothing is guessed, because it decides what may be removed.
            Unavailable: the datastore does not answer.
        """
        ledger = cls(datastore, set_name)
        after: str | None = None
        while True:
            listing = await datastore.list(KIND, limit=100, after=after)
            for entry in listing.entries:
                ledger._take(entry)
            after = listing.more
            if after is None:
                return ledger

    async def change(
        self, items: Mapping[Key, Owned | None], *, accepted: str | None = None, before: str | None = None
    ) -> None:
        """Write these items (None: not ours any more), and the commit in force; nothing where nothing differs.

        Each part is one write, and one item is only ever in one part. With `accepted`, `before` is where a rollback
        of it would go. Raises `Conflict` when another process wrote the same set's ledger.
        """
        wanted: dict[int, dict[Key, Owned | None]] = {}
        for key, given in items.items():
            known = self._parts[_part_of(key)].items.get(key)
            item = given
            if given is not None and known is not None and given.found is None:
                item = replace(given, found=known.found)
            if known != item:
                wanted.setdefault(_part_of(key), {})[key] = item
        if accepted is not None and accepted != self.accepted:
            wanted.setdefault(0, {})
        for number in sorted(wanted):
            part = self._parts[number]
            fresh = {**part.items, **{key: item for key, item in wanted[number].items() if item is not None}}
            for key, item in wanted[number].items():
                if item is None:
                    fresh.pop(key, None)
            commits = (self.accepted, self.before) if accepted is None else (accepted, before)
            part.entry = await self._write(number, part.entry, fresh, commits)
            part.items = fresh
            if number == 0:
                self.accepted, self.before = commits

    async def _write(
        self, number: int, entry: Entry | None, items: Mapping[Key, Owned], commits: tuple[str | None, str | None]
    ) -> Entry:
        key = Key(KIND, f"{self._set}.{number}")
        spec: dict[str, Any] = {"set": self._set, "part": number}
        if number == 0:
            named = zip(("accepted", "before"), commits, strict=True)
            spec |= {name: commit for name, commit in named if commit is not None}
        spec["items"] = {_text(each): _item_json(item) for each, item in sorted(items.items(), key=_by_text)}
        value = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": key.name}, "spec": spec}
        try:
            if entry is None:
                return await self._datastore.create(key, value)
            return await self._datastore.update(key, value, entry.revision)
        except AlreadyExists as error:
            raise Conflict(error.current) from error

    def _take(self, entry: Entry) -> None:
        try:
            spec = entry.value["spec"]
            name, number = str(spec["set"]), int(spec["part"])
            if name != self._set:
                self.others.update(dict.fromkeys(map(_key, spec["items"]), name))
                return
            part = self._parts[number]
            part.items = {_key(text): _item(item) for text, item in spec["items"].items()}
            part.entry = entry
            if number == 0:
                self.accepted, self.before = spec.get("accepted"), spec.get("before")
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise Failed(
                Problem(
                    f"the ledger cannot be read: {type(error).__name__}: {error}",
                    str(entry.key),
                    "restore it; or delete it, and everything that is declared is adopted anew and nothing is pruned",
                )
            ) from error


def _part_of(key: Key) -> int:
    return crc32(_text(key).encode()) % PARTS


def _by_text(item: tuple[Key, Owned]) -> str:
    return _text(item[0])


def _text(key: Key) -> str:
    return f"{key.kind}/{key.namespace or ''}/{key.name}"


def _key(text: str) -> Key:
    kind, namespace, name = text.split("/", 2)
    return Key(kind, name, namespace or None)


def _item_json(item: Owned) -> dict[str, Any]:
    fields = {"applied": item.applied, "intent": item.intent, "commit": item.commit, "found": item.found}
    return {name: content for name, content in fields.items() if content}


def _item(value: Any) -> Owned:
    return Owned(value.get("applied"), value.get("intent"), str(value.get("commit", "")), value.get("found"))


def intended(base: Json | None, intent: Json, commit: str, found: Json | None = None) -> Owned:
    """The item before a write: `base` is what of the object is ours until the write is known to have happened."""
    return Owned(
        None if base is None else _plain(base), _plain(intent), commit, None if found is None else _plain(found)
    )


def applied(value: Json, commit: str) -> Owned:
    """The item after a write."""
    return Owned(_plain(value), None, commit)


def _plain(value: Json) -> Json:
    """The value as a store gives it back, so that what was written and what is read are equal."""
    plain: Json = json.loads(json.dumps(value))
    return plain
