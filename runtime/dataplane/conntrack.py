"""After a policy tightened: end the flows that it would no longer let begin, and no others.

An established flow passes the packet filter's first rule whatever policy says, so its entry must go. Each entry that
touches a local workload is judged as a new packet of its original direction, with the destination as translated
(policy sees it so); only what is then denied is deleted. An idle client whose server speaks first notices nothing.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from muslin.errors import KernelRefused
from muslin.net import Address
from runtime.dataplane.netlink import conntrack as codec
from runtime.dataplane.netlink.conntrack import Entry, FlowTuple
from runtime.dataplane.netlink.socket import NETFILTER, NetlinkSocket

__all__ = ["Conntrack", "Flow", "denied", "flow_of", "touches"]

_WORTH_A_FILTER = 1500
"""Entries for each address from which on the kernel is asked for single addresses. Measured with 262,144 buckets, all
of which any dump walks: a whole dump costs 10 ms and 15 us for each entry that we parse, an address 20 ms (one dump
as client, one as server) and 0.5 us for each entry."""
_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


@dataclass(frozen=True, slots=True)
class Flow:
    """A tracked flow as policy sees its first packet: the source as sent, the destination as translated."""

    source: Address
    destination: Address
    protocol: int
    source_port: int
    destination_port: int
    icmp: tuple[int, int] | None
    original: FlowTuple
    reply: FlowTuple


def flow_of(entry: Entry) -> Flow:
    """The flow of an entry; the reply's source is where the first packet really went."""
    first, back = entry.original, entry.reply
    port = back.source_port if first.icmp is None else 0
    return Flow(first.source, back.source, first.protocol, first.source_port, port, first.icmp, first, back)


def touches(entry: Entry, addresses: Collection[Address]) -> bool:
    """Whether a workload with one of the addresses is an end of the flow, before or after translation."""
    return entry.original.source in addresses or entry.reply.source in addresses


def denied(entries: Iterable[Entry], addresses: Collection[Address], keep: Callable[[Flow], bool]) -> list[Entry]:
    """The entries to delete; pure."""
    return [entry for entry in entries if touches(entry, addresses) and not keep(flow_of(entry))]


class Conntrack:
    """The driver; for one thread, in the network namespace in which it was made."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETFILTER)
        self._can_filter = True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self, addresses: Collection[Address]) -> list[Entry]:
        """Entries that touch one of the addresses."""
        count = self._tracked()
        if count == 0:
            return []
        found: dict[bytes, Entry] = {}
        if self._can_filter and count is not None and count >= _WORTH_A_FILTER * len(addresses):
            try:
                for address in addresses:
                    for entry in self._of(address):
                        found[entry.identity] = entry
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise
                self._can_filter = False
                found.clear()
            else:
                return [entry for entry in found.values() if touches(entry, addresses)]
        for version in {address.version for address in addresses}:
            for body in self._socket.dump(codec.dump_entries(version)):
                entry = codec.parse_entry(body)
                if touches(entry, addresses):
                    found[entry.identity] = entry
        return list(found.values())

    def _tracked(self) -> int | None:
        """How many entries this network namespace has; None where the kernel does not say."""
        with contextlib.suppress(OSError, ValueError):
            return int(_COUNT.read_text(encoding="ascii"))
        return None

    def _of(self, address: Address) -> list[Entry]:
        as_client = codec.dump_entries(address.version, original_source=address)
        as_server = codec.dump_entries(address.version, reply_source=address)
        bodies = self._socket.dump(as_client) + self._socket.dump(as_server)
        return [codec.parse_entry(body) for body in bodies]

    def apply(self, entries: Iterable[Entry]) -> tuple[KernelRefused, ...]:
        """Delete entries; one that is gone, or whose place another took, counts as done."""
        listed = list(entries)
        refused = self._socket.batch([codec.delete_entry(entry) for entry in listed])
        return tuple(
            KernelRefused("conntrack delete", str(listed[item.place].original), item.errno, item.extack)
            for item in refused
            if item.errno != errno.ENOENT
        )

    def cut(self, addresses: Collection[Address], keep: Callable[[Flow], bool]) -> int:
        """Delete what `keep` refuses among the flows of local workloads; how many there were.

        Raises:
            KernelRefused: the first refusal, after all others were tried.
        """
        doomed = denied(self.read(addresses), addresses, keep)
        refused = self.apply(doomed)
        if refused:
            raise refused[0]
        return len(doomed)
