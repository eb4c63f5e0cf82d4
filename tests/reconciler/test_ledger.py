"""The ledger writes what differs and nothing else: each call is counted as the store sees it."""

from __future__ import annotations

import asyncio

from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from reconciler.ledger import Ledger, Owned, applied
from tests.reconciler.cases import policy_key

_WRITES = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)


def test_nothing_is_written_where_nothing_differs() -> None:
    """The same items, the same commit, what was never there, and nothing at all: no request, in any combination."""

    async def scenario() -> None:
        written: list[Call] = []

        def noted(call: Call) -> Fault:
            written.extend([call] if call.operation in _WRITES else [])
            return Fault()

        store = MemoryDatastore().client(noted)
        items = {policy_key(name): applied({"spec": {"order": 1}}, "c1") for name in "abc"}
        ledger = await Ledger.load(store, "default")
        await ledger.change(items, accepted="c1~12345678", before="c0", way={"": {"paths": ["a"]}})
        for known in (ledger, await Ledger.load(store, "default")):
            written.clear()
            await known.change(items)
            await known.change({})
            await known.change({policy_key("other"): None})
            await known.change(dict(list(items.items())[:1]), accepted="c1~12345678", before="c0")
            await known.change({}, accepted="c1~12345678", before="c0", way={"": {"paths": ["a"]}})
            assert written == []
            assert (known.accepted, known.before) == ("c1~12345678", "c0")

    asyncio.run(scenario())


def test_one_item_that_differs_is_one_write() -> None:
    """Only its part is written, and what was found before we took it over is not forgotten by the way."""

    async def scenario() -> None:
        written: list[Call] = []

        def noted(call: Call) -> Fault:
            written.extend([call] if call.operation in _WRITES else [])
            return Fault()

        store = MemoryDatastore().client(noted)
        ledger = await Ledger.load(store, "default")
        first = Owned({"spec": {"order": 1}}, None, "c1", {"spec": {"order": 9}})
        await ledger.change({policy_key("a"): first, policy_key("b"): applied({"spec": {}}, "c1")})
        written.clear()
        await ledger.change(
            {policy_key("a"): applied({"spec": {"order": 2}}, "c2"), policy_key("b"): applied({"spec": {}}, "c1")}
        )
        assert len(written) == 1
        again = (await Ledger.load(store, "default")).owned[policy_key("a")]
        assert (again.applied, again.found) == ({"spec": {"order": 2}}, {"spec": {"order": 9}})

    asyncio.run(scenario())


def test_a_ledger_among_many_is_read_to_its_end() -> None:
    """More parts than one page holds: what is ours is all there, and what other sets claim is known."""

    async def scenario() -> None:
        store = MemoryDatastore()
        for name in ("a", "b", "c"):
            ledger = await Ledger.load(store, name)
            items = {policy_key(f"{name}{number}"): applied({"spec": {}}, "c1") for number in range(400)}
            await ledger.change({**items})
        found = await Ledger.load(store, "c")
        assert (len(found.owned), len(found.others)) == (400, 800)
        assert set(found.others.values()) == {"a", "b"}

    asyncio.run(scenario())
