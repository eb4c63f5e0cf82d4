"""Several clients at once: every order of their first requests, random orders, and a crash at any request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from muslin.datastore.history import History
from muslin.ipam.affinities import Owner, release_affinity
from muslin.ipam.assign import auto_assign
from muslin.ipam.release import release_by_handle
from tests.muslin.ipam.stage import (
    NOW,
    Client,
    addresses,
    blocks,
    check,
    finish,
    held,
    pool,
    request,
    schedules,
    shuffled,
)

TINY = (pool("198.51.100.0/30", blockSize=31),)
"""Two blocks of two addresses: everybody wants the same."""
ONE = (pool("198.51.100.0/30", blockSize=30),)


def two_nodes() -> list[Any]:
    """Two nodes claim their first block in a pool of two."""
    return [
        auto_assign(request("node-1", handle="a", pools=TINY)),
        auto_assign(request("node-2", handle="b", pools=TINY)),
    ]


def one_block() -> list[Any]:
    """Two nodes want the only block there is; one must borrow."""
    return [
        auto_assign(request("node-1", handle="a", pools=ONE)),
        auto_assign(request("node-2", handle="b", pools=ONE)),
    ]


def same_node() -> list[Any]:
    """An old and a new agent of one node assign at once."""
    return [
        auto_assign(request("node-1", handle="a", pools=ONE)),
        auto_assign(request("node-1", handle="b", pools=ONE)),
    ]


def same_handle() -> list[Any]:
    """A container is added and deleted at once."""
    return [auto_assign(request("node-1", handle="a", pools=ONE)), release_by_handle("a", NOW)]


@pytest.mark.slow
@pytest.mark.parametrize("make", [two_nodes, one_block, same_node, same_handle])
def test_every_order_of_two_clients(make: Callable[[], list[Any]]) -> None:
    """In every order of the first ten requests of two clients, both are served and no address has two owners."""
    seen = 0
    for history, clients in schedules(make, depth=10):
        seen += 1
        given = [addresses(client.result) for client in clients if hasattr(client.result, "addresses")]
        assert all(len(it) == 1 for it in given)
        assert len(set().union(*given)) == len(given)
        for handle in ("a", "b"):
            finish(history, release_by_handle(handle, NOW))
        assert held(history) == {}
        assert history.list("IPAMHandle").entries == ()
    print(f"{make.__name__}: {seen} schedules")
    assert seen > 10


@pytest.mark.slow
@pytest.mark.parametrize("make", [one_block, same_node])
def test_every_order_of_two_clients_with_a_crash(make: Callable[[], list[Any]]) -> None:
    """Where one client stops for ever at any request, the other is served, and releasing both leaves nothing."""
    for history, clients in schedules(make, depth=8, crash=True):
        survivors = [client for client in clients if client.result is not None]
        assert survivors
        assert all(len(client.result.addresses) == 1 for client in survivors)
        for handle in ("a", "b"):
            finish(history, release_by_handle(handle, NOW))
        assert held(history) == {}
        assert history.list("IPAMHandle").entries == ()


@pytest.mark.slow
def test_every_order_of_three_clients() -> None:
    """Three nodes, one block of four addresses: in every order of the first five requests each gets its own."""

    def make() -> list[Any]:
        return [auto_assign(request(f"node-{i}", handle=f"h{i}", pools=ONE)) for i in range(3)]

    for _, clients in schedules(make, depth=5):
        given = [addresses(client.result) for client in clients]
        assert all(len(it) == 1 for it in given)
        assert len(set().union(*given)) == 3


@pytest.mark.slow
def test_a_claim_and_a_release_of_the_same_block_in_every_order() -> None:
    """A block is given up while its node assigns: the address stays the node's, and an affinity is never a lie."""

    def make() -> list[Any]:
        return [
            auto_assign(request("node-1", handle="b", pools=ONE)),
            release_affinity(Owner("node-1"), ONE[0].spec.cidr, require_empty=True),
        ]

    def before() -> list[Any]:
        return [auto_assign(request("node-1", handle="a", pools=ONE)), release_by_handle("a", NOW)]

    for history, clients in schedules(make, depth=12, crash=True, before=before):
        if clients[0].result is not None:
            assert len(addresses(clients[0].result)) == 1
            assert set(held(history).values()) == {"b"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_orders_with_crashes(seed: int) -> None:
    """10,000 requests of four nodes, crashes among them: one owner an address always, and nothing left in the end."""
    dice, history, now = shuffled(seed), History(now=lambda: NOW), NOW
    pools = (pool("198.51.100.0/27", blockSize=29), pool("203.0.113.0/29", "more", blockSize=30))
    nodes = [f"node-{i}" for i in range(4)]
    running: list[tuple[Client, str | None]] = []
    handles: set[str] = set()
    crashed = done = steps = 0
    while steps < 2_500:
        now += timedelta(seconds=1)
        if len(running) < 4:
            node, kind = dice.choice(nodes), dice.random()
            if kind < 0.55:
                name = f"net.c{dice.randrange(60)}"
                handles.add(name)
                count = dice.choice([1, 1, 1, 2, 5])
                it = auto_assign(request(node, count, name, pools=pools, now=now, max_blocks=3))
                running.append((Client(it), name))
            elif kind < 0.9 and handles:
                running.append((Client(release_by_handle(dice.choice(sorted(handles)), now)), None))
            elif blocks(history):
                victim = dice.choice(blocks(history)).prefix
                running.append((Client(release_affinity(Owner(node), victim, require_empty=dice.random() < 0.7)), None))
        if not running:
            continue
        client, handle = dice.choice(running)
        before = held(history)
        if client.done:
            running.remove((client, handle))
            if handle is not None and client.result is not None:
                done += 1
        elif dice.random() < 0.02:
            client.crash()
            crashed += 1
        else:
            client.step(history)
            steps += 1
            if steps % 5 == 0:
                check(history)
        after = held(history)
        for address in before.keys() & after.keys():
            assert before[address] == after[address], "an address changed its owner without being free in between"
    for client, _ in running:
        client.crash()
    assert crashed > 20
    assert done > 50

    for handle in sorted(handles):
        finish(history, release_by_handle(handle, now))
    assert held(history) == {}
    assert history.list("IPAMHandle").entries == ()
    for node in nodes:  # whatever a crash left pending, the node's next request confirms or removes
        later = now + timedelta(minutes=5)
        finish(history, auto_assign(request(node, 1, f"last-{node}", pools=pools, now=later)))
        finish(history, release_by_handle(f"last-{node}", later))
    check(history)
    owners = {str(block.prefix): block.affinity for block in blocks(history)}
    for entry in history.list("BlockAffinity").entries:
        spec = entry.value["spec"]
        if spec["state"] == "confirmed":
            assert owners.get(spec["cidr"]) == f"host:{spec['node']}"
