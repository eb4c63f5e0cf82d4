"""On Kubernetes: what a reconciler does, as Events of the core API beside the object that it did it to.

`kubectl describe` and `kubectl get events` show them. They are told like notices: from a bounded queue, never waited
for, and dropped where the API has no time for them or does not let us.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from muslin.errors import MuslinError
from reconciler.ledger import API_VERSION
from reconciler.operating.history import RECORDED
from reconciler.operating.logs import Level, level, one_line
from reconciler.remotes import short
from reconciler.status import KIND as STATUS
from reconciler.status import Event, EventKind

__all__ = ["ClusterEvents", "Write", "event_object"]

Write = Callable[[str, Mapping[str, Any]], Awaitable[object]]
"""Creates an object below the path of a collection."""

_TOLD: Final = RECORDED | {EventKind.OBJECT_WRITTEN}
_QUEUE: Final = 500
_MAX_MESSAGE: Final = 1024
_OURS: Final = "muslin-reconciler"
_CALICO: Final = "projectcalico.org/v3"


class ClusterEvents:
    """Tells the events of one set to a Kubernetes API. `offer` is cheap and never waits; `run` sends.

    Args:
        write: creates an object.
        set_name: of the reconciler.
        run_id: what the ids of this process's looks begin with.
        now: wall clock.
    """

    def __init__(self, write: Write, set_name: str, *, run_id: str, now: Callable[[], datetime]) -> None:
        self._write, self._set, self._run_id, self._now = write, set_name, run_id, now
        self._queue: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_QUEUE)
        self._news = asyncio.Event()
        self._count = 0

    def offer(self, event: Event) -> None:
        """Queue an event if it is one for people; the oldest go where there are too many."""
        if event.kind in _TOLD:
            self._count += 1
            made = event_object(event, self._set, f"{self._run_id}-{event.reconcile}", self._count, self._now())
            self._queue.append((f"/api/v1/namespaces/{made['metadata']['namespace']}/events", made))
            self._news.set()

    async def run(self) -> None:
        """Send what is offered, until cancelled. What the API refuses is dropped: the history has it."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                try:
                    await self._write(*self._queue.popleft())
                except MuslinError:
                    self._queue.clear()


def event_object(event: Event, set_name: str, look: str, number: int, at: datetime) -> dict[str, Any]:
    """The core/v1 Event. One without an object is about the set's ReconcilerStatus; `number` makes its name unique."""
    time = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if event.key is None:
        about = {"apiVersion": API_VERSION, "kind": STATUS, "name": set_name}
    else:
        about = {"apiVersion": _CALICO, "kind": event.key.kind, "name": event.key.name}
    # about an object without a namespace, Kubernetes wants the Event in `default`
    namespace = (event.key.namespace if event.key is not None else None) or "default"
    if event.key is not None and event.key.namespace:
        about["namespace"] = namespace
    commit = f" [{short(event.commit)}]" if event.commit else ""
    message = one_line(f"{event.message}{commit} ({look})")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"muslin-{look}-{number}", "namespace": namespace},
        "involvedObject": about,
        "reason": event.kind.value,
        "message": message if len(message) <= _MAX_MESSAGE else f"{message[: _MAX_MESSAGE - 3]}...",
        "type": "Normal" if level(event.kind) is Level.INFO else "Warning",
        "source": {"component": _OURS},
        "reportingComponent": _OURS,
        "reportingInstance": look.partition("-")[0],
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
