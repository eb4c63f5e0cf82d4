"""How fast we ask and how long we wait, on a clock that costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from random import Random

import pytest

from muslin.kubernetes.access import Access
from muslin.kubernetes.client import KubernetesClient
from muslin.kubernetes.errors import NoAnswer
from muslin.kubernetes.login import Login
from muslin.kubernetes.pace import Bucket, Limits, backoff_s
from muslin.kubernetes.sending import Sender
from muslin.kubernetes.transport import Answer, Lost, Request, Stream
from tests.support.virtual_time import run_virtual


class _Carrier:
    """A transport in memory: `answers` gives each request's, or raises."""

    def __init__(self, answers: Callable[[int], Answer]) -> None:
        self.answers, self.times = answers, list[float]()

    async def exchange(self, request: Request, timeout_s: float) -> Answer:
        self.times.append(asyncio.get_running_loop().time())
        return self.answers(len(self.times))

    def stream(self, request: Request, timeout_s: float) -> AbstractAsyncContextManager[Stream]:
        raise NotImplementedError

    async def close(self) -> None:
        return None


def _client(carrier: _Carrier, limits: Limits) -> KubernetesClient:
    return KubernetesClient(Sender(carrier, Login(Access("http://192.0.2.1")), limits, Random(3)))


def test_a_burst_goes_at_once_and_the_rest_at_the_rate() -> None:
    """With 5 a second and a burst of 10, thirty requests take four seconds, whoever sends them."""
    carrier = _Carrier(lambda _: Answer(200, {}, b"{}"))

    async def main() -> None:
        client = _client(carrier, Limits(qps=5, burst=10))
        await asyncio.gather(*(client.get("/api") for _ in range(30)))

    run_virtual(main())

    expected = [0.0] * 10 + [0.2 * n for n in range(1, 21)]
    assert carrier.times == pytest.approx(expected)


def test_the_bucket_fills_again_but_not_over() -> None:
    """After a long rest there is one burst, not the whole rest's worth."""

    async def main() -> list[float]:
        bucket, clock = Bucket(10, 3), asyncio.get_running_loop().time
        times = []
        for _ in range(3):
            await bucket.turn()
        await asyncio.sleep(1000)
        for _ in range(5):
            await bucket.turn()
            times.append(clock() - 1000)
        return times

    assert run_virtual(main()) == pytest.approx([0, 0, 0, 0.1, 0.2])


def test_no_rate_means_no_limit() -> None:
    """A rate of 0 lets everything through."""

    async def main() -> float:
        bucket = Bucket(0, 1)
        for _ in range(1000):
            await bucket.turn()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0


def test_waits_double_up_to_a_bound_and_are_spread() -> None:
    """Each is between half of its bound and the bound."""
    limits, random = Limits(first_wait_s=0.2, longest_wait_s=3), Random(1)
    bounds = [0.2, 0.4, 0.8, 1.6, 3, 3, 3]

    for tried, bound in enumerate(bounds, 1):
        waits = {backoff_s(limits, tried, random) for _ in range(50)}

        assert len(waits) == 50
        assert all(bound / 2 <= wait <= bound for wait in waits)


def test_what_the_server_asks_for_is_waited_within_bounds() -> None:
    """Retry-After is kept, spread a little upwards, and a server can't send us away for an hour."""
    limits, random = Limits(longest_wait_s=10), Random(1)

    assert all(4 <= backoff_s(limits, 1, random, 4) <= 5 for _ in range(50))
    assert backoff_s(limits, 1, random, 3600) == 10


def test_a_busy_server_is_asked_when_it_said() -> None:
    """429 with Retry-After: 2 twice, then the answer: it took between four and five seconds."""
    busy = Answer(429, {"retry-after": "2"}, b"{}")
    carrier = _Carrier(lambda number: busy if number < 3 else Answer(200, {}, b"{}"))

    async def main() -> float:
        await _client(carrier, Limits()).create("/api/v1/namespaces", {})
        return asyncio.get_running_loop().time()

    assert 4 <= run_virtual(main()) <= 5


def test_a_server_that_is_away_is_given_up_after_some_tries() -> None:
    """Five tries with growing waits, and the same seed waits the same."""

    def lost(_: int) -> Answer:
        raise Lost("refused", sent=False)

    def once() -> list[float]:
        carrier = _Carrier(lost)

        async def main() -> None:
            with pytest.raises(NoAnswer, match="refused"):
                await _client(carrier, Limits(first_wait_s=1, longest_wait_s=4)).get("/api")

        run_virtual(main())
        return carrier.times

    times = once()
    waits = [later - earlier for earlier, later in pairwise(times)]

    assert [bound / 2 <= wait <= bound for wait, bound in zip(waits, [1, 2, 4, 4], strict=True)] == [True] * 4
    assert times == once()
