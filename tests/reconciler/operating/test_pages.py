"""Health and metrics as probes and Prometheus see them, over real connections."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key
from reconciler.operating.election import Change
from reconciler.operating.metrics import Metrics
from reconciler.operating.pages import CONTENT_TYPE, Address, Health, address, serving
from reconciler.status import Event, EventKind, Status


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _samples(text: bytes) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_figures_follow_events_and_looks() -> None:
    """Prometheus' own reader finds what happened, by set."""
    clock = _Clock()
    metrics = Metrics(now=clock)
    metrics.event("a", Event(EventKind.APPLIED, 1, "done", "c1"))
    metrics.event("a", Event(EventKind.DRIFT_REPAIRED, 2, "x", "c1"))
    metrics.event("a", Event(EventKind.DRIFT_REPAIRED, 2, "y", "c1"))
    metrics.look("a", Status(seen="c2", applied="c1", held="c2", plan={"create": 3}), 0.03)
    metrics.election("a", Change.LEADING)
    found = _samples(metrics.text())
    assert found["muslin_reconciler_events_total", "DriftRepaired", "a"] == 2
    assert found["muslin_reconciler_last_applied_timestamp_seconds", "a"] == 100
    assert found["muslin_reconciler_troubles", "a", "held"] == 1
    assert found["muslin_reconciler_troubles", "a", "paused"] == 0
    assert found["muslin_reconciler_last_plan", "create", "a"] == 3
    assert found["muslin_reconciler_in_line", "a"] == 0
    assert found["muslin_reconciler_look_seconds_bucket", "0.05", "a"] == 1
    assert found["muslin_reconciler_look_seconds_bucket", "0.02", "a"] == 0
    assert found["muslin_reconciler_leading", "a"] == 1
    blocked = (Key("IPPool", "pods"), "PoolInUse", Problem("a", "b", "c"))
    metrics.look("a", Status(seen="c2", applied="c2", blocked=(blocked,)), 0.03)
    assert _samples(metrics.text())["muslin_reconciler_in_line", "a"] == 0
    metrics.look("a", Status(seen="c2", applied="c2"), 0.03)
    metrics.election("a", Change.LOST)
    found = _samples(metrics.text())
    assert found["muslin_reconciler_in_line", "a"] == 1
    assert found["muslin_reconciler_troubles", "a", "held"] == 0
    assert found["muslin_reconciler_leading", "a"] == 0


def test_health_is_lost_when_looks_stop_and_not_while_another_acts() -> None:
    """A reconciler that hangs is told from one that has nothing to do and one that stands by."""
    clock = _Clock()
    health = Health(clock, patience_s=60.0)
    assert not health.ready
    health.stands_by("a")
    clock.now += 1000
    assert health.ready
    health.acts("a")
    clock.now += 59
    assert health.ready
    clock.now += 2
    assert health.overdue() == {"a": 61.0}
    assert not health.ready
    health.looked("a")
    assert health.ready


def test_the_pages() -> None:
    """Status and text of each page, while well and while a look is overdue; nothing else is there, nothing is taken."""

    async def story() -> None:
        clock = _Clock()
        health, metrics = Health(clock, patience_s=60.0), Metrics(now=clock)
        metrics.event("a", Event(EventKind.APPLIED, 1, "done", "c1"))
        async with serving(Address("127.0.0.1", 0), health, metrics.text) as where:
            assert where is not None
            base = f"http://127.0.0.1:{where.port}"
            async with aiohttp.ClientSession() as session:

                async def page(path: str, method: str = "GET") -> tuple[int, str, str]:
                    async with session.request(method, base + path) as answer:
                        return answer.status, await answer.text(), answer.headers["Content-Type"]

                assert (await page("/healthz"))[:2] == (200, "ok\n")
                assert (await page("/readyz"))[:2] == (503, "not yet\n")
                health.acts("a")
                assert (await page("/readyz"))[:2] == (200, "ok\n")
                clock.now += 100
                assert (await page("/healthz"))[:2] == (503, "set a: no look for 100 s\n")
                status, text, kind = await page("/metrics")
                assert (status, kind) == (200, CONTENT_TYPE)
                assert 'muslin_reconciler_events_total{event="Applied",set="a"} 1.0' in text
                assert (await page("/"))[0] == 404
                assert (await page("/metrics", "POST"))[0] == 405

    asyncio.run(story())


def test_an_address_that_is_taken_is_a_problem() -> None:
    """What cannot be listened on is said, with what to choose."""

    async def story() -> None:
        health = Health(_Clock(), patience_s=60.0)
        async with serving(Address("127.0.0.1", 0), health, bytes) as where:
            assert where is not None
            with pytest.raises(BadInput, match="cannot listen"):
                async with serving(where, health, bytes):
                    pass
        async with serving(where, health, bytes) as again:
            assert again == where
        async with serving(None, health, bytes) as none:
            assert none is None

    asyncio.run(story())


def test_addresses_from_text() -> None:
    """IPv4, IPv6, every address; and what is none."""
    assert address("127.0.0.1:9099") == Address("127.0.0.1", 9099)
    assert address("[::1]:0") == Address("::1", 0)
    for wrong in ("9099", ":9099", "localhost:9099", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:٣"):
        with pytest.raises(BadInput, match="write an IP address"):
            address(wrong)
