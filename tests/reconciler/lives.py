"""Lives of one reconciler, or of two at once, from a seed: people, nodes, faults and murders on a virtual clock.

After every write what must always hold is checked, and in calm at the end what must have come of it. Nothing here
waits for a real clock or opens a socket; the same seed gives the same trace.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from muslin.datastore.protocol import Change
from muslin.errors import MuslinError
from muslin.resources.keys import Key
from reconciler.control import control_key, release, resume, suspend
from reconciler.controller import Controller, Settings
from reconciler.gates import GateSettings
from reconciler.manifests import declarable
from reconciler.plan import Budget
from reconciler.status import Event
from tests.reconciler.cases import World, policy, policy_key, pool, tier
from tests.reconciler.networks import Nodes, bgp, node, peer
from tests.support.virtual_time import run_virtual

__all__ = ["Ended", "live"]

_T = TypeVar("_T")
_NAMES = ("a", "b", "c", "d", "e")
_NODES = ("n1", "n2", "n3", "n4")
_DEEDS = 14
_AT_AN_INSTANT = 100
"""So many looks at one instant are no looks any more but a loop without an end."""
_DENY = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: default-deny}
spec: {order: 2000, types: [Ingress, Egress]}
"""
_OPEN = """apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: allow-dns}
spec: {order: 10, types: [Egress], egress: [{action: Allow, protocol: UDP, destination: {ports: [53]}}]}
"""
_STRANGERS = (Key("Tier", "stranger"), policy_key("stranger"))
_POISON = "poison"
_REFLECTORS = ("192.0.2.1", "192.0.2.2")
_MESH = Key("BGPConfiguration", "default")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a life ended: everything that happened, and what must not have, None where nothing of that did."""

    trace: tuple[str, ...]
    failure: str | None

    @property
    def digest(self) -> str:
        """Equal for equal traces."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


class _Client(MemoryDatastore):
    """A reconciler's client: what it writes is known to be its, and when it is killed nothing of it goes on."""

    def __init__(self, store: MemoryDatastore, life: _Life) -> None:
        super().__init__(life.fault)
        self._shared, self._life = store._shared, life
        self.fatal: int | None = None
        self.after = False
        self.kill: Callable[[], object] = lambda: None
        self.dead = False

    async def _do(self, call: Call, deed: Callable[[], _T]) -> _T:
        if self.dead:
            raise asyncio.CancelledError
        writes = call.operation in (Operation.CREATE, Operation.UPDATE, Operation.DELETE)

        def noted() -> _T:
            if self.dead:
                raise asyncio.CancelledError
            if writes and self.fatal is not None:
                self.fatal -= 1
                if self.fatal < 0 and not self.after:
                    self._die()
            before = self.history.head
            try:
                return deed()
            finally:
                if self.history.head != before:
                    self._life.wrote(self.history.head)
                if writes and self.fatal is not None and self.fatal < 0:
                    self._die()

        return await super()._do(call, noted)

    def _die(self) -> None:
        self.dead = True
        self.kill()
        raise asyncio.CancelledError


@dataclass
class _Process:
    """One reconciler process that runs."""

    client: _Client
    controller: Controller
    task: asyncio.Future[None]

    @property
    def alive(self) -> bool:
        return not self.client.dead and not self.task.done()


@dataclass
class _Life:
    """Everything of one life, and what must hold in it."""

    seed: int
    random: Random
    world: World = field(default_factory=World)
    trace: list[str] = field(default_factory=list)
    failure: str | None = None
    quiet: bool = False
    bad: float = 0.1
    processes: list[_Process] = field(default_factory=list)
    ours: set[int] = field(default_factory=set)
    suspended_at: float | None = None
    disturbed_at: float = -1e9
    meddled: set[Key] = field(default_factory=set)
    commits: dict[str, dict[str, str]] = field(default_factory=dict)
    _judged: int = 0
    _accepted: str | None = None
    _owned: dict[str, set[str]] = field(default_factory=dict)
    _seen: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    _instant: float = -1.0
    _looks: set[tuple[int, object]] = field(default_factory=set)

    # -- what is told

    def tell(self, line: str) -> None:
        self.trace.append(f"{asyncio.get_running_loop().time():.4f} {line}")

    def broken(self, what: str) -> None:
        self.tell(f"BROKEN {what}")
        self.failure = self.failure or what

    def fault(self, call: Call) -> Fault:
        if self.quiet:
            return Fault()
        dice, late = self.random.random(), self.random.random()
        if call.operation is Operation.DELIVER:
            return Fault(delay_s=3.0 if late < self.bad else 0.001, refused=dice < self.bad / 5)
        slow = self.random.uniform(0, 2) if late < self.bad else 0.001
        return Fault(slow, refused=dice < self.bad / 2, answer_lost=self.bad / 2 < dice < self.bad)

    # -- processes

    def start(self) -> None:
        """Another reconciler of the same set."""
        client = _Client(self.world.store, self)
        if not self.quiet and self.random.random() < 0.6:
            client.fatal, client.after = self.random.randint(0, 12), self.random.random() < 0.5
        number = len(self.trace)
        controller = Controller(
            client,
            self.world.source,
            Settings(
                poll_s=20.0,
                budget=Budget(part=0.7, least=3, confirm=frozenset()),
                gates=GateSettings(stable_s=3.0, grace_s=25.0, agents_s=2.0, unheard_s=10.0),
            ),
            random=Random(f"{self.seed} {number}"),
            now=lambda: datetime.fromtimestamp(1_800_000_000 + asyncio.get_running_loop().time(), UTC),
            tell=lambda event: self._event(number, event),
        )
        task = asyncio.ensure_future(controller.run())
        client.kill = task.cancel
        self.processes.append(_Process(client, controller, task))
        self.tell(f"reconciler {number} starts, fatal {client.fatal}")

    def _event(self, number: int, event: Event) -> None:
        self.tell(f"{number}: {event}")
        if (now := asyncio.get_running_loop().time()) != self._instant:
            self._instant, self._looks = now, set()
        self._looks.add((number, event.reconcile))
        if len(self._looks) > _AT_AN_INSTANT:
            self.broken("a reconciler looks again and again without a pause")
            raise AssertionError(self.failure)

    def wake(self) -> None:
        for process in self.processes:
            if process.alive:
                process.controller.wake()

    async def bury(self) -> None:
        """The dead are replaced; one that ended by itself is a fault."""
        for process in list(self.processes):
            if not process.alive:
                self.processes.remove(process)
                process.client.dead = True
                process.task.cancel()
                (ended,) = await asyncio.gather(process.task, return_exceptions=True)
                if ended is not None and not isinstance(ended, asyncio.CancelledError):
                    self.broken(f"a reconciler ended: {ended!r}")
        if not self.processes:
            self.start()

    # -- what must always hold

    def wrote(self, revision: int) -> None:
        """A reconciler wrote this."""
        self.ours.add(revision)
        self.judge()

    def judge(self) -> None:
        """Look at every change since the last time."""
        history = self.world.store.history
        while self._judged < history.head:
            self._judged += 1
            change = history.change(self._judged)
            self._judge(change, by_us=self._judged in self.ours)
            if change.value is None:
                self._seen.pop(change.key, None)
            else:
                self._seen[change.key] = change.value
            if "default-deny" in (keys := {key.name for key in self._seen}) and "allow-dns" not in keys:
                self.broken("default-deny is in force without what it must come after")

    def _suspended_for(self) -> float:
        return 0.0 if self.suspended_at is None else asyncio.get_running_loop().time() - self.suspended_at

    def _judge(self, change: Change, *, by_us: bool) -> None:
        key, value = change.key, change.value
        if key.kind == "ReconcilerLedger" and value is not None:
            spec = value["spec"]
            self._owned[key.name] = set(spec["items"])
            if spec["part"] == 0 and (accepted := spec.get("accepted")) != self._accepted:
                self._accepted = accepted
                if self._suspended_for() > 12:
                    self.broken(f"{accepted} came into force after somebody said stop")
            return
        if not by_us or key.kind not in declarable():
            return
        if key.name.startswith(_POISON):
            self.broken(f"{key} of a commit with an error was written")
        if key in _STRANGERS:
            self.broken(f"{key} is a stranger's and was written")
        if not any(f"{key.kind}/{key.namespace or ''}/{key.name}" in owned for owned in self._owned.values()):
            self.broken(f"{key} was written without being in the ledger first")
        now = asyncio.get_running_loop().time()
        if self._suspended_for() > 25:
            self.broken(f"{key} was written long after somebody said stop")
        if value is None and not any(kept.kind == "NetworkPolicy" for kept in self._seen.keys() - {key, *_STRANGERS}):
            self.broken("nothing is left, and no commit that could be read said so")
        if value is None and self._accepted in self.commits:
            declared = self.world.source.reading(self._accepted).resources
            if key in declared and len(self.processes) == 1:
                self.broken(f"{key} was deleted and the commit in force declares it")
        if key == _MESH and value is not None and value["spec"].get("nodeToNodeMeshEnabled") is False:
            self._judge_mesh_off(now)

    def _judge_mesh_off(self, now: float) -> None:
        """Whoever loses a session of the mesh has one with each reflector; unless the network has just moved."""
        before = self._seen.get(_MESH, {}).get("spec", {})
        if now - self.disturbed_at < 10 or before.get("nodeToNodeMeshEnabled") is not True:
            return
        for report in [value for key, value in self._seen.items() if key.kind == "CalicoNodeStatus"]:
            peers = report.get("status", {}).get("bgp", {}).get("peersV4", ())
            up = {each["peerIP"]: each["type"] for each in peers}
            name = report["metadata"]["name"]
            loses = any(kind == "NodeMesh" and address not in _REFLECTORS for address, kind in up.items())
            reflects = f"192.0.2.{name[1:]}" in _REFLECTORS  # then it keeps a session with everybody
            if loses and not reflects and any(up.get(each, "NodeMesh") == "NodeMesh" for each in _REFLECTORS):
                self.broken(f"the mesh goes while {name} has only {up}")


class _People:
    """Push, meddle, suspend; break and heal the network."""

    def __init__(self, life: _Life, nodes: Nodes | None) -> None:
        self._life, self._nodes = life, nodes
        self._random = Random(f"people {life.seed}")
        self._pushes = 0

    def files(self) -> dict[str, str]:
        """The next good commit."""
        random = self._random
        found = {}
        for name in random.sample(_NAMES, random.randint(2, 5)):
            action = random.choice(("Allow", "Deny"))
            found[f"{name}.yaml"] = policy(name, action=action, order=random.randint(1, 3) * 100)
        if random.random() < 0.5:
            found |= {"deny.yaml": _DENY, "open.yaml": _OPEN}
        if random.random() < 0.3:
            mine = policy("ops.t").replace("spec:", "spec:\n  tier: ops")
            found |= {"tier.yaml": tier("ops"), "t.yaml": mine}
        if random.random() < 0.3:
            found["pool.yaml"] = pool("p", "198.51.100.0/24")
        if self._nodes is not None:
            found["bgp.yaml"] = bgp(mesh=True)
            if random.random() < 0.5:
                found |= {"bgp.yaml": bgp(mesh=False), "peer.yaml": peer()}
                found |= {f"{name}.yaml": node(name, reflects=True) for name in _NODES[:2]}
        return found

    def push(self, files: dict[str, str] | None = None) -> str:
        """A commit arrives; mostly the reconciler is told."""
        life = self._life
        self._pushes += 1
        files = files if files is not None else self.files()
        commit = life.world.source.push(files | {"README.md": str(self._pushes)})
        life.commits[commit] = files
        life.tell(f"push {commit[:8]} {sorted(files)}")
        if self._random.random() < 0.7:
            life.wake()
        return commit

    async def act(self) -> None:
        """One deed."""
        life, random = self._life, self._random
        deed = random.choices(
            ("push", "bad", "empty", "meddle", "away", "kill", "second", "network", "suspend", "weather", "release"),
            (6, 2, 1, 4, 1, 4, 1, 3 if self._nodes else 0, 2, 2, 1),
        )[0]
        match deed:
            case "push":
                self.push()
            case "bad":
                poison = {"p.yaml": policy(_POISON), "x.yaml": "kind: ["}
                self.push(self.files() | poison)
            case "empty":
                self.push({})
            case "meddle":
                await self._meddle()
            case "away":
                life.world.source.away = not life.world.source.away
            case "kill":
                if life.processes:
                    process = random.choice(life.processes)
                    life.tell("kill")
                    process.client.dead = True
                    process.task.cancel()
            case "second":
                if len(life.processes) < 2:
                    life.start()
            case "network":
                self._network()
            case "suspend":
                await self._suspend()
            case "weather":
                life.bad = random.uniform(0, 0.3)
            case _:
                with suppress(MuslinError):
                    await release(life.world.store, "default")

    def _network(self) -> None:
        assert self._nodes is not None
        life, random = self._life, self._random
        life.disturbed_at = asyncio.get_running_loop().time()
        if self._nodes.broken and random.random() < 0.6:
            self._nodes.broken.clear()
        else:
            self._nodes.broken.add(frozenset(random.sample(sorted(self._nodes.addresses.values()), 2)))
        life.tell(f"network {sorted(map(sorted, self._nodes.broken))}")
        self._nodes.look_again()

    async def _suspend(self) -> None:
        life = self._life
        if life.suspended_at is None:
            await suspend(life.world.store, "default", reason="x", by="ada", at="")
            life.suspended_at = asyncio.get_running_loop().time()
        else:
            await self.resume()
        life.tell(f"suspended: {life.suspended_at is not None}")

    async def resume(self) -> None:
        """Nobody says stop any more."""
        self._life.suspended_at = None
        await resume(self._life.world.store, "default")

    async def _meddle(self) -> None:
        life, random = self._life, self._random
        keys = sorted(
            key for key in await life.world.objects() if key.kind not in ("Node", "BGPConfiguration", "BGPPeer")
        )
        key = random.choice(keys)
        if key in _STRANGERS or key.name in ("allow-dns", "default-deny"):
            return
        life.tell(f"meddle {key}")
        life.meddled.add(key)
        with suppress(MuslinError):
            if random.random() < 0.5:
                await life.world.store.delete(key)
            else:
                await life.world.edit(key, order=random.randint(300, 400))


async def _strangers(world: World) -> None:
    tiers = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "Tier",
        "metadata": {"name": "stranger"},
        "spec": {"order": 1},
    }
    await world.store.create(_STRANGERS[0], tiers)
    metadata = {"name": "stranger", "namespace": "shop"}
    value = {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy", "metadata": metadata, "spec": {}}
    await world.store.create(_STRANGERS[1], value)


async def _live(seed: int) -> Ended:
    life = _Life(seed, Random(f"faults {seed}"))
    with_nodes = seed % 3 == 0
    nodes = Nodes(life.world.store, *_NODES, delay_s=1.0) if with_nodes else None
    await _strangers(life.world)
    following: asyncio.Future[None] | None = None
    if nodes is not None:
        await nodes.register()
        following = asyncio.ensure_future(nodes.follow())
    people, times = _People(life, nodes), Random(f"times {seed}")
    people.push()
    life.start()
    for _ in range(_DEEDS):
        await asyncio.sleep(times.uniform(0, 8))
        await people.act()
        await life.bury()
        life.judge()
    life.quiet, life.world.source.away = True, False
    if life.suspended_at is not None:
        await people.resume()
    if nodes is not None:
        nodes.broken.clear()
        nodes.look_again()
    for process in life.processes:
        process.client.fatal = None
    await life.bury()
    await asyncio.sleep(60)
    last = people.push(people.files() | {f"{name}.yaml": policy(name) for name in _NAMES})
    life.wake()
    await asyncio.sleep(150)
    await life.bury()
    await _calm(life, last)
    for process in life.processes:
        process.task.cancel()
    if following is not None:
        following.cancel()
    return Ended(tuple(life.trace), life.failure)


async def _calm(life: _Life, last: str) -> None:
    """What must have come of it, when nothing goes wrong any more."""
    life.judge()
    objects = await life.world.objects()
    declared = life.world.source.reading(last).resources
    kinds = {"Node"}
    found = {key for key in objects if key not in _STRANGERS and key.kind not in kinds}
    wanted = {key for key in declared if key.kind not in kinds}
    left = life.meddled  # what somebody changed is left to him, and the tier that it is in
    if policy_key("ops.t") in found & left:
        left = left | {Key("Tier", "ops")}
    if wanted - found or found - wanted - left:
        life.broken(f"in calm there is {sorted(map(str, found ^ wanted))} too much or too little")
    for key in wanted & found:
        order = declared[key].value["spec"].get("order")
        if objects[key][1].get("order") != order:
            life.broken(f"in calm {key} has the order {objects[key][1].get('order')}, not {order}")
    if not set(_STRANGERS) <= set(objects):
        life.broken("a stranger's object is gone")
    status = life.processes[0].controller.last
    if status is None or status.applied != last or status.held:
        life.broken(f"in calm the status is {status}")
    made = [key for key in life._seen if key.kind == "CalicoNodeStatus"]
    if any("muslin/made-for-gate" in life._seen[key]["metadata"].get("annotations", {}) for key in made):
        life.broken("a CalicoNodeStatus that was made for a gate is left")
    if control_key("default") in life._seen and life._seen[control_key("default")]["spec"].get("held"):
        life.broken("a commit is still held")
    head = life.world.store.history.head
    life.wake()
    await asyncio.sleep(100)
    if life.world.store.history.head != head:
        change = life.world.store.history.change(head + 1)
        life.broken(f"{change.key} was written although nothing changed")


def live(seed: int) -> Ended:
    """One life."""
    return run_virtual(_live(seed))
