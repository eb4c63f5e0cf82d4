"""A reconciler and an agent on a simulated clock, with slow writes and late news: a push is taken as one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import Random

import pytest

from muslin.datastore.memory import Call, Fault, Operation
from muslin.errors import Unavailable
from reconciler.controller import Controller, Settings
from tests.runtime.agent_world import World, run
from tests.support.memory_git import MemorySource

_POLICY = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: {name}, namespace: default}}
spec:
  selector: app == 'server'
  types: [Ingress]
  ingress:
  - {{action: Allow, protocol: UDP, destination: {{ports: [{port}]}}}}
"""
_FILES = {f"{name}.yaml": _POLICY.format(name=name, port=port) for name, port in (("dns", 53), ("web", 80))}
_PORTS = (53, 80, 443)


class _Life:
    """One push, from first write to rest, as the packets of one pod see it."""

    def __init__(self, seed: int, *, dies: bool = False) -> None:
        self._random, self._writes = Random(seed), 0
        self._dies_at = self._random.randint(1, 12) if dies else None
        self.trace: list[tuple[float, tuple[bool, ...]]] = []
        self.died_at: float | None = None
        run(self._live)

    def _slow(self, call: Call) -> Fault:
        """Writes of the reconciler take as long as those of an API server on a bad day; it may die at one of them."""
        if call.operation not in (Operation.CREATE, Operation.UPDATE, Operation.DELETE):
            return Fault(refused=self.died_at is not None)
        self._writes += 1
        if self._writes == self._dies_at:
            self.died_at = asyncio.get_running_loop().time()
        if self.died_at is not None:
            return Fault(refused=True)
        return Fault(delay_s=self._random.uniform(0, 0.08), answer_delay_s=self._random.uniform(0, 0.02))

    async def _live(self, world: World) -> None:
        source = MemorySource()
        source.push(_FILES)
        writing = asyncio.ensure_future(self._reconcile(world, source))
        for _ in range(1000):
            passing = tuple(world.passes(port) for port in _PORTS)
            if not self.trace or self.trace[-1][1] != passing:
                self.trace.append((asyncio.get_running_loop().time(), passing))
            await asyncio.sleep(0.001)
        await writing

    async def _reconcile(self, world: World, source: MemorySource) -> None:
        controller = Controller(
            world.store.client(self._slow), source, Settings(), random=self._random,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC), tell=lambda _: None,
        )  # fmt: skip
        try:
            await controller.once(attempts=1)
        except Unavailable:
            assert self.died_at is not None


@pytest.mark.slow
def test_a_push_is_taken_as_one_however_slow_its_writes() -> None:
    """Of two policies that allow different flows neither cuts the other's, at no instant; same seed, same life."""
    for seed in range(10):
        life = _Life(seed)
        assert [passing for _, passing in life.trace] == [(True, True, True), (True, True, False)], seed
        if seed < 3:
            assert _Life(seed).trace == life.trace


@pytest.mark.slow
def test_a_reconciler_that_dies_in_a_push_holds_nothing_up_for_long() -> None:
    """What it has written is in force a quarter of a second after its last sign of life, whichever write it dies at."""
    lives = [_Life(seed, dies=True) for seed in range(10)]
    for life in lives:
        assert life.died_at is None or life.trace[-1][0] < life.died_at + 0.4
    assert sum(life.died_at is not None for life in lives) > 5
