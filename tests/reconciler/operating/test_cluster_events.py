"""Events of the core API: as a real one takes them, and what a refusal does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from muslin.datastore.kubernetes import KubernetesDatastore
from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.settings import EmbeddedSettings
from muslin.errors import Failed, Problem
from muslin.resources.keys import Key
from reconciler.operating.cluster_events import ClusterEvents, event_object
from reconciler.operating.logs import line
from reconciler.process import write_event
from reconciler.status import Event, EventKind
from tests.muslin.datastore.kubernetes.clusters import over, settings, shared
from tests.support.engines import Missing
from tests.support.virtual_time import run_virtual

_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_EVENTS = (
    Event(EventKind.OBJECT_WRITTEN, 3, "create NetworkPolicy shop/a", "c" * 40, Key("NetworkPolicy", "a", "shop")),
    Event(EventKind.DRIFT_REPAIRED, 4, "IPPool pods was changed", "c" * 40, Key("IPPool", "pods")),
    Event(EventKind.COMMIT_HELD, 5, "x" * 5000, "d" * 40),
)


def test_what_an_event_says() -> None:
    """Beside the object where there is one, beside the set's status otherwise; in words of bounded length."""
    one, two, three = (event_object(event, "default", f"run-{event.reconcile}", 1, _AT) for event in _EVENTS)
    assert one["involvedObject"] == {
        "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "name": "a", "namespace": "shop",
    }  # fmt: skip
    assert (one["type"], one["reason"]) == ("Normal", "ObjectWritten")
    assert one["message"] == "create NetworkPolicy shop/a [cccccccccccc] (run-3)"
    assert (two["metadata"]["namespace"], two["type"]) == ("default", "Warning")
    assert three["involvedObject"]["kind"] == "ReconcilerStatus"
    assert len(three["message"]) == 1024


def test_words_of_a_repository_move_no_cursor() -> None:
    """A key of a manifest may hold what a terminal obeys: lines of the log and Events show it escaped."""
    event = Event(EventKind.COMMIT_HELD, 5, "a.yaml:1:1 spec.\x1b]0;owned\x07\u202ex: unknown field", "d" * 40)
    told = line(event, set_name="default", run_id="run", at=_AT, as_json=False)
    message = event_object(event, "default", "run-5", 1, _AT)["message"]

    assert told.isprintable()
    assert message.isprintable()
    assert r"spec.\x1b]0;owned\x07\u202ex" in message


def test_a_refusal_holds_up_nothing_and_what_comes_later_is_told() -> None:
    """Without the right to write Events a reconciler works on."""
    written: list[Mapping[str, Any]] = []
    refused = [True]

    async def write(_: str, value: Mapping[str, Any]) -> None:
        if refused[0]:
            raise Failed(Problem("forbidden", "events", "ask"))
        written.append(value)

    async def story() -> None:
        events = ClusterEvents(write, "default", run_id="run", now=lambda: _AT)
        running = asyncio.ensure_future(events.run())
        for number in range(3):
            events.offer(Event(EventKind.FAILED, number, "x"))
        await asyncio.sleep(1)
        refused[0] = False
        events.offer(Event(EventKind.RETRY, 4, "not for people"))
        events.offer(Event(EventKind.FAILED, 5, "x"))
        await asyncio.sleep(1)
        running.cancel()

    run_virtual(story())
    assert [each["metadata"]["name"] for each in written] == ["muslin-run-5-4"]


def test_only_kubernetes_has_events() -> None:
    """Beside another datastore there is nobody to tell."""
    assert write_event(EmbeddedSettings("x"), MemoryDatastore()) is None


@pytest.mark.engines
def test_a_real_api_takes_them() -> None:
    """Each is there afterwards, beside its object, with our name."""
    try:
        server = shared()
    except Missing as missing:
        pytest.skip(str(missing))

    async def story(store: KubernetesDatastore) -> None:
        write = write_event(settings(server), store)
        assert write is not None
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        sent = asyncio.Event()

        async def counted(path: str, value: Mapping[str, Any]) -> None:
            await write(path, value)
            if value["metadata"]["name"].endswith(f"-{len(_EVENTS)}"):
                sent.set()

        events = ClusterEvents(counted, "default", run_id="real", now=lambda: _AT)
        running = asyncio.ensure_future(events.run())
        for event in _EVENTS:
            events.offer(event)
        await sent.wait()
        running.cancel()

    over(server, story)
    found = server.request("GET", "/api/v1/events")["items"]
    ours = [each for each in found if each["reportingComponent"] == "muslin-reconciler"]
    assert sorted((each["reason"], each["involvedObject"]["name"]) for each in ours) == [
        ("CommitHeld", "default"),
        ("DriftRepaired", "pods"),
        ("ObjectWritten", "a"),
    ]
