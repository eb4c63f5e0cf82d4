"""What surrounds a controller, with real controllers over memory, on virtual time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from muslin.datastore.memory import Fault, MemoryDatastore
from muslin.datastore.protocol import NotFound
from reconciler.controller import Controller, Settings
from reconciler.operating.history import records
from reconciler.operating.logs import writer
from reconciler.operating.metrics import Metrics
from reconciler.operating.notices import Target
from reconciler.operating.operation import Candidate, Operation, Telling
from reconciler.operating.pages import Health
from tests.reconciler.cases import commit_of, policy_key
from tests.support.memory_git import MemorySource
from tests.support.virtual_time import run_virtual


@dataclass
class _Process:
    """One reconciler process, as `muslin reconcile` puts it together."""

    name: str
    store: MemoryDatastore
    source: MemorySource
    elects: bool = True
    lines: list[str] = field(default_factory=list)
    notices: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put it together."""
        random = Random(self.name)
        self.metrics, self.health = Metrics(now=lambda: 0.0), Health(lambda: 0.0, 60.0)

        def now() -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

        async def post(body: bytes, _: dict[str, str]) -> int:
            self.notices.append(json.loads(body))
            return 200

        log = writer(self.lines.append, set_name="default", run_id=self.name, now=now, as_json=True)
        self.operation = Operation(
            self.store, "default", run_id=self.name, now=now, random=random, log=log, metrics=self.metrics,
            health=self.health, who=lambda _: "Ada <ada@example.com>",
            telling=Telling(Target("https://hooks.example.com/"), post),
            candidate=Candidate(self.name) if self.elects else None,
        )  # fmt: skip
        self.controllers: list[Controller] = []

        def controller() -> Controller:
            made = Controller(
                self.store, self.source, Settings(poll_s=10.0), random=random, now=now, tell=self.operation.tell,
                looked=self.operation.looked,
            )  # fmt: skip
            self.controllers.append(made)
            return made

        self.task = asyncio.ensure_future(self.operation.run(controller))

    @property
    def events(self) -> list[str]:
        """What the log says, by kind."""
        return [json.loads(line)["event"] for line in self.lines]


async def _has(store: MemoryDatastore, name: str) -> bool:
    try:
        await store.get(policy_key(name))
    except NotFound:
        return False
    return True


def test_one_event_reaches_log_history_notice_and_figures_with_one_id() -> None:
    """A person follows one look from the message on their screen to the log of the process."""

    async def story() -> None:
        store, source = MemoryDatastore(), MemorySource()
        source.push(commit_of("a"))
        one = _Process("one", store, source, elects=False)
        await asyncio.sleep(5)
        one.operation.stop()
        await asyncio.wait_for(one.task, 10)
        (line,) = [json.loads(line) for line in one.lines if json.loads(line)["event"] == "Applied"]
        (kept,) = [each for each in await records(store, "default") if each.event == "Applied"]
        (told,) = [notice for notice in one.notices if notice["event"] == "Applied"]
        assert (line["at"], line["level"], line["set"]) == ("2026-01-02T03:04:05.000Z", "info", "default")
        assert line["reconcile"] == kept.reconcile == told["reconcile"]
        assert kept.who == "Ada <ada@example.com>"
        assert b'muslin_reconciler_events_total{event="Applied",set="default"} 1.0' in one.metrics.text()
        assert b'muslin_reconciler_in_line{set="default"} 1.0' in one.metrics.text()

    run_virtual(story())


def test_one_of_two_acts_and_the_other_takes_over() -> None:
    """A stop hands over within a moment; what is pushed next is applied by the other."""

    async def story() -> None:
        store, source = MemoryDatastore(), MemorySource()
        source.push(commit_of("a"))
        one = _Process("one", store.client(), source)
        await asyncio.sleep(1)
        two = _Process("two", store.client(), source)
        await asyncio.sleep(30)
        assert (len(one.controllers), len(two.controllers)) == (1, 0)
        assert two.events == ["Election"]
        assert one.health.ready
        assert two.health.ready
        one.operation.stop()
        await asyncio.wait_for(one.task, 10)
        source.push(commit_of("a", "b"))
        await asyncio.sleep(30)
        assert await _has(store, "b")
        assert len(two.controllers) == 1
        two.operation.stop()
        await asyncio.wait_for(two.task, 10)

    run_virtual(story())


def test_who_only_waits_is_stopped_at_once() -> None:
    """SIGTERM ends a process that stands by."""

    async def story() -> None:
        store, source = MemoryDatastore(), MemorySource()
        source.push(commit_of("a"))
        one = _Process("one", store.client(), source)
        await asyncio.sleep(1)
        two = _Process("two", store.client(), source)
        await asyncio.sleep(5)
        two.operation.stop()
        await asyncio.wait_for(two.task, 3)
        assert not one.task.done()
        one.operation.stop()
        await asyncio.wait_for(one.task, 10)

    run_virtual(story())


def test_who_loses_the_store_stops_and_acts_again_later() -> None:
    """The lease ends, the other acts; when that one ends, the first begins with a new controller."""

    async def story() -> None:
        store, source = MemoryDatastore(), MemorySource()
        source.push(commit_of("a"))
        cut = store.client()
        one = _Process("one", cut, source)
        await asyncio.sleep(1)
        two = _Process("two", store.client(), source)
        await asyncio.sleep(5)
        cut.faults = lambda _: Fault(refused=True)
        source.push(commit_of("b"))
        await asyncio.sleep(60)
        assert await _has(store, "b")
        assert not one.task.done()
        assert b'muslin_reconciler_leading{set="default"} 0.0' in one.metrics.text()
        cut.faults = lambda _: Fault()
        two.operation.stop()
        await asyncio.wait_for(two.task, 10)
        source.push(commit_of("b", "c"))
        await asyncio.sleep(60)
        assert await _has(store, "c")
        assert len(one.controllers) == 2
        one.operation.stop()
        await asyncio.wait_for(one.task, 10)

    run_virtual(story())
