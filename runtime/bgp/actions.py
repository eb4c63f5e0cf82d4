"""What the core wants done: the whole of its influence on the world."""

from __future__ import annotations

from dataclasses import dataclass

from muslin.net import Address
from runtime.bgp.reports import Note, RouteReport, SessionReport
from runtime.bgp.settings import PeerKey, PeerSettings

__all__ = ["Action", "Close", "Connect", "Listen", "Log", "ReportRoutes", "ReportSessions", "Send"]


@dataclass(frozen=True, slots=True)
class Listen:
    """Accept connections here and nowhere else; the peers' passwords and hop limits apply to what connects."""

    addresses: tuple[Address, ...]
    port: int
    peers: tuple[PeerSettings, ...]


@dataclass(frozen=True, slots=True)
class Connect:
    """Dial a peer; answer with `connected` or `closed` under this number."""

    connection: int
    peer: PeerSettings


@dataclass(frozen=True, slots=True)
class Send:
    """Write bytes."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close once everything is written. The core has forgotten the connection; no answer is wanted."""

    connection: int


@dataclass(frozen=True, slots=True)
class ReportRoutes:
    """Tell the agent."""

    report: RouteReport


@dataclass(frozen=True, slots=True)
class ReportSessions:
    """Tell the agent: these sessions changed, those are no longer configured."""

    sessions: tuple[SessionReport, ...]
    removed: tuple[PeerKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line."""

    note: Note


Action = Listen | Connect | Send | Close | ReportRoutes | ReportSessions | Log
