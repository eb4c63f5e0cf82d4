"""The datastore protocol on a separate etcd: Calico's keys and JSON, compare-and-swap on the modification revision.

A revision is etcd's own, of the whole store. An update needs the object's identity (uid, creationTimestamp), which
Calico keeps in the value: it is remembered from the last read or write, else read first; the transaction's comparison
proves that it was the right one.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from muslin.conversion.kinds import IPAM_KINDS, NAMED_POLICIES
from muslin.datastore import paging
from muslin.datastore.built_in import DEFAULT_PROFILE, default_profile, refuse_default_profile, with_default_profile
from muslin.datastore.etcd import stored
from muslin.datastore.etcd.endpoints import endpoints_from
from muslin.datastore.etcd.patience import Patience
from muslin.datastore.etcd.refusals import AnswerLost, End
from muslin.datastore.etcd.stored import Written
from muslin.datastore.objects import random_uid, revision_number
from muslin.datastore.protocol import (
    AlreadyExists,
    Bookmark,
    Change,
    Compacted,
    Conflict,
    Entry,
    Json,
    Listing,
    MaybeDone,
    NotFound,
    Revision,
)
from muslin.datastore.settings import EtcdSettings
from muslin.errors import BadInput, Failed, MuslinError, Problem, Unavailable
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.datastore.etcd.connection import Connection

__all__ = ["EtcdDatastore"]

_REMEMBERED: Final = 20_000
"""Objects whose identity is remembered: some 300 octets each."""
_CHUNK: Final = 1_000
"""Objects asked for at once, so that no answer is huge."""
_List = list  # `list` is a method in the class below


class EtcdDatastore:
    """`Datastore` over etcd; open it with `open`, and use it on one event loop.

    A write that is cancelled may still happen, so may one that raises `MaybeDone`.

    Args:
        connection: to its members.
        now: clock for creationTimestamp.
        new_uid: makes a uid that no other object has.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_uid: Callable[[], str] = random_uid,
    ) -> None:
        self._etcd, self._now, self._new_uid = connection, now, new_uid
        self._known: dict[Key, Written] = {}
        self._cluster: int | None = None  # of the latest list
        self._closed = False

    @classmethod
    async def open(cls, settings: EtcdSettings, *, patience: Patience | None = None, **options: Any) -> Self:
        """Connect, and make sure that it is not a Kubernetes cluster's own etcd.

        Args:
            settings: where it is and who asks.
            patience: how long to wait for a member; a fitting one unless handed in.
            options: as the class takes them.

        Raises:
            BadInput: the settings can't be right, it is the cluster's own, or gRPC is not installed.
            Unavailable: no member answers.
            Forbidden: it does not let us in.
        """
        if settings.discovery_srv is None:
            endpoints_from(settings.endpoints)  # says what is wrong before gRPC is loaded
        try:
            from muslin.datastore.etcd.connection import Connection  # noqa: PLC0415 - gRPC is loaded for etcd alone
        except ImportError as error:
            fix = "install it with the extra: pip install 'muslin[etcd]'"
            raise BadInput(Problem(f"gRPC is needed for etcd: {error}", "datastoreType etcdv3", fix)) from error
        return cls(await Connection.open(settings, patience), **options)

    async def get(self, key: Key) -> Entry:
        """See `Datastore.get`."""
        if key == DEFAULT_PROFILE:
            return default_profile()
        return (await self._find(key))[0]

    async def list(
        self, kind: str, *, namespace: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Listing:
        """See `Datastore.list`. Later pages are of the first page's instant. Raises `Compacted` if that is too old."""
        paging.check_limit(limit)
        token = None if after is None else paging.read(after)
        while True:
            try:
                listing = await self._list(kind, namespace, limit, token)
            except Compacted:
                if token is not None:
                    raise Compacted(Revision(str(token.revision))) from None
                # It was compacted while one list was read: begin again.
            else:
                return with_default_profile(listing, limit=limit, after=after) if kind == "Profile" else listing

    async def create(self, key: Key, value: Json) -> Entry:
        """See `Datastore.create`."""
        if key == DEFAULT_PROFILE:
            raise AlreadyExists(default_profile())
        uid = self._new_uid()
        text = stored.new_text(key, value, uid=uid, now=self._now())
        path = stored.path_of(key, value).encode()
        others: dict[bytes, int] = {}
        if key.kind not in stored.PLAIN:
            others = {other: 0 for other in map(str.encode, stored.places(key)) if other != path}
        while True:
            try:
                outcome = await self._etcd.create(path, text, others)
            except AnswerLost as lost:
                born = await self._born(key, path, uid)
                if born is None:
                    raise MaybeDone(key, str(lost)) from lost
                return self._written(key, path, text, born)
            if outcome.done:
                return self._written(key, path, text, outcome.revision)
            for kv in outcome.found:
                there = stored.entry_of(kv)
                if there is not None and (kv.key == path or there[0].key == key):
                    raise AlreadyExists(self._remembered(there))
            # Another object is where an old release would have put this one.
            others |= dict.fromkeys(others, 0) | {kv.key: kv.mod_revision for kv in outcome.found}

    async def update(self, key: Key, value: Json, revision: Revision) -> Entry:
        """See `Datastore.update`."""
        refuse_default_profile(key)
        known = await self._at(key, revision)
        text = stored.updated_text(key, value, known)
        lost: AnswerLost | None = None
        while True:
            try:
                outcome = await self._etcd.replace(known[0], text, known[1])
                break
            except AnswerLost as error:
                if lost is not None:
                    raise MaybeDone(key, str(error)) from error
                lost = error  # once more: the comparison holds for one of the two at most
            except MuslinError as error:
                if lost is None:
                    raise
                raise MaybeDone(key, str(lost)) from error  # the second was not done, of the first nothing is known
        if outcome.done:
            return self._written(key, known[0], text, outcome.revision)
        if lost is not None:
            raise MaybeDone(key, str(lost)) from lost
        raise self._refused(key, outcome.found)

    async def delete(self, key: Key, revision: Revision | None = None) -> Entry:
        """See `Datastore.delete`."""
        refuse_default_profile(key)
        places, at = stored.places(key), None
        path = places[0].encode() if len(places) == 1 and key.kind != "IPAMHandle" else None
        if revision is not None or path is None:
            known = await self._at(key, revision)
            path, at = known[0], known[1]
        try:
            outcome = await self._etcd.remove(path, at)
        except AnswerLost as lost:
            raise MaybeDone(key, str(lost)) from lost
        self._known.pop(key, None)
        if not outcome.done:
            if revision is None:
                return await self.delete(key)  # it changed since its place was found
            raise self._refused(key, outcome.found)
        there = stored.entry_of(outcome.found[0]) if outcome.found else None
        if there is None:
            raise NotFound(key)
        return there[0]

    async def watch(self, kinds: Collection[str], after: Revision) -> AsyncIterator[Change | Bookmark]:
        """See `Datastore.watch`. The first bookmark comes as soon as the watch has caught up."""
        wanted, marked, start = frozenset(kinds), -1, revision_number(after)
        if start is None:
            raise Compacted(after)
        position = start
        span = stored.span(wanted)
        former = not wanted.isdisjoint(NAMED_POLICIES)  # a deleted policy's value tells its name
        cluster = self._cluster
        while not self._closed:
            try:
                head, cluster = await self._head_after(position, after, cluster)
                subscription = await self._etcd.watches.subscribe(span, position, head, with_former=former)
            except Failed:
                if self._closed:
                    return
                raise
            try:
                if position >= head and position != marked:
                    marked = position
                    yield Bookmark(Revision(str(position)))
                async for batch in subscription.batches():
                    for event in batch.events:
                        change = stored.change_of(event, wanted)
                        if change is not None:
                            yield change
                    position = batch.revision
                    if position >= head and position != marked and subscription.idle:
                        marked = position
                        yield Bookmark(Revision(str(position)))
            finally:
                subscription.cancel()
            match subscription.ended:
                case End.CLOSED:
                    return
                case End.COMPACTED:
                    raise Compacted(after)
                case End.REFUSED:
                    raise subscription.error()
            # Its stream broke, or this reader was slow: it goes on from where it is.

    async def compact(self, keep: int = 0) -> None:
        """Forget all changes but the last `keep`; a watch that is further behind raises `Compacted`."""
        with suppress(Compacted):
            await self._etcd.compact((await self._etcd.head()).revision - keep)

    async def close(self) -> None:
        """See `Datastore.close`. Twice is once."""
        self._closed = True
        await self._etcd.close()

    # Finding, and what is remembered.

    async def _find(self, key: Key) -> tuple[Entry, Written]:
        paths = [path.encode() for path in stored.places(key)]
        found = self._of(key, await self._etcd.get(paths)) if paths else None
        if found is None and (spellings := stored.spellings(key)):
            keys = await self._etcd.keys_beginning([each.encode() for each in spellings])
            found = self._of(key, await self._etcd.get(stored.matching(key, keys)))
        elif found is None and stored.is_shortened(key):
            keys = [kv.key for kv in (await self._keys(key.kind, None, 0))[0]]
            found = self._of(key, await self._etcd.get(stored.matching(key, keys)))
        if found is None:
            self._known.pop(key, None)
            raise NotFound(key)
        return found

    def _of(self, key: Key, kvs: Sequence[Any]) -> tuple[Entry, Written] | None:
        for kv in kvs:
            there = stored.entry_of(kv)
            if there is not None and there[0].key == key:
                self._remembered(there)
                return there
        return None

    async def _at(self, key: Key, revision: Revision | None) -> Written:
        """Where it is and who it is, at this revision. Raises `NotFound`, `Conflict`."""
        known = self._known.get(key)
        if known is not None and str(known[1]) == revision:
            return known
        entry, known = await self._find(key)
        if revision is not None and entry.revision != revision:
            raise Conflict(entry)
        return known

    async def _born(self, key: Key, path: bytes, uid: str) -> int | None:
        """The revision at which our own object was created, None where it is not seen to have been."""
        with suppress(Unavailable):
            for kv in await self._etcd.get([path]):
                there = stored.entry_of(kv)
                metadata = {} if there is None else there[0].value.get("metadata", {})
                if isinstance(metadata, dict) and metadata.get("uid") == uid and key.kind not in IPAM_KINDS:
                    return int(kv.create_revision)
        return None

    def _written(self, key: Key, path: bytes, text: bytes, revision: int) -> Entry:
        return self._remembered(stored.written(key, path, text, revision))

    def _remembered(self, there: tuple[Entry, Written]) -> Entry:
        entry, written = there
        self._known[entry.key] = written
        self._forget_some()
        return entry

    def _forget_some(self) -> None:
        if len(self._known) > _REMEMBERED:
            for key in tuple(itertools.islice(self._known, _REMEMBERED // 4)):
                del self._known[key]  # those that came first

    def _refused(self, key: Key, found: Sequence[Any]) -> NotFound | Conflict:
        for kv in found:
            there = stored.entry_of(kv)
            if there is not None:
                return Conflict(self._remembered(there))
        self._known.pop(key, None)
        return NotFound(key)

    # Lists.

    async def _list(self, kind: str, namespace: str | None, limit: int | None, token: paging.Token | None) -> Listing:
        if token is not None and token.revision == 0:
            raise Compacted(Revision("0"))
        if not stored.ranges(kind, namespace):
            return Listing((), Revision(str(self._instant(await self._etcd.head()))))
        if limit is None or stored.in_key_order(kind, namespace):
            found, at, more = await self._in_etcds_order(kind, namespace, limit, token)
        else:
            found, at, more = await self._sorted_page(kind, namespace, limit, token)
        entries = [it[0] for it in found]
        self._known.update([(it[0].key, it[1]) for it in found[-_REMEMBERED:]])
        self._forget_some()
        if limit is None and (kind not in stored.PLAIN or not stored.in_key_order(kind, namespace)):
            entries.sort(key=lambda entry: (entry.key.namespace or "", entry.key.name))
        return Listing(tuple(entries), Revision(str(at)), None if more is None else paging.write(more))

    async def _in_etcds_order(
        self, kind: str, namespace: str | None, limit: int | None, token: paging.Token | None
    ) -> tuple[_List[tuple[Entry, Written]], int, paging.Token | None]:
        """Objects of one instant, in portions."""
        found: _List[tuple[Entry, Written]] = []
        at = 0 if token is None else token.revision
        for first, last in stored.ranges(kind, namespace):
            start = first if token is None else stored.after(kind, token)
            while True:
                wanted = _CHUNK if limit is None else min(_CHUNK, limit - len(found))
                answer = await self._etcd.range(start, last, limit=wanted, revision=at)
                at = at or self._instant(answer.header)
                found += stored.entries_of(answer.kvs, kind)
                if not answer.more:
                    break
                start = answer.kvs[-1].key + b"\0"
                if limit is not None and len(found) >= limit:
                    return found, at, stored.token_of(found[-1][1][0], at)
        return found, at, None

    def _instant(self, header: Any) -> int:
        """The revision of a new list; a watch from there must meet the same etcd."""
        self._cluster = int(header.cluster_id)
        return int(header.revision)

    async def _keys(self, kind: str, namespace: str | None, at: int) -> tuple[_List[Any], int]:
        found: _List[Any] = []
        for first, last in stored.ranges(kind, namespace):
            answer = await self._etcd.range(first, last, revision=at, keys_only=True)
            at = at or self._instant(answer.header)
            found += answer.kvs
        return found, at

    async def _sorted_page(
        self, kind: str, namespace: str | None, limit: int, token: paging.Token | None
    ) -> tuple[_List[tuple[Entry, Written]], int, paging.Token | None]:
        """A page where etcd's order is another than that of names: all keys are read, and the page's values."""
        kvs, at = await self._keys(kind, namespace, 0 if token is None else token.revision)
        named = sorted((it, kv.key) for kv in kvs if (it := stored.token_of(kv.key, at)) is not None)
        rest = [(it, path) for it, path in named if token is None or it > token]
        page = rest[:limit]
        values = await self._etcd.values_at([path for _, path in page], at)
        return stored.entries_of(values, kind), at, page[-1][0] if len(page) < len(rest) else None

    # Watches.

    async def _head_after(self, position: int, asked: Revision, cluster: int | None) -> tuple[int, int]:
        """The revision of now, and the etcd that said it.

        Raises `Compacted` unless everything after `position` is still known, and of this cluster where that is known.
        """
        try:
            header = await self._etcd.head(position)
        except Compacted:
            raise Compacted(asked) from None
        if cluster not in (None, header.cluster_id):
            raise Compacted(asked)  # another etcd answers at these endpoints now: its revisions are its own
        return int(header.revision), int(header.cluster_id)
