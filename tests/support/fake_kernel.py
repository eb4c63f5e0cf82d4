"""A node's kernel for simulations: filter, routes and conntrack together, asked what happens to a packet."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from muslin.errors import KernelRefused
from muslin.net import Address
from runtime.dataplane.conntrack import Flow, denied
from runtime.dataplane.netlink.conntrack import Entry, FlowTuple
from tests.support.fake_fib import FakeRoutes, NextHop
from tests.support.fake_nftables import ESTABLISHED, FakeNftables, FilterPacket

__all__ = ["FakeConntrack", "FakeKernel"]


@dataclass(slots=True)
class FakeConntrack:
    """Stands in for `Conntrack`."""

    entries: list[Entry] = field(default_factory=list)
    _failures: dict[str, int] = field(default_factory=dict)

    def fail_next(self, operation: str, errno: int) -> None:
        """The next `conntrack delete` is refused with this error number."""
        self._failures[operation] = errno

    def track(self, packet: FilterPacket) -> None:
        """A packet passed: from now on its flow is established."""
        if not self.knows(packet):
            back = FlowTuple(
                packet.destination, packet.source, packet.protocol, packet.destination_port, packet.source_port
            )
            self.entries.append(Entry(_tuple(packet), back, repr(_tuple(packet)).encode()))

    def knows(self, packet: FilterPacket) -> bool:
        """Whether the packet belongs to an established flow, in either direction."""
        return any(_tuple(packet) in (entry.original, entry.reply) for entry in self.entries)

    def cut(self, addresses: Collection[Address], keep: Callable[[Flow], bool]) -> int:
        """See ConntrackKernel."""
        doomed = denied(self.entries, addresses, keep)
        refused = self._failures.pop("conntrack delete", None)
        if refused is not None:
            raise KernelRefused("conntrack delete", "a flow", refused)
        self.entries = [entry for entry in self.entries if entry not in doomed]
        return len(doomed)


def _tuple(packet: FilterPacket) -> FlowTuple:
    return FlowTuple(packet.source, packet.destination, packet.protocol, packet.source_port, packet.destination_port)


@dataclass(slots=True)
class FakeKernel:
    """All three; `fail_next` goes to the part that has the operation."""

    nftables: FakeNftables = field(default_factory=FakeNftables)
    routes: FakeRoutes = field(default_factory=FakeRoutes)
    conntrack: FakeConntrack = field(default_factory=FakeConntrack)

    def fail_next(self, operation: str, errno: int) -> None:
        """The next operation of this name (`nftables transaction`, `route add`, `conntrack delete`) is refused."""
        match operation.split(maxsplit=1)[0]:
            case "nftables":
                self.nftables.fail_next(operation, errno)
            case "route":
                self.routes.fail_next(operation, errno)
            case "conntrack":
                self.conntrack.fail_next(operation, errno)
            case _:
                raise ValueError(f"nothing here does {operation!r}")

    def next_hop(self, address: Address) -> NextHop | None:
        """Where a packet to the address goes by our routes."""
        return self.routes.next_hop(address)

    def verdict(self, packet: FilterPacket) -> bool:
        """Whether the packet passes; if so, its flow is established from now on."""
        state = ESTABLISHED if self.conntrack.knows(packet) else packet.state
        passes = self.nftables.verdict(replace(packet, state=state))
        if passes:
            self.conntrack.track(packet)
        return passes
