"""Every fault on every driver: writers' calls are linearizable and watches tell everything once, as was recorded."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from tests.muslin.datastore.suite.faults import FAULTS
from tests.muslin.datastore.suite.places import PLACES
from tests.muslin.datastore.suite.stories import tell
from tests.support.histories import HANDLE

pytestmark = pytest.mark.slow

_RUN = [(driver, name) for driver in PLACES for name, fault in FAULTS.items() if driver not in fault.not_for]

_WITH_PROCESSES = ("writers killed", "writer stopped", "disk full")


def _marked(driver: str, name: str) -> object:
    servers = {"etcd": [pytest.mark.engines("etcd")], "memory": [], "embedded": []}
    marks = list(servers.get(driver, [pytest.mark.engines]))
    if driver not in ("memory", "embedded") or name in _WITH_PROCESSES:
        marks.append(pytest.mark.slow)
    return pytest.param(driver, name, marks=marks, id=f"{driver}-{name.replace(' ', '-')}")


def _jumping(random: Random) -> Callable[[], datetime]:
    """A wall clock that is somewhere else at each look, up to ten years away."""
    return lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=random.uniform(-3e8, 3e8))


@pytest.mark.parametrize(("driver", "name"), [_marked(*each) for each in _RUN])
def test_a_recorded_history_keeps_every_promise(
    driver: str, name: str, record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compare-and-swap is linearizable; no event is lost, doubled, reordered or from the past; the end is the list."""
    fault, seed = FAULTS[name], zlib.crc32(f"{driver} {name}".encode())
    options: dict[str, Any] = {}
    if fault.jumps:
        clock = _jumping(Random(seed))
        options["now"] = clock
    if fault.jumps and driver != "etcd":
        # gRPC's Python half makes a time of the clock of a timeout, and its C half a timeout of that again at once:
        # both must look at the same clock, and a test can only set that of Python.
        monkeypatch.setattr(time, "time", lambda: clock().timestamp())
        monkeypatch.setattr(time, "time_ns", lambda: int(clock().timestamp() * 1e9))
    found = tell(driver, fault.happens, seed, **options)
    record_property("history", (driver, name, found))

    assert found["writes"] >= 30
    assert found["told"] >= 30


@pytest.mark.parametrize(
    ("driver", "name"), [_marked(driver, name) for driver, name in _RUN if name in ("nothing", "answers lost")]
)
def test_objects_of_ipam_keep_every_promise_too(driver: str, name: str) -> None:
    """Also where a deletion takes two steps (Kubernetes) and what is stored has another form (etcd, v1)."""
    found = tell(driver, FAULTS[name].happens, zlib.crc32(f"ipam {driver} {name}".encode()), kind=HANDLE)

    assert found["writes"] >= 30


def test_each_fault_is_for_some_driver_and_each_reason_for_a_driver_that_is() -> None:
    """The table has no row that nobody runs, and no reason for a driver that is not there."""
    for name, fault in FAULTS.items():
        assert set(fault.not_for) < set(PLACES), name
