"""From a node's computed state to what its speaker must be. The agent calls this; the speaker does not import it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from muslin.errors import Problem
from muslin.net import Address
from muslin.semantics.sessions import Session
from runtime.bgp.settings import PeerSettings, SpeakerSettings
from runtime.calc.state import NodeState

__all__ = ["desired"]

_BROADCAST = IPv4Address("255.255.255.255")


def desired(
    state: NodeState,
    *,
    router_id: IPv4Address,
    listen: tuple[Address, ...] = (IPv4Address("0.0.0.0"),),
    passwords: Mapping[tuple[str, str], str] | None = None,
    initial_wait_s: float = 5.0,
) -> tuple[SpeakerSettings, tuple[Problem, ...]]:
    """What the speaker of this node must be, and why a session had to be left out.

    Args:
        state: of the node.
        router_id: its BGP identifier, in Calico the node's IPv4 address.
        listen: addresses to accept connections on.
        passwords: Mapping[(Secret name, key), password]. A session whose password is not here is left out: it must
            not run without.
        initial_wait_s: see `SpeakerSettings`.
    """
    known = passwords or {}
    problems: list[Problem] = []
    peers: dict[tuple[Address, int], PeerSettings] = {}
    for session in state.sessions:
        wrong = _impossible(session)
        if wrong is not None:
            problems.append(wrong)
            continue
        password = None if session.password_ref is None else known.get(session.password_ref)
        if session.password_ref is not None and password is None:
            problems.append(_no_password(session))
            continue
        peers.setdefault((session.peer_address, session.peer_port), _peer(session, password))
    settings = SpeakerSettings(
        router_id=router_id,
        listen=listen if peers else (),
        listen_port=state.listen_port,
        peers=tuple(peers.values()),
        originated=state.originated,
        importable=state.importable,
        initial_wait_s=initial_wait_s,
        restart_wait_s=float(max((peer.graceful_restart_s for peer in peers.values()), default=0)),
    )
    return settings, tuple(problems)


def _peer(session: Session, password: str | None) -> PeerSettings:
    return PeerSettings(
        address=session.peer_address,
        peer_as=int(session.peer_as),
        local_as=int(session.local_as),
        port=session.peer_port,
        kind=session.kind.value,
        name=session.peer_node,
        local_address=session.local_address,
        passive=session.passive,
        cluster_id=session.cluster_id,
        hold_time_s=session.hold_time_s,
        graceful_restart_s=session.graceful_restart_s,
        ttl_security_hops=session.ttl_security_hops,
        password=password,
    )


def _impossible(session: Session) -> Problem | None:
    """Why nobody can run this session, whatever the other end does."""
    address, numbers = session.peer_address, (session.peer_as, session.local_as)
    of = f"node {session.peer_node}" if session.peer_node is not None else f"the BGPPeer with peerIP {address}"
    where = f"{session.kind.value}: {of}"
    if not all(0 < number < 1 << 32 for number in numbers):
        what = f"the session to {address} has AS numbers {numbers[0]} (theirs) and {numbers[1]} (ours)"
        return Problem(what, where, "give each an AS number of 1..4294967295", "RFC 7607")
    if address.is_unspecified or address.is_multicast or address.is_loopback or address == _BROADCAST:
        return Problem(f"{address} can be no peer's address", where, "give the address of a router or node")
    return None


def _no_password(session: Session) -> Problem:
    name, key = session.password_ref or ("", "")
    return Problem(
        what=f"the session to {session.peer_address} has no password",
        where=f"Secret {name}, key {key}",
        fix="create the Secret, or take the password out of the peer's configuration on both ends",
    )
