"""Taking addresses back: by handle, one by one, with cooldown; and giving up a block."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address

import pytest

from muslin.datastore.history import History
from muslin.ipam.affinities import Owner, release_affinity
from muslin.ipam.assign import auto_assign
from muslin.ipam.handles import increment
from muslin.ipam.release import Claim, Mismatch, release_by_handle, release_ips
from muslin.ipam.requests import Update
from muslin.ipam.together import release_together
from tests.muslin.ipam.stage import (
    NOW,
    addresses,
    affinities,
    answer,
    blocks,
    check,
    configuration,
    finish,
    held,
    pool,
    request,
)


def test_a_handle_releases_all_of_its_addresses() -> None:
    """Addresses in several blocks are free again, the handle is gone, and a second release finds nothing."""
    history = History()
    given = addresses(finish(history, auto_assign(request(count=20))))
    finish(history, auto_assign(request(handle="net.c2")))

    assert set(finish(history, release_by_handle("net.c1", NOW))) == given
    assert set(held(history).values()) == {"net.c2"}
    assert [entry.key.name for entry in history.list("IPAMHandle").entries] == ["net.c2"]
    assert finish(history, release_by_handle("net.c1", NOW)) == ()
    check(history)


def test_several_handles_are_released_by_one_write_of_their_block() -> None:
    """What they held is free and they are gone, as one by one; others keep theirs; one that is not there is done."""
    history = History()
    for number in range(6):
        finish(history, auto_assign(request(handle=f"net.c{number}")))
    (before,) = history.list("IPAMBlock").entries
    gone = [f"net.c{number}" for number in (0, 2, 3, 5)]

    assert finish(history, release_together([*gone, "net.none"], NOW)) == {*gone, "net.none"}

    (after,) = history.list("IPAMBlock").entries
    assert set(held(history).values()) == {"net.c1", "net.c4"}
    assert [entry.key.name for entry in history.list("IPAMHandle").entries] == ["net.c1", "net.c4"]
    assert int(after.value["spec"]["sequenceNumber"]) == int(before.value["spec"]["sequenceNumber"]) + 1
    check(history)


def test_what_is_not_plain_is_left_for_release_by_handle() -> None:
    """A handle with addresses in several blocks, and all of a block that somebody wrote in between, are not done."""
    history = History()
    finish(history, auto_assign(request(handle="net.wide", count=20)))
    finish(history, auto_assign(request(handle="net.c1")))
    assert finish(history, release_together(["net.wide"], NOW)) == frozenset()

    operation = release_together(["net.c1"], NOW)
    asked = next(operation)
    while not isinstance(asked, Update):
        asked = operation.send(answer(history, asked))
    finish(history, auto_assign(request(handle="net.c2")))
    with pytest.raises(StopIteration) as stopped:
        operation.send(answer(history, asked))

    assert stopped.value.value == frozenset()
    for handle in ("net.wide", "net.c1", "net.c2"):
        finish(history, release_by_handle(handle, NOW))
    assert not held(history)
    check(history)


def test_the_address_free_longest_is_given_next() -> None:
    """A released address goes to the end of the queue, so that it is not given anew at once."""
    history = History()
    small = (pool("198.51.100.0/28"),)
    first = addresses(finish(history, auto_assign(request(pools=small))))
    finish(history, release_by_handle("net.c1", NOW))
    order = [addresses(finish(history, auto_assign(request(pools=small, handle=f"net.{i}")))) for i in range(16)]

    assert order[-1] == first


def test_a_released_address_cools_down() -> None:
    """With a cooldown it is nobody's and not free; once it has cooled down, the next request may have it."""
    history = History()
    small = (pool("198.51.100.0/28"),)
    slow = configuration(ipCooldownSeconds=60)
    finish(history, auto_assign(request(count=16, pools=small, configuration=slow)))
    finish(history, release_by_handle("net.c1", NOW, slow))
    soon = finish(history, auto_assign(request(pools=small, configuration=slow, handle="net.c2")))
    late = NOW + timedelta(seconds=60)
    later = finish(history, auto_assign(request(pools=small, configuration=slow, handle="net.c3", now=late)))

    assert soon.addresses == ()
    assert len(later.addresses) == 1


def test_releasing_on_old_knowledge_is_refused() -> None:
    """A wrong handle or sequence leaves the whole block as it is; a free address is no error."""
    history = History()
    given = sorted(addresses(finish(history, auto_assign(request(count=2)))))
    (block,) = blocks(history)
    number = block.sequences[block.ordinal(given[0])]
    free = block.prefix[9]

    wrong_handle = finish(history, release_ips([Claim(given[0], "other"), Claim(given[1])], NOW))
    wrong_sequence = finish(history, release_ips([Claim(given[0], sequence=number - 1)], NOW))
    assert wrong_handle.refused[given[0]] is Mismatch.HANDLE
    assert wrong_handle.released == ()
    assert wrong_sequence.refused == {given[0]: Mismatch.SEQUENCE}
    assert len(held(history)) == 2

    right = finish(history, release_ips([Claim(given[0], "net.c1", number), Claim(free)], NOW))
    assert right.released == (given[0],)
    assert right.unallocated == (free,)
    assert set(held(history)) == {given[1]}
    outside = finish(history, release_ips([Claim(ip_address("203.0.113.1"))], NOW))
    assert outside.unallocated == (ip_address("203.0.113.1"),)
    check(history)


def test_a_handle_that_counts_too_much_is_made_good() -> None:
    """After a crash between handle and block, releasing the handle leaves nothing of it."""
    history = History()
    finish(history, auto_assign(request()))
    (block,) = blocks(history)
    finish(history, increment("net.c1", block.prefix, 3))
    finish(history, release_by_handle("net.c1", NOW))

    assert held(history) == {}
    assert history.list("IPAMHandle").entries == ()


def test_an_empty_block_is_deleted_with_its_affinity() -> None:
    """Giving up an empty block leaves neither block nor affinity; one in use is left alone if asked to."""
    history = History()
    finish(history, auto_assign(request()))
    (block,) = blocks(history)
    owner = Owner("node-1")

    assert not finish(history, release_affinity(owner, block.prefix, require_empty=True))
    assert list(affinities(history).values()) == [("node-1", "confirmed")]
    finish(history, release_by_handle("net.c1", NOW))
    assert finish(history, release_affinity(owner, block.prefix, require_empty=True))
    assert blocks(history) == []
    assert affinities(history) == {}


def test_a_block_in_use_becomes_nobodys_and_goes_with_its_last_address() -> None:
    """Given up while in use, a block keeps its addresses, lends the others, and is deleted when it is empty."""
    history = History()
    finish(history, auto_assign(request()))
    (block,) = blocks(history)
    assert finish(history, release_affinity(Owner("node-1"), block.prefix))
    (left,) = blocks(history)
    assert left.affinity is None
    assert affinities(history) == {}
    finish(history, release_by_handle("net.c1", NOW))

    assert blocks(history) == []
