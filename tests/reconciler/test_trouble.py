"""The reconciler when objects, or the whole datastore, do not let themselves be written."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from muslin.datastore.protocol import Entry, Json
from muslin.errors import BadInput, Failed, Problem, Unavailable
from muslin.resources.keys import Key
from reconciler.compare import FieldChange
from reconciler.fetch_state import Standing
from reconciler.plan import Budget, Why
from reconciler.status import Event, EventKind, Repair, Status, StatusBoard
from tests.reconciler.cases import World, commit_of, policy, policy_key, pool, tier


class _Refusing(MemoryDatastore):
    """A client to which the store refuses one object, as one with an admission rule would."""

    def __init__(self, client: MemoryDatastore, key: Key) -> None:
        super().__init__()
        self._shared = client._shared
        self._key = key

    async def create(self, key: Key, value: Json) -> Entry:
        """As the store, or refused."""
        if key == self._key:
            raise BadInput(Problem("not today", str(key), "ask tomorrow"))
        return await super().create(key, value)


def test_an_unreadable_live_object_does_not_stop_the_others() -> None:
    """Ours, broken by hand, is put back; a stranger's broken one is left; everything else is applied."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a"))
        await world.look()
        for key, spec in ((policy_key("a"), "nonsense"), (policy_key("x"), [1, {"tier": None}])):
            broken = {
                "kind": "NetworkPolicy",
                "metadata": {"name": key.name, "namespace": "shop", "labels": [3]},
                "spec": spec,
            }
            if key.name == "a":
                await world.store.update(key, broken, (await world.store.get(key)).revision)
            else:
                await world.store.create(key, broken)
        world.source.push(commit_of("a", "b") | {"t.yaml": tier("ops")})
        status = await world.look()

        assert not status.failed
        assert (await world.store.get(policy_key("a"))).value["spec"]["order"] == 100
        assert (await world.store.get(policy_key("x"))).value["spec"] == [1, {"tier": None}]
        assert policy_key("b") in await world.objects()

    asyncio.run(scenario())


def test_one_refused_object_holds_back_only_what_must_come_after_it() -> None:
    """The store refuses one tier: its policy waits and is named, the other objects are applied, a later look heals."""

    async def scenario() -> None:
        world = World()
        mine = policy("ops.a").replace("spec:", "spec:\n  tier: ops")
        commit = world.source.push(
            {"t.yaml": tier("ops"), "a.yaml": mine, "b.yaml": policy("b"), "u.yaml": tier("dev")}
        )
        refusing = _Refusing(world.store.client(), Key("Tier", "ops"))
        status = await world.controller(refusing).once()
        assert [key for key, _ in status.failed] == [Key("Tier", "ops")]
        assert status.waiting == ((policy_key("ops.a"), Key("Tier", "ops")),)
        assert set(await world.objects()) == {policy_key("b"), Key("Tier", "dev")}
        assert (status.applied, status.accepted) == (None, commit)

        status = await world.look()
        assert status.applied == commit
        assert policy_key("ops.a") in await world.objects()

    asyncio.run(scenario())


def test_a_datastore_that_is_not_ready_is_left_alone() -> None:
    """While ClusterInformation says that the datastore is not ready, nothing is written."""

    async def scenario() -> None:
        world = World()
        key = Key("ClusterInformation", "default")
        value = {"kind": key.kind, "metadata": {"name": key.name}, "spec": {"datastoreReady": False}}
        entry = await world.store.create(key, value)
        world.source.push(commit_of("a"))
        assert (await world.look()).paused
        assert policy_key("a") not in await world.objects()

        await world.store.update(key, {**value, "spec": {"datastoreReady": True}}, entry.revision)
        await world.look()
        assert policy_key("a") in await world.objects()

    asyncio.run(scenario())


def test_a_datastore_that_is_away_is_waited_for() -> None:
    """Refused calls are retried until the datastore answers; nothing is lost."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a", "b"))
        reads = writes = 0

        def faults(call: Call) -> Fault:
            nonlocal reads, writes
            writing = call.operation in {Operation.CREATE, Operation.UPDATE, Operation.DELETE}
            writes += writing
            reads += not writing and call.operation is not Operation.DELIVER
            if writing:
                return Fault(refused=writes in {1, 4}, answer_lost=writes in {2, 3})
            return Fault(refused=reads in {1, 2, 10})

        controller = world.controller(world.store.client(faults))
        running = asyncio.ensure_future(controller.run())
        await world.until(policy_key("a"), policy_key("b"))
        controller.stop()
        await asyncio.wait_for(running, 5)

    asyncio.run(scenario())


@pytest.mark.parametrize("standing", [each for each in Standing if each is not Standing.CURRENT])
def test_a_mirror_that_is_not_current_is_not_taken_for_all_being_well(standing: Standing) -> None:
    """What an exit status of `--once` is made of: a branch that vanished leaves all in force, and is still trouble."""
    assert Status(seen="c", accepted="c", applied="c", fetch={"standing": "Current"}).settled
    assert not Status(seen="c", accepted="c", applied="c", fetch={"standing": standing.value}).settled


def test_a_list_in_pages_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that fills more than a page is not taken for its first page: ours beyond it is kept, and removed."""
    monkeypatch.setattr("reconciler.live._PAGE", 2)

    async def scenario() -> None:
        world = World()
        names = [f"p{number}" for number in range(7)]
        world.source.push(commit_of(*names))
        await world.look()
        world.source.push(commit_of(*names[:-1]))
        status = await world.look()
        assert set(await world.objects()) == {policy_key(name) for name in names[:-1]}
        assert status.plan == {"delete": 1, "unchanged": 6} | {
            name: 0 for name in status.plan if name not in ("delete", "unchanged")
        }

    asyncio.run(scenario())


@pytest.mark.parametrize(("kind", "gone"), [("IPAMBlock", "p.yaml"), ("WorkloadEndpoint", "a.yaml")])
def test_who_cannot_be_asked_who_needs_it_removes_nothing(kind: str, gone: str) -> None:
    """A list that is refused is not an empty one: what may be in use stays until the datastore answers."""

    async def scenario() -> None:
        world = World()
        world.settings = replace(world.settings, budget=Budget(endpoints=0, confirm=frozenset()))
        files = {**commit_of("a", "b"), "p.yaml": pool("p", "10.48.0.0/16"), "q.yaml": pool("q", "10.49.0.0/16")}
        world.source.push(files)
        await world.look()
        before = await world.objects()
        world.source.push({name: text for name, text in files.items() if name != gone})

        def away(call: Call) -> Fault:
            return Fault(refused=call.operation is Operation.LIST and call.kind == kind)

        with pytest.raises(Unavailable):
            await world.controller(world.store.client(away)).once(attempts=2)
        assert await world.objects() == before
        await world.look()
        assert len(await world.objects()) == len(before) - 1

    asyncio.run(scenario())


def test_a_pool_that_was_in_use_stays_while_nobody_can_be_asked() -> None:
    """Its commit is in force, so nothing but IPAM's blocks keeps it: a refused list of them is not an empty one."""

    async def scenario() -> None:
        world = World()
        block = Key("IPAMBlock", "10-48-0-0-26")
        metadata = {"name": block.name}
        await world.store.create(block, {"kind": block.kind, "metadata": metadata, "spec": {"cidr": "10.48.0.0/26"}})
        world.source.push(commit_of("a") | {"p.yaml": pool("p", "10.48.0.0/16")})
        await world.look()
        world.source.push(commit_of("a"))
        assert [why for _, why, _ in (await world.look()).blocked] == [Why.POOL_IN_USE]

        def away(call: Call) -> Fault:
            return Fault(refused=call.operation is Operation.LIST and call.kind == block.kind)

        with pytest.raises(Unavailable):
            await world.controller(world.store.client(away)).once(attempts=2)
        assert Key("IPPool", "p") in await world.objects()

    asyncio.run(scenario())


def test_a_status_of_very_many_troubles_fits_into_a_store() -> None:
    """However much fails, waits or drifts: the status fits, counts the rest, and names what to confirm."""

    async def scenario() -> None:
        problem = Problem("the account may not write it " * 100, "here", "grant it")
        keys = [Key("NetworkPolicy", f"policy-{number}", "shop") for number in range(10_000)]
        pool_key, count = Key("IPPool", "old"), len(keys)
        status = Status(
            failed=tuple((key, problem) for key in keys),
            blocked=(
                *((key, Why.OWNED_BY_ANOTHER_SET.value, problem) for key in keys),
                (pool_key, "NotConfirmed", problem),
            ),
            waiting=tuple((key, pool_key) for key in keys),
            gated=tuple(keys),
        )
        nets = [f"198.51.100.{number % 256}/32" for number in range(10_000)]
        changes = tuple(FieldChange(f"spec.nets[{number}]", nets, nets) for number in range(100))
        store = MemoryDatastore()
        board = StatusBoard(store, "default")
        await board.load()
        await board.show(status, tuple(Repair(key, changes, "") for key in keys[:60]), "2026-01-02T03:04:05Z")

        shown = (await store.get(Key("ReconcilerStatus", "default"))).value["status"]
        for name, all_of_them in (("failed", count), ("blocked", count + 1), ("waiting", count), ("gated", count)):
            assert len(shown[name]) + shown["notListed"][name] == all_of_them
        assert shown["blocked"][0]["object"] == str(pool_key)
        assert shown["drift"][0]["moreFields"] == 90

    asyncio.run(scenario())


def test_a_look_that_fails_is_told_where_people_look_first() -> None:
    """The status does not say that all is well while no look comes to its end; the next good one says so again."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a"))
        await world.look()
        key = Key("ReconcilerLedger", "default.0")
        good = await world.store.get(key)
        bad = await world.store.update(key, {**good.value, "spec": {**good.value["spec"], "items": 7}}, good.revision)
        with pytest.raises(Failed):
            await world.look()
        shown = (await world.store.get(Key("ReconcilerStatus", "default"))).value["status"]
        assert "ledger cannot be read" in shown["problems"][0]["what"]

        await world.store.update(key, good.value, bad.revision)
        status = await world.look()
        assert status.settled
        shown = (await world.store.get(Key("ReconcilerStatus", "default"))).value["status"]
        assert (shown["problems"], shown["applied"]) == ([], status.accepted)

    asyncio.run(scenario())


def test_a_line_of_the_log_does_not_speak_to_a_terminal() -> None:
    """Names that somebody wrote into a datastore reach the log without control characters."""
    assert str(Event(EventKind.GATE, 1, "shop/a\x1b[2Jb runs on n1")) == "#1 Gate shop/a?[2Jb runs on n1"
