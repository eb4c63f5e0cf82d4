"""CPU that processes use while nothing happens, over 20 seconds, as the scheduler counts it."""

from __future__ import annotations

import asyncio

from muslin.lab import verbs
from tests.bench.figures import Line, percent
from tests.bench.labs import lab
from tests.bench.load import cpu_seconds

__all__ = ["measure"]

_SECONDS = 20
_QUIET_S = 3
_GOAL = 0.005


def measure() -> list[Line]:
    """A share of one core for every process of a lab with pods."""
    return asyncio.run(_measure())


async def _measure() -> list[Line]:
    async with lab() as up:
        for number in range(6):
            await up.add_pod(f"node{number % 3 + 1}", "demo", f"pod{number}", {"app": "idle"})
        names = [each["name"] for each in (await asyncio.to_thread(verbs.status, up.name))["processes"]]
        pids = {name: up.pid(name) for name in names}
        await asyncio.sleep(_QUIET_S)
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        await asyncio.sleep(_SECONDS)
        used = {name: (cpu_seconds(pid) - before[name]) / _SECONDS for name, pid in pids.items()}
    lines = []
    for what in ("agent", "speaker", "fetcher", "reconciler"):
        shares = [share for name, share in used.items() if name.startswith(what)]
        worst = max(shares)
        told = f"{percent(worst)} of a core" + (f", the busiest of {len(shares)}" if len(shares) > 1 else "")
        goal, held = ("under 0.50 %", worst < _GOAL) if what == "agent" else ("", None)
        lines.append(Line(what, told, goal=goal, held=held))
    return lines
