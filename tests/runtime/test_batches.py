"""Where reconcilers say that their writes begin and end: what an agent holds for it, and for how long at most."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.conversion.endpoint_name import EndpointName
from muslin.datastore.memory import Call
from muslin.resources.keys import Key
from runtime.batches import KIND, Batch, Hold, read
from tests.runtime.agent_world import World, allow, run
from tests.support.clusters import pool, workload

_KEY = Key(KIND, "default")


class _Set:
    """A set's reconciler, as far as agents hear of it."""

    def __init__(self, world: World) -> None:
        self._store, self._number = world.store, 0

    async def says(self, state: str, **more: Any) -> None:
        """Write the mark."""
        self._number += state == "open"
        value = {"kind": KIND, "metadata": {"name": "default"}}
        value["spec"] = {"set": "default", "number": self._number, "state": state, **more}
        listed = (await self._store.list(KIND)).entries
        if listed:
            await self._store.update(_KEY, value, listed[0].revision)
        else:
            await self._store.create(_KEY, value)


async def _watch(world: World, milliseconds: int) -> set[tuple[bool, bool]]:
    """What passes at the two ports, looked at once a millisecond."""
    seen = set()
    for _ in range(milliseconds):
        seen.add((world.passes(53), world.passes(80)))
        await asyncio.sleep(0.001)
    return seen


def test_policies_of_one_batch_are_taken_together() -> None:
    """Two that allow different ports of one pod are written 100 ms apart: neither cuts the other's flow."""

    async def body(world: World) -> None:
        batch = _Set(world)
        await batch.says("open")
        await world.put(allow("dns", 53))
        seen = await _watch(world, 100)
        revision = await world.put(allow("web", 80))
        seen |= await _watch(world, 100)
        assert world.passes(443)
        await batch.says("closed", newest={"NetworkPolicy": str(revision)})
        seen |= await _watch(world, 5)
        assert not world.passes(443)
        assert seen == {(True, True)}

    run(body)


def test_a_write_without_a_batch_is_not_waited_for() -> None:
    """A policy that somebody applies by hand is in force as soon as the watch tells it."""

    async def body(world: World) -> None:
        await world.put(allow("dns", 53))
        await asyncio.sleep(0.003)
        assert not world.passes(80)

    run(body)


def test_a_reconciler_that_dies_is_waited_for_once() -> None:
    """What it has written is in force a quarter of a second later, and whoever writes then waits for nobody."""

    async def body(world: World) -> None:
        await _Set(world).says("open")
        await world.put(allow("dns", 53))
        assert await _watch(world, 240) == {(True, True)}
        await asyncio.sleep(0.03)
        assert (world.passes(53), world.passes(80)) == (True, False)
        await world.put(allow("web", 80))
        await asyncio.sleep(0.003)
        assert world.passes(80)

    run(body)


def test_no_stream_of_writes_holds_a_denial_for_more_than_five_seconds() -> None:
    """A batch that goes on and on is taken all the same."""

    async def body(world: World) -> None:
        await _Set(world).says("open")
        for number in range(51):
            await world.put(allow(f"dns-{number}", 53))
            await asyncio.sleep(0.1)
        assert not world.passes(80)

    run(body)


def test_a_pod_waits_a_moment_and_never_comes_in_by_old_policy() -> None:
    """While a batch is open, a pod is let in with all policy that is here, a quarter of a second later at the most."""

    async def body(world: World) -> None:
        world.kernel.routes.add_link("cali3")
        await _Set(world).says("open")
        await world.put(allow("dns", 53))
        await asyncio.sleep(0.05)
        name = EndpointName("node-a").text(prefix=True) + "k8s-third-eth0"
        await world.put(workload(name, "10.48.0.3", interfaceName="cali3", labels={"app": "server"}))
        for _ in range(300):
            here = any("10.48.0.3" in str(route) for route in world.kernel.routes.routes)
            assert not (here and world.passes(80))
            await asyncio.sleep(0.001)
        assert here

    run(body)


def test_what_is_no_policy_does_not_wait_for_a_batch() -> None:
    """A pool is taken at once, without the policy before it; the revision that is claimed is the one before both."""

    async def body(world: World) -> None:
        batch = _Set(world)
        await batch.says("open")
        revision = await world.put(allow("dns", 53))
        late = pool("late", "10.49.0.0/16")
        await world.put(late)
        await asyncio.sleep(0.1)
        assert late.key in world.handed[-1].resources
        assert Key("NetworkPolicy", "dns", "default") not in world.handed[-1].resources
        assert await world.reported() < revision
        await batch.says("closed", newest={"NetworkPolicy": str(revision)})
        await asyncio.sleep(0.2)
        assert not world.passes(80)
        assert await world.reported() >= revision

    run(body)


def test_who_cannot_hear_batches_waits_until_policy_is_quiet() -> None:
    """Without the right to read them, two writes 5 ms apart are one, and a stream is taken after a quarter second."""

    async def body(world: World) -> None:
        await world.put(allow("dns", 53))
        seen = await _watch(world, 5)
        await world.put(allow("web", 80))
        seen |= await _watch(world, 25)
        assert (seen, world.passes(443)) == ({(True, True)}, False)
        for number in range(40):
            await world.put(allow(f"more-{number}", 8080))
            await asyncio.sleep(0.01)
        assert world.passes(8080)

    world = World()
    world.deaf = _about_batches
    run(body, world)


def _about_batches(call: Call) -> bool:
    return call.kind == KIND


def _batch(number: int, *, is_open: bool, newest: Mapping[str, int] | None = None, removes: bool = False) -> Batch:
    return Batch("default", number, is_open, newest or {}, removes, 10.0)


def test_the_end_is_not_taken_for_earlier_than_what_it_ends() -> None:
    """Kubernetes may tell the end before the last policy: it is waited for until it is here, or too long."""
    here: set[tuple[str, int]] = set()
    hold = Hold(lambda kind, revision: (kind, revision) in here)
    closed = [_batch(1, is_open=False, newest={"NetworkPolicy": 9, "Tier": 7})]
    assert hold.until(1, 10.0, closed, heard=True) == pytest.approx(10.25)
    here |= {("NetworkPolicy", 9)}
    assert hold.until(2, 10.1, closed, heard=True) == pytest.approx(10.35)
    here |= {("Tier", 7)}
    assert hold.until(3, 10.11, closed, heard=True) is None

    here.clear()
    assert hold.until(4, 20.0, closed, heard=True) == pytest.approx(20.25)
    assert hold.until(4, 20.25, closed, heard=True) is None
    assert hold.until(5, 21.0, closed, heard=True) is None


def test_removals_are_waited_for_until_it_is_quiet() -> None:
    """Their revisions are not known to who made them; what moves long after the end has nothing to do with it."""
    hold = Hold(lambda _, __: True)
    closed = [_batch(1, is_open=False, removes=True)]
    assert hold.until(1, 10.0, closed, heard=True) == pytest.approx(10.02)
    assert hold.until(1, 10.02, closed, heard=True) is None
    assert hold.until(2, 11.0, closed, heard=True) is None


_MARKS = st.builds(
    Batch, st.sampled_from("ab"), st.integers(1, 3), st.booleans(),
    st.dictionaries(st.sampled_from(["Tier", "NetworkPolicy"]), st.integers(1, 9)), st.booleans(), st.floats(0, 20),
)  # fmt: skip


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.lists(_MARKS, max_size=3), st.booleans()), max_size=40),
    st.integers(0, 9),
)
def test_nothing_that_anybody_says_holds_policy_for_longer_than_it_may(
    steps: list[tuple[float, bool, list[Batch], bool]], known: int
) -> None:
    """Whatever marks there are, policy that has come is taken five seconds later at the latest."""
    hold, now, version, since = Hold(lambda _, revision: revision <= known), 0.0, 1, 0.0
    for pause, moves, batches, heard in steps:
        now += pause
        version += moves
        until = hold.until(version, now, [each for each in batches if each.heard_at <= now], heard=heard)
        if until is None:
            since = now + 1e9
            version += 1
            continue
        since = min(since, now)
        assert now < until <= since + 5.0 + 1e-9


@pytest.mark.parametrize(
    "value", [{}, {"spec": 1}, {"spec": {"number": "1"}}, {"spec": {"state": "open"}}, {"spec": None, "number": 1}]
)
def test_what_is_no_mark_holds_nothing_up(value: dict[str, Any]) -> None:
    """Whatever somebody writes there."""
    assert read("default", value, 0.0) is None


def test_a_mark_with_odd_parts_is_read_as_far_as_it_goes() -> None:
    """Revisions that are no numbers are not waited for."""
    newest = {"Tier": "7", "NetworkPolicy": "x", "GlobalNetworkSet": 3, "NetworkSet": "9" * 40}
    found = read("a", {"spec": {"number": 2, "state": "closed", "newest": newest, "removes": 1}}, 5.0)
    assert found == Batch("a", 2, False, {"Tier": 7}, False, 5.0)
