"""Answers what reconcilers ask of pods on this node: whether they reach an address, again and again while it is asked.

A request is an object in the datastore (`runtime.probe_request`); it is watched, and answered in its status, which is
written only where the answer is another. Nothing here waits for the agent's loop, nor the other way round.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from pydantic import Field

from muslin.datastore.mirror import Backoff, Decoded, Mirror
from muslin.datastore.protocol import Conflict, Datastore, Json, NotFound
from muslin.errors import BadInput, MuslinError, Unavailable
from muslin.net import Address
from muslin.resources.base import Resource
from muslin.resources.fields import Text
from muslin.resources.keys import Key
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.semantics.snapshot import Snapshot
from runtime.probe_request import KIND, Answer, Ask, Wanted, Word, answered, wanted

__all__ = ["Asker", "Probing"]

_AT_ONCE: Final = 16
"""Attempts under way, of all requests together."""
_MOST_REQUESTS: Final = 32
_EVERY_S: Final = 1.0
"""No pair is asked more often."""
_PAUSE_S: Final = 0.25
_LONGEST_S: Final = 600.0
"""A question that stands for longer is nobody's: whoever asked would have asked another, or taken it away."""
_BACKOFF: Final = Backoff(first_s=0.2, longest_s=10.0)
_AFTER_A_FAULT_S: Final = 60.0
_MOST_TOLD: Final = 100


class Asker(Protocol):
    """What happens to a packet that a pod sends."""

    async def ask(self, interface: str, source: Address, ask: Ask) -> Answer:
        """One attempt from the pod with this host interface and address; ends in the ask's time. Raises nothing."""
        ...


class _Request(Resource):
    api_version: Text = ""
    kind: Text = ""
    spec: Any = Field(default=None)
    status: Any = Field(default=None)


def _decoded(key: Key, value: Json) -> Decoded:
    del key
    return Decoded(_Request.model_validate(dict(value), by_alias=True, by_name=False))


class Probing:
    """The requests to one node.

    Args:
        node: its name.
        datastore: where requests are.
        asker: asks for a pod.
        snapshot: the agent's copy of the datastore, which knows the pods.
        applied: the revision that the kernel has, None before the first.
        on_failure: is told what went wrong, and the wait that follows.
    """

    def __init__(
        self,
        node: str,
        datastore: Datastore,
        asker: Asker,
        *,
        snapshot: Callable[[], Snapshot],
        applied: Callable[[], str | None],
        on_failure: Callable[[BaseException, float | None], None],
    ) -> None:
        self._node, self._datastore, self._asker = node, datastore, asker
        self._snapshot, self._applied, self._on_failure = snapshot, applied, on_failure
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._moved = asyncio.Event()
        self._told: set[str] = set()
        self._answering: dict[Key, tuple[Wanted, asyncio.Task[None]]] = {}

    def applied_moved(self) -> None:
        """The kernel has another revision."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def run(self) -> None:
        """Answer, for ever. Where requests may not be read, that is told once, and tried again from time to time."""
        while True:
            mirror = Mirror(self._datastore, (KIND,), _decoded, backoff=_BACKOFF, on_failure=self._unread)
            mirror.start()
            try:
                async for seen in mirror.changes():
                    self._take(mirror, seen)
            except Exception as error:  # noqa: BLE001 - a fault here must not end the agent
                self._on_failure(error, _AFTER_A_FAULT_S)
            finally:
                await self._stop(mirror)
            await asyncio.sleep(_AFTER_A_FAULT_S)

    def _unread(self, error: MuslinError, pause_s: float) -> None:
        """That the datastore is away the agent says itself."""
        if not isinstance(error, Unavailable):
            self._tell_once(error, pause_s)

    def _tell_once(self, error: MuslinError, pause_s: float | None) -> None:
        """What is wrong with requests is told once, and of very many not all."""
        if str(error) not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(str(error))
            self._on_failure(error, pause_s)

    async def _stop(self, mirror: Mirror) -> None:
        tasks = [task for _, task in self._answering.values()]
        self._answering.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await mirror.close()

    def _take(self, mirror: Mirror, seen: Snapshot) -> None:
        """Begin what is asked anew, end what is asked no more."""
        asked: dict[Key, Wanted] = {}
        for each in seen.all(_Request):
            try:
                found = wanted(each.spec, self._node, f"{KIND} {each.metadata.name}")
            except BadInput as error:
                self._tell_once(error, None)
                continue
            if found is not None and len(asked) < _MOST_REQUESTS:
                asked[Key(KIND, each.metadata.name)] = found
        for key, (known, task) in tuple(self._answering.items()):
            if asked.get(key) != known:
                task.cancel()
                del self._answering[key]
        for key, want in asked.items():
            if key not in self._answering:
                task = asyncio.create_task(self._answer(mirror, key, want))
                task.add_done_callback(self._ended)
                self._answering[key] = (want, task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(error, None)

    async def _answer(self, mirror: Mirror, key: Key, want: Wanted) -> None:
        """Ask again and again, and say what is different."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + _LONGEST_S
        while not self._has(want.after):
            await self._moved.wait()
        while (began := loop.time()) < ends:
            answers = await asyncio.gather(*(self._attempt(each) for each in want.asks))
            named = [*want.wrong, *((each.id, answer) for each, answer in zip(want.asks, answers, strict=True))]
            try:
                await self._say(mirror, key, answered(want.mark, named))
            except MuslinError as error:
                self._on_failure(error, _EVERY_S)
            await asyncio.sleep(max(_PAUSE_S, began + _EVERY_S - loop.time()))

    def _has(self, revision: int) -> bool:
        applied = self._applied()
        return applied is not None and (revision == 0 or (applied.isdecimal() and int(applied) >= revision))

    async def _attempt(self, ask: Ask) -> Answer:
        async with self._places:
            pod = self._snapshot().get(WorkloadEndpoint, ask.endpoint.name, ask.endpoint.namespace)
            if pod is None or pod.spec.node != self._node or pod.spec.interface_name is None:
                return Answer(Word.NO_POD)
            addresses = [each.network_address for each in pod.spec.ip_networks]
            source = next((each for each in addresses if each.version == ask.target.version), None)
            if source is None:
                return Answer(Word.NO_POD)
            return await self._asker.ask(str(pod.spec.interface_name), source, ask)

    async def _say(self, mirror: Mirror, key: Key, status: dict[str, Any]) -> None:
        """Write the answer, unless it stands there, or another question does."""
        seen = mirror.snapshot.resources.get(key)
        if isinstance(seen, _Request) and seen.status == status:
            return
        try:
            entry = await self._datastore.get(key)
            spec = entry.value.get("spec")
            if entry.value.get("status") != status and isinstance(spec, Mapping) and spec.get("mark") == status["mark"]:
                await self._datastore.update(key, {**entry.value, "status": status}, entry.revision)
        except (Conflict, NotFound):
            pass  # the watch tells what is asked now
