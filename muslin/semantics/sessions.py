"""Which BGP sessions a node has, and how each end behaves."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from muslin.net import Address, AsNumber, ClusterId
from muslin.resources.bgp_configuration import BGPConfiguration, BGPConfigurationSpec
from muslin.resources.bgp_peer import BGPPeer, ReversePeering, SourceAddress
from muslin.resources.durations import Duration
from muslin.resources.node import Node
from muslin.resources.secrets import PasswordSource
from muslin.selectors import parse
from muslin.semantics.routes import node_address
from muslin.semantics.snapshot import Snapshot

__all__ = ["DEFAULT_PORT", "Session", "SessionKind", "listen_port", "sessions"]

DEFAULT_PORT = 179

_RESTART_TIME_S = 120
"""BIRD's default, which people of Calico are used to."""


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


def sessions(snapshot: Snapshot, node_name: str) -> tuple[Session, ...]:
    """Every session of a node: the mesh, then global peers, then node peers; sorted by kind, address, port.

    A peer is identified by address and port. The mesh is considered first, then global BGPPeers, then those that
    name or select nodes, then the reverse ends (`reversePeering` Auto: a node that a BGPPeer's selector or address
    points at gets the other end without a second resource). A later one with the identity of an earlier is dropped,
    except that a BGPPeer replaces a mesh session: it is the more deliberate.

    Of a mesh or global session between two nodes one end is passive, the one with the smaller address *as text*;
    sessions of BGPPeers that name or select nodes are dialled from both ends. Source: calico.md section 7.3.
    """
    cluster = _Cluster(snapshot)
    local = cluster.nodes.get(node_name)
    if local is None:
        return ()
    found: dict[tuple[Address, int], Session] = {}
    peerings: dict[tuple[Address, int], Session] = {}
    for session in cluster.peerings(local):
        peerings.setdefault((session.peer_address, session.peer_port), session)
    for session in cluster.mesh(local):
        found[session.peer_address, session.peer_port] = session
    found.update(peerings)
    order = list(SessionKind)
    return tuple(
        sorted(found.values(), key=lambda each: (order.index(each.kind), str(each.peer_address), each.peer_port))
    )


def listen_port(snapshot: Snapshot, node_name: str) -> int:
    """Where a node waits for its peers: its own BGPConfiguration `node.<name>`, then the default one."""
    for name in (f"node.{node_name}", "default"):
        found = snapshot.get(BGPConfiguration, name)
        if found is not None and found.spec.listen_port:
            return found.spec.listen_port
    return DEFAULT_PORT


@dataclass(frozen=True, slots=True)
class _End:
    """The other end of a session, before it is known how we behave towards it."""

    address: Address
    as_number: AsNumber
    port: int
    node: str | None = None
    cluster_id: ClusterId | None = None


class _Cluster:
    """Lookups that every session of one snapshot needs."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.nodes: Mapping[str, Node] = {node.metadata.name: node for node in snapshot.all(Node)}
        configuration = snapshot.get(BGPConfiguration, "default")
        self._default = configuration.spec if configuration is not None else BGPConfigurationSpec()
        self._as_number = self._default.effective_as_number

    def _as_of(self, node: Node) -> AsNumber:
        own = node.spec.bgp.as_number if node.spec.bgp is not None else None
        return own or self._as_number  # 0 is nobody's (RFC 7607): as good as unset, and no reason to lose a session

    def _port_of(self, node: Node) -> int:
        return listen_port(self._snapshot, node.metadata.name)

    def mesh(self, local: Node) -> Iterator[Session]:
        """Sessions to every other node, unless the mesh is off; reflectors take no part in it."""
        default = self._default
        if not default.effective_node_to_node_mesh_enabled or _cluster_id(local) is not None:
            return
        for node in self.nodes.values():
            if node.metadata.name == local.metadata.name or _cluster_id(node) is not None:
                continue
            for end in self._ends(node):
                own = node_address(local, end.address.version)
                if own is None or own == end.address:
                    continue
                yield Session(
                    peer_address=end.address,
                    peer_as=end.as_number,
                    local_as=self._as_of(local),
                    kind=SessionKind.NODE_MESH,
                    peer_port=end.port,
                    local_address=own,
                    passive=str(end.address) > str(own),
                    peer_node=end.node,
                    graceful_restart_s=_restart_time_s(default.node_mesh_max_restart_time),
                    password_ref=_password(default.node_mesh_password),
                )

    def peerings(self, local: Node) -> Iterator[Session]:
        """Sessions that BGPPeers ask for, the more general first; several may have one identity."""
        peers = [peer for peer in self._snapshot.all(BGPPeer) if not peer.spec.local_workload_selector]
        general = [peer for peer in peers if not peer.spec.node and not peer.spec.node_selector]
        special = [peer for peer in peers if peer.spec.node or peer.spec.node_selector]
        for peer in general:
            yield from self._sessions(local, peer, self._targets(peer), SessionKind.GLOBAL_PEER)
        for peer in special:
            if local.metadata.name in self._sources(peer):
                yield from self._sessions(local, peer, self._targets(peer), SessionKind.NODE_PEER)
        for peer in peers:
            if peer.spec.effective_reverse_peering is ReversePeering.MANUAL or not self._points_at(peer, local):
                continue
            ends = (end for name in self._sources(peer) for end in self._ends(self.nodes[name]))
            same_family = (
                end
                for end in ends
                if peer.spec.peer_ip is None or peer.spec.peer_ip.address.version == end.address.version
            )
            yield from self._sessions(local, peer, same_family, SessionKind.NODE_PEER)

    def _sources(self, peer: BGPPeer) -> tuple[str, ...]:
        """Nodes that a BGPPeer configures."""
        if peer.spec.node_selector:
            return self._matching(peer.spec.node_selector)
        if peer.spec.node:
            return (peer.spec.node,) if peer.spec.node in self.nodes else ()
        return tuple(self.nodes)

    def _targets(self, peer: BGPPeer) -> Iterator[_End]:
        """Ends that a BGPPeer tells its nodes to talk to."""
        if peer.spec.peer_selector:
            for name in self._matching(peer.spec.peer_selector):
                yield from self._ends(self.nodes[name])
            return
        if peer.spec.peer_ip is None:
            return
        address, port = peer.spec.peer_ip.address, peer.spec.peer_ip.port
        as_number = self._as_number if peer.spec.as_number is None else peer.spec.as_number
        for node in self.nodes.values():
            if node_address(node, address.version) == address:
                chosen = port or self._port_of(node)
                yield _End(address, as_number, chosen, node.metadata.name, _cluster_id(node))
                return
        yield _End(address, as_number, port or DEFAULT_PORT)

    def _points_at(self, peer: BGPPeer, node: Node) -> bool:
        """Whether a BGPPeer tells other nodes to talk to this one."""
        if peer.spec.peer_selector:
            return node.metadata.name in self._matching(peer.spec.peer_selector)
        if peer.spec.peer_ip is None:
            return False
        address, port = peer.spec.peer_ip.address, peer.spec.peer_ip.port
        wanted_as = self._as_number if peer.spec.as_number is None else peer.spec.as_number
        return (
            node_address(node, address.version) == address
            and self._as_of(node) == wanted_as
            and port in (None, self._port_of(node))
        )

    def _ends(self, node: Node) -> Iterator[_End]:
        for version in (4, 6):
            address = node_address(node, version)
            if address is not None:
                yield _End(address, self._as_of(node), self._port_of(node), node.metadata.name, _cluster_id(node))

    def _sessions(self, local: Node, peer: BGPPeer, ends: Iterable[_End], kind: SessionKind) -> Iterator[Session]:
        spec = peer.spec
        local_as = self._as_of(local) if spec.local_as_number is None else spec.local_as_number
        cluster_id = _cluster_id(local)
        for end in ends:
            own = node_address(local, end.address.version)
            if end.address == own or own is None:
                continue
            reflects = cluster_id is not None and end.as_number == local_as and end.cluster_id != cluster_id
            session = Session(
                peer_address=end.address,
                peer_as=end.as_number,
                local_as=local_as,
                kind=kind,
                peer_port=end.port,
                local_address=None if spec.effective_source_address is SourceAddress.NONE else own,
                peer_node=end.node,
                cluster_id=cluster_id if reflects else None,
                graceful_restart_s=_restart_time_s(spec.max_restart_time),
                ttl_security_hops=spec.ttl_security or None,
                password_ref=_password(spec.password),
            )
            dialled_by_one = kind is SessionKind.GLOBAL_PEER and end.node is not None
            yield replace(session, passive=dialled_by_one and str(end.address) > str(own))

    def _matching(self, selector: str) -> tuple[str, ...]:
        """Nodes that a selector matches."""
        parsed = parse(selector)
        return tuple(name for name, node in self.nodes.items() if parsed.matches(node.metadata.labels))


def _cluster_id(node: Node) -> ClusterId | None:
    return node.spec.bgp.route_reflector_cluster_id if node.spec.bgp is not None else None


def _restart_time_s(configured: Duration | None) -> int:
    """Whole seconds, within the 12 bits that the capability has (RFC 4724 section 3)."""
    return _RESTART_TIME_S if configured is None else min(4095, max(0, round(configured.seconds)))


def _password(source: PasswordSource | None) -> tuple[str, str] | None:
    if source is None or source.secret_key_ref is None:
        return None
    return source.secret_key_ref.name, source.secret_key_ref.key
