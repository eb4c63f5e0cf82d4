"""A commit of facts changes a running cluster in stages: each is waited for, remembered, and told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from muslin.datastore import ipam
from muslin.datastore.memory import Call, Fault, Operation
from muslin.datastore.protocol import Forbidden, Listing
from muslin.errors import Problem
from muslin.ipam.affinities import Owner, claim
from muslin.net import parse_prefix
from muslin.resources.keys import Key
from reconciler.control import Because, approve, confirm, read, rollback
from reconciler.course_record import underway
from reconciler.digest import deeds
from reconciler.gates import Standing
from reconciler.plan import Budget, Hold
from reconciler.preview import preview
from reconciler.status import EventKind
from tests.reconciler.cases import NOW, policy
from tests.reconciler.staged import NAMES, Staged, facts, pod, run

_DRAINED = facts(podRange="10.60.0.0/16", running={"podRange": "10.48.0.0/16"})
_OLD, _NEW = "default-ipv4-ippool", "pods-10-60-0-0-16"


def test_from_a_mesh_to_reflectors_in_four_stages() -> None:
    """Pods leave the reflectors first, which people see to; then peers, reflectors, and last the mesh goes off."""

    async def scenario() -> None:
        staged = Staged()
        await staged.begin(facts())
        await staged.create(pod("web", "n1"))
        await staged.create(pod("agent", "n2", **{"pod-template-generation": "1"}))
        commit = staged.push(facts("n1", "n2"))
        await asyncio.sleep(300)

        assert staged.stage() == (1, "set the reflectors aside")
        assert (staged.status.accepted, staged.status.applied != commit, staged.status.settled) == (commit, True, False)
        assert [(each.standing, each.why) for each in staged.status.gates] == [
            (Standing.WAITING, ("shop/web runs on n1",))
        ]
        assert "kubectl drain n1 --ignore-daemonsets" in staged.told()[0]
        assert not [key for key in await staged.world.objects() if key.kind == "BGPPeer"]

        await staged.world.store.delete(pod("web", "n1")[0])
        await asyncio.sleep(120)
        spec = await staged.spec("BGPConfiguration", "default")
        assert spec["nodeToNodeMeshEnabled"] is False
        assert (staged.stage(), staged.status.applied) == (None, commit)
        assert [message.split(" (")[0] for message in staged.told()] == [
            "stage 1 of 4: set the reflectors aside", "stage 2 of 4: declare who will peer with whom",
            "stage 3 of 4: make the reflectors", "stage 4 of 4: turn the mesh off", "all 4 stages are over",
        ]  # fmt: skip
        control, _ = await read(staged.world.store, "default")
        assert "courses" not in control.others
        for up in staged.nodes.history[1:]:
            assert all(len(up[name]) >= 2 for name in NAMES)

    run(scenario)


@pytest.mark.parametrize("after_s", [0.5, 3.0, 9.0, 12.0, 18.0, 21.0, 27.0])
def test_a_process_that_is_killed_goes_on_in_its_stage(after_s: float) -> None:
    """Whenever it dies: the next one begins with the stage that is remembered, and none is told twice as new."""

    async def scenario() -> None:
        staged = Staged()
        await staged.begin(facts())
        commit = staged.push(facts("n1", "n2"))
        await asyncio.sleep(after_s)
        before, _ = await read(staged.world.store, "default")
        known = underway(before, commit)
        await staged.kill()
        count = len(staged.told())
        staged.start()
        await asyncio.sleep(0.1)
        first = staged.told()[count : count + 1]
        assert known is None or f"stage {known.number} of 4" in first[0]
        await asyncio.sleep(120)

        assert (staged.stage(), staged.status.applied) == (None, commit)
        assert all(len(up[name]) >= 2 for up in staged.nodes.history[1:] for name in NAMES)

    run(scenario)


@pytest.mark.slow
def test_killed_at_any_write_it_ends_the_same() -> None:
    """Before the write reaches the store, or after it and before its answer: the next process comes to the same end."""
    writes = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
    ends: list[dict[Key, Any]] = []
    fatal, died = 0, True

    async def scenario() -> None:
        nonlocal died
        staged, count = Staged(), 0
        await staged.begin(facts())
        await staged.kill()

        def faults(call: Call) -> Fault:
            nonlocal count, died
            if call.operation not in writes:
                return Fault()
            count += 1
            if count < fatal:
                return Fault()
            died = True
            asyncio.get_running_loop().call_soon(staged.task.cancel)
            return Fault(refused=fatal % 2 == 0 or count > fatal, answer_lost=fatal % 2 == 1 and count == fatal)

        commit = staged.world.source.push(facts("n1", "n2"))
        staged.start(faults)
        await asyncio.sleep(60)
        if died:
            await staged.kill()
            staged.start()
            await asyncio.sleep(60)
        assert (staged.status.applied, staged.stage()) == (commit, None), fatal
        assert all(len(up[name]) >= 2 for up in staged.nodes.history[1:] for name in NAMES), fatal
        ends.append(await staged.world.objects())

    while died:
        died, fatal = False, fatal + 1
        run(scenario)
    assert fatal > 20
    assert all(each == ends[-1] for each in ends)


def test_a_stage_that_fails_takes_the_commit_back() -> None:
    """A client that never has two reflectors: after the grace the mesh is all there is, and the commit is held."""

    async def scenario() -> None:
        staged = Staged(grace_s=30.0)
        good = await staged.begin(facts())
        before = await staged.world.objects()
        staged.nodes.broken.add(frozenset((staged.nodes.addresses["n3"], staged.nodes.addresses["n1"])))
        bad = staged.push(facts("n1", "n2"))
        await asyncio.sleep(200)

        status = staged.status
        assert (status.accepted, status.applied, status.held, status.reason) == (good, good, bad, Hold.ROLLED_BACK)
        assert "n1 has no session with 192.0.2.3" in status.problems[0].what
        assert await staged.world.objects() == before
        assert (await staged.spec("BGPConfiguration", "default"))["nodeToNodeMeshEnabled"] is True
        newer = staged.push(facts() | {"a.yaml": policy("a")})
        await asyncio.sleep(60)
        assert (staged.status.applied, staged.status.held, staged.stage()) == (newer, None, None)
        control, _ = await read(staged.world.store, "default")
        assert "courses" not in control.others

    run(scenario)


def test_while_people_are_waited_for_reports_wake_nobody() -> None:
    """Nodes tell news all the time, for days; what people do is seen at once."""

    async def scenario() -> None:
        staged = Staged()
        await staged.begin(facts())
        await staged.create(pod("web", "n1"))
        staged.push(facts("n1", "n2"))
        await asyncio.sleep(10)
        looks = staged.controller.looks
        for _ in range(5):
            await staged.nodes.settle("99")
            await asyncio.sleep(1)
        assert staged.controller.looks == looks
        await staged.world.store.delete(pod("web", "n1")[0])
        await asyncio.sleep(0.5)
        assert staged.stage() != (1, "set the reflectors aside")

    run(scenario)


def test_another_commit_is_planned_from_what_is_there() -> None:
    """One with the same wish goes on in the stage; one that wishes the mesh back ends the wait, and leaves no trace."""

    async def scenario() -> None:
        staged = Staged()
        await staged.begin(facts())
        before = await staged.world.objects()
        await staged.create(pod("web", "n2"))
        staged.push(facts("n1", "n2"))
        await asyncio.sleep(20)
        assert staged.stage() == (1, "set the reflectors aside")
        same = staged.push(facts("n1", "n2") | {"a.yaml": policy("a")})
        await asyncio.sleep(20)
        assert staged.stage() == (1, "set the reflectors aside")
        assert staged.status.accepted == same
        assert Key("NetworkPolicy", "a", "shop") in await staged.world.objects()
        await staged.says(1)
        await asyncio.sleep(12)
        assert staged.stage() == (3, "make the reflectors")
        back = staged.push(facts())
        await asyncio.sleep(200)

        assert (staged.status.applied, staged.stage()) == (back, None)
        assert await staged.world.objects() == before
        assert all(len(up[name]) >= 2 for up in staged.nodes.history[1:] for name in NAMES)

    run(scenario)


def test_a_pool_is_replaced_when_its_last_address_is_given_back() -> None:
    """New in, old disabled, drained, out: the removal is confirmed, and empty blocks are given back by us."""

    async def scenario() -> None:
        staged = Staged(Budget())
        await staged.begin(facts())
        block = _block(0)
        await staged.create(block)
        await ipam.run(staged.world.store, claim(Owner("n1"), parse_prefix("10.48.0.0/26"), NOW))
        commit = staged.push(_DRAINED)
        await asyncio.sleep(60)

        assert staged.stage() == (3, "move the pods out of 10.48.0.0/16")
        assert (await staged.spec("IPPool", _OLD))["disabled"] is True
        assert not (await staged.spec("IPPool", _NEW)).get("disabled")
        assert staged.status.gates[0].why == ("1 addresses of 10.48.0.0/16 are assigned, on n1",)
        await staged.says(3)
        await asyncio.sleep(10)
        assert staged.stage() == (3, "move the pods out of 10.48.0.0/16")  # no word can empty a pool

        entry = await staged.world.store.get(block[0])
        await staged.world.store.update(block[0], _block(None)[1], entry.revision)
        await asyncio.sleep(30)
        assert (await staged.world.store.list("IPAMBlock")).entries == ()
        assert staged.stage() == (4, "take the pool 10.48.0.0/16 out")
        assert "muslin confirm IPPool default-ipv4-ippool" in staged.status.gates[0].why[0]
        assert staged.told()[-1].endswith("for people: muslin confirm ippool default-ipv4-ippool")
        await confirm(staged.world.store, "default", Key("IPPool", _OLD))
        await asyncio.sleep(30)
        assert (staged.stage(), staged.status.applied) == (None, commit)
        assert {key.name for key in await staged.world.objects() if key.kind == "IPPool"} == {_NEW}

    run(scenario)


def test_a_number_changes_node_by_node() -> None:
    """Each node is drained, gets the number, and is waited for; half way back it is the other way round."""

    async def scenario() -> None:
        staged = Staged()
        await staged.begin(facts())
        pods = [pod(name, name) for name in NAMES]
        for each in pods:
            await staged.create(each)
        staged.push(facts(asNumber=64500))
        for number, each in enumerate(pods[:2]):
            await asyncio.sleep(30)
            assert staged.stage() == (2 * number + 1, f"move the pods away from {NAMES[number]}")
            await staged.world.store.delete(each[0])
        await asyncio.sleep(30)
        assert staged.stage() == (5, "move the pods away from n3")
        back = staged.push(facts())
        await asyncio.sleep(120)
        assert (staged.stage(), staged.status.applied) == (None, back)
        assert {(await staged.spec("Node", name))["bgp"].get("asNumber") for name in NAMES} == {None}

        commit = staged.push(facts(asNumber=64500))
        for number in (5, 7):
            await asyncio.sleep(60)
            assert (staged.stage() or (0, ""))[0] == number
            await staged.says(number)
        await asyncio.sleep(60)

        assert (staged.stage(), staged.status.applied) == (None, commit)
        assert (await staged.spec("BGPConfiguration", "default"))["asNumber"] == 64500
        assert {(await staged.spec("Node", name))["bgp"].get("asNumber") for name in NAMES} == {None}

    run(scenario)


def test_pods_are_made_anew_for_a_smaller_mtu() -> None:
    """What agents are told is written; then every pod that is older is named until it is gone, or people say so."""

    async def scenario() -> None:
        staged = Staged()
        await staged.begin(facts())
        await staged.create(pod("web", "n1"))
        commit = staged.push(facts(networkMTU=1400))
        await asyncio.sleep(60)
        assert staged.stage() == (2, "make every pod anew")
        assert staged.status.gates[0].why == ("shop/web on n1 was made before",)
        await staged.says(2)
        await asyncio.sleep(30)
        assert (staged.stage(), staged.status.applied) == (None, commit)

    run(scenario)


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"podRange": "10.60.0.0/16"}, "which can't be changed to 10.60.0.0/16"),
        ({"network": {"bgp": False}}, "VXLAN can't replace it while it runs"),
    ],
)
def test_what_no_stages_make_safe_is_refused(told: dict[str, object], what: str) -> None:
    """The commit is held with the reason and the safe way, nothing of it is applied, and no approval lets it pass."""

    async def scenario() -> None:
        staged = Staged()
        good = await staged.begin(facts())
        before = await staged.world.objects()
        files = facts(**told) | {"a.yaml": policy("a")}
        bad = staged.push(files)
        await asyncio.sleep(10)
        reading = staged.world.source.reading(bad)
        proposed = await preview(staged.world.store, reading)
        await approve(staged.world.store, "default", f"sha256:{deeds(proposed)}", by="me", at="")
        await asyncio.sleep(60)

        status = staged.status
        assert (status.accepted, status.held, status.reason, status.stage) == (good, bad, Hold.NOT_LIVE, None)
        assert what in status.problems[0].what
        assert status.problems[0].fix
        assert await staged.world.objects() == before

    run(scenario)


def test_whoever_approves_a_plan_approves_its_stages() -> None:
    """One word for all of them: the digest holds what each stage writes."""

    async def scenario() -> None:
        staged = Staged(approval=True)
        await staged.nodes.register()
        staged.world.source.push(facts())
        for files in (facts(), facts("n1", "n2")):
            commit = staged.world.source.push(files)
            if not staged._tasks:
                staged._tasks.append(asyncio.ensure_future(staged.nodes.follow()))
                staged.start()
            staged.controller.wake()
            await asyncio.sleep(5)
            assert staged.status.reason is Hold.NOT_APPROVED
            digest = staged.status.problems[0].what.split()[2]
            await approve(staged.world.store, "default", digest, by="me", at="")
            await asyncio.sleep(120)
            assert (staged.status.applied, staged.stage()) == (commit, None)

    run(scenario)


def test_a_person_who_rolls_back_goes_back_in_stages() -> None:
    """What is asked for by people while nothing hurts takes nobody's routes either."""

    async def scenario() -> None:
        staged = Staged()
        good = await staged.begin(facts())
        staged.push(facts("n1", "n2"))
        await asyncio.sleep(120)
        await rollback(staged.world.store, "default", reason="for a while", by="me", at=str(NOW))
        await asyncio.sleep(5)
        assert staged.stage() is not None
        assert staged.status.problems[0].what.startswith(f"the commit was taken back ({Because.ASKED}")
        await asyncio.sleep(200)
        assert (staged.status.applied, staged.stage()) == (good, None)
        assert all(len(up[name]) >= 2 for up in staged.nodes.history[1:] for name in NAMES)

    run(scenario)


def test_plain_resources_and_new_clusters_have_no_stages() -> None:
    """The same change by resources goes by levels and gates, and where no node runs everything is written at once."""

    async def scenario() -> None:
        staged = Staged()
        commit = staged.push(facts("n1", "n2"))
        staged.start()
        await asyncio.sleep(30)
        assert staged.status.accepted == commit
        assert not staged.told()
        assert EventKind.STAGE not in {each.kind for each in staged.world.events}

    run(scenario)


def _block(handle: int | None) -> tuple[Key, dict[str, Any]]:
    allocations = [handle, *[None] * 63]
    spec = {
        "cidr": "10.48.0.0/26",
        "affinity": "host:n1",
        "allocations": allocations,
        "unallocated": [at for at, each in enumerate(allocations) if each is None],
        "attributes": [] if handle is None else [{"handle_id": "h", "secondary": {}}],
        "strictAffinity": False,
    }
    metadata = {"name": "10-48-0-0-26"}
    value = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMBlock", "metadata": metadata, "spec": spec}
    return Key("IPAMBlock", "10-48-0-0-26"), value


def test_a_change_too_large_to_be_remembered_is_held_and_all_else_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the commit is applied, the status says why, and drift of the one in force is put back."""
    monkeypatch.setattr("reconciler.course_record._LARGEST", 10)

    async def scenario() -> None:
        staged = Staged()
        first = await staged.begin(facts())
        staged.push(facts("n1", "n2"))
        await asyncio.sleep(5)
        await staged.world.edit(Key("IPPool", _OLD), natOutgoing=False)
        await asyncio.sleep(5)
        assert (staged.status.accepted, staged.status.reason) == (first, Hold.NOT_LIVE)
        assert "must be remembered" in staged.status.problems[0].what
        assert (await staged.spec("IPPool", _OLD))["natOutgoing"] is True
        assert (await staged.spec("BGPConfiguration", "default")).get("nodeToNodeMeshEnabled") is not False

    run(scenario)


def test_who_may_not_look_at_pods_does_not_find_that_there_are_none() -> None:
    """The stage is not over, and the status says which right is missing."""

    async def scenario() -> None:
        staged = Staged()
        client = staged.world.store.client()
        listed = client.list

        async def refusing(kind: str, **more: Any) -> Listing:
            if kind == "WorkloadEndpoint":
                raise Forbidden("the account may not list pods", kind)
            return await listed(kind, **more)

        client.list = refusing  # type: ignore[method-assign]
        staged.world.store.client = lambda *_: client  # type: ignore[method-assign]
        await staged.begin(facts())
        staged.push(facts("n1", "n2"))
        await asyncio.sleep(60)
        assert staged.stage() == (1, "set the reflectors aside")
        (gate,) = staged.status.gates
        assert (gate.standing, "may not list pods" in gate.why[0]) == (Standing.NOT_AVAILABLE, True)
        assert not [key for key in await staged.world.objects() if key.kind == "BGPPeer"]

    run(scenario)


def test_pods_that_come_and_go_for_days_do_not_fill_the_history() -> None:
    """Who is in the way is told a few times; the status always says who it is now."""

    async def scenario() -> None:
        staged = Staged()
        await staged.begin(facts())
        await staged.create(pod("web", "n1"))
        staged.push(facts("n1", "n2"))
        for number in range(40):
            await staged.create(pod(f"job-{number}", "n1"))
            await asyncio.sleep(1)
        told = staged.told(EventKind.GATE)
        assert 1 <= len(told) <= 10
        assert told[-1].endswith("; how it goes on, the status says")
        assert "38 more" in staged.status.gates[0].why

    run(scenario)


def test_stages_that_are_not_possible_any_more_are_not_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version that refuses what one before it has begun writes nothing, and the status says so."""

    async def scenario() -> None:
        staged = Staged()
        await staged.begin(facts())
        await staged.create(pod("web", "n1"))
        staged.push(facts("n1", "n2"))
        await asyncio.sleep(10)
        await staged.kill()
        refused = (Problem("there are no such stages any more", "cluster.yaml", "push another commit"),)
        with monkeypatch.context() as patched:
            patched.setattr("reconciler.course_record.course", lambda *_: refused)
            staged.start()
            await asyncio.sleep(10)
            assert not [key for key in await staged.world.objects() if key.kind == "BGPPeer"]
            assert (await staged.spec("BGPConfiguration", "default")).get("nodeToNodeMeshEnabled") is not False
            assert staged.status.problems == refused
            await staged.kill()

    run(scenario)
