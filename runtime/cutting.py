"""Ends the connections that policy has come to forbid, and sees to it that they stay ended.

A packet of the server that was on its way when its flow was ended would begin the flow anew from the other side,
where policy may allow it; for TCP the packet filter forbids that (no SYN), for protocols without a beginning nothing
in the packet tells. So what was ended is remembered for a while, and an entry that began as its reverse is ended too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from muslin.net import Address
from runtime.calc.state import NodeState
from runtime.calc.tightening import Suspects
from runtime.calc.verdict import Judge, Packet, Path
from runtime.dataplane.conntrack import Flow
from runtime.dataplane.netlink.conntrack import FlowTuple
from runtime.dataplane.protocol import ConntrackKernel

__all__ = ["LOOKS_S", "Cutter"]

LOOKS_S = (0.05, 0.25, 1.0, 4.0, 15.0)
"""When to look again after flows that can revive were ended, seconds: later than the last no answer is on its way."""
_REMEMBERED_S = LOOKS_S[-1] + 1.0
_MOST_REMEMBERED = 10_000
_CANNOT_REVIVE = frozenset({1, 6, 58})
"""ICMP and ICMPv6 (an answer alone is invalid) and TCP (no flow to a workload begins without SYN)."""


class Cutter:
    """Cuts connections of one node's workloads.

    Args:
        conntrack: the connection table.
        host_addresses: gives the addresses of the node itself.
    """

    def __init__(self, conntrack: ConntrackKernel, host_addresses: Callable[[], Collection[Address]]) -> None:
        self._conntrack, self._host_addresses = conntrack, host_addresses
        self._ended: dict[FlowTuple, float] = {}

    def cut(self, state: NodeState, suspects: Suspects, now: float) -> bool:
        """End what the suspects may not have any more.

        Args:
            state: what is in force.
            suspects: whose connections to look at.
            now: seconds of a clock that only grows.

        Returns:
            Whether something was ended that could revive: then look at `ended` again after each of `LOOKS_S`.

        Raises:
            KernelRefused: the first refusal, after all others were tried.
        """
        judge, host = Judge(state), frozenset(self._host_addresses())
        interfaces = {address: each.interface for each in state.endpoints.values() for address in each.addresses}
        self._ended = {tuple_: at for tuple_, at in self._ended.items() if now - at < _REMEMBERED_S}
        fresh: list[FlowTuple] = []

        def keep(flow: Flow) -> bool:
            if flow.source in suspects.gone or flow.destination in suspects.gone or flow.original in self._ended:
                return False
            if judge.judge(_first_packet(flow, interfaces, host)).allowed:
                return True
            if flow.protocol not in _CANNOT_REVIVE:
                fresh.append(flow.reply)
            return False

        self._conntrack.cut(suspects.changed | suspects.gone, keep)
        room = max(0, _MOST_REMEMBERED - len(self._ended))
        self._ended |= dict.fromkeys(fresh[:room], now)
        return bool(fresh)

    def ended(self, state: NodeState) -> Suspects:
        """The workloads whose ended flows are remembered."""
        here = {address for each in state.endpoints.values() for address in each.addresses}
        touched = {address for ended in self._ended for address in (ended.source, ended.destination)}
        return Suspects(frozenset(here & touched))


def _first_packet(flow: Flow, interfaces: Mapping[Address, str], host: Collection[Address]) -> Packet:
    """The packet that would begin the flow again, as this node's policy sees it."""
    path = Path.OUTPUT if flow.source in host else Path.INPUT if flow.destination in host else Path.FORWARD
    return Packet(
        source=flow.source,
        destination=flow.destination,
        protocol=flow.protocol,
        source_port=flow.source_port or None,
        destination_port=flow.destination_port or None,
        icmp=flow.icmp,
        in_interface=interfaces.get(flow.source),
        out_interface=interfaces.get(flow.destination),
        path=path,
    )
