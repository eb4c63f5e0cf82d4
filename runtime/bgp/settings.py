"""What the speaker must be, as values of its own: it reads bytes from strangers and imports as little as it can."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import NamedTuple

from muslin.net import Address, Prefix

__all__ = ["PeerKey", "PeerSettings", "SpeakerSettings"]


class PeerKey(NamedTuple):
    """Identity of a peer. What connects to us is told apart by its address only."""

    address: Address
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}" if self.address.version == 4 else f"[{self.address}]:{self.port}"

    @property
    def order(self) -> tuple[int, int, int]:
        """What to sort by: addresses of two versions do not compare."""
        return self.address.version, int(self.address), self.port


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """One peer and how we talk to it.

    Attributes:
        address, port: where it listens.
        peer_as, local_as: what each end announces.
        kind: why the session exists, for status only: NodeMesh, NodePeer or GlobalPeer.
        name: node on the other end, for status only.
        local_address: source of our connections and next hop of our routes, None: the connection's own.
        passive: we do not dial.
        cluster_id: set if the peer is our route reflection client.
        hold_time_s: our offer; 0 or 3..65535.
        graceful_restart_s: how long the peer should keep our routes; 0 turns graceful restart off.
        ttl_security_hops: GTSM, greatest distance accepted; None for off.
        password: TCP MD5 key (RFC 2385).
        max_prefixes: more of them end the session.
    """

    address: Address
    peer_as: int
    local_as: int
    port: int = 179
    kind: str = "NodeMesh"
    name: str | None = None
    local_address: Address | None = None
    passive: bool = False
    cluster_id: IPv4Address | None = None
    hold_time_s: int = 90
    graceful_restart_s: int = 120
    ttl_security_hops: int | None = None
    password: str | None = field(default=None, repr=False)
    max_prefixes: int = 20_000

    @property
    def key(self) -> PeerKey:
        """Identity of the peer."""
        return PeerKey(self.address, self.port)

    @property
    def internal(self) -> bool:
        """Whether the session is iBGP."""
        return self.peer_as == self.local_as

    def needs_new_session(self, other: PeerSettings) -> bool:
        """Whether a session under these settings cannot go on under `other`."""
        return self._of_session() != other._of_session()

    def _of_session(self) -> tuple[object, ...]:
        return (
            self.peer_as, self.local_as, self.local_address, self.cluster_id, self.hold_time_s,
            self.graceful_restart_s, self.ttl_security_hops, self.password,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpeakerSettings:
    """The whole desired state of one speaker.

    Attributes:
        router_id: our BGP identifier.
        listen: addresses to accept connections on; empty: do not listen.
        listen_port: on which port.
        peers: no two with the same key.
        originated: prefixes that we announce.
        importable: prefixes within which we believe others.
        initial_wait_s: how long after a cold start routes may be incomplete before `in_sync` is said anyway.
        restart_wait_s: the same after a restart of the speaker alone; peers keep our routes about so long.
    """

    router_id: IPv4Address
    listen: tuple[Address, ...] = ()
    listen_port: int = 179
    peers: tuple[PeerSettings, ...] = ()
    originated: tuple[Prefix, ...] = ()
    importable: tuple[Prefix, ...] = ()
    initial_wait_s: float = 5.0
    restart_wait_s: float = 120.0
