"""Many watches over one stream to one member: who waits for what, and how far each has come.

etcd numbers the watches of a stream; answers carry the number. A watch whose reader is slow is ended here and begun
again where the reader is, so that it never holds up the others. A stream that breaks ends its watches; each is begun
again by whoever reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import grpc.aio

from muslin.datastore.etcd import members
from muslin.datastore.etcd import rpc_pb2 as rpc
from muslin.datastore.etcd.client import Client
from muslin.datastore.etcd.members import Member, Metadata, Refused
from muslin.datastore.etcd.refusals import End, Refusal
from muslin.errors import MuslinError

__all__ = ["Batch", "Subscription", "Watches", "exact_progress"]

_ROOM_EVENTS: Final = 5_000
_ROOM_OCTETS: Final = 32 << 20
_FIRST_PROGRESS_S: Final = 0.05
_END_S: Final = 2.0
"""For gRPC to end a call that was cancelled, which takes it a moment."""
_ALL_KEYS: Final = (
    "this release of etcd says wrongly how far a watch is, so that all keys must be watched: let the user's role read "
    "all keys (etcdctl role grant-permission ROLE read '' --prefix=true), or use etcd 3.4.25, 3.5.8 or later"
)
_CLOSED: Final = Refusal("CANCELLED", "the datastore is closed", "", sent=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order, maybe none, and the revision up to which there are no others."""

    events: list[Any]
    revision: int


@dataclass(slots=True)
class Subscription:
    """One watch. Everything up to `received` is in the queue, or was taken from it, or never was.

    Attributes:
        received: the revision.
        awaited: the revision from which on it counts as caught up.
        ended: why nothing more comes after the queue; None while it goes on.
        refusal: etcd's words for it.
    """

    first: bytes
    last: bytes
    received: int
    awaited: int
    with_former: bool
    ended: End | None = None
    refusal: Refusal | None = None
    number: int = -1
    stream: _Stream | None = None
    _queue: deque[Batch] = field(default_factory=deque)
    _parts: list[Any] = field(default_factory=list)
    _waiting: asyncio.Future[None] | None = None
    _events: int = 0
    _octets: int = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is in the queue now."""
        return not self._queue

    async def batches(self) -> AsyncIterator[Batch]:
        """What comes, until `ended` is set. One reader only."""
        while True:
            while self._queue:
                batch = self._queue.popleft()
                self._events -= len(batch.events)
                self._octets -= _octets(batch.events)
                yield batch
            if self.ended is not None:
                return
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting

    def cancel(self) -> None:
        """Nobody reads it any more."""
        if self.stream is not None:
            self.stream.cancel(self)
        self.end(End.CLOSED)

    def error(self) -> MuslinError:
        """What etcd refused, for a person."""
        return (self.refusal or _CLOSED).error()

    def end(self, why: End, refusal: Refusal | None = None) -> None:
        """Nothing more comes. The first reason stands."""
        if self.ended is None:
            self.ended, self.refusal = why, refusal
            self._wake()

    def take(self, answer: Any) -> bool:
        """Events of the server. False if they are more than a slow reader may leave lying."""
        self._parts += answer.events
        if answer.fragment:
            return True
        # Those of a start at the known revision itself, and what a stream tells twice, are not news.
        events = [event for event in self._parts if event.kv.mod_revision > self.received]
        self._parts = []
        if events:
            self._push(Batch(events, events[-1].kv.mod_revision))
        return self._events <= _ROOM_EVENTS and self._octets <= _ROOM_OCTETS

    def progress(self, revision: int) -> None:
        """The server has told everything up to here."""
        if revision > self.received and not self._parts:
            if self._queue and not self._queue[-1].events:
                self._queue.pop()
            self._push(Batch([], revision))

    def _push(self, batch: Batch) -> None:
        self.received = batch.revision
        self._queue.append(batch)
        self._events += len(batch.events)
        self._octets += _octets(batch.events)
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Watches:
    """All watches of a store.

    Args:
        client: calls on the members; stays the caller's to close.
        progress_s: how often idle watches ask how far they are, which also notices a server that is gone.
    """

    def __init__(self, client: Client, progress_s: float = 5.0) -> None:
        self._client, self._progress_s = client, progress_s
        self._streams: set[_Stream] = set()
        self._current: _Stream | None = None
        self._opening = asyncio.Lock()

    async def subscribe(
        self, span: tuple[bytes, bytes], after: int, awaited: int, *, with_former: bool = False
    ) -> Subscription:
        """Begin a watch of keys in `span` for what is later than `after`, which must not be compacted yet.

        Raises:
            Forbidden, Unavailable: it could not be begun.
        """
        wanted = Subscription(*span, received=after, awaited=awaited, with_former=with_former)

        async def deed(member: Member, metadata: Metadata) -> None:
            async with self._opening:
                stream = self._current
                fresh = stream is None or stream.broken or stream.metadata != metadata
                if stream is None or fresh:
                    stream = self._current = await self._opened(member, metadata)
            await stream.create(wanted, self._client.patience.answer_s)

        await self._client.attempt(deed, again=True)
        return wanted

    async def close(self) -> None:
        """End all."""
        for stream in tuple(self._streams):
            await stream.close()

    async def _opened(self, member: Member, metadata: Metadata) -> _Stream:
        try:
            status = await member.call(members.STATUS, rpc.StatusRequest(), metadata, self._client.patience.answer_s)
            exact = exact_progress(status.version)
        except Refused as error:
            # Whoever asks was asked for a right only by releases later than those that are wrong about progress.
            if error.refusal.code != "PERMISSION_DENIED":
                raise
            exact = True
        for stream in tuple(self._streams):
            if stream.broken or stream.empty:
                self._streams.discard(stream)
                await stream.close()
        made = _Stream(member, metadata, self._progress_s, exact=exact)
        self._streams.add(made)
        return made


class _Stream:
    """One stream of a member; `exact` is whether what it says about progress can be relied on."""

    def __init__(self, member: Member, metadata: Metadata, progress_s: float, *, exact: bool) -> None:
        self.member, self.metadata, self.exact = member, metadata, exact
        self.broken = False
        self._progress_s = progress_s
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self._creating: deque[tuple[Subscription, asyncio.Future[None]]] = deque()
        self._watches: dict[int, Subscription] = {}
        self._ever = False
        self._hurry = asyncio.Event()
        self._heard_at = asyncio.get_running_loop().time()
        self._call = member.watch(self._requests(), metadata)
        self._reading, self._asking = asyncio.ensure_future(self._read()), asyncio.ensure_future(self._ask_progress())

    @property
    def empty(self) -> bool:
        """Whether nobody watches over it."""
        return not self._watches and not self._creating

    async def create(self, wanted: Subscription, timeout_s: float) -> None:
        """Begin one watch. Raises `Refused`; a stream that says nothing at all for so long is broken."""
        if self.broken:
            raise Refused(Refusal("UNAVAILABLE", "the stream broke", str(self.member)))
        wanted.ended = wanted.refusal = None
        wanted.stream = self
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        asked_at = loop.time()
        self._creating.append((wanted, answer))
        # From the known revision itself, whose events are left out again: a watch that begins in the future would
        # keep the server from telling progress on the whole stream.
        request = rpc.WatchCreateRequest(
            # Where progress can't be relied on, every key is watched: the event of the last revision tells instead.
            key=wanted.first if self.exact else b"\0", range_end=wanted.last if self.exact else b"\0",
            start_revision=max(wanted.received, 1),
            prev_kv=wanted.with_former, progress_notify=True, fragment=True,
        )  # fmt: skip
        self._outgoing.put_nowait(rpc.WatchRequest(create_request=request))
        try:
            while not answer.done():
                # With a thousand watches begun at once, the last one's answer is late and the stream is well.
                left_s = max(asked_at, self._heard_at) + timeout_s - loop.time()
                if left_s <= 0:
                    answer.cancel()
                    refusal = Refusal("DEADLINE_EXCEEDED", f"no answer within {timeout_s:g} s", str(self.member))
                    self._break(refusal)
                    raise Refused(refusal)
                await asyncio.wait((answer,), timeout=left_s)
            answer.result()
        finally:
            answer.cancel()
        self._ever = True

    def cancel(self, subscription: Subscription) -> None:
        """End one watch; the server is told."""
        if self._watches.pop(subscription.number, None) is not None and not self.broken:
            request = rpc.WatchCancelRequest(watch_id=subscription.number)
            self._outgoing.put_nowait(rpc.WatchRequest(cancel_request=request))

    async def close(self) -> None:
        """End the stream; its watches with it."""
        self._break(_CLOSED, End.CLOSED)
        _, late = await asyncio.wait((self._reading, self._asking), timeout=_END_S)
        for task in late:
            task.cancel()

    async def _requests(self) -> AsyncIterator[Any]:
        while (request := await self._outgoing.get()) is not None:
            yield request

    async def _read(self) -> None:
        refusal = Refusal("UNAVAILABLE", "the stream ended", str(self.member))
        try:
            async for answer in self._call:
                self._take(answer)
        except grpc.aio.AioRpcError as error:
            refusal = self.member.refused(error).refusal
        except (asyncio.CancelledError, grpc.aio.UsageError):
            refusal = _CLOSED
        except Exception as error:  # noqa: BLE001 - whoever waits for a watch must be told whatever it was
            refusal = Refusal("INTERNAL", f"the watch can't be read: {type(error).__name__}: {error}", str(self.member))
        self._break(refusal)

    def _take(self, answer: Any) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if answer.created:
            self._created(answer)
            return
        if answer.watch_id < 0:  # progress of all
            for each in self._watches.values():
                each.progress(answer.header.revision)
            return
        subscription = self._watches.get(answer.watch_id)
        if subscription is None:
            return
        if answer.canceled:
            del self._watches[answer.watch_id]
            subscription.end(*self._why(answer))
        elif not answer.events:
            subscription.progress(answer.header.revision)
        elif not subscription.take(answer):
            subscription.end(End.SLOW)
            self.cancel(subscription)

    def _created(self, answer: Any) -> None:
        subscription, future = self._creating.popleft()
        if answer.canceled:
            end, refusal = self._why(answer)
            if end is End.COMPACTED:
                subscription.end(end)
            elif not future.done():
                future.set_exception(Refused(refusal or _CLOSED))
        else:
            subscription.number = answer.watch_id
            self._watches[answer.watch_id] = subscription
        if future.done():  # whoever asked has gone
            self.cancel(subscription)
            return
        future.set_result(None)
        if self.exact:
            self._hurry.set()

    def _why(self, answer: Any) -> tuple[End, Refusal | None]:
        if answer.compact_revision:
            return End.COMPACTED, None
        text = answer.cancel_reason
        if "permission denied" in text or "auth" in text or "user name" in text:
            # A stream keeps the rights it began with: an old one may only have an old token.
            code = "UNAUTHENTICATED" if self._ever else "PERMISSION_DENIED"
            text = "invalid auth token" if self._ever else text.rpartition("desc = ")[2]
            fix = "" if self.exact else _ALL_KEYS
            return End.BROKEN if self._ever else End.REFUSED, Refusal(code, text, str(self.member), fix=fix)
        return End.BROKEN, Refusal("UNAVAILABLE", text or "the watch was cancelled", str(self.member))

    async def _ask_progress(self) -> None:
        """Ask how far the watches are: soon while one has not caught up, else now and then."""
        pause_s = _FIRST_PROGRESS_S
        while not self.broken:
            behind = self.exact and any(it.received < it.awaited for it in self._watches.values())
            pause_s = min(2 * pause_s, 1.0) if behind else self._progress_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause_s)
                pause_s = _FIRST_PROGRESS_S
            self._hurry.clear()
            if self._watches and self.exact:
                self._outgoing.put_nowait(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    def _break(self, refusal: Refusal, end: End = End.BROKEN) -> None:
        if self.broken:
            return
        self.broken = True
        for subscription in self._watches.values():
            subscription.end(end, refusal)
        self._watches.clear()
        while self._creating:
            _, future = self._creating.popleft()
            if not future.done():
                future.set_exception(Refused(refusal))
        self._call.cancel()
        self._outgoing.put_nowait(None)  # gRPC leaves the task that asks for requests behind where the call has ended
        self._asking.cancel()  # the one that reads ends when gRPC has ended the call: nothing of it is left then


def _octets(events: list[Any]) -> int:
    return sum(len(event.kv.value) for event in events)


def exact_progress(version: str) -> bool:
    """Whether this etcd tells progress only after the events before it: since 3.4.25 and 3.5.8."""
    try:
        major, minor, patch = (int(part) for part in version.partition("-")[0].split(".")[:3])
    except ValueError:
        return False
    return (major, minor) > (3, 5) or (major, minor, patch) >= (3, 5, 8) or (3, 4, 25) <= (major, minor, patch) < (3, 5)
