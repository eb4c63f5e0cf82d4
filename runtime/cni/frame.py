"""One frame of a CNI request as it arrives at the agent's socket: octets and descriptors, with limits."""

from __future__ import annotations

import socket
import struct

from muslin.errors import Problem
from runtime.cni.answer import CniError, Code
from runtime.cni.request import MAX_MESSAGE

__all__ = ["Frame"]

_PART = 16384
"""Octets of one look; nearly every request is shorter."""
_ROOM = socket.CMSG_SPACE(2 * 4)
"""For two descriptors and no more."""


class Frame:
    """One frame as it arrives. Descriptors are put into `fds` as they come, so that the caller can close them."""

    def __init__(self, fds: list[int]) -> None:
        self._fds, self._data, self._wanted, self._known = fds, bytearray(), 4, False

    @property
    def payload(self) -> bytes:
        """What the frame carries, once all of it is there."""
        return bytes(self._data[4 : self._wanted])

    def take(self, client: socket.socket) -> bool:
        """Take what has come; whether the frame is whole. Raises CniError where it can't become one."""
        fds, data = self._fds, self._data
        while len(data) < self._wanted:
            try:
                part, control, flags, _ = client.recvmsg(_PART, _ROOM, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return False
            for level, kind, value in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds += struct.unpack(f"{len(value) // 4}i", value[: len(value) // 4 * 4])
            if flags & socket.MSG_CTRUNC or len(fds) not in {0, 2}:
                problem = Problem("the request has a wrong number of descriptors", "frame", "0 or 2")
                raise CniError(Code.BAD_INPUT, problem)
            if not part:
                problem = Problem("the request breaks off", "frame", "send as many bytes as announced")
                raise CniError(Code.BAD_INPUT, problem)
            data += part
            if not self._known and len(data) >= 4:
                (length,) = struct.unpack_from("!I", data)
                if not 0 < length <= MAX_MESSAGE:
                    fix = f"1..{MAX_MESSAGE} bytes"
                    raise CniError(Code.BAD_INPUT, Problem("the request has an impossible length", "frame", fix))
                self._known, self._wanted = True, 4 + length
        return True
