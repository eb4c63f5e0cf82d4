"""Which BGP sessions a node has, and how each end behaves."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from muslin.net import Address, AsNumber, ClusterId

__all__ = ["Session", "SessionKind"]


class SessionKind(enum.Enum):
    """Why a session exists; CalicoNodeStatus names them so."""

    NODE_MESH = "NodeMesh"
    NODE_PEER = "NodePeer"
    GLOBAL_PEER = "GlobalPeer"


@dataclass(frozen=True, slots=True)
class Session:
    """One end of a BGP session as this node must run it.

    Attributes:
        peer_address: whom to talk to; identifies the session together with `peer_port`.
        peer_as: AS the peer must announce in its OPEN.
        local_as: AS we announce.
        kind: why it exists.
        local_address: source address of our connections, None leaves it to the kernel.
        passive: we wait for the peer to connect.
        peer_node: node on the other end, None for an outside router.
        cluster_id: set if we reflect to this peer (it is our client, RFC 4456).
        hold_time_s, graceful_restart_s: our offers in the OPEN, seconds.
        ttl_security_hops: GTSM (RFC 5082): greatest distance accepted, None for off.
        password_ref: (Secret name, key) of the TCP MD5 password.
    """

    peer_address: Address
    peer_as: AsNumber
    local_as: AsNumber
    kind: SessionKind
    peer_port: int = 179
    local_address: Address | None = None
    passive: bool = False
    peer_node: str | None = None
    cluster_id: ClusterId | None = None
    hold_time_s: int = 90
    graceful_restart_s: int = 120
    ttl_security_hops: int | None = None
    password_ref: tuple[str, str] | None = None
