"""The kernel's part of pods' links, in a thread: for all pods that start or end together, each step in as few sends.

Making a pair costs the kernel more than everything else that a pod's link needs, deleting one takes it about 20 ms,
and it holds its lock of the network meanwhile. In a thread the loop goes on with other pods (`runtime.gathering`).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from muslin.errors import KernelRefused
from muslin.net import Address
from runtime.dataplane import links
from runtime.dataplane.links import Veth
from runtime.dataplane.netlink.links import Link
from runtime.dataplane.netlink.socket import ROUTE, NetlinkSocket
from runtime.gathering import Gathering

__all__ = ["Inside", "VethMaker"]

_TOGETHER = 16
"""Pairs of one send: somebody else's change of the network, and another pod's inside, waits so long for the lock."""
_GONE_TOGETHER = 64


class Inside(NamedTuple):
    """A pod's end that is to be set up, through a socket of its namespace."""

    socket: NetlinkSocket
    peer: int
    name: str
    addresses: tuple[Address, ...]


class VethMaker:
    """Makes, sets up and deletes pairs, for the network namespace in which it was made."""

    def __init__(self) -> None:
        self._socket, self._deleting = NetlinkSocket(ROUTE), NetlinkSocket(ROUTE)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="veth")
        self._deleter = ThreadPoolExecutor(1, thread_name_prefix="veth-delete")
        self._pairs = Gathering(self._made, self._thread, at_most=_TOGETHER)
        self._insides = Gathering(_set_up, self._thread, at_most=_TOGETHER)
        self._gone = Gathering(self._deleted, self._deleter, at_most=_GONE_TOGETHER)

    def close(self) -> None:
        """Let go of threads and sockets; the pairs stay."""
        for thread in (self._thread, self._deleter):
            thread.shutdown()
        self._socket.close()
        self._deleting.close()

    async def make(self, veth: Veth) -> Link:
        """The pair's near end, set up. Raises KernelRefused; then there may be a pair, unless it says EEXIST.

        Returns only when the kernel has done with the descriptor of the pod's namespace, cancelled or not.
        """
        return await self._pairs.ask(veth)

    async def set_up(self, inside: Inside) -> None:
        """Set up a pod's end. Raises KernelRefused. Returns only when the socket is no longer used."""
        await self._insides.ask(inside)

    async def delete(self, name: str) -> None:
        """Delete a pair by the name of its near end; absent is success. Raises KernelRefused."""
        await self._gone.ask(name)

    def _made(self, wanted: Sequence[Veth]) -> Sequence[Link | KernelRefused]:
        found = links.create_veths(self._socket, wanted)
        refused = iter(links.configure_host_sides(self._socket, [each for each in found if isinstance(each, Link)]))
        return [(next(refused) or each) if isinstance(each, Link) else each for each in found]

    def _deleted(self, names: Sequence[str]) -> Sequence[KernelRefused | None]:
        return links.delete_links(self._deleting, names)


def _set_up(insides: Sequence[Inside]) -> Sequence[KernelRefused | None]:
    refused: list[KernelRefused | None] = []
    for inside in insides:
        try:
            links.configure_pod_side(inside.socket, inside.peer, inside.name, inside.addresses)
            refused.append(None)
        except KernelRefused as error:
            refused.append(error)
        except OSError as error:  # of the pod's socket: that pod's alone
            refused.append(KernelRefused("pod's side", inside.name, error.errno or 0, str(error)))
    return refused
