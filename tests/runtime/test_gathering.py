"""One call in a thread for all who asked meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from muslin.errors import Failed, MuslinError, Problem
from runtime.gathering import Gathering


def test_the_thread_goes_on_while_the_loop_is_busy() -> None:
    """Calls follow each other without the loop, which is told all of it when it has time again."""
    last = threading.Event()
    calls: list[Sequence[int]] = []

    def work(asked: Sequence[int]) -> Sequence[int]:
        calls.append(asked)
        if asked[-1] == 4:
            last.set()
        return [each * 10 for each in asked]

    async def scenario() -> list[int]:
        with ThreadPoolExecutor(1) as thread:
            gathering = Gathering(work, thread, at_most=2)
            waits = [asyncio.ensure_future(gathering.ask(number)) for number in range(5)]
            await asyncio.sleep(0)  # all have asked
            assert last.wait(5)  # the loop does nothing else meanwhile
            return await asyncio.gather(*waits)

    assert asyncio.run(scenario()) == [0, 10, 20, 30, 40]
    assert [number for call in calls for number in call] == [0, 1, 2, 3, 4]
    assert max(map(len, calls)) == 2


def test_two_that_share_a_thread_take_turns() -> None:
    """Who has much to do lets the other do its work between two calls."""
    calls: list[str] = []
    asked = threading.Event()

    def much(numbers: Sequence[int]) -> Sequence[int]:
        assert asked.wait(5)
        calls.append("much")
        return numbers

    def little(numbers: Sequence[int]) -> Sequence[int]:
        calls.append("little")
        return numbers

    async def scenario() -> None:
        with ThreadPoolExecutor(1) as thread:
            busy, other = Gathering(much, thread, at_most=1), Gathering(little, thread, at_most=1)
            waits = [asyncio.ensure_future(busy.ask(number)) for number in range(4)]
            waits.append(asyncio.ensure_future(other.ask(0)))
            await asyncio.sleep(0)
            asked.set()
            await asyncio.gather(*waits)

    asyncio.run(scenario())

    assert calls == ["much", "little", "much", "much", "much"]


def test_a_reason_is_for_whom_it_is_about_and_a_broken_socket_is_everybodys() -> None:
    """Refused, answered, and after an OSError the next call is made all the same."""
    refused = Failed(Problem("refused", "here", "do not ask"))

    def work(asked: Sequence[str]) -> Sequence[str | MuslinError]:
        if "broken" in asked:
            raise OSError(12, "no memory")
        return [refused if each == "bad" else each for each in asked]

    async def scenario() -> None:
        with ThreadPoolExecutor(1) as thread:
            gathering = Gathering(work, thread, at_most=8)
            wanted = (gathering.ask("good"), gathering.ask("bad"))
            found = await asyncio.gather(*wanted, return_exceptions=True)
            assert list(found) == ["good", refused]
            with pytest.raises(OSError, match="no memory"):
                await gathering.ask("broken")
            assert await gathering.ask("good") == "good"

    asyncio.run(scenario())


@pytest.mark.parametrize("first_told", [True, False])
def test_who_is_cancelled_as_the_answer_comes_waits_for_no_other(*, first_told: bool) -> None:
    """Whichever comes first, cancellation or answer, it ends once the work is done."""
    begin, next_began, last = threading.Event(), threading.Event(), threading.Event()

    def work(asked: Sequence[int]) -> Sequence[int]:
        assert begin.wait(5)
        if asked == [1]:
            next_began.set()
            assert last.wait(5)
        return asked

    async def scenario() -> list[object]:
        with ThreadPoolExecutor(1) as thread:
            gathering = Gathering(work, thread, at_most=1)
            waits = [asyncio.ensure_future(gathering.ask(number)) for number in range(2)]
            await asyncio.sleep(0)
            if not first_told:
                waits[0].cancel()
                await asyncio.sleep(0)
            begin.set()
            assert next_began.wait(5)  # by now the first answer is on its way to the loop
            if first_told:
                waits[0].cancel()
            last.set()
            return list(await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 5))

    cancelled, answer = asyncio.run(scenario())

    assert isinstance(cancelled, asyncio.CancelledError)
    assert answer == 1
