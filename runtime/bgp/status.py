"""What the speaker reports about routes and sessions, from its tables."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.bgp.decision import Path
from runtime.bgp.families import Destination, address_of, from_wire
from runtime.bgp.groups import Group
from runtime.bgp.peer import Peer
from runtime.bgp.reports import LearntRoute, RouteReport, SessionReport
from runtime.bgp.rib import BestChange, Rib

__all__ = ["all_routes", "changed_routes", "session_report"]


def all_routes(rib: Rib, *, in_sync: bool) -> RouteReport:
    """Every best route that we learnt."""
    learnt = (_learnt(key, path) for key, path in rib.best.items())
    return RouteReport(tuple(route for route in learnt if route is not None), (), in_sync)


def changed_routes(changes: Iterable[BestChange], *, in_sync: bool) -> RouteReport | None:
    """What the agent must know of these changes, None if nothing."""
    learnt: list[LearntRoute] = []
    withdrawn: list[Destination] = []
    for key, old, new in changes:
        before, after = _learnt(key, old), _learnt(key, new)
        if after is not None and after != before:
            learnt.append(after)
        elif before is not None and after is None:
            withdrawn.append(key)
    if not (learnt or withdrawn):
        return None
    return RouteReport(tuple(learnt), tuple(from_wire(key) for key in withdrawn), in_sync)


def session_report(peer: Peer, rib: Rib, group: Group | None, epoch_s: float) -> SessionReport:
    """One session as it stands."""
    key, settings = peer.settings.key, peer.settings
    received = rib.received(key)
    return SessionReport(
        peer=key,
        state=peer.state,
        since=peer.since + epoch_s,
        kind=settings.kind,
        name=settings.name,
        reason="" if peer.established else f"{peer.gone.value}: {peer.reason}".removesuffix(": "),
        prefixes=len(received),
        accepted=sum(path.ineligible is None for path in received.values()),
        stale=sum(path.stale for path in received.values()),
        advertised=0 if group is None else group.advertised(key),
        updates=peer.counters.updates,
        malformed=peer.counters.malformed,
        end_of_rib=peer.established is not None and not peer.awaiting,
    )


def _learnt(key: Destination, path: Path | None) -> LearntRoute | None:
    if path is None or path.source is None:
        return None
    return LearntRoute(from_wire(key), address_of(path.next_hop), path.source.key.address, path.stale)
