"""The reconciler on a simulated clock: faults, crashes and hands by a seed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest

from muslin.datastore.memory import Call, Fault, Operation
from muslin.errors import MuslinError
from tests.reconciler.cases import World, commit_of, policy_key
from tests.support.virtual_time import run_virtual

_NAMES = ("a", "b", "c", "d", "e")


async def _life(seed: int) -> tuple[list[str], object, object]:
    """Minutes of pushes, edits, lost answers, broken watches and crashes, then quiet: trace, end, what is expected."""
    random = Random(seed)
    world = World()
    quiet = False

    def faults(_: Call) -> Fault:
        dice = random.random()
        if quiet:
            return Fault()
        return Fault(delay_s=dice / 10, refused=dice < 0.05, answer_lost=0.05 < dice < 0.1)

    controller = world.controller(world.store.client(faults))
    running = asyncio.ensure_future(controller.run())
    for _ in range(60):
        await asyncio.sleep(random.uniform(0, 4))
        deed = random.randrange(5)
        if deed == 0:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            controller = world.controller(world.store.client(faults))
            running = asyncio.ensure_future(controller.run())
        elif deed == 1:
            files = commit_of(*random.sample(_NAMES, random.randint(1, 4)))
            world.source.push(files if random.random() < 0.8 else files | {"bad.yaml": "kind: ["})
            if random.random() < 0.7:
                controller.wake()
        elif deed == 2:
            world.source.away = not world.source.away
        else:
            key = random.choice(sorted(await world.objects()) or [None])
            with suppress(MuslinError):
                if key is not None and deed == 3:
                    await world.store.delete(key)
                elif key is not None:
                    await world.edit(key, order=random.randint(200, 300))
    quiet, world.source.away = True, False
    last = commit_of("a", "e")
    world.source.push(last)
    await asyncio.sleep(600)
    controller.stop()
    await asyncio.wait_for(running, 60)
    alone = World()
    alone.source.push(last)
    await alone.look()
    trace = [str(event) for event in world.events]
    ours = {key: value for key, value in (await world.objects()).items() if key.name in {"a", "e"}}
    return trace, ours, await alone.objects()


@pytest.mark.parametrize("seed", range(8))
def test_after_any_life_it_ends_at_the_last_commit(seed: int) -> None:
    """Whatever happened, when it is quiet the declared objects are as the last commit says; same seed, same trace."""
    trace, ours, expected = run_virtual(_life(seed))

    assert ours == expected
    if seed == 0:
        assert run_virtual(_life(seed))[0] == trace
        assert any("Retry" in line for line in trace)


async def _forgotten() -> object:
    """A write whose answer is lost, told late by the watch; meanwhile a commit takes the object back."""
    world = World()
    lost = True

    def faults(call: Call) -> Fault:
        nonlocal lost
        if call.key != policy_key("gone"):
            return Fault()
        if call.operation is Operation.DELIVER:
            return Fault(delay_s=5.0)
        answer_lost, lost = lost and call.operation is Operation.CREATE, lost and call.operation is not Operation.CREATE
        return Fault(answer_lost=answer_lost)

    controller = world.controller(world.store.client(faults))
    running = asyncio.ensure_future(controller.run())
    world.source.push(commit_of("kept"))
    await asyncio.sleep(1)
    world.source.push(commit_of("kept", "gone"))
    controller.wake()
    while lost:  # noqa: ASYNC110 - until the write is made
        await asyncio.sleep(0)
    world.source.push(commit_of("kept"))
    controller.wake()
    await asyncio.sleep(120)
    controller.stop()
    await asyncio.wait_for(running, 60)
    return set(await world.objects())


def test_a_write_that_the_watch_tells_late_is_not_forgotten() -> None:
    """What was written although its answer was lost is removed by the commit that no longer declares it."""
    assert run_virtual(_forgotten()) == {policy_key("kept")}
