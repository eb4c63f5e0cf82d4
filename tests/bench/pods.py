"""CNI ADD as a container runtime does it, one by one and 16 at once, beside seven executions of `ip`."""

from __future__ import annotations

import asyncio

from tests.bench.figures import Line, Rounds, milliseconds, percentile, spread
from tests.bench.labs import Lab, lab
from tests.bench.load import cpu_seconds

__all__ = ["measure"]

_GOAL_S = 0.030


def measure() -> list[Line]:
    """Figures of ADD, and of DEL beside them."""
    return asyncio.run(_measure())


async def _measure() -> list[Line]:
    async with lab() as up:
        return [*await _figures(up, 1, 25), *await _figures(up, 16, 5)]


async def _figures(up: Lab, at_once: int, rounds: int) -> list[Line]:
    sides = ("ours", "ip", "python")
    agents = [up.pid(f"agent-node{number}") for number in (1, 2)]
    before = [cpu_seconds(pid) for pid in agents]
    found = await up.run("node1", "pods_within", "node1", str(rounds), str(at_once), *sides)
    pairs = (rounds + 1) * at_once * 2  # two sides use the agent
    used = [(cpu_seconds(pid) - at) / pairs for pid, at in zip(agents, before, strict=True)]
    how = "one by one" if at_once == 1 else f"{at_once} at once"
    p50 = percentile(found["ours"], 0.5)
    lines = [
        Rounds(found["ours"], found["ip"]).line(
            f"ADD, {how}", "seven `ip`", goal="p50 under 30 ms", held=p50 < _GOAL_S
        ),
        Rounds(found["ours"], found["python"]).line(f"ADD, {how}, again", "the executable in Python"),
        Line(f"DEL, {how}", spread(found["delete"]), rounds=len(found["delete"])),
        Line(
            f"CPU time of an ADD and its DEL, {how}",
            f"{milliseconds(used[0])} in the node's agent, {milliseconds(used[1])} in another node's",
            rounds=pairs,
        ),
    ]
    if at_once > 1:
        each = percentile(found["all"], 0.5)
        rate = f"{milliseconds(each)} until the last has its answer, {at_once / each:.0f} pods/s"
        lines.append(Line(f"ADD, {how}, all of them", rate, rounds=len(found["all"])))
    return lines
