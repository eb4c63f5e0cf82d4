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
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final
from zlib import crc32

from muslin.datastore.protocol import AlreadyExists, Conflict, Datastore, Entry, Json, NotFound
from muslin.errors import BadInput, Failed, Problem
from muslin.resources.keys import Key
from reconciler.together import together

__all__ = ["API_VERSION", "KIND", "PARTS", "Ledger", "Owned", "applied", "intended", "mark_of"]

API_VERSION: Final = "reconciler.muslin/v1alpha1"
KIND: Final = "ReconcilerLedger"
PARTS: Final = 64
"""Which part an object is in follows from it, so each part says how many there are. With 64, 10,000 objects of two
kilobytes are some 300 kB a part: a fifth of what etcd takes, and little to write for one object that changed."""

_PARTS_BEFORE: Final = 8
"""As many as there were when parts did not say it."""

_AT_ONCE: Final = 8
"""Parts that are written at one time."""

_SET_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Owned:
    """What we did, and what we are about to do, to one object.

    `applied` is what was last applied, None where the object is only about to be ours; `intent` what is about to be
    written, None where nothing is under way; `found` what it was before we took it over, None where we made it. `left`
    are fields of `applied` that were not written, because they are others'.
    """

    applied: Json | None
    intent: Json | None = None
    commit: str = ""
    found: Json | None = None
    left: tuple[str, ...] = ()


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
        ways: Mapping[mark of a commit's text, what of the sources was read for it], of both commits: after a start with
            other folders the commit in force is still read as it was when it came into force.
    """

    def __init__(self, datastore: Datastore, set_name: str) -> None:
        if not _SET_NAME.fullmatch(set_name):
            raise BadInput(Problem(f"{set_name!r} is not a name for a set", "set", "use lower case letters and digits"))
        self._datastore = datastore
        self._set = set_name
        self._parts = [_Part() for _ in range(PARTS)]
        self._all: dict[Key, Owned] | None = None
        self._to_move: set[int] = set()
        self.accepted: str | None = None
        self.before: str | None = None
        self.others: dict[Key, str] = {}
        self.ways: dict[str, Json] = {}

    @property
    def set_name(self) -> str:
        """Whose it is."""
        return self._set

    @property
    def owned(self) -> Mapping[Key, Owned]:
        """Mapping[Key, Owned]: every object that is ours or about to be. Another object after each change."""
        if self._all is None:
            self._all = {key: item for part in self._parts for key, item in part.items.items()}
        return MappingProxyType(self._all)

    @classmethod
    async def load(cls, datastore: Datastore, set_name: str) -> Ledger:
        """The ledger now; empty where there is none.

        Raises:
            Failed: what is stored cannot be read; nothing is guessed, because it decides what may be removed.
            Unavailable: the datastore does not answer.
        """
        ledger = cls(datastore, set_name)
        former: dict[Key, Owned] = {}
        after: str | None = None
        while True:
            listing = await datastore.list(KIND, limit=100, after=after)
            for entry in listing.entries:
                former |= ledger._take(entry)
            after = listing.more
            if after is None:
                break
        for key, item in former.items():
            ledger._parts[_part_of(key)].items.setdefault(key, item)
            ledger._to_move.add(_part_of(key))
        return ledger

    async def still_so(self) -> None:
        """Raises `Conflict` where another process has changed which commit is in force since this was read."""
        known = self._parts[0].entry
        try:
            entry: Entry | None = await self._datastore.get(Key(KIND, f"{self._set}.0"))
        except NotFound:
            entry = None
        seen = entry if entry is not None else known
        if seen is not None and (entry is None or known is None or entry.revision != known.revision):
            raise Conflict(seen)

    async def change(
        self,
        items: Mapping[Key, Owned | None],
        *,
        accepted: str | None = None,
        before: str | None = None,
        way: Json | None = None,
    ) -> None:
        """Write these items (None: not ours any more), and the commit in force; nothing where nothing differs.

        Each part is one write, and one item is only ever in one part. With `accepted`, `before` is where a rollback
        of it would go, and `way` how it was read. Raises `Conflict` when another process wrote the same set's ledger.
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
        if wanted:
            wanted = {number: {} for number in self._to_move} | wanted
        commits = (self.accepted, self.before) if accepted is None else (accepted, before)
        if accepted is not None:
            ways = self.ways if way is None else {**self.ways, mark_of(accepted): _plain(way)}
            marks = {mark_of(each) for each in commits if each}
            self.ways = {mark: each for mark, each in ways.items() if mark in marks}
        left = iter(sorted(wanted))

        async def work() -> None:
            for number in left:
                await self._put(number, wanted[number], commits)

        if 0 in wanted:
            await self._put(next(left), wanted[0], commits)
        await together(work, min(_AT_ONCE, len(wanted)))
        self._to_move.clear()

    async def _put(
        self, number: int, items: Mapping[Key, Owned | None], commits: tuple[str | None, str | None]
    ) -> None:
        part = self._parts[number]
        fresh = {key: item for key, item in {**part.items, **items}.items() if item is not None}
        part.entry = await self._write(number, part.entry, fresh, commits)
        part.items = fresh
        if self._all is not None and items:
            whole = self._all.copy()  # of 10,000, in a twentieth of the time of collecting them from the parts
            for key, item in items.items():
                if item is None:
                    whole.pop(key, None)
                else:
                    whole[key] = item
            self._all = whole
        if number == 0:
            self.accepted, self.before = commits

    async def _write(
        self, number: int, entry: Entry | None, items: Mapping[Key, Owned], commits: tuple[str | None, str | None]
    ) -> Entry:
        key = Key(KIND, f"{self._set}.{number}")
        spec: dict[str, Any] = {"set": self._set, "part": number, "parts": PARTS}
        if number == 0:
            named = zip(("accepted", "before"), commits, strict=True)
            spec |= {name: commit for name, commit in named if commit is not None}
            spec |= {"ways": self.ways} if self.ways else {}
        spec["items"] = {_text(each): _item_json(item) for each, item in sorted(items.items(), key=_by_text)}
        value = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": key.name}, "spec": spec}
        try:
            if entry is None:
                return await self._datastore.create(key, value)
            return await self._datastore.update(key, value, entry.revision)
        except AlreadyExists as error:
            raise Conflict(error.current) from error

    def _take(self, entry: Entry) -> dict[Key, Owned]:
        """Read a part; gives its items if it is of a ledger that was split otherwise, to be moved."""
        try:
            spec = entry.value["spec"]
            name, number = str(spec["set"]), int(spec["part"])
            if name != self._set:
                self.others.update(dict.fromkeys(map(_key, spec["items"]), name))
                return {}
            part = self._parts[number]
            items = {_key(text): _item(item) for text, item in spec["items"].items()}
            part.entry = entry
            if number == 0:
                self.accepted, self.before = spec.get("accepted"), spec.get("before")
                self.ways = {str(mark): dict(way) for mark, way in spec.get("ways", {}).items()}
            if int(spec.get("parts", _PARTS_BEFORE)) != PARTS:
                self._to_move.add(number)
                return items
            part.items = items
            return {}
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise Failed(
                Problem(
                    f"the ledger cannot be read: {type(error).__name__}: {error}",
                    str(entry.key),
                    "restore it; or delete it, and everything that is declared is adopted anew and nothing is pruned",
                )
            ) from error


def mark_of(commit: str) -> str:
    """What of the sources is read for a commit, as its text says; empty where that is all of one source."""
    return commit.partition("~")[2]


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
    fields: dict[str, Any] = {
        "applied": item.applied,
        "intent": item.intent,
        "commit": item.commit,
        "found": item.found,
    }
    fields["left"] = list(item.left)
    return {name: content for name, content in fields.items() if content}


def _item(value: Any) -> Owned:
    left = tuple(map(str, value.get("left", ())))
    return Owned(value.get("applied"), value.get("intent"), str(value.get("commit", "")), value.get("found"), left)


def intended(base: Json | None, intent: Json, commit: str, found: Json | None = None) -> Owned:
    """The item before a write: `base` is what of the object is ours until the write is known to have happened."""
    return Owned(
        None if base is None else _plain(base), _plain(intent), commit, None if found is None else _plain(found)
    )


def applied(value: Json, commit: str) -> Owned:
    """The item after a write."""
    return Owned(_plain(value), None, commit)


def _plain(value: Any) -> Any:
    """The value as a store gives it back, so that what was written and what is read are equal: itself where it is."""
    if type(value) in _ATOMS:
        return value
    if type(value) is dict:
        inner = {str(name): _plain(content) for name, content in value.items()}
        return value if all(inner[name] is content for name, content in value.items()) else inner
    if type(value) is list:
        each = [_plain(content) for content in value]
        return value if all(map(operator.is_, each, value)) else each
    return json.loads(json.dumps(value, default=_container))


_ATOMS: Final = frozenset({str, int, float, bool, type(None)})


def _container(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)
