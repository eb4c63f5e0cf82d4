"""The speaker without a world: desired state, bytes and time in; bytes, connections and reports out.

A cluster of these runs on a simulated clock and network. The owner calls an input, performs `take_actions()` in order,
and calls `advance` at `deadline`.
"""

from __future__ import annotations

from collections.abc import Iterable

from muslin.net import Address
from runtime.bgp.actions import Close, Connect, Listen, ReportRoutes, ReportSessions, Send
from runtime.bgp.families import Family, destination
from runtime.bgp.groups import GroupKey
from runtime.bgp.knowledge import Knowledge
from runtime.bgp.messages.notification import CeaseReason, ErrorCode, Notification
from runtime.bgp.messages.refresh import Refresh, RefreshKind
from runtime.bgp.messages.update import Context, Update, UpdateDecoder, end_of_rib
from runtime.bgp.peer import BLOCKED_S, END_OF_RIB_WAIT_S, Connection, Counters, Peer
from runtime.bgp.policy import Source
from runtime.bgp.reports import Gone, NoteKind, RouteReport
from runtime.bgp.restart import keep, resume
from runtime.bgp.session import Ended, EndedBy, Established, Event, Opened, Received, Refreshed, Session, State
from runtime.bgp.settings import SpeakerSettings

__all__ = ["Speaker"]

_COUNT_REPORT_S = 1.0
"""Counts in session reports are at most so old."""


class Speaker(Knowledge):
    """One BGP speaker.

    Args:
        random: where jitter comes from; two speakers with the same seed and inputs do the same.
        restarted: forwarding went on while an earlier speaker of this node was gone (RFC 4724 restarting speaker).
        epoch_s: what to add to our clock to get seconds since 1970, for reports; fixed so that they do not jitter.
    """

    # -- inputs

    def configure(self, settings: SpeakerSettings, now: float) -> None:
        """Take on a desired state; only sessions that it changes are touched."""
        old, self._settings = self._settings, settings
        if settings.peers and not self._had_peers:
            if self.in_sync:  # with nobody, which says nothing about these
                self._actions.append(ReportRoutes(RouteReport(in_sync=False)))
            self._had_peers, self.in_sync = True, False
            wait_s = settings.restart_wait_s if self._restarted else settings.initial_wait_s
            self._timers.set(("sync", None), now + wait_s)
        self._configure_peers(settings, now, everything=old is not None and old.router_id != settings.router_id)
        peers = tuple(peer for peer in settings.peers if peer.password or peer.ttl_security_hops)
        listen = Listen(settings.listen, settings.listen_port, peers)
        if listen != self._listen:
            self._listen = listen
            self._actions.append(listen)
        self._rib.originate(destination(prefix) for prefix in settings.originated)
        self._judge_again()
        self._decide_later(now)
        self._check_in_sync(now)

    def accepted(self, peer_address: Address, local_address: Address, now: float) -> int | None:
        """Somebody connected; gives the connection's number, or None: refuse."""
        keys = sorted((key for key in self._peers if key.address == peer_address), key=lambda key: key.order)
        peer = self._peers[keys[0]] if keys else None
        if peer is None or now < peer.blocked_until:
            self._log(NoteKind.REFUSED, None if peer is None else peer.settings.key, address=str(peer_address))
            return None
        connection = Connection(next(self._numbers), peer, incoming=True)
        self._connections[connection.id] = peer.connections[connection.id] = connection
        for other in peer.superseded(connection):
            self._cease(other, CeaseReason.COLLISION, now)
        self._start(connection, local_address, now)
        return connection.id

    def connected(self, number: int, local_address: Address, now: float) -> None:
        """A connection that we dialled is open."""
        connection = self._connections.get(number)
        if connection is not None:
            self._start(connection, local_address, now)

    def received(self, number: int, data: bytes, now: float) -> None:
        """Bytes arrived."""
        connection = self._connections.get(number)
        if connection is not None and connection.session is not None:
            self._step(connection, connection.session.receive(data, now), now)

    def closed(self, number: int, now: float) -> None:
        """A connection is gone or could not be opened."""
        connection = self._connections.get(number)
        if connection is None:
            return
        if connection.session is None:
            connection.peer.gone = Gone.REFUSED
            self._forget(connection, now)
        else:
            self._step(connection, [connection.session.lost()], now)

    def advance(self, now: float) -> None:
        """Do what is due."""
        for name, subject in self._timers.take_due(now):
            if name == "connection":
                connection = self._connections.get(subject)  # type: ignore[arg-type]
                if connection is not None and connection.session is not None:
                    self._step(connection, connection.session.advance(now), now)
            elif name == "retry":
                self._dial(self._peers[subject], now)  # type: ignore[index]
            elif name == "stale":
                self._sweep(self._peers[subject], now)  # type: ignore[index]
            elif name == "decide":
                self._decide()
            elif name == "report":
                self._report_sessions()
            elif name == "sync":
                self._set_in_sync(now)

    # -- desired state

    def _configure_peers(self, settings: SpeakerSettings, now: float, *, everything: bool) -> None:
        wanted = {peer.key: peer for peer in settings.peers}
        removed = [key for key in self._peers if key not in wanted]
        for key in removed:
            self._remove_peer(self._peers[key], now)
        if removed:
            self._actions.append(ReportSessions((), tuple(removed)))
        for key, peer_settings in wanted.items():
            peer = self._peers.get(key)
            if peer is None:
                peer = self._peers[key] = Peer(peer_settings, self._random, since=now)
                self._timers.set(("retry", key), now + self._random.uniform(0, 0.1))
            elif everything or peer.settings.needs_new_session(peer_settings):
                peer.settings = peer_settings
                for connection in tuple(peer.connections.values()):
                    self._cease(connection, CeaseReason.CONFIGURATION_CHANGED, now)
            else:
                peer.settings = peer_settings
            self._touch(peer, now)
            if peer.may_dial(now) and self._timers["retry", key] is None:
                self._timers.set(("retry", key), now)

    def _remove_peer(self, peer: Peer, now: float) -> None:
        for connection in tuple(peer.connections.values()):
            self._cease(connection, CeaseReason.DECONFIGURED, now, hard=True)
        key = peer.settings.key
        self._rib.drop(key)
        for name in ("retry", "stale"):
            self._timers.set((name, key), None)
        self._delivered.discard(key)
        self._unreported.pop(key, None)
        del self._peers[key]

    # -- connections

    def _dial(self, peer: Peer, now: float) -> None:
        if peer.may_dial(now):
            connection = Connection(next(self._numbers), peer, incoming=False)
            self._connections[connection.id] = peer.connections[connection.id] = connection
            self._actions.append(Connect(connection.id, peer.settings))
        self._touch(peer, now)

    def _start(self, connection: Connection, local_address: Address, now: float) -> None:
        settings = self._settings
        assert settings is not None
        restarting = self._restarted and not self.in_sync
        offer = connection.peer.offer(settings.router_id, restarting=restarting, forwarding_kept=self._restarted)
        connection.local_address = local_address
        connection.session = Session(offer, connection.peer.settings.peer_as, self._decoder, now)
        if local_address.packed not in self._rib.policy.local_addresses:
            self._judge_again()
        self._step(connection, (), now)

    def _decoder(self, context: Context) -> UpdateDecoder:
        return self._decoders.setdefault(context, UpdateDecoder(context))

    def _step(self, connection: Connection, events: Iterable[Event], now: float) -> None:
        """Act on what a session said, then write what it wants to write."""
        session, peer = connection.session, connection.peer
        assert session is not None
        for event in events:
            if isinstance(event, Opened):
                self._on_opened(connection, now)
            elif isinstance(event, Established):
                self._on_established(connection, now)
            elif isinstance(event, Received):
                self._on_update(connection, event.update, now)
            elif isinstance(event, Refreshed):
                self._on_refresh(connection, event.refresh, now)
            elif isinstance(event, Ended):
                self._on_ended(connection, event, now)
        data = session.take_output()
        if data:
            self._actions.append(Send(connection.id, data))
        if session.state is State.ENDED:
            if connection.id in self._connections:
                self._actions.append(Close(connection.id))
                self._forget(connection, now)
        else:
            self._timers.set(("connection", connection.id), session.deadline)
        self._touch(peer, now)

    def _cease(self, connection: Connection, reason: CeaseReason, now: float, *, hard: bool = False) -> None:
        """End a connection for a reason of ours. `hard`: routes go, whatever graceful restart says."""
        session = connection.session
        if session is None:
            self._actions.append(Close(connection.id))
            self._forget(connection, now)
            return
        notification = Notification(ErrorCode.CEASE, reason)
        theirs = session.peer.graceful_restart if session.peer is not None else None
        if hard and theirs is not None and theirs.notifications:
            notification = notification.hard()
        self._step(connection, [session.end(notification)], now)

    def _forget(self, connection: Connection, now: float) -> None:
        peer = connection.peer
        del self._connections[connection.id]
        del peer.connections[connection.id]
        self._timers.set(("connection", connection.id), None)
        if not peer.connections and not peer.settings.passive:
            self._timers.set(("retry", peer.settings.key), max(now + peer.next_retry_s(), peer.blocked_until))
        self._touch(peer, now)

    # -- what sessions say

    def _on_opened(self, connection: Connection, now: float) -> None:
        session = connection.session
        assert session is not None
        losers = connection.peer.losers(connection, now)
        for loser in losers:
            if loser is connection or loser.session is None or loser.session.state is State.ENDED:
                continue
            if loser is connection.peer.established:
                self._step(loser, [loser.session.lost()], now)  # the peer restarted: RFC 4724 section 5
            else:
                self._cease(loser, CeaseReason.COLLISION, now)
        if connection in losers:
            self._cease(connection, CeaseReason.COLLISION, now)
        else:
            self._step(connection, session.confirm(now), now)

    def _on_established(self, connection: Connection, now: float) -> None:
        peer, session = connection.peer, connection.session
        assert session is not None
        assert session.peer is not None
        assert self._settings is not None
        key, settings = peer.settings.key, peer.settings
        peer.established, peer.established_at, peer.was_established = connection, now, True
        peer.counters = Counters()
        client = settings.cluster_id is not None
        peer.source = Source(key, settings.peer_as, settings.local_as, session.peer.router_id, client)
        peer.awaiting = set(session.context.families)
        self._log_swept(peer, resume(self._rib, peer, session))
        still = any(path.stale for path in self._rib.received(key).values())
        self._timers.set(("stale", key), now + END_OF_RIB_WAIT_S if still else None)
        self._decide()
        assert connection.local_address is not None
        own_cluster = next((other.cluster_id for other in self._settings.peers if other.cluster_id), None)
        group_key = GroupKey.of(settings, session.context, connection.local_address, own_cluster)
        group = self._outbound.join(key, group_key, self._rib.best)
        session.send(group.everything(key))
        self._log(NoteKind.UP, key, hold_time_s=session.hold_time_s, routes=group.advertised(key))
        peer.owes_end_of_rib = self._restarted and not self.in_sync and own_cluster is not None
        if not peer.owes_end_of_rib:
            self._send_end_of_rib(session)
        if group.too_large:
            self._log(NoteKind.TOO_LARGE, key, routes=len(group.too_large))

    def _send_end_of_rib(self, session: Session) -> None:
        for family in session.context.families:
            session.send(end_of_rib(family))

    def _on_update(self, connection: Connection, update: Update, now: float) -> None:
        peer, session = connection.peer, connection.session
        assert session is not None
        if peer.established is not connection or peer.source is None:
            return
        key = peer.settings.key
        peer.counters.updates += 1
        if update.malformed is not None:
            peer.counters.malformed += 1
            if peer.counters.malformed == 1:  # the count is in the status; a line for each would be the peer's to fill
                self._log(NoteKind.MALFORMED, key, reason=update.malformed.value)
        self._rib.update(peer.source, update)
        if update.end_of_rib is not None:
            self._on_end_of_rib(peer, update.end_of_rib, now)
        if len(self._rib.received(key)) > peer.settings.max_prefixes and session.state is not State.ENDED:
            peer.blocked_until = now + BLOCKED_S
            self._cease(connection, CeaseReason.MAX_PREFIXES, now, hard=True)
            peer.gone = Gone.MAX_PREFIXES
            self._rib.drop(key)
        self._decide_later(now)
        self._unreported[key] = None
        if self._timers["report", None] is None:
            self._timers.set(("report", None), now + _COUNT_REPORT_S)

    def _on_end_of_rib(self, peer: Peer, family: Family, now: float) -> None:
        key = peer.settings.key
        self._log_swept(peer, self._rib.sweep(key, family))
        peer.awaiting.discard(family)
        if not peer.awaiting:
            self._timers.set(("stale", key), None)
            self._delivered.add(key)
            self._check_in_sync(now)

    def _on_refresh(self, connection: Connection, refresh: Refresh, now: float) -> None:
        session, key = connection.session, connection.peer.settings.key
        assert session is not None
        assert session.peer is not None
        if connection.peer.established is not connection or refresh.family not in session.context.families:
            return
        if refresh.kind == RefreshKind.REQUEST:
            self._decide()
            group = self._outbound.group(key)
            assert group is not None
            enhanced = session.peer.enhanced_refresh
            session.send(Refresh(refresh.family, RefreshKind.BEGIN).encode() if enhanced else b"")
            session.send(group.everything(key, refresh.family))
            session.send(Refresh(refresh.family, RefreshKind.END).encode() if enhanced else b"")
        elif refresh.kind == RefreshKind.BEGIN:
            self._rib.mark_stale(key, refresh.family)
        elif refresh.kind == RefreshKind.END:
            self._log_swept(connection.peer, self._rib.sweep(key, refresh.family))
            self._decide_later(now)

    def _on_ended(self, connection: Connection, ended: Ended, now: float) -> None:
        peer, session = connection.peer, connection.session
        assert session is not None
        peer.gone = {EndedBy.PEER: Gone.PEER, EndedBy.US: Gone.US, EndedBy.LOSS: Gone.LOSS}[ended.by]
        peer.reason = str(ended)
        if peer.established is not connection:
            return
        key = peer.settings.key
        peer.established, peer.source = None, None
        peer.awaiting.clear()
        peer.owes_end_of_rib = False
        peer.note_end(now)
        self._outbound.leave(key)
        said = "" if ended.notification is None else ended.notification.communication
        self._log(NoteKind.DOWN, key, reason=str(ended), said=said)
        stale = keep(self._rib, peer, session, ended)
        if stale:
            assert session.peer is not None
            assert session.peer.graceful_restart is not None
            peer.stale_window_s = session.peer.graceful_restart.time_s
            self._timers.set(("stale", key), now + peer.stale_window_s)
            self._log(NoteKind.STALE_KEPT, key, routes=stale, seconds=peer.stale_window_s)
        else:
            self._timers.set(("stale", key), None)
        self._decide_later(now)

    def _sweep(self, peer: Peer, now: float) -> None:
        peer.stale_window_s = None
        self._log_swept(peer, self._rib.sweep(peer.settings.key))
        self._decide_later(now)

    # -- in sync

    def _check_in_sync(self, now: float) -> None:
        if not self.in_sync and self._delivered >= self._peers.keys():
            self._set_in_sync(now)

    def _set_in_sync(self, now: float) -> None:
        if self.in_sync:
            return
        self._decide()
        self.in_sync = True
        self._timers.set(("sync", None), None)
        self._actions.append(ReportRoutes(RouteReport(in_sync=True)))
        self._log(NoteKind.IN_SYNC, None, delivered=len(self._delivered), peers=len(self._peers))
        for peer in self._peers.values():
            if peer.owes_end_of_rib and peer.established is not None:
                peer.owes_end_of_rib = False
                session = peer.established.session
                assert session is not None
                self._send_end_of_rib(session)
                self._step(peer.established, (), now)
