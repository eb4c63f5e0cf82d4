"""From a `git push` to the first packet judged by the new policy, beside the same change written to the datastore.

One flow of 1,000 requests a second; each round denies and allows it by a push, and by a direct write of a policy that
stands before. A flip is when the first request of the new state was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muslin.datastore.protocol import Change
from muslin.lab import verbs
from muslin.lab.demo.flows import Flow
from muslin.lab.processes import probe
from muslin.lab.state import StateFolder
from muslin.resources.keys import Key
from tests.bench.figures import Line, percentile, spread
from tests.bench.labs import Lab, lab

__all__ = ["measure"]

_ROUNDS = 20
_GOAL_S = 0.5
_PORT = 7
_FILE = "policies/bench.yaml"
_SERVER = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: server, namespace: demo}
spec:
  order: 100
  selector: app == 'server'
  types: [Ingress]
  ingress:
    - {action: Allow, protocol: UDP, source: {selector: app == 'client'}, destination: {ports: [%d]}}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: client, namespace: demo}
spec: {order: 100, selector: app == 'client', types: [Egress], egress: [{action: Allow}]}
"""
_DIRECT = Key("NetworkPolicy", "direct", "demo")


@dataclass(slots=True)
class _Times:
    """Seconds of every flip."""

    from_end: list[float] = field(default_factory=list)
    from_begin: list[float] = field(default_factory=list)
    push: list[float] = field(default_factory=list)
    fetched: list[float] = field(default_factory=list)
    stored: list[float] = field(default_factory=list)
    judged: list[float] = field(default_factory=list)
    direct: list[float] = field(default_factory=list)


def measure() -> list[Line]:
    """Flips by push and by write."""
    return asyncio.run(_measure())


async def _measure() -> list[Line]:
    async with lab() as up:
        flow = await _flow(up)
        times = _Times()
        written: dict[Key, float] = {}
        watching = asyncio.create_task(_note_writes(up, written))
        try:
            await up.cluster.store.create(_DIRECT, _direct(9))
            for number in range(_ROUNDS + 1):
                if not number:  # the first round does not count
                    await _pushed(up, flow, 9, "down", written, _Times())
                    await _pushed(up, flow, _PORT, "up", written, _Times())
                    continue
                await _pushed(up, flow, 9, "down", written, times)
                await _pushed(up, flow, _PORT, "up", written, times)
                times.direct.append(await _wrote(up, flow, _PORT, "down"))
                times.direct.append(await _wrote(up, flow, 9, "up"))
        finally:
            watching.cancel()
        await flow.stop()
    return _lines(times)


def _lines(times: _Times) -> list[Line]:
    p99 = percentile(times.from_end, 0.99)
    count = len(times.from_end)
    ratio = percentile(times.from_end, 0.5) / percentile(times.direct, 0.5)
    direct = f"a direct write, from its beginning: {spread(times.direct)}"
    return [
        Line(
            "from the end of the push", spread(times.from_end), direct, ratio, "p99 under 500 ms", p99 < _GOAL_S, count
        ),
        Line("from its beginning", spread(times.from_begin), rounds=count),
        Line("  git push itself", spread(times.push), rounds=count),
        Line("  its end to fetched (can be negative)", spread(times.fetched), rounds=count),
        Line("  fetched to written to the datastore", spread(times.stored), rounds=count),
        Line("  written to judged (two agents)", spread(times.judged), rounds=count),
    ]


async def _flow(up: Lab) -> Flow:
    await up.add_pod("node1", "demo", "client", {"app": "client"})
    address = await up.add_pod("node2", "demo", "server", {"app": "server"})
    push = await asyncio.to_thread(up.clone.push, "Allow", {_FILE: _SERVER % _PORT})
    await up.cluster.applied(push.commit)
    await asyncio.to_thread(verbs.start, up.name, "server", "demo.server", probe("echo", "--udp", str(_PORT)))
    argv = probe("flow", "udp-new", address, str(_PORT), "--rate", "1000", "--patience", "0.1")
    log = await asyncio.to_thread(verbs.start, up.name, "flow", "demo.client", argv)
    flow = Flow("flow", True, up.name, log)
    await flow.until("up", 15)
    return flow


async def _note_writes(up: Lab, written: dict[Key, float]) -> None:
    start = (await up.cluster.store.list("NetworkPolicy")).revision
    async for event in up.cluster.store.watch(["NetworkPolicy"], start):
        if isinstance(event, Change):
            written[event.key] = time.monotonic()


async def _flip(flow: Flow, state: str, do: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    known = len(flow.seen().flips)
    done = await do()
    deadline = time.monotonic() + 10
    while True:
        flips = flow.seen().flips[known:]
        if flips and flips[-1][0] == state:
            await asyncio.sleep(0.2)  # let what the change has caused come to rest before the next one
            return done, next(at for event, at in flips if event == state)
        if time.monotonic() > deadline:
            raise RuntimeError(f"the flow did not go {state}")
        await asyncio.sleep(0.02)


async def _pushed(up: Lab, flow: Flow, port: int, state: str, written: dict[Key, float], times: _Times) -> None:
    files = {_FILE: _SERVER % port}
    push, at = await _flip(flow, state, lambda: asyncio.to_thread(up.clone.push, state, files))
    while (stored := written[Key("NetworkPolicy", "server", "demo")]) < push.began:  # noqa: ASYNC110  it comes soon
        await asyncio.sleep(0.02)  # our own watch is behind
    fetched = _fetched(StateFolder.of(up.name).mirror)
    times.from_end.append(at - push.ended)
    times.from_begin.append(at - push.began)
    times.push.append(push.ended - push.began)
    times.fetched.append(fetched - push.ended)
    times.stored.append(stored - fetched)
    times.judged.append(at - stored)


async def _wrote(up: Lab, flow: Flow, port: int, state: str) -> float:
    async def write() -> float:
        current = await up.cluster.store.get(_DIRECT)
        began = time.monotonic()
        await up.cluster.store.update(
            _DIRECT, {**_direct(port), "metadata": current.value["metadata"]}, current.revision
        )
        return began

    began, at = await _flip(flow, state, write)
    return float(at - began)


def _direct(port: int) -> dict[str, Any]:
    deny = {"action": "Deny", "protocol": "UDP", "destination": {"ports": [port]}}
    return {
        "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
        "metadata": {"name": _DIRECT.name, "namespace": _DIRECT.namespace},
        "spec": {"order": 50, "selector": "app == 'server'", "types": ["Ingress"], "ingress": [deny]},
    }  # fmt: skip


def _fetched(mirror: Path) -> float:
    """When the mirror last got a new commit, on the monotonic clock."""
    newest = max(each.stat().st_mtime for each in [*mirror.glob("refs/**/*"), mirror / "refs"] if each.exists())
    return newest - (time.time() - time.monotonic())
