"""The virtual clock that every simulation stands on."""

import asyncio

import pytest

from tests.support.virtual_time import Stuck, run_virtual


def test_waiting_moves_the_clock_and_costs_nothing() -> None:
    """An hour of sleeping is an hour on the loop's clock."""

    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(3600)


def test_timers_fire_in_order_of_their_time() -> None:
    """Two tasks interleave by when they are due, whatever the order of their start."""
    seen: list[str] = []

    async def one(name: str, delay: float) -> None:
        await asyncio.sleep(delay)
        seen.append(name)

    async def main() -> None:
        await asyncio.gather(one("late", 2), one("early", 1))

    run_virtual(main())

    assert seen == ["early", "late"]


def test_a_wait_that_nothing_will_end_is_an_error() -> None:
    """Waiting for an event that nobody sets raises instead of hanging."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        run_virtual(main())
