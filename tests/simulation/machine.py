"""A node's machine: its kernel, which outlives every process on it, and the processes' way into it.

A process may die between any two system calls, also in the middle of one apply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from ipaddress import ip_network

from muslin.errors import Problem
from muslin.net import Address, Mac
from runtime.cni.attach import Link
from runtime.cni.server import PodNamespace
from runtime.convergence import Kernel
from runtime.dataplane.conntrack import Flow
from runtime.dataplane.ir import Ruleset
from runtime.dataplane.netlink.routes import KernelRoute
from runtime.dataplane.routes import DesiredRoutes, RouteOutcome
from tests.simulation.processes import Killed, Process
from tests.support.fake_fib import FakeRoutes
from tests.support.fake_kernel import FakeKernel

__all__ = ["Machine", "SystemCalls"]

_DELETE_S = 0.02
"""What the kernel takes to delete a link."""


@dataclass(slots=True)
class _Routes(FakeRoutes):
    """Every single route is a system call."""

    before_each: Callable[[], None] = lambda: None

    def _put(self, route: KernelRoute, *, replacing: bool) -> None:
        self.before_each()
        FakeRoutes._put(self, route, replacing=replacing)


@dataclass
class Machine:
    """The kernel of one node, and the links of its pods: Mapping[host interface, Link].

    Attributes:
        made: how many links have been made; each has a MAC of its own.
        fatal_call: the process that makes this many further system calls dies in that one; None: nobody.
        written: called after each call that may have changed something.
    """

    address: Address
    kernel: FakeKernel = field(default_factory=lambda: FakeKernel(routes=_Routes()))
    links: dict[str, Link] = field(default_factory=dict)
    made: int = 0
    fatal_call: int | None = None
    written: Callable[[], None] = lambda: None


class SystemCalls:
    """What a process of the node can do to its kernel; also `runtime.cni.attach.Links`.

    Args:
        looked: is called when somebody else, or a link, changed what the process watches.
    """

    def __init__(self, machine: Machine, process: Process, looked: Callable[[], None]) -> None:
        self._machine, self._process, self._looked = machine, process, looked
        assert isinstance(machine.kernel.routes, _Routes)
        machine.kernel.routes.before_each = self._call

    @property
    def kernel(self) -> Kernel:
        """The kernel, for the agent."""
        machine = self._machine
        return Kernel(
            ruleset=_RulesetCalls(self), routes=_RouteCalls(self), conntrack=_ConntrackCalls(self),
            host_addresses=lambda: (machine.address,),
        )  # fmt: skip

    @property
    def fake(self) -> FakeKernel:
        """The kernel that the calls go to."""
        return self._machine.kernel

    def _call(self) -> None:
        """One system call: the process may die instead."""
        if not self._process.alive:
            raise Killed
        if self._machine.fatal_call is not None:
            self._machine.fatal_call -= 1
            if self._machine.fatal_call <= 0:
                self._machine.fatal_call = None
                self._process.kill()
                raise Killed

    def done(self) -> None:
        """After a call."""
        self._machine.written()

    def heard(self) -> None:
        """Netlink events arrive: what `runtime.main` does when a socket is readable."""
        fake = self._machine.kernel
        if any([fake.nftables.drain(), fake.routes.drain()]):
            asyncio.get_running_loop().call_soon(self._looked)

    def new_mac(self) -> Mac:
        """See `Links.new_mac`."""
        self._machine.made += 1
        return Mac(b"\x02\x00" + self._machine.made.to_bytes(4))

    async def make(self, link: Link, mac: Mac, namespace: PodNamespace) -> int:
        """See `Links.make`."""
        if link.interface in self._machine.links:
            await self.disconnect(link.interface)
        self._call()
        self._machine.kernel.routes.add_link(link.interface)
        self._machine.links[link.interface] = link
        self.heard()
        self.done()
        return 2

    async def connect(self, link: Link, peer: int, namespace: PodNamespace) -> None:
        """See `Links.connect`."""
        self._call()
        self._machine.links[link.interface] = link
        self.done()

    async def disconnect(self, interface: str) -> None:
        """See `Links.disconnect`."""
        if interface in self._machine.links:
            await asyncio.sleep(_DELETE_S)
            if self._machine.links.pop(interface, None) is not None:
                self._machine.kernel.routes.delete_link(interface)
                self.heard()
                self.done()

    async def problems(self, link: Link, namespace: PodNamespace) -> tuple[Problem, ...]:
        """See `Links.problems`."""
        if self._machine.links.get(link.interface) != link:
            return (Problem("the link differs", link.interface, "make it again"),)
        fake = self._machine.kernel.routes
        index = fake.interfaces[link.interface]
        there = {route.prefix for route in fake.routes if route.interface == index}
        if not {ip_network(address) for address in link.addresses} <= there:
            return (Problem("the host has no route to the pod", link.interface, "see the agent's log"),)
        return ()


class _RulesetCalls:
    def __init__(self, calls: SystemCalls) -> None:
        self._calls = calls

    def converge(self, desired: Ruleset) -> bool:
        self._calls._call()
        changed = self._calls.fake.nftables.converge(desired)
        if changed:
            self._calls.done()
        return changed

    def fileno(self) -> int:
        return -1

    def drain(self) -> bool:
        return False

    def close(self) -> None:
        pass


class _RouteCalls(_RulesetCalls):
    def converge(self, desired: DesiredRoutes) -> RouteOutcome:  # type: ignore[override]
        self._calls._call()
        outcome = self._calls.fake.routes.converge(desired)
        if outcome:
            self._calls.done()
        return outcome


class _ConntrackCalls:
    def __init__(self, calls: SystemCalls) -> None:
        self._calls = calls

    def cut(self, addresses: Collection[Address], keep: Callable[[Flow], bool]) -> int:
        self._calls._call()
        count = self._calls.fake.conntrack.cut(addresses, keep)
        self._calls.done()
        return count
