"""Real processes that share an embedded datastore with a test: run as `python children.py <role> <path> ...`."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from muslin.datastore.embedded import EmbeddedDatastore
from muslin.datastore.ipam import run
from muslin.datastore.protocol import Change
from muslin.ipam.assign import auto_assign
from muslin.ipam.assignment import AssignmentRequest
from muslin.resources import load
from muslin.resources.keys import Key

KIND = "NetworkSet"


def say(*words: object) -> None:
    """One line to the parent, written at once and whole."""
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


async def write(path: str, run_name: str) -> None:
    """Create, change and delete objects for ever; every write is acknowledged to the parent after it returned."""
    store = EmbeddedDatastore.open(path)
    for number in itertools.count():
        key = Key(KIND, f"{run_name}-{number}", "default")
        made = await store.create(key, {"spec": {"n": number, "filling": "x" * 300}})
        say("made", key.name, made.revision)
        if number % 3 == 1:
            changed = await store.update(key, {"spec": {"n": -number}}, made.revision)
            say("made", key.name, changed.revision)
        if number % 3 == 2:
            await store.delete(key)
            say("gone", key.name)


async def write_unheard(path: str) -> None:
    """One write, and death by SIGKILL between its commit and its wake."""
    store = EmbeddedDatastore.open(path)
    store._waking._bell.ring = lambda: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    await store.create(Key(KIND, "unheard", "default"), {})


async def watch(path: str) -> None:
    """Tell of every change when it came, in nanoseconds of the clock that all processes share."""
    store = EmbeddedDatastore.open(path)
    start = (await store.list(KIND)).revision
    async for event in store.watch({KIND}, start):
        if isinstance(event, Change):
            say("saw", event.key.name, time.monotonic_ns())
        else:
            say("ready", event.revision)


async def assign(path: str, host: str, count: str) -> None:
    """Assign so many addresses, one request at a time, and tell each."""
    store = EmbeddedDatastore.open(path)
    pool: Any = load(
        {
            "apiVersion": "projectcalico.org/v3",
            "kind": "IPPool",
            "metadata": {"name": "pods"},
            "spec": {"cidr": str(ip_network("198.51.100.0/24")), "blockSize": 28},
        }
    )
    for number in range(int(count)):
        request = AssignmentRequest(host, 1, f"net.{host}-{number}", datetime.now(UTC), [pool])
        for address in (await run(store, auto_assign(request))).addresses:
            say("got", address.ip, f"net.{host}-{number}")
    await store.close()


if __name__ == "__main__":
    roles: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        "write": write,
        "write_unheard": write_unheard,
        "watch": watch,
        "assign": assign,
    }
    asyncio.run(roles[sys.argv[1]](*sys.argv[2:]))
