"""NOTIFICATION: the reason for which a session ends. RFC 4271 section 6, RFC 4486, RFC 8538, RFC 9003."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["CeaseReason", "ErrorCode", "Notification", "Notify"]


class ErrorCode(enum.IntEnum):
    """First octet of a NOTIFICATION."""

    HEADER = 1
    OPEN = 2
    UPDATE = 3
    HOLD_TIMER = 4
    STATE_MACHINE = 5
    CEASE = 6
    REFRESH = 7


class CeaseReason(enum.IntEnum):
    """Second octet of a Cease (RFC 4486, RFC 8538)."""

    MAX_PREFIXES = 1
    SHUTDOWN = 2
    DECONFIGURED = 3
    RESET = 4
    REJECTED = 5
    CONFIGURATION_CHANGED = 6
    COLLISION = 7
    OUT_OF_RESOURCES = 8
    HARD_RESET = 9


@dataclass(frozen=True, slots=True)
class Notification:
    """Why a session ends: code, subcode (0 is unspecific) and what belongs to them."""

    code: int
    subcode: int = 0
    data: bytes = b""

    def encode(self) -> bytes:
        """The message's body."""
        return bytes((self.code, self.subcode)) + self.data

    @classmethod
    def decode(cls, body: bytes) -> Notification:
        """From a message's body; one that is too short ends the session all the same and reads as zeros."""
        padded = body if len(body) >= 2 else body.ljust(2, b"\0")
        return cls(padded[0], padded[1], padded[2:])

    @property
    def is_hard_reset(self) -> bool:
        """Whether routes must go even where graceful restart covers notifications (RFC 8538 section 3)."""
        return self.code == ErrorCode.CEASE and self.subcode == CeaseReason.HARD_RESET

    def hard(self) -> Notification:
        """The same reason as a Hard Reset."""
        return Notification(ErrorCode.CEASE, CeaseReason.HARD_RESET, self.encode())

    @property
    def communication(self) -> str:
        """What the peer's operator says about a shutdown (RFC 9003), printable, empty if nothing."""
        if self.code != ErrorCode.CEASE or self.subcode not in (CeaseReason.SHUTDOWN, CeaseReason.RESET):
            return ""
        if not self.data or len(self.data) < 1 + self.data[0]:
            return ""
        text = self.data[1 : 1 + self.data[0]].decode("utf-8", "replace")
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    def __str__(self) -> str:
        return f"{self.code}/{self.subcode}"


class Notify(Exception):
    """The session must end with this notification. The peer is at fault."""

    def __init__(self, code: int, subcode: int = 0, data: bytes = b"") -> None:
        self.notification = Notification(code, subcode, data)
        super().__init__(str(self.notification))
