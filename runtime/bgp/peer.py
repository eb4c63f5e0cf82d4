"""All we know of one peer: its connections, when to dial, what survives a restart (RFC 4271 6.8, RFC 4724, RFC 8538).

Decisions only; the core acts on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from random import Random

from muslin.net import Address
from runtime.bgp.families import Family, family_of
from runtime.bgp.messages.open import GracefulRestart, Open
from runtime.bgp.policy import Source
from runtime.bgp.reports import Gone, SessionState
from runtime.bgp.session import Ended, EndedBy, Session, State
from runtime.bgp.settings import PeerSettings

__all__ = ["Connection", "Counters", "Peer"]

RETRY_FIRST_S = 0.5
RETRY_CAP_S = 4.0
"""Low, because a node that waits out its neighbour's whole restart has lost the routes it kept."""
STABLE_S = 10.0
"""A session must have lasted so long for the next retry to be quick again."""
RESTART_SEEN_S = 5.0
"""A second connection to an established peer means that it restarted, but not within the first seconds of a session:
then both ends dialled at the same time (RFC 4724 section 5 and simultaneous open look alike)."""
END_OF_RIB_WAIT_S = 120.0
"""How long stale routes live after the peer came back but does not finish."""
BLOCKED_S = 300.0
"""How long a peer that sent too many prefixes stays away."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection, open or being dialled (`session` None)."""

    id: int
    peer: Peer
    incoming: bool
    session: Session | None = None
    local_address: Address | None = None


@dataclass(slots=True)
class Counters:
    """Of the session that is or was last established."""

    updates: int = 0
    malformed: int = 0


@dataclass(slots=True, eq=False)
class Peer:
    """One peer.

    Attributes:
        established: the connection that routes go over.
        established_at: since when.
        source: what routes of that session are known by.
        was_established: at least once since this process began; so the peer may hold routes of ours, and what it
            holds is what we forward by.
        awaiting: families whose End-of-RIB has not come in this session.
        blocked_until: no connections before that.
    """

    settings: PeerSettings
    random: Random
    connections: dict[int, Connection] = field(default_factory=dict)
    established: Connection | None = None
    established_at: float = 0.0
    source: Source | None = None
    was_established: bool = False
    awaiting: set[Family] = field(default_factory=set)
    owes_end_of_rib: bool = False
    blocked_until: float = 0.0
    gone: Gone = Gone.NEVER
    reason: str = ""
    state: SessionState = SessionState.IDLE
    since: float = 0.0
    counters: Counters = field(default_factory=Counters)
    stale_window_s: float | None = None
    _backoff_s: float = RETRY_FIRST_S

    def offer(self, router_id: IPv4Address, *, restarting: bool, forwarding_kept: bool) -> Open:
        """Our OPEN. An IPv4 session carries IPv4 and an IPv6 session IPv6, as in Calico."""
        settings = self.settings
        families = (family_of(settings.address),)
        graceful_restart = None
        if settings.graceful_restart_s:
            kept = forwarding_kept or self.was_established
            graceful_restart = GracefulRestart(
                min(settings.graceful_restart_s, 0x0FFF), restarting, families=dict.fromkeys(families, kept)
            )
        return Open(settings.local_as, settings.hold_time_s, router_id, families, graceful_restart)

    def may_dial(self, now: float) -> bool:
        """Whether to open a connection now."""
        return not (self.settings.passive or self.connections or now < self.blocked_until)

    def next_retry_s(self) -> float:
        """How long to wait for the next try; longer each time, and never the same for two peers."""
        cap = RETRY_CAP_S
        if self.stale_window_s is not None:
            cap = min(cap, max(RETRY_FIRST_S, self.stale_window_s / 4))
        delay = min(self._backoff_s, cap) * self.random.uniform(0.75, 1.0)
        self._backoff_s = min(cap, self._backoff_s * 2)
        return delay

    def note_end(self, now: float) -> None:
        """A session ended: after a long one retry quickly, after a short one go on backing off."""
        if now - self.established_at >= STABLE_S:
            self._backoff_s = RETRY_FIRST_S

    def superseded(self, incoming: Connection) -> Iterator[Connection]:
        """Older incoming connections without OPEN: who opens many holds one."""
        for other in tuple(self.connections.values()):
            early = other.session is not None and other.session.state is State.OPEN_SENT
            if other is not incoming and other.incoming and early:
                yield other

    def losers(self, connection: Connection, now: float) -> list[Connection]:
        """Connections that must end now that the OPEN of `connection` is here; it can be among them."""
        session = connection.session
        assert session is not None
        assert session.peer is not None
        ours, theirs = session.offer, session.peer
        we_win = (int(ours.router_id), ours.local_as) > (int(theirs.router_id), theirs.local_as)
        found: list[Connection] = []
        for other in self.connections.values():
            if other is connection or other.session is None:
                continue
            if other.session.state is State.ESTABLISHED:
                found.append(other if self._has_restarted(other, theirs, now) else connection)
            elif other.session.state is State.OPEN_CONFIRM:
                again = connection.incoming and other.incoming  # the peer dialled anew: the older one is dead
                found.append(connection if connection.incoming == we_win and not again else other)
        return found

    def _has_restarted(self, established: Connection, new: Open, now: float) -> bool:
        session = established.session
        assert session is not None
        assert session.peer is not None
        both = session.peer.graceful_restart is not None and new.graceful_restart is not None
        return both and now - self.established_at >= RESTART_SEEN_S

    def kept_families(self, session: Session, ended: Ended) -> tuple[Family, ...]:
        """Families whose routes outlive this session.

        A loss of connection keeps them (RFC 4724); a notification does where the peer said so (RFC 8538) and it is
        no Hard Reset.
        """
        theirs = session.peer.graceful_restart if session.peer is not None else None
        if theirs is None or not self.settings.graceful_restart_s:
            return ()
        if ended.by is not EndedBy.LOSS:
            notification = ended.notification
            assert notification is not None
            if not theirs.notifications or notification.is_hard_reset:
                return ()
        return tuple(family for family in session.context.families if family in theirs.families)

    def current_state(self, now: float) -> SessionState:
        """State as status names it: that of the connection that is furthest."""
        if self.established is not None:
            return SessionState.ESTABLISHED
        states = {other.session.state if other.session else None for other in self.connections.values()}
        if states & {State.OPEN_CONFIRM, State.OPEN_RECEIVED}:
            return SessionState.OPEN_CONFIRM
        if State.OPEN_SENT in states:
            return SessionState.OPEN_SENT
        if states:
            return SessionState.CONNECT
        return SessionState.IDLE if now < self.blocked_until else SessionState.ACTIVE
