"""What happens to a cluster, from a seed: what people want, and what goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from muslin.datastore.ipam import run
from muslin.errors import MuslinError
from muslin.ipam.affinities import Owner, release_affinity
from muslin.net import parse_prefix
from runtime.dataplane.ir import Ruleset
from tests.simulation.cluster import NAMESPACES, Cluster, Weather
from tests.simulation.commits import APPS, Writer
from tests.simulation.node import Node, PodName
from tests.simulation.processes import Process, ProcessLoop, simulate
from tests.simulation.watchman import Watchman

__all__ = ["Ended", "ended", "live"]

_CALM_S = 150.0
"""Longer than any retry, hold time and wait for routes together."""
_MOST_PODS = 9
_DEEDS = ("push", "bad", "pod", "no pod", "drift", "connect", "give up")
_WEIGHTS = (5, 2, 6, 2, 3, 5, 2)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a life ended.

    Attributes:
        trace: everything that happened.
        failure: what must not be, None where nothing of that happened.
        state: what is left, without what only chance decided.
    """

    trace: tuple[str, ...]
    failure: str | None
    state: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Equal for equal traces."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


class _People:
    """Push, schedule, delete and meddle; the same whatever goes wrong."""

    def __init__(self, cluster: Cluster, watchman: Watchman, seed: int) -> None:
        self._cluster, self._watchman = cluster, watchman
        self._random = Random(f"people {seed}")
        self._writer = Writer(Random(f"commits {seed}"))
        self._pods = 0

    def push_good(self) -> str:
        """A commit without a mistake."""
        commit = self._cluster.push(self._writer.good(), told=self._random.random() < 0.7)
        self._cluster.tell(f"push {commit[:8]}")
        return commit

    async def act(self) -> None:
        """One deed."""
        cluster, random = self._cluster, self._random
        match random.choices(_DEEDS, _WEIGHTS)[0]:
            case "push":
                self.push_good()
            case "bad":
                commit = cluster.push(self._writer.bad(), told=random.random() < 0.7)
                cluster.tell(f"push {commit[:8]}, which is bad")
            case "pod":
                self._schedule()
            case "no pod":
                if cluster.wanted:
                    pod = random.choice(sorted(cluster.wanted))
                    cluster.tell(f"delete {pod.name}")
                    if pod in cluster.attached:
                        self._watchman.gone(cluster.attached[pod])
                    cluster.unwant(pod)
            case "drift":
                await self._meddle()
            case "connect":
                for _ in range(4):
                    self._watchman.open_flow()
            case "give up":
                await self._give_up_a_block()

    def _schedule(self) -> None:
        random, cluster = self._random, self._cluster
        pod = PodName(random.choice(NAMESPACES), f"pod-{self._pods}", random.choice(APPS))
        node = random.choice(cluster.nodes)
        if len(cluster.wanted) < _MOST_PODS:
            self._pods += 1
            cluster.tell(f"schedule {pod.name} app={pod.app} on {node.name}")
            cluster.want(pod, node)

    async def _give_up_a_block(self) -> None:
        """Somebody frees a block that nobody uses, so that its route must go everywhere."""
        cluster = self._cluster
        claims = sorted(cluster.store.history.list("BlockAffinity").entries, key=lambda entry: entry.key.name)
        if claims:
            spec = self._random.choice(claims).value["spec"]
            prefix, owner = parse_prefix(spec["cidr"]), Owner(spec["node"])
            with suppress(MuslinError):
                if await run(cluster.hand, release_affinity(owner, prefix, require_empty=True)):
                    cluster.tell(f"{spec['node']} gave up {prefix}")

    async def _meddle(self) -> None:
        """Somebody changes, deletes or spoils an object by hand."""
        cluster, random = self._cluster, self._random
        kinds = ("GlobalNetworkPolicy", "NetworkPolicy", "GlobalNetworkSet")
        keys = [entry.key for kind in kinds for entry in cluster.store.history.list(kind).entries]
        which, how = random.random(), random.randrange(3)
        if not keys:
            return
        key = sorted(keys, key=str)[int(which * len(keys))]
        with suppress(MuslinError):
            entry = await cluster.hand.get(key)
            cluster.tell(f"meddle with {key} {how}")
            if how == 0:
                await cluster.hand.delete(key)
            else:
                spec = {**entry.value["spec"], **({"order": 7} if how == 1 else {"selector": "(("})}
                if key.kind == "GlobalNetworkSet":
                    spec = {"nets": ["10.48.0.0/25"] if how == 1 else ["nonsense"]}
                await cluster.hand.update(key, {**entry.value, "spec": spec}, entry.revision)


class _Trouble:
    """What goes wrong."""

    def __init__(self, cluster: Cluster, watchman: Watchman, seed: int) -> None:
        self._cluster, self._watchman = cluster, watchman
        self._random = Random(f"trouble {seed}")
        self._repairs: set[asyncio.Task[None]] = set()

    async def strike(self) -> None:
        """One misfortune."""
        random, cluster = self._random, self._cluster
        node = random.choice(cluster.nodes)
        kinds = (
            ("agent", 5), ("speaker", 3), ("both", 3), ("reconciler", 4), ("weather", 4), ("cut", 2), ("break", 2),
            ("compact", 2), ("refuse", 3), ("source", 1), ("kernel", 2), ("route", 2), ("away", 2),
        )  # fmt: skip
        kind = random.choices([name for name, _ in kinds], [weight for _, weight in kinds])[0]
        cluster.tell(f"trouble: {kind} {node.name}")
        match kind:
            case "agent":
                self._kill(node.agent_process, node, random.uniform(0.1, 20.0))
            case "both":
                away_s = random.uniform(0.1, 20.0)
                self._kill(node.agent_process, node, away_s)
                self._kill(node.speaker_process, node, away_s)
            case "speaker":
                self._kill(node.speaker_process, node, random.uniform(0.1, 20.0))
            case "reconciler":
                self._kill(cluster.reconciler_process, None, random.uniform(0.1, 20.0))
            case "weather":
                bad = random.uniform(0.0, 0.2)
                cluster.weather = Weather(bad, random.uniform(0.0, 0.2), random.uniform(0.0, 0.2), bad / 4)
                self._later(random.uniform(5.0, 30.0), self._clear_up)
            case "away":
                gone = random.sample(["reconciler", *(each.name for each in cluster.nodes)], random.randint(1, 4))
                cluster.weather = Weather(away=frozenset(gone))
                self._later(random.uniform(2.0, 20.0), self._clear_up)
            case "cut":
                others = [other for other in cluster.nodes if other is not node]
                for other in random.sample(others, random.randint(1, 2)):
                    cluster.internet.cut.add(frozenset((node.address, other.address)))
                self._watchman.disturbed(*cluster.nodes)
                self._later(random.uniform(1.0, 60.0), self._heal)
            case "break":
                other = random.choice([other for other in cluster.nodes if other is not node])
                if cluster.internet.break_connections(node.address, other.address):
                    self._watchman.disturbed(node, other)
            case "compact":
                self._watchman.tick()
                await cluster.store.compact(random.choice((0, 0, 5)))
            case "refuse":
                node.machine.kernel.fail_next(
                    *random.choice((("nftables transaction", 12), ("route add", 101), ("conntrack delete", 16)))
                )
            case "source":
                cluster.source.away = True
                self._later(random.uniform(1.0, 30.0), self._source_back)
            case "kernel":
                if node.agent_process is not None and node.agent_process.alive:
                    self._watchman.tampered(node)
                    node.machine.kernel.nftables.disturb(Ruleset())
                    node.hear()
            case "route":
                routes = node.machine.kernel.routes
                if routes.routes and node.agent_process is not None and node.agent_process.alive:
                    self._watchman.tampered(node)
                    routes.routes.remove(random.choice(routes.routes))
                    routes._disturbed = True
                    node.hear()

    def _kill(self, process: Process | None, node: Node | None, away_s: float) -> None:
        """Now, after some more steps, or in the middle of a system call."""
        if process is None or not process.alive:
            return
        speaker = node is not None and process is node.speaker_process
        way = self._random.randrange(3)
        if way == 0 or speaker:
            if speaker:
                assert node is not None
                self._watchman.disturbed(*self._cluster.nodes)
            process.kill()
        elif way == 1 or node is None:
            process.fatal_step = process.steps + self._random.randint(1, 60)
        else:
            node.machine.fatal_call = self._random.randint(1, 8)
        self._later(away_s, self._cluster.start_everything)

    def _later(self, delay: float, repair: object) -> None:
        async def work() -> None:
            await asyncio.sleep(delay)
            assert callable(repair)
            repair()

        task = asyncio.get_running_loop().create_task(work())
        self._repairs.add(task)
        task.add_done_callback(self._repairs.discard)

    def _clear_up(self) -> None:
        if self._random.random() < 0.5:  # who was away longer than the store remembers must list again
            self._watchman.tick()
            self._cluster.store.history.compact(0)
        self._cluster.weather = Weather()

    def _heal(self) -> None:
        self._cluster.internet.heal()

    def _source_back(self) -> None:
        self._cluster.source.away = False

    def end(self) -> None:
        """Nothing more goes wrong, and everything runs again."""
        for task in self._repairs:
            task.cancel()
        cluster = self._cluster
        cluster.weather, cluster.source.away = Weather(), False
        cluster.internet.heal()
        for node in cluster.nodes:
            node.machine.fatal_call = None
            for part in (node.machine.kernel.nftables, node.machine.kernel.routes, node.machine.kernel.conntrack):
                part._failures.clear()
        for process in cluster.processes:
            process.fatal_step = None
        cluster.start_everything()


async def _watch(watchman: Watchman) -> None:
    while True:
        await asyncio.sleep(1.0)
        watchman.tick()


async def _life(seed: int, processes: list[Process], deeds: int, *, trouble: bool) -> Ended:
    cluster = Cluster(seed, processes)
    watchman = Watchman(cluster, Random(f"watch {seed}"))
    people, misfortune = _People(cluster, watchman, seed), _Trouble(cluster, watchman, seed)
    await cluster.begin()
    people.push_good()
    watching = asyncio.get_running_loop().create_task(_watch(watchman))
    times = Random(f"times {seed}")
    for chapter in range(2):
        strikes = asyncio.get_running_loop().create_task(_strikes(misfortune, seed, chapter)) if trouble else None
        for _ in range(deeds):
            await asyncio.sleep(times.uniform(0.0, 4.0))
            await people.act()
            if cluster.failure is not None:
                break
        if strikes is not None:
            strikes.cancel()
        if cluster.failure is not None:
            break
        misfortune.end()
        commit = people.push_good() if chapter == 1 else None
        cluster.tell("calm")
        await asyncio.sleep(_CALM_S)
        watchman.calm(commit)
    watching.cancel()
    cluster.tell(f"{watchman.looked} flows looked at")
    return ended(cluster)


def ended(cluster: Cluster) -> Ended:
    """How it ended."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, ProcessLoop) and loop.faults:
        cluster.broken(f"unhandled: {loop.faults[0]}")
    return Ended(tuple(cluster.trace), None if cluster.failure is None else str(cluster.failure), _state(cluster))


async def _strikes(misfortune: _Trouble, seed: int, chapter: int) -> None:
    times = Random(f"strikes {seed} {chapter}")
    while True:
        await asyncio.sleep(times.uniform(0.3, 5.0))
        await misfortune.strike()


def _state(cluster: Cluster) -> tuple[str, ...]:
    """Declared objects, pods by node, and who may reach whom, by name."""
    found = [f"{pod.name} on {each.node.name}" for pod, each in cluster.attached.items()]
    declared = {"IPPool", "BGPConfiguration", "GlobalNetworkPolicy", "NetworkPolicy", "GlobalNetworkSet", "Tier"}
    cluster.oracle.follow()
    found += [f"{key} {value['spec']}" for key, value in cluster.oracle.values.items() if key.kind in declared]
    return tuple(sorted(found))


def live(seed: int, *, deeds: int = 14, trouble: bool = True) -> Ended:
    """One life of a cluster."""
    return simulate(lambda processes: _life(seed, processes, deeds, trouble=trouble))
