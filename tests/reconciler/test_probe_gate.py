"""Probes as gates: what people want to hold is asked before, between and after changes; what breaks it goes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from muslin.errors import Failed, Problem
from muslin.resources.keys import Key
from reconciler.control import read
from reconciler.gates import Standing
from reconciler.plan import Hold
from reconciler.status import EventKind
from tests.reconciler.cases import policy
from tests.reconciler.probed import BAD, GOOD, PROBE, WHY, Running, run


def test_a_commit_that_holds_what_is_wanted_is_believed_after_the_window() -> None:
    """Asked before, and again for as long as the window; then what was asked is taken away."""

    async def scenario() -> None:
        running = Running()
        good = await running.begin(GOOD)
        assert running.asked == 0, "a first commit has nothing to be compared with"
        better = running.push(GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(4)
        assert (running.status.accepted, running.status.applied) == (better, good)
        assert [(str(each.gate), each.standing) for each in running.status.gates] == [
            ("Probes before the commit is believed", Standing.SETTLING)
        ]
        assert await running.requests() == ["default.n1"]
        await asyncio.sleep(6)
        assert running.status.applied == better
        assert running.status.gates == ()
        assert await running.requests() == []
        assert running.said(EventKind.BELIEVED) == ["Open"]
        count, head = running.asked, running.world.store.history.head
        await asyncio.sleep(60)
        assert (running.asked, running.world.store.history.head) == (count, head)

    run(scenario)


def test_a_commit_that_breaks_what_held_is_taken_back_and_says_which_and_why() -> None:
    """A policy stops what a probe needs: the last good set comes back; status, control and events name the probe."""

    async def scenario() -> None:
        running = Running(probes_s=10.0)
        good = await running.begin(GOOD)
        before = await running.world.objects()
        bad = running.push(BAD)
        await asyncio.sleep(5)
        assert [(each.standing, each.why) for each in running.status.gates] == [(Standing.WAITING, (WHY,))]
        await asyncio.sleep(30)

        assert await running.world.objects() == before
        status = running.status
        assert (status.accepted, status.applied, status.held, status.reason) == (good, good, bad, Hold.ROLLED_BACK)
        assert WHY in status.problems[0].what
        control, _ = await read(running.world.store, "default")
        assert control.held is not None
        assert (control.held.because, WHY in control.held.reason) == ("HealthFailed", True)
        assert any(WHY in each for each in running.said(EventKind.ROLLED_BACK))
        assert await running.requests() == []

    run(scenario)


@pytest.mark.parametrize("after_s", [0.2, 1.0, 5.0, 11.0, 11.5, 12.0])
def test_killed_at_any_time_it_ends_the_same(after_s: float) -> None:
    """Before the answers, at the gate, on the way back: the next process goes on, and takes away what was asked."""

    async def scenario() -> None:
        running = Running(probes_s=10.0)
        good = await running.begin(GOOD)
        bad = running.push(BAD)
        await asyncio.sleep(after_s)
        await running.kill()
        running.start()
        await asyncio.sleep(60)
        assert (running.status.applied, running.status.held) == (good, bad)
        assert await running.requests() == []

    run(scenario)


def test_what_failed_before_is_not_held_against_a_commit() -> None:
    """A probe that did not hold before the first change is said, and no commit is taken back for it."""

    async def scenario() -> None:
        running = Running(probes_s=10.0)
        await running.begin(GOOD)
        running.broken = True
        commit = running.push(BAD)
        await asyncio.sleep(2)
        assert [str(each.gate) for each in running.status.gates] == ["Probes before the first change"]
        assert Key("GlobalNetworkPolicy", "deny") not in running.world.store_keys()
        await asyncio.sleep(30)

        assert (running.status.applied, running.status.held) == (commit, None)
        said = f"probe web-to-db failed already: {WHY.removeprefix('probe web-to-db: ')}"
        assert f"{said}; this commit is not blamed for it" in running.said(EventKind.GATE)
        assert running.said(EventKind.BELIEVED) == [f"Probes before the commit is believed: NotAvailable: {said}"]

    run(scenario)


def test_a_short_failure_before_is_no_excuse() -> None:
    """What fails only once before the change is asked again, and then judged."""

    async def scenario() -> None:
        running = Running(probes_s=10.0)
        good = await running.begin(GOOD)
        running.broken = True
        bad = running.push(BAD)
        await asyncio.sleep(1.5)
        running.broken = False
        await asyncio.sleep(60)
        assert (running.status.applied, running.status.held) == (good, bad)

    run(scenario)


def test_between_levels_the_rest_is_not_written_where_a_probe_fails() -> None:
    """The first level breaks it: the second is never written, and all goes back."""

    async def scenario() -> None:
        running = Running(probes_s=10.0)
        good = await running.begin(GOOD)
        wider = policy("deny").replace("Allow", "Deny")
        bad = running.push(GOOD | {"tier.yaml": _TIER, "deny.yaml": wider, "shut.yaml": _SHUT})
        seen: set[str] = set()
        for _ in range(400):
            seen |= {key.name for key in running.world.store_keys()}
            await asyncio.sleep(0.1)
        assert {"first", "deny"} <= seen
        assert "shut" not in seen
        assert (running.status.applied, running.status.held) == (good, bad)
        held = (await read(running.world.store, "default"))[0].held
        assert held is not None
        assert held.because == "GateFailed"
        assert held.reason.startswith("Probes before write policies that allow nothing (1): probe web-to-db")

    run(scenario)


_TIER = """apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: first}
spec: {order: 10}
"""
_SHUT = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: shut}
spec: {order: 3000, selector: app == 'old', types: [Ingress, Egress]}
"""


@pytest.mark.parametrize("allowed", [0, 1])
def test_the_repositorys_word_alone_is_not_enough(allowed: int) -> None:
    """Without the operator's leave, or with more probes than that, nothing is asked, and it is said."""

    async def scenario() -> None:
        running = Running(probes=allowed)
        more = {"second.yaml": PROBE.replace("web-to-db", "second")}
        await running.begin(GOOD | more)
        commit = running.push(BAD | more)
        await asyncio.sleep(3)
        assert running.status.applied == commit
        assert running.asked == 0
        assert await running.requests() == []
        said = f"2 probes are declared, and --probes lets this reconciler ask {allowed or 'none'}"
        assert any(said in each for each in running.said(EventKind.GATE))
        await asyncio.sleep(60)
        assert [(each.standing, each.why) for each in running.status.gates] == [(Standing.NOT_AVAILABLE, (said,))]

    run(scenario)


def test_another_commit_ends_the_wait() -> None:
    """While a probe fails a newer commit comes into force at once, and is asked about anew."""

    async def scenario() -> None:
        running = Running(probes_s=60.0)
        await running.begin(GOOD)
        running.push(BAD)
        await asyncio.sleep(5)
        mended = running.push(GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(30)
        assert (running.status.applied, running.status.held) == (mended, None)

    run(scenario)


@pytest.mark.parametrize("probes", [0, 8])
def test_one_bad_object_does_not_keep_the_others_waiting(probes: int) -> None:
    """An object that the store refuses holds back only what needs it; and it is not tried again without a pause."""

    async def scenario() -> None:
        running = Running(probes=probes)
        await running.begin(GOOD)
        real = running.controller._datastore.create

        async def refusing(key: Key, value: Any) -> Any:
            if key.name == "first":
                raise Failed(Problem("no", "here", "nothing"))
            return await real(key, value)

        running.controller._datastore.create = refusing  # type: ignore[method-assign]
        files = GOOD | {"tier.yaml": _TIER, "set.yaml": _SET, "shut.yaml": _SHUT}
        running.push(files)
        await asyncio.sleep(60)
        assert "shut" in {key.name for key in running.world.store_keys()}
        inside = policy("inside").replace("name: inside", "name: first.inside").replace("spec:", "spec:\n  tier: first")
        running.push(files | {"in.yaml": inside, "shut.yaml": _SHUT.replace("3000", "3001")})
        await asyncio.sleep(60)
        assert "first.inside" not in {key.name for key in running.world.store_keys()}
        assert running.controller.looks < 100

    run(scenario)


_SET = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: nets}
spec: {nets: [203.0.113.0/24]}
"""
