"""Speakers on a simulated clock and network: what TCP does to BGP (delay, loss of connections, silence), by one seed.

The network keeps order and content of a stream, as TCP does. It can refuse and break connections, cut nodes off without
a word, and let connection attempts overtake each other.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from itertools import count
from random import Random

from muslin.net import Address, Prefix
from runtime.bgp.actions import Close, Connect, Listen, Log, ReportRoutes, ReportSessions, Send
from runtime.bgp.core import Speaker
from runtime.bgp.link import Routes, Sessions
from runtime.bgp.reports import NoteKind, SessionState
from runtime.bgp.settings import PeerSettings, SpeakerSettings
from runtime.bgp.view import SpeakerView, View

AS = 64512
POOL = IPv4Network("10.48.0.0/16")


@dataclass(eq=False)
class Wire:
    """One connection: its two ends' numbers, and whether each end still holds it."""

    ends: dict[Address, int | None]
    last_arrival: dict[Address, float] = field(default_factory=dict)


class Node:
    """One node: its speaker (None while dead), what the agent would hold, what happened."""

    def __init__(self, world: World, settings: SpeakerSettings, address: Address) -> None:
        self.world, self.settings, self.address = world, settings, address
        self.agent = SpeakerView()
        self.core: Speaker | None = None
        self.wires: dict[int, Wire] = {}
        self.fewest: dict[str, int] = {}
        self.generation = 0

    @property
    def view(self) -> View:
        """What the agent sees."""
        return self.agent.view

    @property
    def prefixes(self) -> set[Prefix]:
        """Prefixes that the kernel would have."""
        return set(self.view.routes)

    def start(self, *, restarted: bool = False) -> None:
        """Start a speaker; the agent connects and says what it wants."""
        self.generation += 1
        self.core = Speaker(Random(self.world.random.random()), restarted=restarted)
        self.agent.connected()
        self.agent.apply(Sessions((), reset=True))
        self.agent.apply(Routes(self.core.routes(), reset=True))
        self.configure(self.settings)

    def configure(self, settings: SpeakerSettings) -> None:
        """The agent wants something else."""
        self.settings = settings
        assert self.core is not None
        self.core.configure(settings, self.world.now)
        self.world.act(self)

    def kill(self) -> None:
        """The speaker dies; the kernel closes its connections."""
        self.core = None
        self.agent.disconnected()
        for number in tuple(self.wires):
            self.world.hang_up(self, number)


class World:
    """The clock, the network and the nodes."""

    def __init__(self, seed: int = 1) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.nodes: dict[Address, Node] = {}
        self.silenced: set[Address] = set()
        self.refuse = 0.0
        self.trace: list[str] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._armed: dict[Address, float | None] = {}

    def add(self, settings: SpeakerSettings, address: Address | None = None) -> Node:
        """A node that is not running yet."""
        node = Node(self, settings, address or settings.router_id)
        self.nodes[node.address] = node
        return node

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Have something happen later."""
        heapq.heappush(self._queue, (self.now + delay, next(self._order), action))

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> float:
        """Let time pass; gives how much did. Stops early once `until` holds."""
        start, end = self.now, self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            if until is not None and until():
                return self.now - start
            self.now, _, action = heapq.heappop(self._queue)
            action()
        if until is None:
            self.now = end
        return self.now - start

    def latency(self) -> float:
        """A delay of the network, seconds."""
        return self.random.uniform(0.0002, 0.002)

    def act(self, node: Node) -> None:
        """Do what a core wants."""
        core = node.core
        if core is None:
            return
        for action in core.take_actions():
            if isinstance(action, Send):
                self._send(node, action.connection, action.data)
            elif isinstance(action, Close):
                self.hang_up(node, action.connection)
            elif isinstance(action, Connect):
                self.after(self.latency() * 3, partial(self._dial, node, action, node.generation))
            elif isinstance(action, ReportRoutes):
                node.agent.apply(Routes(action.report))
            elif isinstance(action, ReportSessions):
                node.agent.apply(Sessions(action.sessions, action.removed))
            elif isinstance(action, Log):
                peer = action.note.peer.address if action.note.peer else "-"
                self.trace.append(
                    f"{self.now:.6f} {node.address} {peer} {action.note.kind.name} {dict(action.note.fields)}"
                )
            else:
                assert isinstance(action, Listen)
        self._arm(node)

    def hang_up(self, node: Node, number: int) -> None:
        """One end closes; the other hears of it after what was sent."""
        wire = node.wires.pop(number, None)
        if wire is None:
            return
        wire.ends[node.address] = None
        other = self._other(node, wire)
        if node.address not in self.silenced:
            self._deliver(wire, other, lambda: self._lost(other, wire))

    def silence(self, node: Node) -> None:
        """Nothing goes in or out any more, and nobody is told."""
        self.silenced.add(node.address)

    def _arm(self, node: Node) -> None:
        assert node.core is not None
        deadline = node.core.deadline
        if deadline is None or self._armed.get(node.address) == deadline:
            return
        self._armed[node.address] = deadline
        generation = node.generation

        def due() -> None:
            if self._armed.get(node.address) == deadline:
                self._armed[node.address] = None
            if node.core is not None and node.generation == generation:
                node.core.advance(self.now)
                self.act(node)

        self.after(max(0.0, deadline - self.now), due)

    def _dial(self, node: Node, action: Connect, generation: int) -> None:
        if node.core is None or node.generation != generation:
            return
        other = self.nodes.get(action.peer.address)
        unreachable = {node.address, action.peer.address} & self.silenced
        number = None
        if other and other.core and not unreachable and self.random.random() >= self.refuse:
            near = action.peer.local_address or node.address
            number = other.core.accepted(near, action.peer.address, self.now)
        if other is None or number is None:
            node.core.closed(action.connection, self.now)
        else:
            wire = Wire({node.address: action.connection, other.address: number})
            node.wires[action.connection] = other.wires[number] = wire
            node.core.connected(action.connection, action.peer.local_address or node.address, self.now)
        for end in (node, other):
            if end is not None:
                self.act(end)

    def _send(self, node: Node, number: int, data: bytes) -> None:
        wire = node.wires.get(number)
        if wire is None or node.address in self.silenced:
            return
        other = self._other(node, wire)
        half = self.random.randrange(len(data) + 1)
        for part in (data[:half], data[half:]):
            if part:
                self._deliver(wire, other, partial(self._arrive, other, wire, part))

    def _deliver(self, wire: Wire, to: Node, action: Callable[[], None]) -> None:
        at = max(self.now + self.latency(), wire.last_arrival.get(to.address, 0.0) + 1e-9)
        wire.last_arrival[to.address] = at
        self.after(at - self.now, action)

    def _arrive(self, node: Node, wire: Wire, data: bytes) -> None:
        number = wire.ends[node.address]
        if number is not None and node.core is not None and node.address not in self.silenced:
            node.core.received(number, data, self.now)
            self.act(node)

    def _lost(self, node: Node, wire: Wire) -> None:
        number = wire.ends[node.address]
        if number is None or node.address in self.silenced:
            return
        wire.ends[node.address] = None
        node.wires.pop(number, None)
        if node.core is not None:
            node.core.closed(number, self.now)
            self.act(node)

    def _other(self, node: Node, wire: Wire) -> Node:
        return next(self.nodes[address] for address in wire.ends if address != node.address)


def address_of(index: int) -> IPv4Address:
    """Address of the node with this number, from 1."""
    return IPv4Address("192.0.2.0") + index


def block_of(index: int, which: int = 0) -> IPv4Network:
    """A block of the node with this number."""
    return IPv4Network((int(POOL.network_address) + 64 * (index * 4 + which), 26))


def peer_of(index: int, **changes: object) -> PeerSettings:
    """The node with this number as an iBGP peer."""
    return PeerSettings(address_of(index), AS, AS, **changes)  # type: ignore[arg-type]


def mesh(world: World, size: int, *, both_dial: bool = False, **of_peers: object) -> list[Node]:
    """A full mesh; of two nodes the one with the lower address dials, or both do."""
    nodes = []
    for me in range(1, size + 1):
        peers = tuple(
            peer_of(other, local_address=address_of(me), passive=not both_dial and other < me, **of_peers)
            for other in range(1, size + 1)
            if other != me
        )
        settings = SpeakerSettings(
            address_of(me), (address_of(me),), 179, peers, (block_of(me), block_of(me, 1)), (POOL,), 5.0, 120.0
        )
        nodes.append(world.add(settings))
    return nodes


def converged(nodes: list[Node]) -> bool:
    """Whether every node has every other's blocks, from it."""
    everything = {prefix: node.address for node in nodes for prefix in node.settings.originated}
    return all(
        {prefix: route.next_hop for prefix, route in node.view.routes.items()}
        == {prefix: owner for prefix, owner in everything.items() if owner != node.address}
        for node in nodes
    )


def established(node: Node) -> int:
    """How many sessions of a node are up."""
    assert node.core is not None
    return sum(session.state is SessionState.ESTABLISHED for session in node.core.sessions())


def ups(world: World) -> int:
    """How many times a session came up, both ends counted."""
    return sum(NoteKind.UP.name in line for line in world.trace)
