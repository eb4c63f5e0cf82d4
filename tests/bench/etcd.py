"""The driver on etcd beside `aetcd`, with TLS, over the same server; dictionaries on both sides.

`aetcd` gives octets, which are decoded by `json.loads`, as whoever uses it must; it speaks no TLS by itself: here it is
given a channel that does. Ours does more for its requests: it gives objects with key, revision and metadata, remembers
what an update needs, stamps what it creates, has deadlines, and notices a member without a leader.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aetcd
import aetcd.client
import grpc

from muslin.datastore.etcd import EtcdDatastore
from muslin.datastore.protocol import Change, Revision
from muslin.datastore.settings import EtcdSettings
from muslin.resources.keys import Key
from tests.bench.figures import Line, Rounds, percentile
from tests.support.engines import Missing
from tests.support.etcd_server import EtcdServer

__all__ = ["measure"]

_ROUNDS, _IN_FLIGHT, _REQUESTS, _OBJECTS, _PREFIX = 21, 64, 400, 1000, "/calico/resources/v3/projectcalico.org/"
_GOAL, _LISTS = 0.8, 3
_Deed = Callable[[], Awaitable[Any]]


def measure() -> list[Line]:
    """CPU seconds of this process (both sides are clients in it), and requests a second by the clock."""
    try:
        with EtcdServer(tls=True) as server:
            return asyncio.run(_measured(server))
    except Missing as missing:
        raise RuntimeError(str(missing)) from missing


def _object(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "GlobalNetworkSet",
        "metadata": {"name": name, "labels": {"team": "blue"}},
        "spec": {"nets": [f"192.0.2.{number}/32" for number in range(10)]},
    }


async def _measured(server: EtcdServer) -> list[Line]:
    assert server.ca_file is not None
    ca = server.ca_file.read_bytes()
    ours = await EtcdDatastore.open(EtcdSettings(endpoints=(server.endpoint,), ca_cert=ca))
    other = _aetcd(server, ca)
    try:
        return await _all(ours, other)
    finally:
        await ours.close()
        await other.close()


def _aetcd(server: EtcdServer, ca: bytes) -> Any:
    options = [("grpc.max_receive_message_length", -1)]
    aetcd.client.rpc.insecure_channel = lambda target, options=options: aetcd.client.rpc.secure_channel(
        target, grpc.ssl_channel_credentials(ca), list(options)
    )
    host, _, port = server.endpoint.removeprefix("https://").rpartition(":")
    return aetcd.Client(host, int(port))


async def _all(ours: EtcdDatastore, other: Any) -> list[Line]:
    start = (await ours.list("GlobalNetworkSet")).revision
    keys = [Key("GlobalNetworkSet", f"set-{number}") for number in range(_OBJECTS)]
    await _in_flight([lambda key=key: ours.create(key, _object(key.name)) for key in keys])  # type: ignore[misc]
    paths = [f"{_PREFIX}globalnetworksets/{key.name}".encode() for key in keys]
    fresh, doomed = itertools.count(), list[str]()

    async def created() -> None:
        doomed.extend(names := [f"new-{next(fresh)}" for _ in range(_REQUESTS)])
        await _in_flight([lambda it=it: ours.create(Key("IPPool", it), _pool(it)) for it in names])  # type: ignore[misc]

    async def put() -> None:
        async def one(name: str) -> None:
            await _put(other, f"{_PREFIX}ippools/{name}".encode(), json.dumps(_pool(name)).encode(), 0)

        doomed.extend(names := [f"new-{next(fresh)}" for _ in range(_REQUESTS)])
        await _in_flight([lambda it=it: one(it) for it in names])  # type: ignore[misc]

    at = {path: int((await ours.get(key)).revision) for path, key in zip(paths, keys, strict=True)}

    async def changed() -> None:
        async def change(key: Key) -> None:
            path = f"{_PREFIX}globalnetworksets/{key.name}".encode()
            at[path] = int((await ours.update(key, _object(key.name), Revision(str(at[path])))).revision)

        await _in_flight([lambda key=key: change(key) for key in keys[:_REQUESTS]])  # type: ignore[misc]

    async def put_again() -> None:
        async def change(path: bytes) -> None:
            text = json.dumps(_object(path.rpartition(b"/")[2].decode())).encode()
            at[path] = await _put(other, path, text, at[path])

        await _in_flight([lambda path=path: change(path) for path in paths[-_REQUESTS:]])  # type: ignore[misc]

    async def removed() -> None:
        names = [doomed.pop() for _ in range(_REQUESTS)]
        await _in_flight([lambda it=it: ours.delete(Key("IPPool", it)) for it in names])  # type: ignore[misc]

    async def removed_by_other() -> None:
        async def remove(name: str) -> None:
            former = await other.delete(f"{_PREFIX}ippools/{name}".encode(), prev_kv=True)
            json.loads(former.prev_kv.value)

        names = [doomed.pop() for _ in range(_REQUESTS)]
        await _in_flight([lambda it=it: remove(it) for it in names])  # type: ignore[misc]

    async def watched() -> None:
        seen = 0
        async for event in ours.watch({"GlobalNetworkSet"}, start):
            seen += isinstance(event, Change)
            if seen == _OBJECTS:
                return

    async def watched_by_other() -> None:
        watch = await other.watch_prefix(f"{_PREFIX}globalnetworksets/".encode(), start_revision=int(start) + 1)
        seen = 0
        async for event in watch:
            json.loads(event.kv.value)
            seen += 1
            if seen == _OBJECTS:
                break
        await watch.cancel()

    async def got() -> None:
        await _in_flight([lambda key=key: ours.get(key) for key in keys[:_REQUESTS]])  # type: ignore[misc]

    async def got_by_other() -> None:
        async def get(path: bytes) -> Any:
            return json.loads((await other.get(path)).value)

        await _in_flight([lambda path=path: get(path) for path in paths[:_REQUESTS]])  # type: ignore[misc]

    async def listed() -> None:
        for _ in range(_LISTS):
            assert len((await ours.list("GlobalNetworkSet")).entries) == _OBJECTS

    async def listed_by_other() -> None:
        for _ in range(_LISTS):
            found = await other.get_prefix(f"{_PREFIX}globalnetworksets/".encode())
            assert len([(kv.key, json.loads(kv.value)) for kv in found]) == _OBJECTS

    return [
        await _line(f"get, {_IN_FLIGHT} in flight", _REQUESTS, got, got_by_other),
        await _line(f"create as a transaction, {_IN_FLIGHT} in flight", _REQUESTS, created, put),
        await _line(f"update as a transaction, {_IN_FLIGHT} in flight", _REQUESTS, changed, put_again),
        await _line(f"delete, {_IN_FLIGHT} in flight", _REQUESTS, removed, removed_by_other),
        await _line(f"list of {_OBJECTS}", _LISTS, listed, listed_by_other),
        await _line(f"watch of {_OBJECTS} changes", _OBJECTS, watched, watched_by_other),
    ]


async def _put(other: Any, path: bytes, text: bytes, at: int) -> int:
    """Put what is at this modification revision, 0 for not there; gives the new one."""
    request = other.transactions
    done, answers = await other.transaction(
        compare=[request.mod(path) == at], success=[request.put(path, text)], failure=[request.get(path)]
    )
    assert done
    return int(answers[0].response_put.header.revision)


def _pool(name: str) -> dict[str, Any]:
    return {**_object(name), "kind": "IPPool"}


async def _in_flight(deeds: Sequence[_Deed]) -> None:
    waiting = iter(deeds)

    async def worker() -> None:
        for deed in waiting:
            await deed()

    await asyncio.gather(*(worker() for _ in range(_IN_FLIGHT)))


async def _line(what: str, requests: int, ours: _Deed, other: _Deed) -> Line:
    wall, cpu = Rounds(), Rounds()
    for number in range(_ROUNDS + 1):
        pair = [(ours, wall.ours, cpu.ours), (other, wall.other, cpu.other)]
        for deed, by_clock, by_cpu in pair if number % 2 else reversed(pair):
            began, used = time.perf_counter(), time.process_time()
            await deed()
            if number:  # one round before counts not
                by_clock.append(time.perf_counter() - began)
                by_cpu.append(time.process_time() - used)
    # Both sides are bound by this process; others' load disturbs the clock and not the CPU time.
    speeds = [requests / percentile(side, 0.5) for side in (cpu.ours, cpu.other)]
    clock = [requests / percentile(side, 0.5) for side in (wall.ours, wall.other)]
    ratio = 1 / cpu.ratio
    return Line(
        what, f"{speeds[0]:.0f} in a CPU second ({clock[0]:.0f}/s by the clock)",
        f"aetcd and json.loads: {speeds[1]:.0f} ({clock[1]:.0f}/s)", ratio, f"{_GOAL} of its requests", ratio >= _GOAL,
        rounds=_ROUNDS,
    )  # fmt: skip
