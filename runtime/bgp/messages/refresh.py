"""ROUTE-REFRESH, plain and enhanced. RFC 2918, RFC 7313."""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

from runtime.bgp.families import Family
from runtime.bgp.messages.framing import MessageType, message
from runtime.bgp.messages.notification import ErrorCode, Notify

__all__ = ["Refresh", "RefreshKind"]


class RefreshKind(enum.IntEnum):
    """What a refresh message says."""

    REQUEST = 0
    BEGIN = 1
    END = 2


class Refresh(NamedTuple):
    """A request for all routes of a family, or the mark before or after them. `kind` may be an unknown number."""

    family: Family
    kind: int = RefreshKind.REQUEST

    def encode(self) -> bytes:
        """The whole message."""
        return message(MessageType.REFRESH, struct.pack("!HBB", self.family.afi, self.kind, self.family.safi))

    @classmethod
    def decode(cls, body: bytes) -> Refresh:
        """From a body. Raises Notify 7/1 for a wrong length."""
        if len(body) != 4:
            raise Notify(ErrorCode.REFRESH, 1, body)
        afi, kind, safi = struct.unpack("!HBB", body)
        return cls(Family(afi, safi), kind)
