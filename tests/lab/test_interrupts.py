"""Signals end what runs, in order."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from muslin.lab import interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_work_is_cancelled_and_its_end_runs(number: signal.Signals) -> None:
    """Each of the three cancels; what `finally` does is done, and what breaks there does not hide the reason."""
    ended = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)
            raise ValueError

    before = signal.signal(number, signal.default_int_handler)  # whoever started the tests may ignore it (nohup)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupts.run(work())
    finally:
        signal.signal(number, before)

    assert ended == [number]


def test_what_is_ignored_stays_ignored() -> None:
    """A signal that whoever started us ignores (nohup) does not end the work."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def work() -> str:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
            return "done"

        assert interrupts.run(work()) == "done"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_taking_down_is_not_interrupted() -> None:
    """Within `ignored` none of the three does anything; afterwards each is as it was."""
    before = signal.getsignal(signal.SIGTERM)
    with interrupts.ignored():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)

    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_that_no_signal_caused_stays_itself() -> None:
    """Without a signal the work's own error is raised."""

    async def work() -> None:
        message = "its own"
        raise ValueError(message)

    with pytest.raises(ValueError, match="its own"):
        interrupts.run(work())
