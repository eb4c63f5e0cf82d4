"""What the speaker tells: learnt routes, sessions, things worth a line in the log."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from muslin.net import Address, Prefix
from runtime.bgp.settings import PeerKey

__all__ = ["Gone", "LearntRoute", "Note", "NoteKind", "RouteReport", "SessionReport", "SessionState"]


class SessionState(enum.Enum):
    """State of a session as RFC 4271 and CalicoNodeStatus name it."""

    IDLE = "Idle"
    CONNECT = "Connect"
    ACTIVE = "Active"
    OPEN_SENT = "OpenSent"
    OPEN_CONFIRM = "OpenConfirm"
    ESTABLISHED = "Established"


class Gone(enum.Enum):
    """Why a session is not established."""

    NEVER = "not yet"
    PEER = "the peer ended it"
    US = "we ended it"
    LOSS = "connection lost"
    REFUSED = "no connection"
    MAX_PREFIXES = "too many prefixes"


@dataclass(frozen=True, slots=True)
class LearntRoute:
    """A prefix, the next hop to it and the peer that said so. `stale`: the peer is restarting (RFC 4724)."""

    prefix: Prefix
    next_hop: Address
    peer: Address
    stale: bool = False


@dataclass(frozen=True, slots=True)
class RouteReport:
    """Changes of the best routes since the last report; `in_sync`: what is not there may be swept."""

    learnt: tuple[LearntRoute, ...] = ()
    withdrawn: tuple[Prefix, ...] = ()
    in_sync: bool = False


@dataclass(frozen=True, slots=True)
class SessionReport:
    """One session as it stands.

    Attributes:
        since: when it came into this state, seconds since the epoch.
        reason: why it is not established; empty if it is.
        prefixes: in the peer's Adj-RIB-In; `accepted` of them passed the import policy.
        advertised: in our Adj-RIB-Out for it.
        updates: UPDATEs received in this session; `malformed` of them were taken for withdrawals.
        end_of_rib: it has said everything it had at the start of the session.
    """

    peer: PeerKey
    state: SessionState
    since: float
    kind: str = "NodeMesh"
    name: str | None = None
    reason: str = ""
    prefixes: int = 0
    accepted: int = 0
    stale: int = 0
    advertised: int = 0
    updates: int = 0
    malformed: int = 0
    end_of_rib: bool = False


class NoteKind(enum.Enum):
    """Things worth a line in the log."""

    UP = "session up"
    DOWN = "session down"
    MALFORMED = "malformed update taken as withdrawal"
    STALE_KEPT = "peer gone, its routes are kept as stale"
    STALE_SWEPT = "stale routes swept"
    IN_SYNC = "in sync"
    REFUSED = "connection refused"
    TOO_LARGE = "route not announced: its attributes fill a message"


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log."""

    kind: NoteKind
    peer: PeerKey | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
