"""Gates: what is waited for before sessions or flows are taken away, and what becomes of a commit that hurts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from muslin import resources
from muslin.datastore.protocol import Forbidden
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from reconciler.controller import Controller
from reconciler.findings import agents_finding, excuses, routes_finding, sessions_finding
from reconciler.gates import (
    Finding,
    Gate,
    Gatekeeper,
    GateKind,
    GateSettings,
    Standing,
)
from reconciler.guard import RevertRequest
from reconciler.node_reports import MADE_FOR, NodeReport
from reconciler.plan import Hold
from reconciler.status import EventKind
from tests.reconciler.cases import World, policy, policy_key
from tests.reconciler.networks import Nodes, bgp, node, peer
from tests.support.virtual_time import run_virtual

_MESH = {"bgp.yaml": bgp(mesh=True)}
_REFLECTED = {
    "bgp.yaml": bgp(mesh=False), "peer.yaml": peer(), "r1.yaml": node("n1", reflects=True),
    "r2.yaml": node("n2", reflects=True),
}  # fmt: skip
_NAMES = ("n1", "n2", "n3", "n4")
_GNP = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: default-deny}
spec: {order: 2000, types: [Ingress, Egress]}
"""


class _Running:
    """A reconciler that runs over nodes that report, on virtual time."""

    def __init__(self, **gates: float) -> None:
        self.world = World()
        self.world.settings = replace(self.world.settings, gates=GateSettings(**gates))
        self.nodes = Nodes(self.world.store, *_NAMES)
        self.asked: list[RevertRequest | None] = []
        self.controller: Controller = self.world.controller()
        self._tasks: list[asyncio.Future[None]] = []

    async def begin(self, files: dict[str, str]) -> str:
        await self.nodes.register()
        self._tasks.append(asyncio.ensure_future(self.nodes.follow()))
        commit = self.world.source.push(files)
        self.start()
        await asyncio.sleep(20)
        assert self.status.applied == commit
        return commit

    def start(self) -> None:
        self.controller = self.world.controller(ask_revert=self.asked.append)
        self._tasks.append(asyncio.ensure_future(self.controller.run()))

    async def kill(self) -> None:
        task = self._tasks.pop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def push(self, files: dict[str, str]) -> str:
        commit = self.world.source.push(files)
        self.controller.wake()
        return commit

    @property
    def status(self) -> Any:
        assert self.controller.last is not None
        return self.controller.last

    async def mesh_is_on(self) -> bool:
        spec = (await self.world.store.get(Key("BGPConfiguration", "default"))).value["spec"]
        return bool(spec["nodeToNodeMeshEnabled"])

    @property
    def events(self) -> list[EventKind]:
        return [event.kind for event in self.world.events]


def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    run_virtual(main())


def test_the_mesh_goes_when_every_session_that_remains_is_up() -> None:
    """One commit from mesh to reflectors: peers, reflectors, a wait, then the mesh; nobody ever loses all sessions."""

    async def scenario() -> None:
        running = _Running()
        await running.begin(_MESH)
        commit = running.push(_REFLECTED)
        await asyncio.sleep(3)
        assert await running.mesh_is_on()
        assert [str(each.gate) for each in running.status.gates] == [
            "Sessions before nodes reflect", "Sessions before the mesh goes off",
        ]  # fmt: skip
        assert set(running.status.gated) == {Key("Node", "n1"), Key("Node", "n2")}
        assert dict(running.status.waiting).keys() == {Key("BGPConfiguration", "default")}
        assert running.status.applied != commit
        await asyncio.sleep(60)

        assert not await running.mesh_is_on()
        assert running.status.applied == commit
        reflectors = {running.nodes.addresses["n1"], running.nodes.addresses["n2"]}
        for up in running.nodes.history[1:]:
            assert all(reflectors <= {*up[name], running.nodes.addresses[name]} for name in _NAMES)

    _run(scenario)


def test_a_gate_that_does_not_open_takes_the_commit_back_and_says_so() -> None:
    """No session to a reflector comes up: after the grace the last good set is applied again and the commit is held."""

    async def scenario() -> None:
        running = _Running(grace_s=30.0)
        good = await running.begin(_MESH)
        before = await running.world.objects()
        running.nodes.broken.add(frozenset((running.nodes.addresses["n3"], running.nodes.addresses["n1"])))
        bad = running.push(_REFLECTED)
        await asyncio.sleep(100)

        assert await running.mesh_is_on()
        assert Key("BGPPeer", "reflectors") not in await running.world.objects()
        assert await running.world.objects() == before
        status = running.status
        assert (status.accepted, status.applied, status.held, status.reason) == (good, good, bad, Hold.ROLLED_BACK)
        assert "n1 has no session with 192.0.2.3" in status.problems[0].what
        assert {(each.commit, each.back_to) for each in running.asked if each is not None} == {(bad, good)}
        assert running.asked[-1] is not None
        newer = running.push(_MESH | {"a.yaml": policy("a")})
        await asyncio.sleep(20)
        assert (running.status.applied, running.status.held) == (newer, None)
        assert running.asked[-1] is None

    _run(scenario)


@pytest.mark.parametrize("after_s", [1.0, 4.0, 8.0, 31.0, 36.0])
def test_a_reconciler_killed_at_a_gate_goes_on_where_it_was(after_s: float) -> None:
    """Killed while it waits, or while it takes back: the next process ends where one that lived would have."""

    async def scenario() -> None:
        running = _Running(grace_s=30.0)
        good = await running.begin(_MESH)
        running.nodes.broken.add(frozenset((running.nodes.addresses["n3"], running.nodes.addresses["n1"])))
        bad = running.push(_REFLECTED)
        await asyncio.sleep(after_s)
        await running.kill()
        running.start()
        await asyncio.sleep(100)

        assert await running.mesh_is_on()
        assert (running.status.applied, running.status.held) == (good, bad)

    _run(scenario)


def test_a_new_commit_ends_the_wait() -> None:
    """While a gate is closed another commit is applied at once, and what waited is not done any more."""

    async def scenario() -> None:
        running = _Running()
        await running.begin(_MESH)
        running.nodes.broken.add(frozenset((running.nodes.addresses["n3"], running.nodes.addresses["n1"])))
        running.push(_REFLECTED)
        await asyncio.sleep(10)
        newer = running.push(_MESH | {"a.yaml": policy("a")})
        await asyncio.sleep(12)

        assert running.status.applied == newer
        assert await running.mesh_is_on()
        assert not running.status.gates

    _run(scenario)


def test_nodes_that_do_not_report_are_asked_and_never_believed() -> None:
    """Without a word of a node the mesh stays: the gate is not available, nothing is taken back, and it is said."""

    async def scenario() -> None:
        running = _Running(unheard_s=10.0, grace_s=60.0)
        running.nodes.deaf.add("n4")
        await running.begin(_MESH)
        commit = running.push(_REFLECTED)
        await asyncio.sleep(15)
        asked = await running.world.store.get(Key("CalicoNodeStatus", "n4"))
        assert asked.value["metadata"]["annotations"] == {MADE_FOR: "default"}
        await asyncio.sleep(100)
        assert await running.mesh_is_on()
        assert [(each.standing, each.why[0]) for each in running.status.gates if "mesh" in each.gate.before] == [
            (Standing.NOT_AVAILABLE, "n4 does not report its sessions")
        ]
        assert running.status.accepted == commit

        running.nodes.deaf.clear()
        await running.nodes.settle("1")
        await asyncio.sleep(30)
        assert not await running.mesh_is_on()
        assert running.status.applied == commit

    _run(scenario)


def test_what_was_made_for_a_gate_is_removed() -> None:
    """Objects that asked nodes to report go when nothing waits any more, also those of a process that was killed."""

    async def scenario() -> None:
        running = _Running()
        running.nodes.deaf |= set(_NAMES)
        await running.begin(_MESH)
        commit = running.push(_REFLECTED)
        await asyncio.sleep(5)
        made = (await running.world.store.list("CalicoNodeStatus")).entries
        assert {entry.key.name for entry in made} == set(_NAMES)
        await running.kill()
        running.nodes.deaf.clear()
        running.nodes.upstream = True
        running.start()
        await running.nodes.settle("1")
        await asyncio.sleep(60)

        assert running.status.applied == commit
        assert not await running.mesh_is_on()
        assert not (await running.world.store.list("CalicoNodeStatus")).entries

    _run(scenario)


def test_a_commit_that_costs_a_session_later_is_taken_back() -> None:
    """All written and then a session that was there is gone: the commit is not believed, and goes."""

    async def scenario() -> None:
        running = _Running(grace_s=30.0)
        good = await running.begin(_MESH)
        running.nodes.broken.add(frozenset((running.nodes.addresses["n3"], running.nodes.addresses["n4"])))
        bad = running.push({"bgp.yaml": bgp(mesh=True).replace("64512", "64513")})
        await asyncio.sleep(10)
        assert (running.status.accepted, running.status.applied) == (bad, good)
        await asyncio.sleep(100)

        assert (running.status.applied, running.status.held) == (good, bad)
        assert EventKind.ROLLED_BACK in running.events

    _run(scenario)


def test_what_was_wrong_before_is_not_held_against_a_commit() -> None:
    """A session that was down already does not take a commit back that changes BGP."""

    async def scenario() -> None:
        running = _Running(grace_s=30.0)
        running.nodes.broken.add(frozenset((running.nodes.addresses["n3"], running.nodes.addresses["n4"])))
        await running.begin(_MESH)
        commit = running.push({"bgp.yaml": bgp(mesh=True).replace("64512", "64513")})
        await asyncio.sleep(100)

        assert (running.status.applied, running.status.held) == (commit, None)
        assert EventKind.BELIEVED in running.events

    _run(scenario)


def test_what_allows_is_in_force_everywhere_before_what_denies_is_written() -> None:
    """Agents take two seconds: the deny is written after the last has said so; an agent that is away is left behind."""

    async def scenario() -> None:
        running = _Running(agents_s=30.0)
        await running.begin(_MESH)
        running.push(_MESH | {"a.yaml": policy("a"), "d.yaml": _GNP})
        await asyncio.sleep(1)
        names = {key.name for key in await running.world.objects()}
        assert "a" in names
        assert "default-deny" not in names
        await asyncio.sleep(10)
        assert "default-deny" in {key.name for key in await running.world.objects()}
        written = {key: int((await running.world.store.get(key)).revision) for key in await running.world.objects()}
        said = [
            int(entry.value["metadata"]["annotations"]["muslin/applied-revision"])
            for entry in (await running.world.store.list("CalicoNodeStatus")).entries
        ]
        assert min(said) >= written[Key("NetworkPolicy", "a", "shop")]

        running.nodes.deaf.add("n4")
        running.push(_MESH | {"a.yaml": policy("a", order=3), "d.yaml": _GNP.replace("2000", "2001")})
        await asyncio.sleep(25)
        entry = await running.world.store.get(Key("GlobalNetworkPolicy", "default-deny"))
        assert entry.value["spec"]["order"] == 2000
        await asyncio.sleep(10)
        entry = await running.world.store.get(Key("GlobalNetworkPolicy", "default-deny"))
        assert entry.value["spec"]["order"] == 2001

    _run(scenario)


def test_waiting_writes_nothing() -> None:
    """Before a gate that stays closed a minute of looks writes nothing but what nodes report."""

    async def scenario() -> None:
        running = _Running()
        await running.begin(_MESH)
        running.nodes.broken.add(frozenset((running.nodes.addresses["n3"], running.nodes.addresses["n1"])))
        running.push(_REFLECTED)
        await asyncio.sleep(10)
        head, looks = running.world.store.history.head, running.controller.looks
        for _ in range(20):
            running.controller.wake()
            await asyncio.sleep(3)

        assert running.world.store.history.head == head
        assert running.controller.looks >= looks + 20

    _run(scenario)


def test_the_table_of_standings() -> None:
    """Each standing of a gate, by what is found and how long it was waited for."""
    settings = GateSettings(stable_s=5, grace_s=60, agents_s=2, unheard_s=30)
    guard, smooth = Gate(GateKind.SESSIONS, "x", guards=True), Gate(GateKind.AGENTS, "x", guards=False)
    lacking, unheard, met = Finding(("a",)), Finding((), ("b",)), Finding()

    forgetful = Gatekeeper(settings)
    forgetful.of("commit")
    assert forgetful.judge(guard, lacking, 0).standing is Standing.WAITING
    forgetful.forget(guard)
    assert forgetful.judge(guard, lacking, 61).standing is Standing.WAITING

    def walk(gate: Gate, *found: tuple[float, Finding]) -> list[Standing]:
        keeper = Gatekeeper(settings)
        keeper.of("commit")
        return [keeper.judge(gate, finding, at).standing for at, finding in found]

    assert walk(guard, (0, lacking), (59, lacking), (60, lacking)) == [
        Standing.WAITING, Standing.WAITING, Standing.FAILED
    ]  # fmt: skip
    assert walk(guard, (0, lacking), (3, met), (7, met), (8, met)) == [
        Standing.WAITING, Standing.SETTLING, Standing.SETTLING, Standing.OPEN
    ]  # fmt: skip
    assert walk(guard, (0, met), (3, lacking), (4, met), (6, met)) == [
        Standing.SETTLING, Standing.WAITING, Standing.SETTLING, Standing.SETTLING
    ]  # fmt: skip
    assert walk(guard, (0, unheard), (30, unheard), (99, unheard)) == [
        Standing.WAITING, Standing.NOT_AVAILABLE, Standing.NOT_AVAILABLE
    ]  # fmt: skip
    assert walk(smooth, (0, lacking), (2, lacking)) == [Standing.WAITING, Standing.LEFT_BEHIND]
    assert walk(smooth, (0, met)) == [Standing.OPEN]
    assert walk(guard, (0, replace(met, at_rest=True))) == [Standing.OPEN]


def test_findings_about_agents_and_routes() -> None:
    """Who is behind, who does not say, and who has no route to whose block."""
    reports = {
        "a": NodeReport("a", "10", learnt={"198.51.100.0/26": "192.0.2.2"}, heard=True),
        "b": NodeReport("b", "12", heard=True),
        "c": NodeReport("c"),
    }
    found = agents_finding("abc", reports, 11)
    assert found.lacks == ("a has applied revision 10, not yet 11",)
    assert found.unheard == ("c does not say what it has applied",)
    assert agents_finding("c", reports, 11).deaf

    blocks = {"a": ["198.51.100.64/26"], "b": ["198.51.100.0/26"]}
    assert routes_finding(blocks, reports).lacks == ("b has no route to 198.51.100.64/26",)
    assert routes_finding(blocks, reports, excused=("b routes",)).met


def _forbid(world: World, operation: str) -> None:
    """A process that is started from now on may not do this to reports of nodes."""
    client = world.store.client()
    allowed = getattr(client, operation)

    async def refusing(what: Any, *given: Any, **more: Any) -> Any:
        if "CalicoNodeStatus" in str(what):
            raise Forbidden(f"the account may not {operation} reports", "CalicoNodeStatus")
        return await allowed(what, *given, **more)

    setattr(client, operation, refusing)
    world.store.client = lambda *_: client  # type: ignore[method-assign]


@pytest.mark.parametrize("operation", ["list", "create"])
def test_without_a_right_to_reports_all_else_goes_on(operation: str) -> None:
    """The gate is not available and says why; what stands before no gate is written."""

    async def scenario() -> None:
        running = _Running(unheard_s=10.0, grace_s=60.0)
        running.nodes.deaf.add("n4")
        _forbid(running.world, operation)
        await running.begin(_MESH)
        running.push(_REFLECTED | {"p.yaml": policy("p")})
        await asyncio.sleep(60)
        assert await running.mesh_is_on()
        assert policy_key("p") in await running.world.objects()
        reasons = [each.why[0] for each in running.status.gates if each.standing is Standing.NOT_AVAILABLE]
        assert [f"may not {operation} reports" in each for each in reasons] == [True]

    _run(scenario)


def test_what_was_wrong_before_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where very many sessions are down it is remembered by nodes; none of them is held against the commit."""
    monkeypatch.setattr("reconciler.findings._MOST_EXCUSES", 7)
    nodes = [
        {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": name},
         "spec": {"bgp": {"ipv4Address": f"192.0.2.{number}/24"}}}
        for number, name in enumerate(_NAMES, 1)
    ]  # fmt: skip
    snapshot = Snapshot.of([resources.load(each) for each in nodes])
    reports = {name: NodeReport(name, heard=True) for name in _NAMES}
    found = excuses(snapshot, reports, {"n1": ["10.48.0.0/26"]})

    assert {each for each in found if "*" in each} == {"n1 *", "n2 *", "n3 *"}
    assert {each for each in found if "n4" in each} == {f"n4 192.0.2.{each}" for each in (1, 2, 3)} | {"n4 routes"}
    assert sessions_finding(snapshot, reports).lacks
    assert sessions_finding(snapshot, reports, excused=found).met
