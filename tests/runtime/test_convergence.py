"""One node's loop over a fake kernel: what is written when, and what a failure or a restart leaves."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Collection, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from random import Random

import pytest

from muslin.net import Address, Mac, Prefix
from muslin.resources.base import Resource
from muslin.resources.cluster_information import ClusterInformation
from muslin.semantics.snapshot import Snapshot
from runtime.calc.state import NodeState
from runtime.convergence import Applied, Convergence, Kernel
from runtime.dataplane.conntrack import Flow
from tests.support.clusters import affinity, block, namespace_profile, policy, pool, workload
from tests.support.clusters import node as cluster_node
from tests.support.fake_kernel import FakeConntrack, FakeKernel
from tests.support.fake_nftables import FilterPacket
from tests.support.virtual_time import run_virtual

_HERE = "node-a"
_POD, _OTHER = ip_address("10.48.0.1"), ip_address("10.48.0.2")
_REMOTE = ip_network("10.48.0.64/26")
_PEER = ip_address("192.0.2.2")


class _Speaker:
    """What a speaker would say."""

    def __init__(self) -> None:
        self.desired: list[NodeState] = []
        self.routes: Mapping[Prefix, Address] = {}
        self.in_sync = True

    def desire(self, state: NodeState) -> None:
        self.desired.append(state)


class _Node:
    """A loop with all its surroundings."""

    def __init__(self, kernel: FakeKernel) -> None:
        self.kernel, self.speaker = kernel, _Speaker()
        self.applied: list[Applied] = []
        self.failures: list[BaseException] = []
        self.loop = Convergence(
            _HERE,
            kernel=Kernel(kernel.nftables, kernel.routes, kernel.conntrack, lambda: [ip_address("192.0.2.1")]),
            speaker=self.speaker,
            random=Random(1),
            on_applied=self.applied.append,
            on_failure=lambda error, _: self.failures.append(error),
            here=ip_interface("192.0.2.1/24"),
        )


def _cluster(*more: object, ready: bool = True) -> Snapshot:
    information = ClusterInformation.model_validate(
        {"metadata": {"name": "default"}, "spec": {"datastoreReady": ready}}
    )
    return Snapshot.of(
        [
            information,
            pool("pods", "10.48.0.0/16"),
            affinity(_HERE, "10.48.0.0/26"),
            block("10.48.0.0/26", _HERE),
            namespace_profile("default"),
            workload("one", str(_POD), on=_HERE, interfaceName="cali1"),
            workload("two", str(_OTHER), on=_HERE, interfaceName="cali2"),
            *more,  # type: ignore[list-item]
        ]
    )


def _without(cluster: Snapshot, resource: Resource) -> Snapshot:
    return Snapshot.of([each for key, each in cluster.resources.items() if key != resource.key])


def _machine() -> FakeKernel:
    kernel = FakeKernel()
    for name in ("cali1", "cali2"):
        kernel.routes.add_link(name)
    return kernel


def _packet(source: Address = _POD, destination: Address = _OTHER) -> FilterPacket:
    return FilterPacket(source, destination, 17, 4000, 53, in_interface="cali1", out_interface="cali2")


def _run(body: Callable[[_Node], Awaitable[None]], kernel: FakeKernel | None = None) -> _Node:
    async def main() -> _Node:
        node = _Node(kernel or _machine())
        task = asyncio.ensure_future(node.loop.run())
        await body(node)
        node.loop.stop()
        await task
        return node

    return run_virtual(main())


async def _settled() -> None:
    """Let everything that is due now happen."""
    await asyncio.sleep(0.001)


def test_nothing_is_written_before_the_first_snapshot() -> None:
    """An agent that knows nothing yet leaves the kernel as it found it."""

    async def body(node: _Node) -> None:
        node.loop.look_again()
        await _settled()

    node = _run(body)

    assert (node.kernel.nftables.writes, node.kernel.routes.writes) == (0, 0)
    assert node.applied == []


def test_a_snapshot_becomes_policy_routes_and_a_desired_speaker() -> None:
    """Pods of the node get a route and pass what their profile allows; the speaker is told what to announce."""

    async def body(node: _Node) -> None:
        node.loop.take(_cluster())
        await _settled()

    node = _run(body)

    assert node.kernel.verdict(_packet())
    hop = node.kernel.next_hop(_OTHER)
    assert hop is not None
    assert hop.interface == "cali2"
    assert node.speaker.desired[-1].originated == (ip_network("10.48.0.0/26"),)
    assert len(node.applied) == 1


def test_a_locked_datastore_changes_nothing() -> None:
    """While datastoreReady is false, what is in force stays."""

    async def body(node: _Node) -> None:
        node.loop.take(_cluster())
        await _settled()
        node.loop.take(_cluster(policy("deny", types=["Ingress"]), ready=False))
        await _settled()

    node = _run(body)

    assert len(node.applied) == 1
    assert node.kernel.verdict(_packet())


def test_an_emptied_datastore_changes_nothing() -> None:
    """Without ClusterInformation it is no cluster's datastore: what is in force stays."""

    async def body(node: _Node) -> None:
        node.loop.take(_cluster())
        await _settled()
        node.loop.take(Snapshot.of([]))
        await _settled()

    node = _run(body)

    assert len(node.applied) == 1
    assert node.kernel.verdict(_packet())


def test_a_tightened_policy_ends_what_was_established_and_only_that() -> None:
    """The flow that the new policy denies is cut; one that it allows goes on."""
    two = workload("two", str(_OTHER), on=_HERE, interfaceName="cali2", labels={"name": "two"})

    async def labelled(node: _Node) -> None:
        node.loop.take(_cluster(two))
        await _settled()
        node.kernel.verdict(_packet())
        back = FilterPacket(_OTHER, _POD, 17, 5000, 53, in_interface="cali2", out_interface="cali1")
        node.kernel.verdict(back)
        node.loop.take(_cluster(two, policy("deny", selector="name == 'two'", types=["Ingress"])))
        await _settled()

    node = _run(labelled)

    assert [str(entry.original.source) for entry in node.kernel.conntrack.entries] == [str(_OTHER)]
    assert not node.kernel.verdict(_packet())


def test_connections_of_pods_that_went_are_ended_by_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods that go one after the other cost one look at all connections; an address given anew waits for none."""
    one = workload("one", str(_POD), on=_HERE, interfaceName="cali1")
    two = workload("two", str(_OTHER), on=_HERE, interfaceName="cali2")
    none = _without(_without(_cluster(), one), two)
    looks: list[int] = []

    cut = FakeConntrack.cut

    def counted(conntrack: FakeConntrack, addresses: Collection[Address], keep: Callable[[Flow], bool]) -> int:
        looks.append(1)
        return cut(conntrack, addresses, keep)

    monkeypatch.setattr(FakeConntrack, "cut", counted)

    async def body(node: _Node) -> None:
        node.loop.take(_cluster())
        await asyncio.sleep(1)
        node.kernel.verdict(_packet())
        looks.clear()
        node.loop.take(_without(_cluster(), one))
        await asyncio.sleep(0.03)
        node.loop.take(none)
        await asyncio.sleep(0.1)
        assert (looks, node.kernel.conntrack.entries) == ([1], [])

        node.loop.take(_cluster())
        await asyncio.sleep(0.1)
        node.kernel.verdict(_packet())
        node.loop.take(none)
        await asyncio.sleep(0.01)
        assert node.kernel.conntrack.entries
        node.loop.take(_without(_cluster(workload("new", str(_POD), on=_HERE, interfaceName="cali1")), one))
        await asyncio.sleep(0.03)
        assert not node.kernel.conntrack.entries

    _run(body)


def test_an_answer_on_its_way_does_not_revive_an_ended_flow() -> None:
    """A server's datagram that arrives after the cut begins the flow from the other side: that is ended as well."""
    seen: list[bool] = []
    two = workload("two", str(_OTHER), on=_HERE, interfaceName="cali2", labels={"name": "two"})

    async def body(node: _Node) -> None:
        node.loop.take(_cluster(two))
        await _settled()
        assert node.kernel.verdict(_packet())
        node.loop.take(_cluster(two, policy("deny", selector="name == 'two'", types=["Ingress"])))
        await _settled()
        late = FilterPacket(_OTHER, _POD, 17, 53, 4000, in_interface="cali2", out_interface="cali1")
        assert node.kernel.verdict(late)
        seen.append(node.kernel.verdict(_packet()))
        await asyncio.sleep(0.1)
        seen.append(node.kernel.verdict(_packet()))
        own = FilterPacket(_OTHER, _POD, 17, 54, 4000, in_interface="cali2", out_interface="cali1")
        assert node.kernel.verdict(own)
        await asyncio.sleep(20)
        assert node.kernel.conntrack.knows(own)

    _run(body)

    assert seen == [True, False]


def test_a_restarted_agent_finishes_the_cut_of_its_predecessor() -> None:
    """A flow that slipped through between policy and cut is ended by the next agent's first look."""
    kernel = _machine()
    two = workload("two", str(_OTHER), on=_HERE, interfaceName="cali2", labels={"name": "two"})

    async def first(node: _Node) -> None:
        node.loop.take(_cluster(two))
        await _settled()
        node.kernel.verdict(_packet())
        node.kernel.fail_next("conntrack delete", errno.EPERM)
        node.loop.take(_cluster(two, policy("deny", selector="name == 'two'", types=["Ingress"])))
        await _settled()

    async def second(node: _Node) -> None:
        node.loop.take(_cluster(two, policy("deny", selector="name == 'two'", types=["Ingress"])))
        await _settled()

    died = _run(first, kernel)
    assert died.failures
    assert kernel.conntrack.entries

    _run(second, kernel)

    assert kernel.conntrack.entries == []


def test_a_refusal_of_the_kernel_is_told_and_tried_again() -> None:
    """One refused transaction is no end: the loop tells it and converges later."""

    async def body(node: _Node) -> None:
        node.kernel.fail_next("nftables transaction", errno.ENOBUFS)
        node.loop.take(_cluster())
        await _settled()
        assert node.applied == []
        await asyncio.sleep(1)

    node = _run(body)

    assert len(node.failures) == 1
    assert len(node.applied) == 1
    assert node.kernel.verdict(_packet())


def test_learnt_routes_stay_until_the_speaker_has_heard_everybody() -> None:
    """A route that a former speaker learnt is swept only when the new one says in sync."""
    kernel = _machine()

    async def first(node: _Node) -> None:
        node.speaker.routes = {_REMOTE: _PEER}
        node.loop.take(_cluster())
        await _settled()

    async def second(node: _Node) -> None:
        node.speaker.in_sync = False
        node.loop.take(_cluster())
        await _settled()
        assert node.kernel.next_hop(ip_address("10.48.0.70")) is not None
        node.speaker.in_sync = True
        node.loop.look_again()
        await _settled()

    _run(first, kernel)
    assert kernel.next_hop(ip_address("10.48.0.70")) is not None

    _run(second, kernel)

    assert kernel.next_hop(ip_address("10.48.0.70")) is None


def test_a_pod_waits_until_its_policy_is_in_the_kernel() -> None:
    """`enforced` returns once the endpoint with these addresses is judged, and not before."""

    async def body(node: _Node) -> None:
        waiting = asyncio.ensure_future(node.loop.enforced("cali1", [_POD]))
        await _settled()
        assert not waiting.done()
        node.loop.take(_cluster())
        await asyncio.wait_for(waiting, 1)

    node = _run(body)

    assert node.kernel.verdict(_packet())


def test_a_pod_whose_link_comes_late_waits_for_the_route_to_it() -> None:
    """Policy may be there before the interface; `enforced` returns once the route through it is there as well."""

    async def body(node: _Node) -> None:
        node.loop.take(_cluster(workload("web", "10.48.0.3", on=_HERE, interfaceName="cali3")))
        waiting = asyncio.ensure_future(node.loop.enforced("cali3", [ip_address("10.48.0.3")]))
        await asyncio.sleep(1)
        assert not waiting.done()
        node.kernel.routes.add_link("cali3")
        node.loop.look_again()
        await asyncio.wait_for(waiting, 1)

    node = _run(body)

    assert ip_network("10.48.0.3/32") in {route.prefix for route in node.kernel.routes.routes}


def test_one_step_serves_all_workloads_that_are_being_attached() -> None:
    """While endpoints are being made a step waits for the last of them, and not for one that takes long."""

    def with_pods(count: int) -> Snapshot:
        return _cluster(
            *(workload(f"p{n}", f"10.48.0.{n + 10}", on=_HERE, interfaceName=f"calip{n}") for n in range(count))
        )

    async def body(node: _Node) -> None:
        node.loop.take(_cluster())
        await asyncio.sleep(1)
        steps = len(node.applied)
        with node.loop.expecting():
            with node.loop.expecting():
                node.loop.take(with_pods(1))
                await asyncio.sleep(0.01)
            node.loop.take(with_pods(2))
            await asyncio.sleep(0.01)
            assert len(node.applied) == steps
        await _settled()
        assert len(node.applied) == steps + 1
        assert {"calip0", "calip1"} <= set(node.applied[-1].state.endpoints)
        with node.loop.expecting():
            node.loop.take(with_pods(3))
            await asyncio.sleep(0.2)
            assert "calip2" in node.applied[-1].state.endpoints

    machine = _machine()
    for number in range(3):
        machine.routes.add_link(f"calip{number}")
    _run(body, machine)


def test_many_that_are_ready_do_not_wait_for_few_that_come_late() -> None:
    """Two workloads wait for their policy while one is still being made: the step begins with these two."""

    async def body(node: _Node) -> None:
        node.loop.take(_cluster())
        await asyncio.sleep(1)
        steps = len(node.applied)
        with node.loop.expecting():
            waiting = [
                asyncio.create_task(node.loop.enforced(f"calip{n}", [ip_address(f"10.48.0.{n + 10}")]))
                for n in range(2)
            ]
            await asyncio.sleep(0.001)
            node.loop.take(
                _cluster(
                    *(workload(f"p{n}", f"10.48.0.{n + 10}", on=_HERE, interfaceName=f"calip{n}") for n in range(2))
                )
            )
            await asyncio.sleep(0.001)
            assert len(node.applied) == steps + 1
            await asyncio.wait_for(asyncio.gather(*waiting), 0.001)

    machine = _machine()
    for number in range(2):
        machine.routes.add_link(f"calip{number}")
    _run(body, machine)


def test_a_pods_next_sandbox_waits_for_its_own_policy() -> None:
    """Same name, so the same interface, and by chance the same address: the MAC tells that it is another one."""
    old, new = Mac("02:00:00:00:00:01"), Mac("02:00:00:00:00:02")

    def with_pod(mac: Mac) -> Snapshot:
        return _cluster(workload("web", "10.48.0.3", on=_HERE, interfaceName="cali3", mac=str(mac)))

    async def body(node: _Node) -> None:
        node.kernel.routes.add_link("cali3")
        node.loop.take(with_pod(old))
        await asyncio.wait_for(node.loop.enforced("cali3", [ip_address("10.48.0.3")], old), 1)
        waiting = asyncio.ensure_future(node.loop.enforced("cali3", [ip_address("10.48.0.3")], new))
        await _settled()
        assert not waiting.done()
        node.loop.take(with_pod(new))
        await asyncio.wait_for(waiting, 1)

    _run(body)


def test_no_learnt_route_leads_the_nodes_own_traffic_away() -> None:
    """Whatever the speaker says: nothing that covers the default, the network between the nodes or a node's address."""
    hostile = ["0.0.0.0/0", "192.0.0.0/8", "192.0.2.0/24", "192.0.2.0/25", "192.0.2.2/32", "127.0.0.0/8", "::/0"]

    async def body(node: _Node) -> None:
        node.speaker.routes = {_REMOTE: _PEER, **{ip_network(text): _PEER for text in hostile}}
        node.loop.take(_cluster(pool("wide", "192.0.0.0/8"), cluster_node("node-b", "192.0.2.2/24")))
        await _settled()

    node = _run(body)
    assert list(node.applied[-1].learnt) == [_REMOTE]
    assert node.kernel.next_hop(_REMOTE[1]) is not None
    for away in ("192.0.2.77", "192.0.2.2", "203.0.113.10", "192.88.99.1", "127.0.0.1"):
        assert node.kernel.next_hop(ip_address(away)) is None
    assert len(node.applied[-1].problems) == len(hostile)


def test_a_fault_in_the_computation_leaves_what_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that meets an error of ours is told; the node goes on as it is, and heals with the next snapshot."""

    async def body(node: _Node) -> None:
        node.loop.take(_cluster())
        await _settled()
        with monkeypatch.context() as broken:
            broken.setattr("runtime.convergence.compute", lambda *_: 1 // 0)
            node.loop.take(_cluster(policy("any")))
            await _settled()
            assert node.kernel.verdict(_packet())
            assert "ZeroDivisionError" in str(node.failures[-1])
        node.loop.take(_cluster(policy("deny", types=["Ingress"])))
        await _settled()
        assert not node.kernel.verdict(_packet())

    _run(body)
