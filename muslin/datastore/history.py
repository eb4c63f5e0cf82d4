"""Objects and the log of their changes, in memory and without time: what an embedded datastore's file holds.

The small, obvious statement of what every driver means. `MemoryDatastore` is an asynchronous shell around it.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from muslin.datastore import paging
from muslin.datastore.built_in import DEFAULT_PROFILE, default_profile, refuse_default_profile, with_default_profile
from muslin.datastore.objects import entry, revision_number, text_of_new, text_of_update
from muslin.datastore.protocol import AlreadyExists, Change, Compacted, Conflict, Entry, Json, Listing, NotFound
from muslin.datastore.protocol import Revision as Rev
from muslin.resources.keys import Key

__all__ = ["History"]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def _counted_uids() -> Callable[[], str]:
    counter = itertools.count(1)
    return lambda: f"00000000-0000-4000-8000-{next(counter):012x}"


@dataclass(frozen=True, slots=True)
class _Change:
    """One change: `text` None is a deletion; `former` is what stood there before."""

    key: Key
    text: str | None
    former: tuple[int, str] | None


@dataclass(slots=True)
class History:
    """Objects by key, and every change since `compacted`.

    Args:
        now: clock for creationTimestamp; a fixed instant unless handed in.
        new_uid: makes uids; a counter unless handed in.
    """

    now: Callable[[], datetime] = lambda: _EPOCH
    new_uid: Callable[[], str] = field(default_factory=_counted_uids)
    compacted: int = 0
    _objects: dict[Key, tuple[int, str]] = field(default_factory=dict)
    _log: list[_Change] = field(default_factory=list)

    @property
    def head(self) -> int:
        """Revision of the last change."""
        return self.compacted + len(self._log)

    def get(self, key: Key) -> Entry:
        """The object now. Raises `NotFound`."""
        if key == DEFAULT_PROFILE:
            return default_profile()
        revision, text = self._row(key)
        return entry(key, text, revision)

    def list(
        self, kind: str, *, namespace: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Listing:
        """As `Datastore.list`; later pages are of the first page's instant. Raises `Compacted`."""
        paging.check_limit(limit)
        token = None if after is None else paging.read(after)
        at = self.head if token is None else token.revision
        if not self.compacted <= at <= self.head:
            raise Compacted(Rev(str(at)))
        then = {key: row for key, row in self._objects.items() if row[0] <= at}
        for change in self._log[at - self.compacted :]:
            if change.former is not None and change.former[0] <= at:
                then[change.key] = change.former
        found = sorted(
            ((key.namespace or "", key.name), key, row)
            for key, row in then.items()
            if key.kind == kind and namespace in (None, key.namespace)
        )
        if token is not None:
            found = found[bisect_right(found, (token.namespace, token.name), key=lambda item: item[0]) :]
        page = found if limit is None else found[:limit]
        more = None
        if len(page) < len(found):
            more = paging.write(paging.Token(at, *page[-1][0]))
        listing = Listing(tuple(entry(key, row[1], row[0]) for _, key, row in page), Rev(str(at)), more)
        built_in = kind == DEFAULT_PROFILE.kind and namespace is None
        return with_default_profile(listing, limit=limit, after=after) if built_in else listing

    def create(self, key: Key, value: Json) -> Entry:
        """Write an object that is not there. Raises `AlreadyExists`, `BadInput`."""
        if key == DEFAULT_PROFILE:
            raise AlreadyExists(default_profile())
        text = text_of_new(key, value, uid=self.new_uid(), now=self.now())
        if key in self._objects:
            raise AlreadyExists(self.get(key))
        return self._put(key, text)

    def update(self, key: Key, value: Json, revision: str) -> Entry:
        """Write an object that is at `revision`. Raises `NotFound`, `Conflict`, `BadInput`."""
        refuse_default_profile(key)
        text_of_new(key, value, uid="", now=self.now())
        self._check(key, revision)
        return self._put(key, text_of_update(key, value, self._row(key)[1]))

    def delete(self, key: Key, revision: str | None = None) -> Entry:
        """Remove an object, if given only at `revision`; gives what was there. Raises `NotFound`, `Conflict`."""
        refuse_default_profile(key)
        self._check(key, revision)
        former = self._objects.pop(key)
        self._log.append(_Change(key, None, former))
        return entry(key, former[1], former[0])

    def check_after(self, after: str) -> int:
        """The revision as a number. Raises `Compacted` if what came after it is not all known."""
        number = revision_number(after)
        if number is None or not self.compacted <= number <= self.head:
            raise Compacted(Rev(after))
        return number

    def change(self, revision: int) -> Change:
        """The change that made `revision`, which must be in the log."""
        made = self._log[revision - self.compacted - 1]
        if made.text is None:
            return Change(made.key, None, Rev(str(revision)))
        return Change(*entry(made.key, made.text, revision))

    def compact(self, keep: int = 0) -> None:
        """Forget all changes but the last `keep`."""
        dropped = max(0, len(self._log) - keep)
        del self._log[:dropped]
        self.compacted += dropped

    def _row(self, key: Key) -> tuple[int, str]:
        try:
            return self._objects[key]
        except KeyError:
            raise NotFound(key) from None

    def _check(self, key: Key, revision: str | None) -> None:
        if revision is not None and str(self._row(key)[0]) != revision:
            raise Conflict(self.get(key))
        self._row(key)

    def _put(self, key: Key, text: str) -> Entry:
        self._log.append(_Change(key, text, self._objects.get(key)))
        self._objects[key] = (self.head, text)
        return entry(key, text, self.head)
