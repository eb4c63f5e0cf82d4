"""What a speaker knows and tells: peers, tables, timers; decision, and reports of what changed.

The part of the core that does not care how sessions come and go.
"""

from __future__ import annotations

from itertools import count
from random import Random
from typing import TypeAlias

from runtime.bgp.actions import Action, Listen, Log, ReportRoutes, ReportSessions, Send
from runtime.bgp.deadlines import Deadlines
from runtime.bgp.groups import Outbound
from runtime.bgp.messages.update import Context, UpdateDecoder
from runtime.bgp.peer import Connection, Peer
from runtime.bgp.policy import import_policy
from runtime.bgp.reports import Note, NoteKind, RouteReport, SessionReport
from runtime.bgp.rib import Rib
from runtime.bgp.settings import PeerKey, SpeakerSettings
from runtime.bgp.status import all_routes, changed_routes, session_report

__all__ = ["Knowledge"]

_BATCH_S = 0.005
"""Changes within this time are decided and told together."""

_Timer: TypeAlias = tuple[str, PeerKey | int | None]


class Knowledge:
    """State of a speaker and what follows from it; `runtime.bgp.core.Speaker` says what the arguments are."""

    def __init__(self, random: Random, *, restarted: bool = False, epoch_s: float = 0.0) -> None:
        self.in_sync = False
        self._had_peers = False
        self._random = random
        self._restarted = restarted
        self._epoch_s = epoch_s
        self._settings: SpeakerSettings | None = None
        self._listen: Listen | None = None
        self._peers: dict[PeerKey, Peer] = {}
        self._connections: dict[int, Connection] = {}
        self._numbers = count(1)
        self._rib = Rib()
        self._outbound = Outbound()
        self._decoders: dict[Context, UpdateDecoder] = {}
        self._timers: Deadlines[_Timer] = Deadlines()
        self._actions: list[Action] = []
        self._delivered: set[PeerKey] = set()
        self._unreported: dict[PeerKey, None] = {}

    # -- outputs

    @property
    def deadline(self) -> float | None:
        """When `advance` must be called next."""
        return self._timers.earliest()

    def take_actions(self) -> list[Action]:
        """What must be done, in order, once."""
        actions, self._actions = self._actions, []
        return actions

    def routes(self) -> RouteReport:
        """All best routes that we learnt, as if nothing had been reported."""
        return all_routes(self._rib, in_sync=self.in_sync)

    def sessions(self) -> tuple[SessionReport, ...]:
        """All sessions, ordered by peer."""
        return tuple(self._report(self._peers[key]) for key in sorted(self._peers, key=lambda key: key.order))

    def _judge_again(self) -> None:
        """Judge all routes by what is wanted now and by the addresses that we now have."""
        assert self._settings is not None
        ends = (connection.local_address for connection in self._connections.values())
        self._rib.reconsider(import_policy(self._settings, (address for address in ends if address is not None)))

    # -- decision and reports

    def _decide_later(self, now: float) -> None:
        if self._rib.undecided and self._timers["decide", None] is None:
            self._timers.set(("decide", None), now + _BATCH_S)

    def _decide(self) -> None:
        self._timers.set(("decide", None), None)
        changes = self._rib.decide()
        if not changes:
            return
        report = changed_routes(changes, in_sync=self.in_sync)
        if report is not None:
            self._actions.append(ReportRoutes(report))
        for peer, data in self._outbound.apply(changes):
            connection = self._peers[peer].established
            assert connection is not None
            self._actions.append(Send(connection.id, data))

    def _touch(self, peer: Peer, now: float) -> None:
        """Note a change of state for the next report."""
        state = peer.current_state(now)
        if state is not peer.state:
            peer.state, peer.since = state, now
            self._unreported[peer.settings.key] = None
            self._timers.set(("report", None), now + _BATCH_S)

    def _report_sessions(self) -> None:
        known = [self._peers[key] for key in self._unreported if key in self._peers]
        self._unreported.clear()
        self._actions.append(ReportSessions(tuple(self._report(peer) for peer in known)))

    def _report(self, peer: Peer) -> SessionReport:
        return session_report(peer, self._rib, self._outbound.group(peer.settings.key), self._epoch_s)

    def _log_swept(self, peer: Peer, swept: int) -> None:
        if swept:
            self._log(NoteKind.STALE_SWEPT, peer.settings.key, routes=swept)

    def _log(self, kind: NoteKind, peer: PeerKey | None, **fields: object) -> None:
        self._actions.append(Log(Note(kind, peer, fields)))
