"""Looks at the whole cluster again and again, and says what must not be: after each write, each second, and in calm."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from random import Random
from typing import Any

from muslin.net import Address, Prefix
from muslin.semantics.verdict import Flow
from reconciler.compare import canonical, stripped
from reconciler.status import KIND as STATUS
from runtime.calc.compute import compute
from runtime.calc.state import Route, RouteClass
from runtime.calc.verdict import Judge, Packet
from runtime.dataplane.routes import DesiredRoutes, winners
from runtime.dataplane.ruleset import compile_ruleset
from runtime.node_status import APPLIED_REVISION
from tests.simulation.cluster import Attached, Cluster
from tests.simulation.node import Node
from tests.simulation.processes import NOBODY
from tests.support.fake_nftables import FilterPacket

__all__ = ["Watchman"]

_SAMPLES = 4
"""Flows looked at after each write."""
_CALM_SAMPLES = 60
_OUTSIDE = ip_address("203.0.113.10")
_SETTLED_S = 3.0
_APART_S = 40.0
"""Sessions that are disturbed twice within this time may lose routes (RFC 4724 section 4.2)."""


class Watchman:
    """Checks a cluster.

    Args:
        cluster: which.
        random: which flows are looked at; must not be anybody else's.
    """

    def __init__(self, cluster: Cluster, random: Random) -> None:
        self._cluster, self._random = cluster, random
        self._low: dict[Node, int] = {}
        self._high: dict[Node, int] = {}
        self._due: set[Node] = set()
        self._established: set[tuple[Node, Attached]] = set()
        self._disturbed: dict[Node, float] = {}
        self._tampered: dict[Node, int] = {}
        self.flows: list[tuple[Attached, Attached, Flow, int]] = []
        self.looked = 0
        self._seen: object = None
        self._new: dict[Attached, float] = {}
        self._judges: dict[tuple[int, str], Judge] = {}
        cluster.on_attached = self._look_at_new
        for node in cluster.nodes:
            node.machine.written = lambda node=node: self._written(node)  # type: ignore[misc]

    # -- what the history tells

    def disturbed(self, *nodes: Node) -> None:
        """Sessions of these nodes end now."""
        now = asyncio.get_running_loop().time()
        for node in nodes:
            if now - self._disturbed.get(node, -1e9) < _APART_S:
                self._established = {(at, pod) for at, pod in self._established if node not in (at, pod.node)}
            self._disturbed[node] = now

    def tampered(self, node: Node) -> None:
        """Somebody broke this node's kernel by hand; it counts again once the agent has written."""
        self._tampered[node] = node.machine.kernel.nftables.writes
        self._established = {(at, pod) for at, pod in self._established if node not in (at, pod.node)}

    def gone(self, pod: Attached) -> None:
        """A pod is not wanted any more."""
        self._established = {(at, other) for at, other in self._established if other != pod}
        self.flows = [each for each in self.flows if pod not in each[:2]]

    def open_flow(self) -> None:
        """A pod opens a connection to another."""
        chosen = self._two()
        if chosen is not None:
            source, target = chosen
            flow = self._flow(source, target)
            self._cluster.oracle.follow()
            if self._cluster.arrives(source, flow, track=True):
                since = min(self._low.get(source.node, 0), self._low.get(target.node, 0))
                self.flows.append((source, target, flow, since))
                self._cluster.tell(f"connection {flow.source} -> {flow.destination} {flow.destination_port}")

    # -- checks

    def _written(self, node: Node) -> None:
        if not self._due:
            loop = asyncio.get_running_loop()
            loop.call_soon(self._look_at_written, context=NOBODY)
        self._due.add(node)

    def _look_at_written(self) -> None:
        due, self._due = self._due, set()
        self._cluster.oracle.follow()
        for node in sorted(due, key=lambda each: each.name):
            self._move_window(node)
        self._look_at_routes()
        for _ in range(_SAMPLES):
            self._look_at_some_flow()

    def tick(self) -> None:
        """One look at everything that must always hold; where nothing happened since the last, at little of it."""
        self._cluster.oracle.follow()
        writes = [
            node.machine.kernel.nftables.writes + node.machine.kernel.routes.writes for node in self._cluster.nodes
        ]
        seen = (self._cluster.oracle.last, tuple(writes), len(self._cluster.attached))
        if seen == self._seen:
            self._look_at_routes()
            return
        self._seen = seen
        for node in self._cluster.nodes:
            self._move_window(node)
        self._look_at_routes()
        for _ in range(_SAMPLES):
            self._look_at_some_flow()

    def _move_window(self, node: Node) -> None:
        """Between which snapshots the node's kernel can be."""
        oracle, agent = self._cluster.oracle, node.agent
        if agent is not None:
            self._high[node] = max(self._high.get(node, 0), oracle.index(agent.mirror.snapshot.revision))
            if agent.convergence.applied is not None:
                self._low[node] = oracle.index(agent.convergence.applied.state.revision)
        if node.machine.kernel.nftables.writes > self._tampered.get(node, 1 << 60):
            del self._tampered[node]

    def _two(self) -> tuple[Attached, Attached] | None:
        pods = list(self._cluster.attached.values())
        return None if len(pods) < 2 else tuple(self._random.sample(pods, 2))  # type: ignore[return-value]

    def _flow(self, source: Attached, target: Attached) -> Flow:
        protocol, port = self._random.choice(((6, 80), (6, 81), (17, 53)))
        return Flow(source.address, target.address, protocol, self._random.randint(30000, 60000), port)

    def _look_at_some_flow(self) -> None:
        """Each end's node passes what some snapshot in its window allows, and nothing else."""
        chosen = self._two()
        if chosen is None:
            return
        self.looked += 1
        source, target = chosen
        protocol, port = self._random.choice(((6, 80), (6, 81), (17, 53)))
        flow = Flow(source.address, target.address, protocol, 33333, port)
        out, there = self._cluster.passes_egress(source, flow)
        if there is None:
            return
        both = there is source.node
        self._compare(source.node, flow, passes=out, egress=True, ingress=both)
        if not both:
            back = target.node.machine.kernel.next_hop(flow.destination)
            if there is target.node and back is not None and back.interface == target.interface:
                passes = self._cluster.passes_ingress(there, flow)
                self._compare(there, flow, passes=passes, egress=False, ingress=True)

    def _compare(self, node: Node, flow: Flow, *, passes: bool, egress: bool, ingress: bool) -> None:
        if node in self._tampered or node not in self._low:
            return
        window = range(self._low[node], max(self._low[node], self._high[node]) + 1)
        allowed = {self._allowed(index, flow, egress=egress, ingress=ingress) for index in window}
        if passes not in allowed:
            words = "passes, which no policy of the time allows" if passes else "is dropped, which every policy allows"
            side = "egress" if egress else "ingress"
            self._cluster.broken(f"{flow} {words} ({side} at {node.name}, snapshots {window.start}..{window.stop - 1})")

    def _allowed(self, index: int, flow: Flow, *, egress: bool, ingress: bool) -> bool:
        oracle = self._cluster.oracle
        if egress and oracle.owner(index, flow.source) is None:
            return False
        if ingress and oracle.owner(index, flow.destination) is None:
            return False
        verdict = oracle.verdict(index, flow)
        gets_out = verdict.allowed or verdict.ingress is not None
        if not ingress:
            return gets_out
        if egress:
            return verdict.allowed
        return verdict.allowed if gets_out else self._allowed_in(index, flow)

    def _allowed_in(self, index: int, flow: Flow) -> bool:
        """Ingress alone, where the source's own policy would not let it out: ask as if the source were elsewhere."""
        endpoint = self._cluster.oracle.owner(index, flow.destination)
        assert endpoint is not None
        interface, node = endpoint.spec.interface_name, str(endpoint.spec.node)
        judge = self._judges.get((index, node))
        if judge is None:
            judge = self._judges[index, node] = Judge(compute(self._cluster.oracle.snapshot(index), node))
        ports = (flow.source_port, flow.destination_port)
        packet = Packet(flow.source, flow.destination, flow.protocol, *ports, out_interface=interface)
        return judge.judge(packet).allowed

    def _look_at_new(self, pod: Attached) -> None:
        """A pod whose ADD was answered is judged by its policy already."""
        self._new[pod] = asyncio.get_running_loop().time()
        self._cluster.oracle.follow()
        self._move_window(pod.node)
        owner = self._cluster.oracle.owner(self._low.get(pod.node, 0), pod.address)
        if owner is None:
            self._cluster.broken(f"ADD of {pod.pod.name} was answered before {pod.node.name} knew its policy")
        flow = Flow(pod.address, _OUTSIDE, 6, 33333, 80)
        packet = FilterPacket(flow.source, flow.destination, 6, 33333, 80, in_interface=pod.interface)
        passes = pod.node.machine.kernel.nftables.verdict(packet)
        self._compare(pod.node, flow, passes=passes, egress=True, ingress=False)

    def _look_at_routes(self) -> None:
        """A pod that could be reached goes on being reached, whoever dies.

        A pod that is new, or one beyond a network that was cut until now, may be reached by news that are out of date.
        """
        now, internet = asyncio.get_running_loop().time(), self._cluster.internet
        settled = not internet.cut and now - internet.healed_at > _SETTLED_S
        for pod in self._cluster.attached.values():
            for node in self._cluster.nodes:
                right = self._cluster.way_to(node, pod.address) is pod.node
                if right and settled and now - self._new.get(pod, now) > _SETTLED_S:
                    self._established.add((node, pod))
                elif not right and (node, pod) in self._established and node not in self._tampered:
                    self._established.discard((node, pod))
                    self._cluster.broken(f"{node.name} lost its way to {pod.pod.name} {pod.address} on {pod.node.name}")

    # -- calm

    def calm(self, commit: str | None) -> None:
        """Everything is as it must be when nothing has happened for a while. `commit`: must be applied."""
        cluster = self._cluster
        self.tick()
        if not cluster.settled:
            cluster.broken(
                f"pods are not as wanted: {sorted(cluster.wanted)} {sorted(cluster.attached)} {cluster.going}"
            )
        for node in cluster.nodes:
            self._look_at_node(node)
        self._look_at_addresses()
        self._look_at_declared(commit)
        for _ in range(_CALM_SAMPLES):
            chosen = self._two()
            if chosen is not None:
                self._look_end_to_end(*chosen)
        self._look_at_connections()

    def _look_at_connections(self) -> None:
        """What policy denies now is cut; what it never denied is not, also where the server speaks next."""
        cluster, last = self._cluster, self._cluster.oracle.last
        for source, target, flow, since in self.flows:
            if all(cluster.oracle.verdict(index, flow).allowed for index in range(since, last + 1)):
                back = Flow(flow.destination, flow.source, flow.protocol, flow.destination_port, flow.source_port)
                if not cluster.arrives(target, back, track=True):
                    cluster.broken(f"the server's answer in {flow} does not arrive, though it was always allowed")
            wanted = cluster.oracle.verdict(last, flow).allowed
            if cluster.arrives(source, flow, track=True) is not wanted:
                cluster.broken(f"the established {flow} {'is cut' if wanted else 'goes on, though policy denies it'}")
        self.flows.clear()

    def _look_end_to_end(self, source: Attached, target: Attached) -> None:
        cluster, oracle = self._cluster, self._cluster.oracle
        protocol, port = self._random.choice(((6, 80), (6, 81), (17, 53)))
        flow = Flow(source.address, target.address, protocol, 33333, port)
        wanted = oracle.verdict(oracle.last, flow)
        if cluster.arrives(source, flow) is not wanted.allowed:
            cluster.broken(f"in calm {flow} {'does not pass' if wanted.allowed else 'passes'}: {wanted}")

    def _look_at_node(self, node: Node) -> None:
        cluster, latest = self._cluster, self._cluster.oracle.latest
        assert node.agent is not None
        if node.agent.snapshot.resources != latest.resources:
            cluster.broken(f"{node.name} has another copy of the datastore")
        state = compute(latest, node.name)
        kernel = node.machine.kernel
        if kernel.nftables.ruleset != compile_ruleset(state):
            cluster.broken(f"the filter of {node.name} is not that of the datastore")
        learnt = [
            Route(prefix, RouteClass.BGP, next_hop=other.address)
            for other in cluster.nodes
            if other is not node
            for prefix in compute(latest, other.name).originated
            if any(_within(prefix, allowed) for allowed in state.importable)
        ]
        wanted = winners(DesiredRoutes.of(state, learnt).routes)
        names = {index: name for name, index in kernel.routes.interfaces.items()}
        actual = {(route.prefix, route.gateway, names.get(route.interface)) for route in kernel.routes.routes}
        expected: set[tuple[Prefix, Address | None, str | None]] = {
            (route.prefix, route.next_hop, route.interface) for route in wanted.values()
        }
        if actual != expected:
            more, less = sorted(map(str, actual - expected)), sorted(map(str, expected - actual))
            cluster.broken(f"the routes of {node.name} are not as wanted: too many {more}, missing {less}")
        links = {pod.interface for pod in cluster.attached.values() if pod.node is node}
        if set(node.machine.links) != links:
            cluster.broken(f"{node.name} has links {sorted(node.machine.links)}, wanted {sorted(links)}")
        self._look_at_report(node)

    def _look_at_report(self, node: Node) -> None:
        for key, value in self._cluster.oracle.values.items():
            if key.kind == "CalicoNodeStatus" and key.name == node.name:
                applied = self._cluster.oracle.index(value["metadata"]["annotations"][APPLIED_REVISION])
                bgp = value["status"]["bgp"]
                if applied != self._cluster.oracle.last or bgp["numberEstablishedV4"] != len(self._cluster.nodes) - 1:
                    self._cluster.broken(f"{node.name} reports snapshot {applied} and {bgp}")
                return
        self._cluster.broken(f"{node.name} reports nothing")

    def _look_at_addresses(self) -> None:
        """Nothing is leaked: IPAM, endpoints and pods agree."""
        cluster = self._cluster
        given = sorted((handle, str(address)) for handle, address in cluster.oracle.allocations())
        used = sorted((cluster.handle_of(pod), str(pod.address)) for pod in cluster.attached.values())
        if given != used:
            cluster.broken(f"addresses given out are {given}, used are {used}")
        endpoints = sorted(
            text
            for key, value in cluster.oracle.values.items()
            if key.kind == "WorkloadEndpoint"
            for text in value["spec"]["ipNetworks"]
        )
        if endpoints != sorted(f"{pod.address}/32" for pod in cluster.attached.values()):
            cluster.broken(f"endpoints are {endpoints}")

    def _look_at_declared(self, commit: str | None) -> None:
        """The reconciler says that a good commit is applied, and its objects are there."""
        cluster = self._cluster
        status: dict[str, Any] = next(
            (value["status"] for key, value in cluster.oracle.values.items() if key.kind == STATUS), {}
        )
        applied = status.get("applied")
        if applied is None or (commit is not None and applied != commit):
            cluster.broken(f"the status says {applied} is applied, not {commit}: {status}")
            return
        reading = cluster.source.reading(applied)
        if reading.problems:
            cluster.broken(f"a bad commit is applied: {applied}")
        for key, declared in reading.resources.items():
            value = cluster.oracle.values.get(key)
            if value is None or canonical(value) != stripped(declared.value):
                cluster.broken(f"{key} is {value}, declared {declared.value}")
        ours = {"IPPool", "BGPConfiguration", "GlobalNetworkPolicy", "NetworkPolicy", "GlobalNetworkSet"}
        left = {key for key in cluster.oracle.values if key.kind in ours} - set(reading.resources)
        told = {each["object"] for each in status.get("blocked", ())}  # somebody else changed it: it stays, and is told
        if {str(key) for key in left} - told:
            cluster.broken(f"{sorted(map(str, left))} should be gone; the status says {status}")


def _within(prefix: Prefix, allowed: Prefix) -> bool:
    return prefix.version == allowed.version and prefix.subnet_of(allowed)  # type: ignore[arg-type]
