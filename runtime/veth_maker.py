"""Veth pairs for pods that start together: made in one send to the kernel, in a thread.

Making a pair costs the kernel more than everything else that a pod's link needs, and it holds its lock of the network
meanwhile. In a thread the loop goes on with other pods; one send for all who have gathered costs the thread one turn
of the interpreter's lock, not one for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from muslin.errors import KernelRefused
from runtime.dataplane import links
from runtime.dataplane.links import Veth
from runtime.dataplane.netlink.links import Link
from runtime.dataplane.netlink.socket import ROUTE, NetlinkSocket

__all__ = ["VethMaker"]

_Asked: TypeAlias = tuple[Veth, "asyncio.Future[Link]"]
_TOGETHER = 16
"""Pairs of one send; somebody else's change of the network waits so long for the kernel's lock."""


class VethMaker:
    """Makes pairs, for the network namespace in which it was made."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(ROUTE)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="veth")
        self._asked: list[_Asked] = []
        self._making: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Let go of thread and socket; the pairs stay."""
        self._thread.shutdown()
        self._socket.close()

    async def make(self, veth: Veth) -> Link:
        """The pair's near end, as it is then. Raises KernelRefused.

        Returns only when the kernel has done with the descriptor of the pod's namespace, cancelled or not: its number
        may be another namespace's a moment later.
        """
        answer: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        asked = (veth, answer)
        self._asked.append(asked)
        if self._making is None:
            self._making = asyncio.create_task(self._work_off())
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if asked in self._asked:
                self._asked.remove(asked)
            else:
                await asyncio.wait([answer])
                if not answer.cancelled():
                    answer.exception()  # nobody asks any more
            raise

    async def _work_off(self) -> None:
        part: Sequence[_Asked] = ()
        try:
            while self._asked:
                part, self._asked = self._asked[:_TOGETHER], self._asked[_TOGETHER:]
                for (_, answer), made in zip(part, await self._made([veth for veth, _ in part]), strict=True):
                    if isinstance(made, Link):
                        answer.set_result(made)
                    else:
                        answer.set_exception(made)
                        answer.exception()  # whoever asked may be gone
        finally:
            self._making = None
            for _, answer in (*part, *self._asked):  # the loop ends: nobody must wait for ever
                answer.cancel()

    async def _made(self, wanted: Sequence[Veth]) -> Sequence[Link | OSError | KernelRefused]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, links.create_veths, self._socket, wanted)
        except OSError as error:  # of the socket, such as no memory for an answer
            return [error] * len(wanted)
