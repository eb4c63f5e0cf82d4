"""What people tell the reconciler: suspended, resumed, approved, taken back, released."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import pytest

from muslin.datastore.memory import MemoryDatastore
from muslin.datastore.protocol import Conflict, Json
from muslin.resources.keys import Key
from reconciler.awaited import awaited
from reconciler.control import (
    Answer,
    Because,
    Control,
    HeldCommit,
    Suspension,
    Watch,
    approve,
    confirm,
    control_key,
    read,
    release,
    resume,
    rollback,
    suspend,
)
from reconciler.digest import deeds
from reconciler.guard import Guard
from reconciler.ledger import Ledger
from reconciler.live import Live
from reconciler.plan import Budget, Hold
from reconciler.preview import preview
from tests.reconciler.cases import World, commit_of, policy_key

_AT = "2026-01-02T03:04:05Z"


def test_suspended_writes_nothing_and_resumed_goes_on() -> None:
    """While suspended neither a push nor drift is acted upon, and the status says who, why and since when."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a"))
        await world.look()
        assert await suspend(world.store, "default", reason="a release", by="ada", at=_AT) is Answer.DONE
        assert await suspend(world.store, "default", reason="another", by="bob", at=_AT) is Answer.ALREADY_SO
        await world.store.delete(policy_key("a"))
        world.source.push(commit_of("a", "b"))
        status = await world.look()
        assert await world.objects() == {}
        assert status.suspended is not None
        assert (status.suspended.reason, status.suspended.by) == ("a release", "ada")

        assert await resume(world.store, "default") is Answer.DONE
        status = await world.look()
        assert set(await world.objects()) == {policy_key("a"), policy_key("b")}
        assert status.suspended is None

    asyncio.run(scenario())


def test_a_running_reconciler_hears_it_at_once() -> None:
    """Suspended and resumed while it runs: no wake-up but the datastore's own watch is needed."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a"))
        controller = world.controller()
        running = asyncio.ensure_future(controller.run())
        await world.until(policy_key("a"))
        await suspend(world.store, "default", reason="x", by="ada", at=_AT)
        world.source.push(commit_of("a", "b"))
        controller.wake()
        await asyncio.sleep(0.05)
        assert policy_key("b") not in world.store_keys()
        await resume(world.store, "default")
        await world.until(policy_key("b"))
        controller.stop()
        await asyncio.wait_for(running, 5)

    asyncio.run(scenario())


async def _world_with_two() -> tuple[World, str, str]:
    world = World()
    first = world.source.push(commit_of("a"))
    await world.look()
    second = world.source.push(commit_of("a", "b"))
    await world.look()
    return world, first, second


def test_taken_back_by_hand_stays_held_until_another_commit() -> None:
    """Back to the commit before; the branch's is held, also over restarts; a newer one is taken, or a released one."""

    async def scenario() -> None:
        world, first, second = await _world_with_two()
        assert await rollback(world.store, "default", reason="it hurts", by="ada", at=_AT) is Answer.DONE
        for _ in range(2):
            status = await world.look()
            assert set(await world.objects()) == {policy_key("a")}
            assert (status.accepted, status.held, status.reason) == (first, second, Hold.ROLLED_BACK)
            assert "it hurts" in status.problems[0].what
        assert await release(world.store, "default") is Answer.DONE
        assert (await world.look()).applied == second
        assert policy_key("b") in await world.objects()

        await rollback(world.store, "default", reason="again", by="ada", at=_AT)
        await world.look()
        third = world.source.push(commit_of("a", "b", "c"))
        assert (await world.look()).applied == third
        assert (await read(world.store, "default"))[0].held is None

    asyncio.run(scenario())


def test_a_rollback_that_cannot_be_is_told_and_not_taken_for_done() -> None:
    """The commit to go back to is not in the mirror: the status names it, why, and what to do; nothing is removed."""

    async def scenario() -> None:
        world, _, second = await _world_with_two()
        away = "0" * 39 + "7"
        await rollback(world.store, "default", reason="it hurts", by="ada", at=_AT, to=away)
        status = await world.look()
        assert (status.accepted, status.reason, status.settled) == (second, Hold.ROLLED_BACK, False)
        asked, why = status.problems
        assert "it hurts" in asked.what
        assert "nothing was taken back" in why.what
        assert away[:12] in why.what
        assert "git revert" in why.fix
        assert set(await world.objects()) == {policy_key("a"), policy_key("b")}

    asyncio.run(scenario())


def test_a_commit_of_git_is_enough_where_only_a_part_of_it_is_read() -> None:
    """With a folder chosen, our ids are longer than git's; nobody has to know that to go back."""

    async def scenario() -> None:
        store = MemoryDatastore()
        ledger = await Ledger.load(store, "default")
        await ledger.change({}, accepted=f"{'b' * 40}~0123abcd", before=None)
        for to in ("a" * 40, f"{'a' * 40}~0123abcd"):
            await rollback(store, "default", reason="x", by="y", at=_AT, to=to)
            held = (await read(store, "default"))[0].held
            assert held is not None
            assert held.back_to == f"{'a' * 40}~0123abcd"
            await release(store, "default")

    asyncio.run(scenario())


def test_nothing_to_go_back_to_is_said() -> None:
    """Before the first commit, and with only one, a rollback is refused with its reason."""

    async def scenario() -> None:
        world = World()
        assert await rollback(world.store, "default", reason="x", by="y", at=_AT) is Answer.NOTHING_IN_FORCE
        world.source.push(commit_of("a"))
        await world.look()
        assert await rollback(world.store, "default", reason="x", by="y", at=_AT) is Answer.NO_EARLIER_COMMIT
        assert (await world.look()).held is None

    asyncio.run(scenario())


def test_only_the_plan_that_was_approved_is_applied() -> None:
    """Held with its digest until somebody approves it; approved, it is applied, and drift needs nobody."""

    async def scenario() -> None:
        world = World()
        world.settings = replace(world.settings, approval=True)
        commit = world.source.push(commit_of("a", "b"))
        status = await world.look()
        assert (status.reason, await world.objects()) == (Hold.NOT_APPROVED, {})
        wanted = f"sha256:{deeds(await preview(world.store, world.source.reading(commit)))}"
        assert wanted in status.problems[0].what
        assert (await awaited(world.store, "default")).digest == status.digest == wanted

        await approve(world.store, "default", wanted, by="ada", at=_AT)
        assert (await world.look()).applied == commit
        await world.edit(policy_key("a"), order=1)
        assert (await world.look()).reason is None
        assert (await world.store.get(policy_key("a"))).value["spec"]["order"] == 100

    asyncio.run(scenario())


def test_an_approval_does_not_cover_what_would_happen_now() -> None:
    """The world moves after somebody read the plan: what would be done is another plan, and waits to be read."""

    async def scenario() -> None:
        world = World()
        world.settings = replace(world.settings, approval=True)
        commit = world.source.push(commit_of("a", "b"))
        await approve(
            world.store, "default", f"sha256:{deeds(await preview(world.store, world.source.reading(commit)))}",
            by="ada", at=_AT,
        )  # fmt: skip
        await world.store.create(policy_key("b"), _stranger("b"))
        status = await world.look()
        assert status.reason is Hold.NOT_APPROVED
        assert "is not what would happen now" in status.problems[0].what
        assert set(await world.objects()) == {policy_key("b")}

        await world.store.delete(policy_key("b"))
        assert (await world.look()).applied == commit

    asyncio.run(scenario())


def test_what_moves_while_an_approved_plan_is_applied_waits_for_another_approval() -> None:
    """Half of it applied, then somebody makes the other half another plan: it is held, and approved it goes on."""

    async def scenario() -> None:
        world = World()
        world.settings = replace(world.settings, approval=True, budget=Budget())
        commit = world.source.push(commit_of("a", "b"))
        reading = world.source.reading(commit)
        await approve(world.store, "default", f"sha256:{deeds(await preview(world.store, reading))}", by="a", at=_AT)
        await world.look()
        more = world.source.push(commit_of("a", "b", "c", "d"))
        reading = world.source.reading(more)
        await approve(world.store, "default", f"sha256:{deeds(await preview(world.store, reading))}", by="a", at=_AT)
        await world.look()
        # as if it had been killed before `d`, and a stranger came first
        await world.store.delete(policy_key("d"))
        ledgers = (await world.store.list("ReconcilerLedger")).entries
        for entry in ledgers:
            items = {name: item for name, item in entry.value["spec"]["items"].items() if not name.endswith("/d")}
            value = {**entry.value, "spec": {**entry.value["spec"], "items": items}}
            await world.store.update(entry.key, value, entry.revision)
        await world.store.create(policy_key("d"), _stranger("d"))
        status = await world.look()
        assert (status.accepted, status.reason) == (more, Hold.NOT_APPROVED)
        assert (await world.store.get(policy_key("d"))).value["spec"] == {"selector": "all()"}

        found = f"sha256:{deeds(await preview(world.store, reading))}"
        assert (await awaited(world.store, "default")).digest == found
        await approve(world.store, "default", found, by="ada", at=_AT)
        assert (await world.look()).reason is None
        assert (await world.store.get(policy_key("d"))).value["spec"]["order"] == 100

    asyncio.run(scenario())


def _stranger(name: str) -> Json:
    metadata = {"name": name, "namespace": "shop"}
    return {
        "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": metadata,
        "spec": {"selector": "all()"},
    }  # fmt: skip


@pytest.mark.parametrize("spec", [{"suspended": 3}, {"held": {"commit": "x"}}, {"held": [1]}, {"approved": "yes"}])
def test_a_control_object_that_cannot_be_read_stops_everything(spec: Json) -> None:
    """Nothing is guessed about who said what: nothing is written until somebody puts it right."""

    async def scenario() -> None:
        world = World()
        value = {"apiVersion": "x", "kind": "ReconcilerControl", "metadata": {"name": "default"}, "spec": spec}
        await world.store.create(control_key("default"), value)
        world.source.push(commit_of("a"))
        status = await world.look()

        assert status.suspended is not None
        assert "can't be read" in status.suspended.reason
        assert await world.objects() == {}

    asyncio.run(scenario())


def test_a_control_object_keeps_what_it_does_not_know() -> None:
    """Fields of a later version survive a command of this one."""

    async def scenario() -> None:
        world = World()
        value = {"kind": "ReconcilerControl", "metadata": {"name": "default"}, "spec": {"later": {"x": 1}}}
        await world.store.create(control_key("default"), value)
        await suspend(world.store, "default", reason="r", by="", at="")
        control, entry = await read(world.store, "default")

        assert entry is not None
        assert entry.value["spec"]["later"] == {"x": 1}
        assert Control.of(entry) == control
        assert control.suspended == Suspension("r", "", "")
        assert Because("Asked") is Because.ASKED

    asyncio.run(scenario())


def test_what_was_said_before_is_not_written_again() -> None:
    """Twice is once, also in the store: a word that changes nothing makes no new version of the object."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a"))
        await world.look()
        world.source.push(commit_of("a", "b"))
        await world.look()
        said: list[Callable[[], Awaitable[Answer]]] = [
            lambda: suspend(world.store, "default", reason="x", by="y", at=_AT),
            lambda: approve(world.store, "default", f"sha256:{'a' * 64}", by="y", at=_AT),
            lambda: confirm(world.store, "default", Key("Tier", "ops")),
            lambda: rollback(world.store, "default", reason="x", by="y", at=_AT),
        ]
        assert [await each() for each in said] == [Answer.DONE] * len(said)
        head = world.store.history.head
        assert [await each() for each in said] == [Answer.ALREADY_SO] * len(said)
        assert world.store.history.head == head

    asyncio.run(scenario())


def test_who_led_before_changes_nothing_that_is_remembered_of_the_next_commit() -> None:
    """A process that stood still, and wakes up to another commit, leaves what people said since to who leads now."""

    async def scenario() -> None:
        world = World()
        world.source.push(commit_of("a"))
        slept = world.controller()
        await slept.once()
        world.source.push(commit_of("a", "b"))
        await world.look()
        await confirm(world.store, "default", Key("IPPool", "old"))
        world.source.push(commit_of("a", "b", "c"))
        with pytest.raises(Conflict):
            await slept.look()
        control, _ = await read(world.store, "default")
        assert control.confirmed == ("IPPool old",)
        assert policy_key("c") not in await world.objects()

    asyncio.run(scenario())


def test_a_word_of_a_person_and_a_watch_over_another_commit_outlive_what_is_decided_beside_them() -> None:
    """Taken back where a person said, though a gate fails at that moment; believed is only what was looked at."""

    async def scenario() -> None:
        world = World()
        live = Live(world.store, ("Tier",), random=Random(1), changed=lambda: None)
        guard = Guard(world.store, "default", live, lambda: _AT)
        asked = HeldCommit("b", "first", Because.ASKED, "it hurts", "ada", _AT)
        watching = Watch("c", _AT)
        await guard.note(lambda control: replace(control, held=asked, watching=watching))
        await guard.is_believed("b")
        await guard.takes_back("b", "a", Because.GATE_FAILED, "no session")
        control = await guard.now()
        assert (control.held, control.watching) == (asked, watching)
        await guard.is_believed("c")
        assert (await guard.now()).watching is None

    asyncio.run(scenario())
