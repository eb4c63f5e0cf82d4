"""Figures of a reconciler for Prometheus. They follow from the events and statuses that it tells anyway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from reconciler.operating.election import Change
from reconciler.status import Event, EventKind, Status

__all__ = ["Metrics"]

_LOOK_S: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
_TROUBLES: Final = ("held", "blocked", "failed", "waiting", "paused")


class Metrics:
    """The figures of the sets of one process, each with the label `set`.

    Args:
        now: seconds since the epoch, for times that Prometheus compares with its own.
    """

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._registry = CollectorRegistry()
        self._events = Counter(
            "muslin_reconciler_events", "What happened, by kind.", ["set", "event"], registry=self._registry
        )
        self._looks = Histogram(
            "muslin_reconciler_look_seconds",
            "How long one look took, from reading the commit to the last write.",
            ["set"],
            buckets=_LOOK_S,
            registry=self._registry,
        )
        self._troubles = Gauge(
            "muslin_reconciler_troubles",
            "Commits held, objects blocked, failed or waiting, and whether writing is paused.",
            ["set", "trouble"],
            registry=self._registry,
        )
        self._planned = Gauge(
            "muslin_reconciler_last_plan", "Objects of the last plan, by what it did.", ["set", "action"],
            registry=self._registry,
        )  # fmt: skip
        self._in_line = Gauge(
            "muslin_reconciler_in_line",
            "1 where all of the branch's commit is applied and nothing is held up.",
            ["set"],
            registry=self._registry,
        )
        self._applied_at = Gauge(
            "muslin_reconciler_last_applied_timestamp_seconds",
            "When a commit was last applied completely.",
            ["set"],
            registry=self._registry,
        )
        self._looked_at = Gauge(
            "muslin_reconciler_last_look_timestamp_seconds",
            "When it last looked at everything.",
            ["set"],
            registry=self._registry,
        )
        self._leading = Gauge(
            "muslin_reconciler_leading", "1 where this process acts for the set.", ["set"], registry=self._registry
        )

    def event(self, set_name: str, event: Event) -> None:
        """Count one event."""
        self._events.labels(set_name, event.kind.value).inc()
        if event.kind is EventKind.APPLIED:
            self._applied_at.labels(set_name).set(self._now())

    def look(self, set_name: str, status: Status, seconds: float) -> None:
        """Take over what one look found, and how long it took."""
        self._looks.labels(set_name).observe(seconds)
        self._looked_at.labels(set_name).set(self._now())
        for trouble in _TROUBLES:
            found = getattr(status, trouble)
            self._troubles.labels(set_name, trouble).set(len(found) if isinstance(found, tuple) else bool(found))
        for action, count in status.plan.items():
            self._planned.labels(set_name, action).set(count)
        self._in_line.labels(set_name).set(
            status.seen is not None
            and status.applied == status.seen
            and not any(getattr(status, each) for each in _TROUBLES)
        )

    def election(self, set_name: str, change: Change) -> None:
        """Whether this process acts for the set."""
        self._leading.labels(set_name).set(change is Change.LEADING)

    def text(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self._registry)
