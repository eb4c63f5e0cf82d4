"""Agent start to in sync with 100 local endpoints: its state in the kernel, and after everything was flushed."""

from __future__ import annotations

import asyncio

from muslin.lab import verbs
from muslin.lab.state import StateFolder
from tests.bench.figures import Line, Rounds, percentile
from tests.bench.labs import lab

__all__ = ["measure"]

_ENDPOINTS, _ROUNDS = 100, 7
_GOAL_S = 2.0


def measure() -> list[Line]:
    """Seconds from the start of the process."""
    return asyncio.run(_measure())


async def _measure() -> list[Line]:
    async with lab(1) as up:
        await asyncio.to_thread(verbs.ask, up.name, "stop", name="agent-node1")
        store = str(StateFolder.of(up.name).datastore)
        found = await up.run("node1", "restart_within", "node1", store, str(_ENDPOINTS), str(_ROUNDS))
    lines = []
    for what, key in (("killed and started again", "warm"), ("after all of it was flushed", "cold")):
        held = percentile(found[key], 0.99) < _GOAL_S
        rounds = Rounds(found[key], found["floor"])
        lines.append(rounds.line(what, "interpreter and imports alone", goal="under 2 s", held=held))
    return lines
