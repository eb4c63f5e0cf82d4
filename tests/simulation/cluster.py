"""The whole cluster in one process: store, repository, reconciler, nodes, pods. Asked what happens to a packet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from muslin.conversion.endpoint_name import interface_of
from muslin.datastore.initialize import ensure_initialized
from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from muslin.net import Address
from muslin.resources.keys import Key
from muslin.semantics.verdict import Flow
from reconciler.controller import Controller, Settings
from reconciler.plan import Budget
from reconciler.status import Event
from runtime.probe_request import Answer, Ask, Word
from tests.runtime.cni.frames import NETWORK
from tests.simulation.node import Node, PodName, Surroundings, address_in, wall_clock
from tests.simulation.oracle import Oracle
from tests.simulation.processes import Process
from tests.simulation.wires import Internet
from tests.support.fake_nftables import FilterPacket
from tests.support.memory_git import MemorySource

__all__ = ["Attached", "Broken", "Cluster", "Weather"]

NODES = ("node-a", "node-b", "node-c")
NAMESPACES = ("demo", "shop")
_ALLOW = {"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}


class Broken(AssertionError):
    """Something that must always hold does not."""


@dataclass
class Weather:
    """How bad it is: chances of one datastore call, and who is cut off from the store."""

    refused: float = 0.0
    answer_lost: float = 0.0
    slow: float = 0.0
    watch_broken: float = 0.0
    away: frozenset[str] = frozenset()
    """First words of names of processes that do not reach the store."""

    @property
    def calm(self) -> bool:
        """Nothing goes wrong."""
        return not (self.refused or self.answer_lost or self.slow or self.watch_broken or self.away)


@dataclass(frozen=True)
class Attached:
    """A pod that has its network: ADD succeeded, and nobody wants it gone."""

    pod: PodName
    node: Node
    container: str
    address: Address

    @property
    def interface(self) -> str:
        """On the host."""
        return interface_of(self.pod.namespace, self.pod.name)


class Cluster:
    """Everything. Same seed and deeds, same trace. `probes`: so many may be asked, of agents that answer them."""

    def __init__(self, seed: int, processes: list[Process], *, probes: int = 0) -> None:
        self.random = Random(f"machinery {seed}")
        self._fault_random = Random(f"faults {seed}")
        self.trace: list[str] = []
        self.processes = processes
        self.weather = Weather()
        self.store = MemoryDatastore()
        self.hand = self.store.client()
        self.oracle = Oracle(self.store.history, self.broken)
        self.source = MemorySource()
        self.internet = Internet(Random(f"network {seed}"))
        self._probes = probes
        asker = _Asker(self) if probes else None
        around = Surroundings(self.internet, self._client, self.random, self.tell, processes, self.broken, asker)
        self.nodes = [Node(name, f"192.0.2.{number}/24", around) for number, name in enumerate(NODES, 1)]
        self.by_address = {node.address: node for node in self.nodes}
        self.controller: Controller | None = None
        self.reconciler_process: Process | None = None
        self.wanted: dict[PodName, Node] = {}
        self.attached: dict[PodName, Attached] = {}
        self.going: set[PodName] = set()
        self._lives: dict[PodName, asyncio.Task[None]] = {}
        self._containers = 0
        self._change = asyncio.Event()
        self.failure: Broken | None = None
        self.on_attached: Callable[[Attached], None] = lambda _: None

    # -- the trace

    def tell(self, line: str) -> None:
        """One line of the trace."""
        self.trace.append(f"{asyncio.get_running_loop().time():.6f} {line}")

    def broken(self, what: str) -> None:
        """Something that must hold does not: remembered, for we may be deep inside somebody's call."""
        self.tell(f"BROKEN {what}")
        if self.failure is None:
            self.failure = Broken(what)

    # -- life

    async def begin(self) -> None:
        """Initialise the datastore and start every process."""
        await ensure_initialized(self.hand, new_guid=lambda: "0" * 32)
        for namespace in NAMESPACES:
            name = f"kns.{namespace}"
            value = {
                "apiVersion": "projectcalico.org/v3",
                "kind": "Profile",
                "metadata": {"name": name},
                "spec": {"labelsToApply": {"pcns.projectcalico.org/name": namespace}, **_ALLOW},
            }

            await self.hand.create(Key("Profile", name), value)
        self.oracle.follow()
        self.start_everything()

    def start_everything(self) -> None:
        """Start whatever is not running."""
        for node in self.nodes:
            node.start_speaker()
            node.start_agent()
        self.start_reconciler()

    def start_reconciler(self) -> None:
        """Start the reconciler, if it is not there."""
        if self.reconciler_process is not None and self.reconciler_process.alive:
            return
        process = self.reconciler_process = Process("reconciler")
        self.processes.append(process)
        self.tell("reconciler starts")
        process.on_death.append(lambda: self.tell("reconciler dies"))

        def say(event: Event) -> None:
            self.tell(f"reconciler: {event}")

        async def work() -> None:
            self.controller = Controller(
                self._client("reconciler"),
                self.source,
                Settings(
                    poll_s=20.0, budget=Budget(part=1.0, allow_empty=True, confirm=frozenset()), probes=self._probes
                ),
                random=Random(self.random.random()),
                now=wall_clock,
                tell=say,
            )
            await self.controller.run()

        def ended(task: asyncio.Task[None]) -> None:
            if process.alive and not task.cancelled():
                self.broken(f"the reconciler ended: {task.exception()!r}")

        process.spawn(work()).add_done_callback(ended)

    def push(self, files: dict[str, str], *, told: bool) -> str:
        """A commit arrives; `told`: the reconciler gets to know at once."""
        commit = self.source.push(files)
        controller, process = self.controller, self.reconciler_process
        if told and controller is not None and process is not None and process.alive:
            process.run(controller.wake)
        return commit

    def _client(self, name: str) -> MemoryDatastore:
        return self.store.client(lambda call: self._faults(name, call))

    def _faults(self, name: str, call: Call) -> Fault:
        weather, random = self.weather, self._fault_random
        quick = random.uniform(0.0001, 0.003)
        if name.split(maxsplit=1)[0] in weather.away:
            return Fault(delay_s=quick, refused=True)
        dice = random.random()
        if call.operation is Operation.DELIVER:
            return Fault(delay_s=2.0 if dice < weather.slow else quick, refused=dice > 1.0 - weather.watch_broken)
        if dice < weather.refused:
            return Fault(delay_s=quick, refused=True)
        if dice < weather.refused + weather.answer_lost:
            return Fault(delay_s=quick, answer_lost=True)
        slow = random.uniform(0.1, 3.0) if random.random() < weather.slow else 0.0
        return Fault(delay_s=quick + slow, answer_delay_s=quick)

    # -- pods

    def want(self, pod: PodName, node: Node) -> None:
        """Somebody schedules a pod."""
        self.wanted[pod] = node
        self._live(pod, node)

    def unwant(self, pod: PodName) -> None:
        """Somebody deletes a pod."""
        self.wanted.pop(pod, None)
        self.attached.pop(pod, None)
        self.going.add(pod)
        self._wake()

    @property
    def settled(self) -> bool:
        """Every pod is as wanted."""
        return set(self.attached) == set(self.wanted) and not self.going

    def _wake(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()

    def _live(self, pod: PodName, node: Node) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self.broken(f"the container runtime failed: {task.exception()!r}")

        task = asyncio.get_running_loop().create_task(self._pod(pod, node))
        task.add_done_callback(ended)
        self._lives[pod] = task

    async def _pod(self, pod: PodName, node: Node) -> None:
        """What a container runtime does for one pod, from ADD to DEL; failed sandboxes are deleted and made anew."""
        container = ""
        while pod in self.wanted:
            if not container:
                self._containers += 1
                container = f"c{self._containers}"
            answer = await node.cni("ADD", pod, container)
            if answer is None:
                await asyncio.sleep(self.random.uniform(0.2, 2.0))
                if self.random.random() < 0.5:
                    await self._delete(node, pod, container)
                    container = ""
                continue
            if pod not in self.wanted:
                break
            self.attached[pod] = Attached(pod, node, container, address_in(answer))
            self.tell(f"{pod.name} on {node.name} has {address_in(answer)}")
            self.on_attached(self.attached[pod])
            while pod in self.wanted:
                await self._change.wait()
        if container:
            await self._delete(node, pod, container)
        self.going.discard(pod)

    async def _delete(self, node: Node, pod: PodName, container: str) -> None:
        while await node.cni("DEL", pod, container) is None:  # noqa: ASYNC110 - a runtime tries again
            await asyncio.sleep(self.random.uniform(0.2, 2.0))

    # -- packets

    def passes_egress(self, source: Attached, flow: Flow, *, track: bool = False) -> tuple[bool, Node | None]:
        """At the source's node: whether it gets out, and the node where it goes (None: nowhere)."""
        way = source.node.machine.kernel.next_hop(flow.destination)
        if way is None or (way.interface is None and way.gateway is None):
            return False, None
        there = source.node if way.gateway is None else self.by_address.get(way.gateway)
        leaving = (way.interface or "eth0") if way.gateway is None else "eth0"
        packet = _packet(flow, source.interface, leaving)
        return _verdict(source.node, packet, track=track), there

    def passes_ingress(self, node: Node, flow: Flow, *, track: bool = False) -> bool:
        """At the destination's node, for a packet from another node."""
        way = node.machine.kernel.next_hop(flow.destination)
        if way is None or way.interface is None:
            return False
        return _verdict(node, _packet(flow, "eth0", way.interface), track=track)

    def arrives(self, source: Attached, flow: Flow, *, track: bool = False) -> bool:
        """Whether a packet that a pod sends reaches its destination, end to end."""
        out, there = self.passes_egress(source, flow, track=track)
        if not out or there is None:
            return False
        return there is source.node or self.passes_ingress(there, flow, track=track)

    def way_to(self, node: Node, address: Address) -> Node | None:
        """The node to which an address goes from a node; itself where it is attached there."""
        way = node.machine.kernel.next_hop(address)
        if way is None:
            return None
        return self.by_address.get(way.gateway) if way.gateway is not None else node if way.interface else None

    @staticmethod
    def handle_of(pod: Attached) -> str:
        """The IPAM handle of a pod."""
        return f"{NETWORK['name']}.{pod.container}"


class _Asker:
    """Probes' packets through the kernels of both nodes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def ask(self, interface: str, source: Address, ask: Ask) -> Answer:
        """See `runtime.probing.Asker`."""
        pods = [each for each in self._cluster.attached.values() if each.address == source]
        if not pods or pods[0].interface != interface:
            return Answer(Word.NO_POD)
        flow = Flow(source, ask.target, 6, source_port=40000, destination_port=ask.port)
        await asyncio.sleep(0.001)
        if self._cluster.arrives(pods[0], flow):
            return Answer(Word.ANSWERED)
        await asyncio.sleep(ask.timeout_s)
        return Answer(Word.SILENT)


def _packet(flow: Flow, entering: str, leaving: str) -> FilterPacket:
    return FilterPacket(
        flow.source, flow.destination, flow.protocol, flow.source_port or 0, flow.destination_port or 0, flow.icmp,
        entering, leaving,
    )  # fmt: skip


def _verdict(node: Node, packet: FilterPacket, *, track: bool) -> bool:
    kernel = node.machine.kernel
    return kernel.verdict(packet) if track else kernel.nftables.verdict(packet)
