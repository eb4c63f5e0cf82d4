"""The helper's part of graceful restart: which routes of a peer outlive its session (RFC 4724, RFC 8538)."""

from __future__ import annotations

from runtime.bgp.peer import Peer
from runtime.bgp.rib import Rib
from runtime.bgp.session import Ended, Session

__all__ = ["keep", "resume"]


def keep(rib: Rib, peer: Peer, session: Session, ended: Ended) -> int:
    """Mark stale what outlives the session and drop the rest; gives how many routes are kept."""
    key = peer.settings.key
    kept = peer.kept_families(session, ended)
    rib.sweep(key)  # what one restart left stale does not outlive a second one (RFC 4724 section 4.2)
    for family in {family for family, _ in rib.received(key)}:
        if family in kept:
            rib.mark_stale(key, family)
        else:
            rib.drop(key, family)
    return len(rib.received(key))


def resume(rib: Rib, peer: Peer, session: Session) -> int:
    """The peer is back: drop stale routes of families for which it did not go on forwarding; gives how many.

    The others wait for End-of-RIB.
    """
    assert session.peer is not None
    key, theirs = peer.settings.key, session.peer.graceful_restart
    peer.stale_window_s = None
    return sum(
        rib.sweep(key, family)
        for family in {family for family, _ in rib.received(key)}
        if theirs is None or not theirs.families.get(family, False)
    )
