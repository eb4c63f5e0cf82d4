"""Probes as gates: what people want to hold is asked before, between and after changes; what breaks it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from muslin.net import Address
from muslin.resources.keys import Key
from muslin.resources.stored import load_stored
from muslin.semantics.snapshot import Snapshot
from reconciler.control import read
from reconciler.controller import Controller
from reconciler.gates import GateSettings, Standing
from reconciler.plan import Hold
from reconciler.status import EventKind
from runtime.probe_request import Answer, Ask, Word
from runtime.probing import Probing
from tests.reconciler.cases import World, policy
from tests.reconciler.networks import Nodes, bgp
from tests.support.virtual_time import run_virtual

_PROBE = """apiVersion: reconciler.muslin/v1alpha1
kind: Probe
metadata: {name: web-to-db}
spec:
  from: {namespace: shop, selector: app == 'web'}
  to: {namespace: shop, pod: db}
  port: 5432
"""
_GOOD = {"bgp.yaml": bgp(mesh=True), "probe.yaml": _PROBE, "a.yaml": policy("a")}
_DENY = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny}
spec: {order: 2000, types: [Ingress, Egress]}
"""
_BAD = _GOOD | {"deny.yaml": _DENY}
_KIND = "ReconcilerProbe"
_WHY = "probe web-to-db: shop/web-1 to 10.48.0.9 over TCP 5432: no answer; it must answer"


def _pod(name: str, app: str, node: str, address: str) -> dict[str, Any]:
    spec = {
        "orchestrator": "k8s", "node": node, "pod": name, "endpoint": "eth0", "ipNetworks": [f"{address}/32"],
        "interfaceName": f"cali{name}", "profiles": ["kns.shop"], "containerID": "c",
    }  # fmt: skip
    metadata = {"name": f"{node}-k8s-{name.replace('-', '--')}-eth0", "namespace": "shop", "labels": {"app": app}}
    return {"apiVersion": "projectcalico.org/v3", "kind": "WorkloadEndpoint", "metadata": metadata, "spec": spec}


class _Running:
    """A reconciler over two nodes whose agents answer; a policy named deny is what stops packets."""

    def __init__(self, *, probes: int = 8, **gates: float) -> None:
        self.world = World()
        self.world.settings = replace(self.world.settings, gates=GateSettings(**gates), probes=probes)
        self.nodes = Nodes(self.world.store, "n1", "n2", delay_s=0.3)
        self.controller: Controller = self.world.controller()
        self.broken = False
        self.gone: set[str] = set()
        self.asked = 0
        self._reconciler: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Future[None]] = []
        self.agents: dict[str, asyncio.Future[None]] = {}

    async def begin(self, files: dict[str, str], *, agents: bool = True) -> str:
        await self.nodes.register()
        self._tasks.append(asyncio.ensure_future(self.nodes.follow()))
        for pod in (_pod("web-1", "web", "n1", "10.48.0.1"), _pod("db", "db", "n2", "10.48.0.9")):
            await self.put(pod)
        for name in self.nodes.names if agents else ():
            self.start_agent(name)
        commit = self.world.source.push(files)
        self.start()
        await asyncio.sleep(20)
        assert self.status.applied == commit
        return commit

    async def put(self, value: dict[str, Any]) -> None:
        metadata = value["metadata"]
        await self.world.store.create(Key(value["kind"], metadata["name"], metadata["namespace"]), value)

    def start_agent(self, name: str) -> None:
        """The part of an agent that answers, over this store."""
        store = self.world.store.client()

        def snapshot() -> Snapshot:
            found = self.world.store.history.list("WorkloadEndpoint").entries
            return Snapshot.of(load_stored(entry.value, str(entry.key))[0] for entry in found)

        probing = Probing(
            name, store, self, snapshot=snapshot, applied=lambda: "999999", on_failure=lambda _, __: None
        )  # fmt: skip
        self.agents[name] = asyncio.ensure_future(probing.run())

    async def ask(self, interface: str, source: Address, ask: Ask) -> Answer:
        """What happens to a packet."""
        self.asked += 1
        names = {key.name for key in self.world.store_keys()}
        stopped = (
            "deny" in names
            or self.broken
            or str(ask.target) in self.gone
            or (interface, str(source)) != ("caliweb-1", "10.48.0.1")
        )
        await asyncio.sleep(ask.timeout_s if stopped else 0.005)
        return Answer(Word.SILENT if stopped else Word.ANSWERED)

    def start(self) -> None:
        self.controller = self.world.controller()
        self._reconciler = asyncio.ensure_future(self.controller.run())

    async def kill(self, what: asyncio.Future[None] | None = None) -> None:
        task = what or self._reconciler
        assert task is not None
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

    def said(self, kind: EventKind) -> list[str]:
        return [event.message for event in self.world.events if event.kind is kind]

    async def requests(self) -> list[str]:
        return [entry.key.name for entry in (await self.world.store.list(_KIND)).entries]


def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    run_virtual(main())


def test_a_commit_that_holds_what_is_wanted_is_believed_after_the_window() -> None:
    """Asked before, and again for as long as the window; then what was asked is taken away."""

    async def scenario() -> None:
        running = _Running()
        good = await running.begin(_GOOD)
        assert running.asked == 0, "a first commit has nothing to be compared with"
        better = running.push(_GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(4)
        assert (running.status.accepted, running.status.applied) == (better, good)
        assert [(str(each.gate), each.standing) for each in running.status.gates] == [
            ("Probes before the commit is believed", Standing.SETTLING)
        ]
        assert await running.requests() == ["default.n1"]
        await asyncio.sleep(6)
        assert running.status.applied == better
        assert running.status.gates == ()
        assert await running.requests() == []
        assert running.said(EventKind.BELIEVED) == ["Open"]
        count, head = running.asked, running.world.store.history.head
        await asyncio.sleep(60)
        assert (running.asked, running.world.store.history.head) == (count, head)

    _run(scenario)


def test_a_commit_that_breaks_what_held_is_taken_back_and_says_which_and_why() -> None:
    """A policy stops what a probe needs: the last good set comes back; status, control and events name the probe."""

    async def scenario() -> None:
        running = _Running(probes_s=10.0)
        good = await running.begin(_GOOD)
        before = await running.world.objects()
        bad = running.push(_BAD)
        await asyncio.sleep(5)
        assert [(each.standing, each.why) for each in running.status.gates] == [(Standing.WAITING, (_WHY,))]
        await asyncio.sleep(30)

        assert await running.world.objects() == before
        status = running.status
        assert (status.accepted, status.applied, status.held, status.reason) == (good, good, bad, Hold.ROLLED_BACK)
        assert _WHY in status.problems[0].what
        control, _ = await read(running.world.store, "default")
        assert control.held is not None
        assert (control.held.because, _WHY in control.held.reason) == ("HealthFailed", True)
        assert any(_WHY in each for each in running.said(EventKind.ROLLED_BACK))
        assert await running.requests() == []

    _run(scenario)


@pytest.mark.parametrize("after_s", [0.2, 1.0, 5.0, 11.0, 11.5, 12.0])
def test_killed_at_any_time_it_ends_the_same(after_s: float) -> None:
    """Before the answers, at the gate, on the way back: the next process goes on, and takes away what was asked."""

    async def scenario() -> None:
        running = _Running(probes_s=10.0)
        good = await running.begin(_GOOD)
        bad = running.push(_BAD)
        await asyncio.sleep(after_s)
        await running.kill()
        running.start()
        await asyncio.sleep(60)
        assert (running.status.applied, running.status.held) == (good, bad)
        assert await running.requests() == []

    _run(scenario)


def test_what_failed_before_is_not_held_against_a_commit() -> None:
    """A probe that did not hold before the first change is said, and no commit is taken back for it."""

    async def scenario() -> None:
        running = _Running(probes_s=10.0)
        await running.begin(_GOOD)
        running.broken = True
        commit = running.push(_BAD)
        await asyncio.sleep(2)
        assert [str(each.gate) for each in running.status.gates] == ["Probes before the first change"]
        assert Key("GlobalNetworkPolicy", "deny") not in running.world.store_keys()
        await asyncio.sleep(30)

        assert (running.status.applied, running.status.held) == (commit, None)
        said = f"probe web-to-db failed already: {_WHY.removeprefix('probe web-to-db: ')}"
        assert f"{said}; this commit is not blamed for it" in running.said(EventKind.GATE)
        assert running.said(EventKind.BELIEVED) == [f"Probes before the commit is believed: NotAvailable: {said}"]

    _run(scenario)


def test_a_short_failure_before_is_no_excuse() -> None:
    """What fails only once before the change is asked again, and then judged."""

    async def scenario() -> None:
        running = _Running(probes_s=10.0)
        good = await running.begin(_GOOD)
        running.broken = True
        bad = running.push(_BAD)
        await asyncio.sleep(1.5)
        running.broken = False
        await asyncio.sleep(60)
        assert (running.status.applied, running.status.held) == (good, bad)

    _run(scenario)


def test_between_levels_the_rest_is_not_written_where_a_probe_fails() -> None:
    """The first level breaks it: the second is never written, and all goes back."""

    async def scenario() -> None:
        running = _Running(probes_s=10.0)
        good = await running.begin(_GOOD)
        wider = policy("deny").replace("Allow", "Deny")
        bad = running.push(_GOOD | {"tier.yaml": _TIER, "deny.yaml": wider, "shut.yaml": _SHUT})
        seen: set[str] = set()
        for _ in range(400):
            seen |= {key.name for key in running.world.store_keys()}
            await asyncio.sleep(0.1)
        assert {"first", "deny"} <= seen
        assert "shut" not in seen
        assert (running.status.applied, running.status.held) == (good, bad)
        held = (await read(running.world.store, "default"))[0].held
        assert held is not None
        assert held.because == "GateFailed"
        assert held.reason.startswith("Probes before write policies that allow nothing (1): probe web-to-db")

    _run(scenario)


_TIER = """apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: first}
spec: {order: 10}
"""
_SHUT = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: shut}
spec: {order: 3000, selector: app == 'old', types: [Ingress, Egress]}
"""


def test_with_upstreams_agents_the_gate_is_not_available_and_never_assumed() -> None:
    """Nobody can be asked: the commit goes its way at once, and it is said that nothing was asked."""

    async def scenario() -> None:
        running = _Running()
        running.nodes.upstream = True
        await running.begin(_GOOD, agents=False)
        commit = running.push(_BAD)
        await asyncio.sleep(3)
        assert running.status.applied == commit
        (said,) = running.said(EventKind.BELIEVED)
        assert said == (
            "Probes before the commit is believed: NotAvailable: "
            "probe web-to-db not available: n1 has no agent that can be asked"
        )

    _run(scenario)


def test_an_agent_that_does_not_answer_is_waited_for_and_said() -> None:
    """One of ours that cannot do it yet: after a while the commit goes on, and the probe is not available."""

    async def scenario() -> None:
        running = _Running(unheard_s=10.0)
        good = await running.begin(_GOOD, agents=False)
        commit = running.push(_BAD)
        await asyncio.sleep(8)
        assert running.status.applied == good
        assert Key("GlobalNetworkPolicy", "deny") not in running.world.store_keys()
        await asyncio.sleep(10)
        assert running.status.applied == commit
        assert "n1 has not answered" in running.said(EventKind.BELIEVED)[0]

    _run(scenario)


def test_an_agent_that_falls_silent_counts_against_the_commit() -> None:
    """It has answered before the change and does not after it: nobody knows that all is well, and the commit goes."""

    async def scenario() -> None:
        running = _Running(probes_s=10.0)
        good = await running.begin(_GOOD)
        bad = running.push(_GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(3)
        await running.kill(running.agents["n1"])
        await asyncio.sleep(40)
        assert (running.status.applied, running.status.held) == (good, bad)
        assert "n1 has not answered" in running.status.problems[0].what

    _run(scenario)


def test_an_agent_that_comes_back_in_time_is_waited_for() -> None:
    """Killed and started again within the patience: the commit is believed."""

    async def scenario() -> None:
        running = _Running(probes_s=15.0)
        await running.begin(_GOOD)
        commit = running.push(_GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(1)
        await running.kill(running.agents["n1"])
        await asyncio.sleep(8)
        running.start_agent("n1")
        await asyncio.sleep(20)
        assert (running.status.applied, running.status.held) == (commit, None)

    _run(scenario)


def test_a_pod_that_moves_is_asked_where_it_is_now() -> None:
    """The asking pod is deleted and comes up on another node while the commit is on trial: the other node is asked."""

    async def scenario() -> None:
        running = _Running(probes_s=20.0)
        await running.begin(_GOOD)
        commit = running.push(_GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(2)
        await running.world.store.delete(Key("WorkloadEndpoint", "n1-k8s-web--1-eth0", "shop"))
        await running.put(_pod("web-1", "web", "n2", "10.48.0.1"))
        await asyncio.sleep(20)
        assert (running.status.applied, running.status.held) == (commit, None)
        assert running.said(EventKind.BELIEVED) == ["Open"]

    _run(scenario)


def test_a_pod_that_is_asked_and_moves_is_found_again() -> None:
    """The asked pod is deleted while the commit is on trial, and comes up under another address: that one is asked."""

    async def scenario() -> None:
        running = _Running(probes_s=20.0)
        await running.begin(_GOOD)
        commit = running.push(_GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(2)
        await running.world.store.delete(Key("WorkloadEndpoint", "n2-k8s-db-eth0", "shop"))
        running.gone.add("10.48.0.9")
        await asyncio.sleep(6)
        await running.put(_pod("db", "db", "n1", "10.48.0.10"))
        await asyncio.sleep(20)
        assert (running.status.applied, running.status.held) == (commit, None)
        assert running.said(EventKind.BELIEVED) == ["Open"]

    _run(scenario)


@pytest.mark.parametrize("allowed", [0, 1])
def test_the_repositorys_word_alone_is_not_enough(allowed: int) -> None:
    """Without the operator's leave, or with more probes than that, nothing is asked, and it is said."""

    async def scenario() -> None:
        running = _Running(probes=allowed)
        more = {"second.yaml": _PROBE.replace("web-to-db", "second")}
        await running.begin(_GOOD | more)
        commit = running.push(_BAD | more)
        await asyncio.sleep(3)
        assert running.status.applied == commit
        assert running.asked == 0
        assert await running.requests() == []
        said = f"2 probes are declared, and --probes lets this reconciler ask {allowed or 'none'}"
        assert any(said in each for each in running.said(EventKind.GATE))
        await asyncio.sleep(60)
        assert [(each.standing, each.why) for each in running.status.gates] == [(Standing.NOT_AVAILABLE, (said,))]

    _run(scenario)


def test_another_commit_ends_the_wait() -> None:
    """While a probe fails a newer commit comes into force at once, and is asked about anew."""

    async def scenario() -> None:
        running = _Running(probes_s=60.0)
        await running.begin(_GOOD)
        running.push(_BAD)
        await asyncio.sleep(5)
        mended = running.push(_GOOD | {"b.yaml": policy("b")})
        await asyncio.sleep(30)
        assert (running.status.applied, running.status.held) == (mended, None)

    _run(scenario)


@pytest.mark.parametrize("probes", [0, 8])
def test_one_bad_object_does_not_keep_the_others_waiting(probes: int) -> None:
    """An object that the store refuses holds back only what needs it; and it is not tried again without a pause."""

    async def scenario() -> None:
        running = _Running(probes=probes)
        await running.begin(_GOOD)
        real = running.controller._datastore.create

        async def refusing(key: Key, value: Any) -> Any:
            if key.name == "first":
                raise _refused()
            return await real(key, value)

        running.controller._datastore.create = refusing  # type: ignore[method-assign]
        files = _GOOD | {"tier.yaml": _TIER, "set.yaml": _SET, "shut.yaml": _SHUT}
        running.push(files)
        await asyncio.sleep(60)
        assert "shut" in {key.name for key in running.world.store_keys()}
        inside = policy("inside").replace("name: inside", "name: first.inside").replace("spec:", "spec:\n  tier: first")
        running.push(files | {"in.yaml": inside, "shut.yaml": _SHUT.replace("3000", "3001")})
        await asyncio.sleep(60)
        assert "first.inside" not in {key.name for key in running.world.store_keys()}
        assert running.controller.looks < 100

    _run(scenario)


def _refused() -> Exception:
    from muslin.errors import Failed, Problem  # noqa: PLC0415 - for one test

    return Failed(Problem("no", "here", "nothing"))


_SET = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {name: nets}
spec: {nets: [203.0.113.0/24]}
"""
