"""Where commits run: on the loop while the disk is quick, in a thread while it is slow."""

from __future__ import annotations

import asyncio
import threading

import pytest

from muslin.datastore.commits import Commits


class _Disk:
    """A disk on a clock of its own, that takes as long as it is told."""

    def __init__(self) -> None:
        self.now_s, self.takes_s = 0.0, 0.0
        self.ran: list[bool] = []

    def clock(self) -> float:
        return self.now_s

    def commit(self) -> None:
        self.now_s += self.takes_s
        self.ran.append(threading.current_thread() is threading.main_thread())


def _where(disk: _Disk, takes_s: list[float]) -> list[bool]:
    async def scenario() -> list[bool]:
        commits = Commits(disk.clock)
        for each in takes_s:
            disk.takes_s = each
            await commits.run(disk.commit)
        commits.close()
        return disk.ran

    return asyncio.run(scenario())


def test_a_quick_disk_is_waited_for_on_the_loop() -> None:
    """No commit pays for a thread while each takes a fraction of a millisecond."""
    assert _where(_Disk(), [0.0004] * 50) == [True] * 50


def test_one_long_commit_sends_the_next_to_the_thread() -> None:
    """A disk that took 20 ms once makes the loop wait once."""
    assert _where(_Disk(), [0.0004, 0.02, 0.02, 0.02]) == [True, True, False, False]


def test_a_slow_disk_is_asked_again_from_time_to_time() -> None:
    """Of many commits to a slow disk one in 65 runs on the loop, and a disk that recovered is used directly again."""
    slow = _where(_Disk(), [0.02] * 131)
    recovered = _where(_Disk(), [0.02, *[0.0001] * 1000])

    assert (slow.count(True), recovered[-10:]) == (3, [True] * 10)


def test_an_error_of_the_commit_comes_through_from_both_places() -> None:
    """What the commit raises is raised, and its time counts."""

    async def scenario() -> None:
        disk = _Disk()
        commits = Commits(disk.clock)

        def fail() -> None:
            disk.now_s += 1.0
            raise OSError("full")

        for _ in range(2):
            with pytest.raises(OSError, match="full"):
                await commits.run(fail)
        assert not commits.quick
        commits.close()

    asyncio.run(scenario())
