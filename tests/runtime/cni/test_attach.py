"""ADD leaves all or nothing; ADD, DEL and CHECK may be repeated."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import pytest

from muslin.datastore.memory import Call, Fault, MemoryDatastore, Operation
from muslin.errors import Failed, MuslinError, Problem, Unavailable
from muslin.net import Address, Mac
from muslin.resources.keys import Key
from runtime.cni.answer import CniError, Code
from runtime.cni.attach import Attacher, Link
from runtime.cni.endpoints import Attachment
from runtime.cni.names import Handle
from runtime.cni.pod import Pod
from runtime.cni.request import decode
from runtime.cni.server import PodNamespace
from tests.runtime.cni.frames import NETWORK, payload, previous

_READY = Key("ClusterInformation", "default")
_ENDPOINT = Key("WorkloadEndpoint", "node1-k8s-web--0-eth0", "demo")


@dataclass
class _World:
    """A node: addresses, links and policy that remember what is there and fail when told."""

    held_by: dict[str, tuple[Address, ...]] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    fail_in: str = ""
    fail_after: bool = False
    log: list[str] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0
    gate: asyncio.Event | None = None
    crowd: int = 0
    crowded: asyncio.Event = field(default_factory=asyncio.Event)

    def _step(self, name: str, deed: Callable[[], None]) -> None:
        self.log.append(name)
        if self.fail_in == name and not self.fail_after:
            raise Failed(Problem(f"{name} failed", "here", "try"))
        deed()
        if self.fail_in == name:
            raise Failed(Problem(f"{name} failed", "here", "try"))

    async def assign(self, handle: Handle, pod: Pod, pools: tuple[str, ...]) -> tuple[Address, ...]:
        def deed() -> None:
            taken = {int(address) for held in self.held_by.values() for address in held}
            free = next(
                n for n in range(int(IPv4Address("10.48.0.1")), int(IPv4Address("10.48.1.0"))) if n not in taken
            )
            self.held_by.setdefault(handle, (IPv4Address(free),))

        self._step("assign", deed)
        return self.held_by[handle]

    async def held(self, handle: Handle) -> tuple[Address, ...]:
        return self.held_by.get(handle, ())

    async def release(self, handle: Handle) -> None:
        self._step("release", lambda: None)
        self.held_by.pop(handle, None)

    def new_mac(self) -> Mac:
        return Mac("0a:58:0a:30:00:01")

    async def make(self, link: Link, mac: Mac, namespace: PodNamespace) -> int:
        self._step("make", lambda: self.links.update({link.interface: link}))
        return 2

    async def connect(self, link: Link, peer: int, namespace: PodNamespace) -> None:
        assert (self.links[link.interface].ifname, peer) == (link.ifname, 2)
        self._step("connect", lambda: self.links.update({link.interface: link}))

    async def disconnect(self, interface: str) -> None:
        self._step("disconnect", lambda: None)
        self.links.pop(interface, None)

    async def problems(self, link: Link, namespace: PodNamespace) -> tuple[Problem, ...]:
        if self.links.get(link.interface) == link:
            return ()
        return (Problem("the interface is gone", link.interface, "make it"),)

    async def policy_ready(self, attachment: Attachment) -> None:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        if self.busy == self.crowd:
            self.crowded.set()
        try:
            self._step("policy", lambda: None)
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.busy -= 1


@asynccontextmanager
async def _attacher(
    world: _World, faults: Callable[[Call], Fault] | None = None
) -> AsyncIterator[tuple[Attacher, MemoryDatastore, PodNamespace]]:
    store = MemoryDatastore()
    await store.create(_READY, {"spec": {"datastoreReady": True}})
    used = store.client(faults) if faults else store
    attacher = Attacher("node1", used, addresses=world, links=world, policy_ready=world.policy_ready, mtu=lambda: 1500)
    with socket.socket(socket.AF_UNIX) as stand_in:
        yield attacher, store, PodNamespace(-1, stand_in)


def _names(listing: Any) -> list[str]:
    return [entry.key.name for entry in listing.entries]


def test_add_answers_what_it_made() -> None:
    """ADD answers the host interface, the pod's, and its address, and the endpoint says the same."""

    async def run() -> None:
        world = _World()
        async with _attacher(world) as (attacher, store, namespace):
            answer = json.loads((await attacher.handle(decode(payload()), namespace)).body)
            endpoint = (await store.get(_ENDPOINT)).value

        assert answer["ips"] == [{"address": "10.48.0.1/32", "interface": 1}]
        assert [each["name"] for each in answer["interfaces"]] == [endpoint["spec"]["interfaceName"], "eth0"]
        assert endpoint["spec"]["ipNetworks"] == ["10.48.0.1/32"]
        assert endpoint["spec"]["profiles"] == ["kns.demo"]
        assert endpoint["metadata"]["labels"] == {
            "app": "web",
            "projectcalico.org/namespace": "demo",
            "projectcalico.org/orchestrator": "k8s",
        }
        assert world.log == ["assign", "make", "connect", "policy"]

    asyncio.run(run())


def test_a_pods_own_labels_do_not_make_it_another_namespaces_or_accounts() -> None:
    """Policies select by what namespace and account say; a pod's author writes its labels, and own ones would win."""
    labels = {
        "app": "web", "pcns.team": "admins", "pcsa.role": "root", "projectcalico.org/serviceaccount": "root",
        "projectcalico.org/namespace": "kube-system",
    }  # fmt: skip
    network = {**NETWORK, "pod": {"namespace": "demo", "name": "web-0", "labels": labels}}

    async def main() -> None:
        async with _attacher(_World()) as (attacher, store, namespace):
            await attacher.handle(decode(payload(network)), namespace)
            endpoint = (await store.get(_ENDPOINT)).value
        assert endpoint["metadata"]["labels"] == {
            "app": "web", "projectcalico.org/namespace": "demo", "projectcalico.org/orchestrator": "k8s",
        }  # fmt: skip

    asyncio.run(main())


@pytest.mark.parametrize("after", [False, True], ids=["before", "half-way"])
@pytest.mark.parametrize("step", ["assign", "make", "connect", "policy"])
def test_a_failed_add_leaves_nothing(step: str, after: bool) -> None:
    """Whichever step fails, before or after it did its work, address, link and endpoint are gone."""

    async def run() -> None:
        world = _World(fail_in=step, fail_after=after)
        async with _attacher(world) as (attacher, store, namespace):
            with pytest.raises(Failed, match=f"{step} failed"):
                await attacher.handle(decode(payload()), namespace)

            assert (world.held_by, world.links, _names(await store.list("WorkloadEndpoint"))) == ({}, {}, [])

    asyncio.run(run())


@pytest.mark.parametrize("fault", [Fault(refused=True), Fault(answer_lost=True)], ids=["refused", "answer lost"])
def test_an_add_whose_endpoint_cannot_be_written_leaves_nothing(fault: Fault) -> None:
    """Also where the datastore wrote the endpoint and only its answer was lost."""

    def faults(call: Call) -> Fault:
        return fault if call.operation is Operation.CREATE else Fault()

    async def run() -> None:
        world = _World()
        async with _attacher(world, faults) as (attacher, store, namespace):
            with pytest.raises(Unavailable):
                await attacher.handle(decode(payload()), namespace)

            assert (world.held_by, world.links, _names(await store.list("WorkloadEndpoint"))) == ({}, {}, [])

    asyncio.run(run())


def test_a_rollback_that_fails_tells_the_cause_and_goes_on() -> None:
    """Where undoing one step fails, the others are undone, and the error is still that of the step."""

    async def run() -> None:
        world = _World(fail_in="disconnect")

        async def never(attachment: Attachment) -> None:
            raise Failed(Problem("policy failed", "here", "try"))

        async with _attacher(world) as (attacher, store, namespace):
            attacher._policy_ready = never
            with pytest.raises(Failed, match="policy failed") as caught:
                await attacher.handle(decode(payload()), namespace)

            assert "disconnect failed" in "".join(caught.value.__notes__)
            assert (world.held_by, _names(await store.list("WorkloadEndpoint"))) == ({}, [])

    asyncio.run(run())


def test_a_cancelled_add_leaves_nothing() -> None:
    """An agent that stops in the middle of an ADD takes it back."""

    async def run() -> None:
        world = _World(gate=asyncio.Event(), crowd=1)
        async with _attacher(world) as (attacher, store, namespace):
            task = asyncio.create_task(attacher.handle(decode(payload()), namespace))
            await world.crowded.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert (world.held_by, world.links, _names(await store.list("WorkloadEndpoint"))) == ({}, {}, [])

    asyncio.run(run())


def test_add_again_gives_the_same_answer() -> None:
    """A runtime that repeats ADD gets the same answer, and nothing is made twice."""

    async def run() -> None:
        world = _World()
        async with _attacher(world) as (attacher, _, namespace):
            first = await attacher.handle(decode(payload()), namespace)
            second = await attacher.handle(decode(payload()), namespace)

        assert first == second
        assert world.log == ["assign", "make", "connect", "policy", "policy"]

    asyncio.run(run())


def test_add_again_repairs_what_is_missing() -> None:
    """After a reboot the link is gone: ADD makes it again, with the same address."""

    async def run() -> None:
        world = _World()
        async with _attacher(world) as (attacher, _, namespace):
            first = await attacher.handle(decode(payload()), namespace)
            world.links.clear()
            second = await attacher.handle(decode(payload()), namespace)

        assert (first, len(world.links)) == (second, 1)

    asyncio.run(run())


def test_del_removes_everything_in_reverse_and_may_be_repeated() -> None:
    """DEL removes link, endpoint and address in this order; again, and without a namespace, is success."""

    async def run() -> None:
        world = _World()
        async with _attacher(world) as (attacher, store, namespace):
            await attacher.handle(decode(payload()), namespace)
            world.log.clear()
            for _ in range(2):
                assert (await attacher.handle(decode(payload(command="DEL", netns="")), None)).status == 0

            assert (world.held_by, world.links, _names(await store.list("WorkloadEndpoint"))) == ({}, {}, [])
            assert world.log == ["disconnect", "release"] * 2

    asyncio.run(run())


def test_del_of_an_older_sandbox_leaves_the_newer_one() -> None:
    """A pod's new sandbox takes the endpoint over; the old one's DEL gives back only its own address."""

    async def run() -> None:
        world = _World()
        async with _attacher(world) as (attacher, store, namespace):
            await attacher.handle(decode(payload()), namespace)
            await attacher.handle(decode(payload(containerid="c2")), namespace)
            await attacher.handle(decode(payload(command="DEL")), namespace)
            endpoint = (await store.get(_ENDPOINT)).value

            assert endpoint["spec"]["containerID"] == "c2"
            assert (set(world.held_by), len(world.links)) == ({"k8s-pod-network.c2"}, 1)

    asyncio.run(run())


def test_check_finds_what_is_missing() -> None:
    """CHECK passes after ADD, and names each thing that is gone."""

    async def run() -> None:
        world = _World()
        check = decode(payload(previous("10.48.0.1/32"), command="CHECK"))
        async with _attacher(world) as (attacher, store, namespace):
            await attacher.handle(decode(payload()), namespace)
            assert (await attacher.handle(check, namespace)).status == 0
            world.links.clear()
            world.held_by.clear()
            await store.delete(_ENDPOINT)
            with pytest.raises(CniError) as caught:
                await attacher.handle(check, namespace)

        assert caught.value.code is Code.CHECK_FAILED
        assert [problem.what for problem in caught.value.problems] == [
            "the endpoint is gone",
            "IPAM holds nothing for the container, not 10.48.0.1",
            "the interface is gone",
        ]

    asyncio.run(run())


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK"])
def test_a_locked_datastore_takes_no_work(command: str) -> None:
    """Until ClusterInformation says ready, every request is to be tried again, and changes nothing."""

    async def run() -> None:
        world = _World()
        async with _attacher(world) as (attacher, store, namespace):
            entry = await store.get(_READY)
            await store.update(_READY, {**entry.value, "spec": {"datastoreReady": False}}, entry.revision)
            with pytest.raises(Unavailable, match="not ready"):
                await attacher.handle(decode(payload(previous("10.48.0.1/32"), command=command)), namespace)

        assert world.log == []

    asyncio.run(run())


def test_policy_that_never_comes_fails_the_add_in_time() -> None:
    """ADD waits for policy as long as the configuration says, then leaves nothing and asks to try again."""

    async def run() -> None:
        world = _World(gate=asyncio.Event())
        request = decode(payload({**NETWORK, "policy_setup_timeout_seconds": 1}))
        async with _attacher(world) as (attacher, _, namespace):
            with pytest.raises(MuslinError, match="policy was not in the kernel"):
                await attacher.handle(request, namespace)

        assert (world.held_by, world.links) == ({}, {})

    asyncio.run(run())


def test_different_containers_go_on_together_and_one_container_in_turn() -> None:
    """Sixteen pods are attached at once; a second request for one of them waits."""

    async def run() -> None:
        world = _World(gate=asyncio.Event(), crowd=16)
        async with _attacher(world) as (attacher, _, namespace):
            requests = [
                decode(payload({**NETWORK, "pod": {"namespace": "demo", "name": f"web-{n}"}}, containerid=f"c{n}"))
                for n in range(16)
            ]
            tasks = [asyncio.create_task(attacher.handle(request, namespace)) for request in [*requests, requests[0]]]
            await world.crowded.wait()
            assert world.gate is not None
            world.gate.set()
            answers = await asyncio.gather(*tasks)

        assert (world.most_busy, len(world.links), answers[0] == answers[-1]) == (16, 16, True)

    asyncio.run(run())


def test_a_second_interface_is_refused_and_the_first_stays() -> None:
    """ADD of eth1 beside eth0 is refused, and the DEL that a runtime sends after it takes nothing of eth0 away."""

    async def run() -> None:
        world = _World()
        async with _attacher(world) as (attacher, store, namespace):
            await attacher.handle(decode(payload()), namespace)
            before = (dict(world.links), dict(world.held_by))
            with pytest.raises(CniError, match="one") as refused:
                await attacher.handle(decode(payload(ifname="eth1")), namespace)
            await attacher.handle(decode(payload(command="DEL", ifname="eth1")), namespace)

            assert refused.value.code is Code.BAD_ENVIRONMENT
            assert (world.links, world.held_by) == before
            assert len((await store.list("WorkloadEndpoint")).entries) == 1

    asyncio.run(run())
