"""Flows between pods while the demo runs: probes as processes in the pods, and what they saw."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muslin.errors import Failed, Problem
from muslin.lab import verbs
from muslin.lab.demo.appended import Appended
from muslin.lab.processes import probe

__all__ = ["Flow", "Idle", "Seen", "start_flow", "start_idle"]

RATE_HZ = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """What a steady flow saw: requests sent and lost, and when it flipped (CLOCK_MONOTONIC seconds)."""

    sent: int
    lost: int
    flips: tuple[tuple[str, float], ...]

    def down_at(self) -> float | None:
        """When the first request of the last outage was sent; None if the flow is up."""
        return self.flips[-1][1] if self.flips and self.flips[-1][0] == "down" else None


@dataclass(slots=True)
class Flow:
    """A probe that runs. `allowed`: whether policy will let it go on."""

    name: str
    allowed: bool
    lab: str
    log: Path

    async def stop(self) -> Seen:
        """End it, and say what it saw."""
        await asyncio.to_thread(verbs.ask, self.lab, "stop", name=self.name)
        return self.seen()

    def seen(self) -> Seen:
        """What it has told so far."""
        events = _lines(self.log)
        flips = tuple((each["event"], float(each["at"])) for each in events if each["event"] in {"up", "down"})
        summary: dict[str, Any] = next((each for each in reversed(events) if each["event"] == "summary"), {})
        return Seen(int(summary.get("sent", 0)), int(summary.get("lost", 0)), flips)

    async def until(self, state: str, limit_s: float = 20.0) -> float:
        """Wait until the flow has told that it is `up` or `down`; gives since when."""
        return await _told(self.log, lambda each: each["event"] == state, f"flow {self.name} {state}", limit_s)


@dataclass(slots=True)
class Idle:
    """A client that never sends; its server speaks."""

    name: str
    lab: str
    log: Path
    told: list[dict[str, Any]] = field(default_factory=list)

    async def heard_after(self, at: float, limit_s: float = 20.0) -> float:
        """Wait until it heard the server after this time; gives when. Raises Failed."""
        return await _told(
            self.log, lambda each: each["event"] == "heard" and float(each["at"]) > at, f"{self.name} hears", limit_s
        )

    def closed(self) -> bool:
        """Whether its connection ended."""
        return any(each["event"] == "closed" for each in _lines(self.log))

    async def stop(self) -> None:
        """End it."""
        await asyncio.to_thread(verbs.ask, self.lab, "stop", name=self.name)


async def start_flow(lab: str, name: str, pod: str, server: tuple[str, str, int], *, allowed: bool) -> Flow:
    """Start a steady flow at 100 Hz from a pod to `server` (kind, address, port), and wait until it is answered."""
    kind, address, port = server
    argv = probe("flow", kind, address, str(port), "--rate", str(RATE_HZ), "--patience", "0.5")
    log = await asyncio.to_thread(verbs.start, lab, name, pod, argv)
    flow = Flow(name, allowed, lab, log)
    await flow.until("up")
    return flow


async def start_idle(lab: str, name: str, pod: str, address: str, port: int) -> Idle:
    """Start an idle client in a pod, and wait until its server has spoken."""
    log = await asyncio.to_thread(verbs.start, lab, name, pod, probe("idle", address, str(port)))
    idle = Idle(name, lab, log)
    await idle.heard_after(0.0)
    return idle


def _lines(log: Path) -> list[dict[str, Any]]:
    try:
        text = log.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # a line that is being written
    return found


async def _told(log: Path, wanted: Any, what: str, limit_s: float) -> float:
    """Wait until a line of the log is the wanted one; gives the time that it tells. Raises Failed."""
    appended = Appended(log)
    try:
        async with asyncio.timeout(limit_s):
            while True:
                for each in _lines(log):
                    if wanted(each):
                        return float(each["at"])
                await appended.wait()
    except TimeoutError:
        raise Failed(Problem(f"{what}: not within {limit_s:g} s", str(log), "see this log")) from None
    finally:
        appended.close()
