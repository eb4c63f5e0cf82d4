"""One connection as a state machine: bytes and time in, bytes and events out.

States begin where the connection is open; dialling and waiting belong to the peer. The OPEN of the peer stops the
machine until the owner calls `confirm` or `end`: collisions must be settled before our KEEPALIVE goes out, or both
ends can close each other's connection for ever; and all that follows stands after that KEEPALIVE in one stream, so
that no UPDATE can overtake it (FRR answers that with 5/2).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runtime.bgp.messages.framing import EXTENDED_LENGTH, KEEPALIVE, LENGTH, MessageType, message, take
from runtime.bgp.messages.notification import ErrorCode, Notification, Notify
from runtime.bgp.messages.open import Open, OpenError
from runtime.bgp.messages.refresh import Refresh
from runtime.bgp.messages.update import Context, Update, UpdateDecoder

__all__ = ["Ended", "EndedBy", "Established", "Event", "Opened", "Received", "Refreshed", "Session", "State"]

OPEN_WAIT_S = 60.0
"""How long we wait for an OPEN. RFC 4271 suggests 240; a node waits for its neighbour next door."""


class State(enum.Enum):
    """Where a connection stands; OPEN_RECEIVED waits for the owner's `confirm`."""

    OPEN_SENT = "OpenSent"
    OPEN_RECEIVED = "OpenReceived"
    OPEN_CONFIRM = "OpenConfirm"
    ESTABLISHED = "Established"
    ENDED = "Ended"


class EndedBy(enum.Enum):
    """Who ended a session."""

    PEER = "notification received"
    US = "notification sent"
    LOSS = "connection lost"


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer has said who it is. Answer with `confirm` or `end`."""

    peer: Open


@dataclass(frozen=True, slots=True)
class Established:
    """Routes may flow."""


@dataclass(frozen=True, slots=True)
class Received:
    """Routes came or went."""

    update: Update


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A ROUTE-REFRESH arrived."""

    refresh: Refresh


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over; the connection must be closed once its output is written."""

    by: EndedBy
    notification: Notification | None = None

    def __str__(self) -> str:
        return self.by.value if self.notification is None else f"{self.by.value} {self.notification}"


Event = Opened | Established | Received | Refreshed | Ended

_UNEXPECTED = {State.OPEN_SENT: 1, State.OPEN_CONFIRM: 2, State.ESTABLISHED: 3}
"""Subcodes of a state machine error (RFC 6608)."""


class Session:
    """One connection.

    Args:
        offer: the OPEN that we send at once.
        peer_as: AS that the peer must announce.
        decoder: gives the UPDATE reader for what was agreed on.
        now: time in seconds, any origin.
    """

    def __init__(self, offer: Open, peer_as: int, decoder: Callable[[Context], UpdateDecoder], now: float) -> None:
        self.state = State.OPEN_SENT
        self.offer = offer
        self.peer: Open | None = None
        self.hold_time_s: float = 0
        self.context = Context(internal=offer.local_as == peer_as)
        self._peer_as = peer_as
        self._decoder_for = decoder
        self._decoder: UpdateDecoder | None = None
        self._limit = LENGTH
        self._buffer = b""
        self._output: list[bytes] = [offer.encode()]
        self._hold_at: float | None = now + OPEN_WAIT_S
        self._keepalive_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `advance` must be called; it may move later with every message."""
        if self._keepalive_at is None or self._hold_at is None:
            return self._hold_at
        return min(self._hold_at, self._keepalive_at)

    def take_output(self) -> bytes:
        """Bytes to write, once."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def send(self, data: bytes) -> None:
        """Put whole messages after what is waiting."""
        self._output.append(data)

    def advance(self, now: float) -> list[Event]:
        """Do what is due."""
        if self._hold_at is not None and now >= self._hold_at:
            return [self.end(Notification(ErrorCode.HOLD_TIMER))]
        if self._keepalive_at is not None and now >= self._keepalive_at:
            self._output.append(KEEPALIVE)
            self._keepalive_at = now + self.hold_time_s / 3
        return []

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the connection; after the end they are ignored."""
        if self.state is State.ENDED:
            return []
        self._buffer += data
        return self._process(now)

    def confirm(self, now: float) -> list[Event]:
        """Accept the peer's OPEN and go on with what is already here."""
        peer = self.peer
        assert peer is not None
        assert self.state is State.OPEN_RECEIVED
        families = tuple(family for family in self.offer.families if family in peer.families)
        if not families:
            return [self.end(Notification(ErrorCode.OPEN, OpenError.CAPABILITY))]
        next_hops = tuple(entry for entry in self.offer.extended_next_hops if entry in peer.extended_next_hops)
        four_octet_as = self.offer.four_octet_as and peer.four_octet_as
        self.context = Context(self.context.internal, four_octet_as, families, next_hops)
        self._decoder = self._decoder_for(self.context)
        if self.offer.extended_messages and peer.extended_messages:
            self._limit = EXTENDED_LENGTH
        self.hold_time_s = min(self.offer.hold_time_s, peer.hold_time_s)
        self._hold_at = now + self.hold_time_s if self.hold_time_s else None
        self._keepalive_at = now + self.hold_time_s / 3 if self.hold_time_s else None
        self._output.append(KEEPALIVE)
        self.state = State.OPEN_CONFIRM
        return self._process(now)

    def end(self, notification: Notification) -> Ended:
        """End the session and tell the peer why."""
        self._output.append(message(MessageType.NOTIFICATION, notification.encode()))
        return self._ended(EndedBy.US, notification)

    def lost(self) -> Ended:
        """The connection is gone."""
        return self._ended(EndedBy.LOSS, None)

    def _ended(self, by: EndedBy, notification: Notification | None) -> Ended:
        self.state = State.ENDED
        self._hold_at = self._keepalive_at = None
        self._buffer = b""
        return Ended(by, notification)

    def _process(self, now: float) -> list[Event]:
        events: list[Event] = []
        position = 0
        buffer = self._buffer
        try:
            while self.state not in (State.OPEN_RECEIVED, State.ENDED):
                found = take(buffer, position, self._limit)
                if found is None:
                    break
                kind, body, position = found
                event = _RULES.get((self.state, kind), Session._unexpected)(self, body, now)
                if event is not None:
                    events.append(event)
        except Notify as fault:
            events.append(self.end(fault.notification))
        if self.state is not State.ENDED:
            self._buffer = buffer[position:]
        return events

    def _on_open(self, body: bytes, _: float) -> Event:
        peer = Open.decode(body)
        if peer.local_as != self._peer_as:
            raise Notify(ErrorCode.OPEN, OpenError.PEER_AS)
        if self.context.internal and peer.router_id == self.offer.router_id:
            raise Notify(ErrorCode.OPEN, OpenError.ROUTER_ID)
        self.peer = peer
        self.state = State.OPEN_RECEIVED
        return Opened(peer)

    def _on_first_keepalive(self, _: bytes, now: float) -> Event:
        self.state = State.ESTABLISHED
        self._heard(now)
        return Established()

    def _on_keepalive(self, _: bytes, now: float) -> None:
        self._heard(now)

    def _on_update(self, body: bytes, now: float) -> Event:
        assert self._decoder is not None
        self._heard(now)
        return Received(self._decoder.decode(body))

    def _on_refresh(self, body: bytes, _: float) -> Event:
        return Refreshed(Refresh.decode(body))

    def _on_notification(self, body: bytes, _: float) -> Event:
        return self._ended(EndedBy.PEER, Notification.decode(body))

    def _unexpected(self, _: bytes, __: float) -> Event:
        raise Notify(ErrorCode.STATE_MACHINE, _UNEXPECTED[self.state])

    def _heard(self, now: float) -> None:
        if self.hold_time_s:
            self._hold_at = now + self.hold_time_s


_RULES: Mapping[tuple[State, MessageType], Callable[[Session, bytes, float], Event | None]] = {
    (State.OPEN_SENT, MessageType.OPEN): Session._on_open,  # noqa: SLF001
    (State.OPEN_SENT, MessageType.NOTIFICATION): Session._on_notification,  # noqa: SLF001
    (State.OPEN_CONFIRM, MessageType.KEEPALIVE): Session._on_first_keepalive,  # noqa: SLF001
    (State.OPEN_CONFIRM, MessageType.NOTIFICATION): Session._on_notification,  # noqa: SLF001
    (State.ESTABLISHED, MessageType.KEEPALIVE): Session._on_keepalive,  # noqa: SLF001
    (State.ESTABLISHED, MessageType.UPDATE): Session._on_update,  # noqa: SLF001
    (State.ESTABLISHED, MessageType.REFRESH): Session._on_refresh,  # noqa: SLF001
    (State.ESTABLISHED, MessageType.NOTIFICATION): Session._on_notification,  # noqa: SLF001
}
"""What a message does in a state; all else is a state machine error (RFC 4271 section 8.2.2)."""
