"""Clients of IPAM on one history, stepped request by request: any interleaving, any crash, and what must hold."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from muslin.datastore.history import History
from muslin.datastore.protocol import AlreadyExists, Conflict, Entry, NotFound
from muslin.ipam.assignment import Assignment, AssignmentRequest
from muslin.ipam.blocks import Block
from muslin.ipam.handles import blocks_of
from muslin.ipam.requests import (
    Answer,
    Answers,
    Create,
    Delete,
    Get,
    List,
    Refusal,
    Refused,
    Request,
    Stored,
    Together,
    Update,
)
from muslin.net import Address
from muslin.resources.ip_pool import IPPool
from muslin.resources.ipam import IPAMConfigurationSpec

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def pool(prefix: str = "198.51.100.0/24", name: str = "pods", **spec: Any) -> IPPool:
    """A pool; blocks of 16 addresses unless said."""
    spec = {"cidr": prefix, "blockSize": 28, **spec}
    value = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": name}, "spec": spec}
    return IPPool.model_validate(value)


def configuration(**spec: Any) -> IPAMConfigurationSpec:
    """Cluster's settings."""
    return IPAMConfigurationSpec.model_validate({"strictAffinity": False, "autoAllocateBlocks": True, **spec})


def request(host: str = "node-1", count: int = 1, handle: str | None = "net.c1", **more: Any) -> AssignmentRequest:
    """A request with a pool of 16 blocks, unless said otherwise."""
    more.setdefault("pools", (pool(),))
    more.setdefault("now", NOW)
    return AssignmentRequest(host, count, handle, **more)


def _created(history: History, asked: Create) -> Stored | Refusal:
    try:
        return _stored(history.create(asked.key, asked.value))
    except AlreadyExists as error:
        return Refusal(Refused.EXISTS, _stored(error.current))


def answer(history: History, asked: Request) -> Answer:
    """What the store answers; the same translation as the driver's, without time."""
    try:
        match asked:
            case Get(key):
                return _stored(history.get(key))
            case List(kind):
                return tuple(_stored(entry) for entry in history.list(kind).entries)
            case Create():
                return _created(history, asked)
            case Together(writes):
                answers = [answer(history, each) for each in writes]
                return Answers(tuple(each for each in answers if isinstance(each, Stored | Refusal)))
            case Update(key, value, revision):
                return _stored(history.update(key, value, revision))
            case Delete(key, revision):
                return _stored(history.delete(key, revision))
    except NotFound:
        return Refusal(Refused.NOT_FOUND)
    except Conflict as error:
        return Refusal(Refused.CONFLICT, _stored(error.current))


def _stored(entry: Entry) -> Stored:
    return Stored(entry.key, entry.value, str(entry.revision))


class Client:
    """One operation, stepped. The store has no transactions: what is to follow other writes is a step of its own."""

    def __init__(self, operation: Any) -> None:
        self.operation = operation
        self.result: Any = None
        self.done = False
        self.asked: list[Request] = []
        self._next: Request | None = None
        self._written: tuple[Stored | Refusal, ...] | None = None
        self._resume(None)

    def step(self, history: History) -> None:
        """Perform one request."""
        asked = self._next
        assert asked is not None
        if self._written is not None:
            assert isinstance(asked, Together)
            assert asked.then is not None
            last = answer(history, asked.then)
            assert isinstance(last, Stored | Refusal)
            written, self._written = self._written, None
            self._resume(Answers(written, last))
            return
        self.asked.append(asked)
        found = answer(history, asked)
        if isinstance(asked, Together) and asked.then is not None:
            assert isinstance(found, Answers)
            if all(isinstance(each, Stored) for each in found.each):
                self._written = found.each
                return
        self._resume(found)

    def crash(self) -> None:
        """Never go on."""
        self.operation.close()
        self.done = True

    def _resume(self, given: Answer | None) -> None:
        try:
            self._next = self.operation.send(given)
        except StopIteration as end:
            self.result, self.done, self._next = end.value, True, None


def finish(history: History, operation: Any) -> Any:
    """Run an operation to its end, alone."""
    client = Client(operation)
    while not client.done:
        client.step(history)
    return client.result


def blocks(history: History) -> list[Block]:
    """All blocks; reading checks that each makes sense."""
    return [Block.read(entry.value) for entry in history.list("IPAMBlock").entries]


def held(history: History) -> dict[Address, str | None]:
    """Mapping[address, handle]: every address that somebody holds."""
    found: dict[Address, str | None] = {}
    for block in blocks(history):
        for ordinal, index in enumerate(block.allocations):
            if index is not None and block.attributes[index].released_at is None:
                assert block.address(ordinal) not in found, "an address is in two blocks"
                found[block.address(ordinal)] = block.attributes[index].handle
    return found


def check(history: History) -> None:
    """What holds at every instant.

    No block twice, no address whose handle does not know of it, no confirmed claim on a block that is not the node's.
    """
    prefixes = [block.prefix for block in blocks(history)]
    assert len(set(prefixes)) == len(prefixes)
    counts: dict[str, dict[str, int]] = {}
    for entry in history.list("IPAMHandle").entries:
        counts[entry.value["spec"]["handleID"]] = blocks_of(_stored(entry))
    needed: dict[tuple[str, str], int] = {}
    for block in blocks(history):
        for index in block.allocations:
            handle = None if index is None else block.attributes[index].handle
            if handle is not None:
                needed[handle, str(block.prefix)] = needed.get((handle, str(block.prefix)), 0) + 1
    owners = {str(block.prefix): block.affinity for block in blocks(history)}
    for entry in history.list("BlockAffinity").entries:
        spec = entry.value["spec"]
        if spec["state"] == "confirmed" and not spec["deleted"]:
            assert owners.get(spec["cidr"]) == f"host:{spec['node']}", f"{entry.key} is confirmed and not true"
    for (handle, prefix), count in needed.items():
        assert counts.get(handle, {}).get(prefix, 0) >= count, f"{handle} does not know of its address in {prefix}"


def addresses(result: Assignment) -> set[Address]:
    """What was given out, without lengths."""
    return {ip_address(str(interface.ip)) for interface in result.addresses}


def affinities(history: History) -> dict[str, tuple[str, str]]:
    """Mapping[block, (node, state)] of all affinities, as told by their objects' names."""
    return {
        entry.key.name: (entry.value["spec"]["node"], entry.value["spec"]["state"])
        for entry in history.list("BlockAffinity").entries
    }


def schedules(
    make: Callable[[], Iterable[Any]], depth: int, crash: bool = False, before: Callable[[], Iterable[Any]] = tuple
) -> Iterable[tuple[History, list[Client]]]:
    """Every order in which the clients' first requests can come, up to so many; each then runs to its end.

    `before` is run to its end first. With `crash`, also every order in which one client stops for ever at one of its
    requests. States are rebuilt for each schedule, so that they share nothing.
    """
    pending: list[tuple[int, ...]] = [()]
    while pending:
        prefix = pending.pop()
        history = History(now=lambda: NOW)
        for operation in before():
            finish(history, operation)
        clients = [Client(operation) for operation in make()]
        for move in prefix:
            if move < 0:
                clients[-move - 1].crash()
            else:
                clients[move].step(history)
        check(history)  # the states on the way were checked as schedules of their own
        alive = [index for index, client in enumerate(clients) if not client.done]
        if alive and len(prefix) < depth:
            pending += [(*prefix, index) for index in alive]
            if crash and not any(move < 0 for move in prefix):
                pending += [(*prefix, -index - 1) for index in alive]
            continue
        while waiting := [client for client in clients if not client.done]:
            for client in waiting:
                client.step(history)
            check(history)
        yield history, clients


def shuffled(seed: int) -> random.Random:
    """Dice for randomised interleavings."""
    return random.Random(seed)


def network(text: str) -> Any:
    """A prefix."""
    return ip_network(text)
