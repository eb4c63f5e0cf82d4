"""The retry loop, on a clock that a test can read."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from muslin.errors import BadInput, Problem, Unavailable
from reconciler.loop import Backoff, Loop

_AWAY = Unavailable(Problem("away", "here", "wait"))
_WRONG = BadInput(Problem("wrong", "here", "mend"))


def test_wake_ups_during_a_step_count_once() -> None:
    """Any number of wake-ups while a step runs is exactly one more step."""

    async def scenario() -> int:
        steps = 0

        async def step() -> None:
            nonlocal steps
            steps += 1
            if steps == 1:
                for _ in range(100):
                    loop.wake()
            else:
                loop.stop()

        loop = Loop(step, random=Random(0))
        await asyncio.wait_for(loop.run(), 5)
        return steps

    assert asyncio.run(scenario()) == 2


def test_what_may_heal_is_tried_again_and_what_may_not_waits() -> None:
    """Unavailable leads to retries with growing waits; bad input is told without a retry, until a wake-up."""

    async def scenario() -> list[tuple[type, bool]]:
        told: list[tuple[type, bool]] = []
        failures = iter([_AWAY, _AWAY, _WRONG])

        def failed(error: BaseException, retry_after_s: float | None) -> None:
            told.append((type(error), retry_after_s is not None))
            if retry_after_s is None:
                loop.wake()

        async def step() -> None:
            error = next(failures, None)
            if error is None:
                loop.stop()
                return
            raise error

        loop = Loop(step, random=Random(0), backoff=Backoff(first_s=0.001), on_failure=failed)
        await asyncio.wait_for(loop.run(), 5)
        return told

    assert asyncio.run(scenario()) == [(Unavailable, True), (Unavailable, True), (BadInput, False)]


def test_a_fault_of_the_program_ends_the_loop() -> None:
    """An exception that is not one of ours is not retried in silence."""

    async def step() -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        await Loop(step, random=Random(0)).run()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scenario())


def test_it_looks_again_without_any_wake_up() -> None:
    """With a resync time the step is taken again though nobody woke the loop."""

    async def scenario() -> int:
        steps = 0

        async def step() -> None:
            nonlocal steps
            steps += 1
            if steps == 3:
                loop.stop()

        loop = Loop(step, random=Random(0), resync_s=0.001)
        await asyncio.wait_for(loop.run(), 5)
        return steps

    assert asyncio.run(scenario()) == 3


def test_waits_grow_to_a_limit_and_are_spread() -> None:
    """The nominal wait doubles up to the limit; the random part only shortens it; the same seed gives the same."""
    backoff = Backoff(first_s=1, factor=2, limit_s=10, spread=0.5)
    delays = [backoff.delay(n, Random(n)) for n in range(1, 9)]

    assert all(min(10, 2 ** (n - 1)) / 2 <= delay <= min(10, 2 ** (n - 1)) for n, delay in enumerate(delays, 1))
    assert delays == [backoff.delay(n, Random(n)) for n in range(1, 9)]
