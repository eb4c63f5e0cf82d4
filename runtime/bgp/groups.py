"""Adj-RIB-Out of a group of peers that are told the same things: each message is encoded once for all of them.

A member must not hear its own routes back. So what a group has to say is a list of segments, each for everybody, for
all but one or for one alone; a member that no segment names gets the one joined text.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import NamedTuple

from muslin.net import Address
from runtime.bgp.decision import Path
from runtime.bgp.families import IPV4_UNICAST, Destination, Family, WirePrefix
from runtime.bgp.messages.attributes import Attributes
from runtime.bgp.messages.update import Context, TooLarge, announce, withdraw
from runtime.bgp.rib import BestChange
from runtime.bgp.settings import PeerKey, PeerSettings

__all__ = ["Audience", "Group", "GroupKey", "Outbound", "Segment"]

_LOCAL_PREF = 100


class GroupKey(NamedTuple):
    """Peers with equal keys are told the same. `next_hop` is ours, for what we originate."""

    local_as: int
    internal: bool
    client: bool
    cluster_id: IPv4Address | None
    next_hop: bytes
    families: tuple[Family, ...]
    four_octet_as: bool = True

    @classmethod
    def of(cls, peer: PeerSettings, context: Context, end: Address, cluster_id: IPv4Address | None) -> GroupKey:
        """Key of a peer; `end` is our address of its connection, `cluster_id` ours, if we reflect at all."""
        next_hop = (peer.local_address or end).packed
        client = peer.cluster_id is not None
        families, wide = context.families, context.four_octet_as
        return cls(peer.local_as, peer.internal, client, cluster_id, next_hop, families, wide)


class Audience(enum.Enum):
    """Whom a segment is for."""

    EVERYBODY = enum.auto()
    ALL_BUT = enum.auto()
    ONLY = enum.auto()


class Segment(NamedTuple):
    """Whole messages and whom they are for; `peer` is the one whom ALL_BUT and ONLY mean."""

    audience: Audience
    peer: PeerKey | None
    data: bytes

    def reaches(self, peer: PeerKey) -> bool:
        """Whether it is for this peer."""
        return self.audience is Audience.EVERYBODY or (self.peer == peer) == (self.audience is Audience.ONLY)


class _Out(NamedTuple):
    """How a route is told; `source` must not hear it."""

    attributes: bytes
    next_hop: bytes
    source: PeerKey | None


class Group:
    """What its members have been told."""

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.members: set[PeerKey] = set()
        self.too_large: set[Destination] = set()
        self._sent: dict[Destination, _Out] = {}

    def advertised(self, peer: PeerKey) -> int:
        """How many routes a member has been told."""
        if not self.key.cluster_id:
            return len(self._sent)
        return sum(out.source != peer for out in self._sent.values())

    def apply(self, changes: Iterable[BestChange]) -> list[Segment]:
        """What must be said because best paths changed."""
        seen: dict[tuple[int, Family], _Out | None] = {}
        gone: dict[tuple[Family, PeerKey | None], list[WirePrefix]] = {}
        told: dict[tuple[Family, _Out], list[WirePrefix]] = {}
        for destination, _, path in changes:
            family, wire = destination
            if family not in self.key.families:
                continue
            known = self._sent.get(destination)
            memory = (id(path), family)
            if memory not in seen:
                seen[memory] = None if path is None else self._out(path, family)
            out = seen[memory]
            if out == known:
                continue
            if out is None:
                del self._sent[destination]
                gone.setdefault((family, None), []).append(wire)
                continue
            self._sent[destination] = out
            told.setdefault((family, out), []).append(wire)
            if known is not None and out.source is not None and out.source != known.source:
                gone.setdefault((family, out.source), []).append(wire)
        return self._withdrawals(gone) + self._announcements(told)

    def everything(self, peer: PeerKey, family: Family | None = None) -> bytes:
        """All that a member must know, of one family or of all."""
        told: dict[tuple[Family, _Out], list[WirePrefix]] = {}
        for (of_family, wire), out in self._sent.items():
            if family in (None, of_family):
                told.setdefault((of_family, out), []).append(wire)
        return b"".join(segment.data for segment in self._announcements(told) if segment.reaches(peer))

    def _withdrawals(self, gone: Mapping[tuple[Family, PeerKey | None], list[WirePrefix]]) -> list[Segment]:
        return [
            Segment(Audience.EVERYBODY if peer is None else Audience.ONLY, peer, b"".join(withdraw(family, prefixes)))
            for (family, peer), prefixes in gone.items()
        ]

    def _announcements(self, told: Mapping[tuple[Family, _Out], list[WirePrefix]]) -> list[Segment]:
        segments: list[Segment] = []
        for (family, out), prefixes in told.items():
            audience = Audience.EVERYBODY if out.source is None else Audience.ALL_BUT
            try:
                data = b"".join(announce(family, out.attributes, out.next_hop, prefixes))
            except TooLarge:
                self.too_large.update((family, prefix) for prefix in prefixes)
                data = b"".join(withdraw(family, prefixes))
            segments.append(Segment(audience, out.source, data))
        return segments

    def _out(self, path: Path, family: Family) -> _Out | None:
        """How a path is told to this group, None if it is not (RFC 4271 section 9.2, RFC 4456 section 8)."""
        key, source = self.key, path.source
        if source is None:
            attributes = replace(path.attributes, local_pref=_LOCAL_PREF) if key.internal else path.attributes
            next_hop = key.next_hop
            if not key.internal:
                attributes = attributes.prepend(key.local_as)
        elif key.internal and source.internal and key.cluster_id is not None and (source.client or key.client):
            attributes, next_hop = self._reflected(path), path.next_hop
        else:
            return None
        plain = family == IPV4_UNICAST and len(next_hop) == 4
        encoded = attributes.encode(next_hop if plain else None, four_octet_as=key.four_octet_as)
        return _Out(encoded, next_hop, None if source is None else source.key)

    def _reflected(self, path: Path) -> Attributes:
        assert path.source is not None
        assert self.key.cluster_id is not None
        return replace(
            path.attributes,
            originator_id=path.attributes.originator_id or path.source.router_id.packed,
            cluster_list=(self.key.cluster_id.packed, *path.attributes.cluster_list),
        )


class Outbound:
    """All groups, and who is in which."""

    def __init__(self) -> None:
        self._groups: dict[GroupKey, Group] = {}
        self._of: dict[PeerKey, Group] = {}

    def join(self, peer: PeerKey, key: GroupKey, best: Mapping[Destination, Path]) -> Group:
        """Put an established peer into its group; `best` must be decided and told to the other groups."""
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key)
            group.apply(BestChange(destination, None, path) for destination, path in best.items())
        group.members.add(peer)
        self._of[peer] = group
        return group

    def leave(self, peer: PeerKey) -> None:
        """Forget a peer; a group without members is forgotten too."""
        group = self._of.pop(peer, None)
        if group is not None:
            group.members.discard(peer)
            if not group.members:
                del self._groups[group.key]

    def group(self, peer: PeerKey) -> Group | None:
        """The group of an established peer."""
        return self._of.get(peer)

    def apply(self, changes: list[BestChange]) -> Iterator[tuple[PeerKey, bytes]]:
        """What every peer must be sent because best paths changed."""
        for group in self._groups.values():
            segments = group.apply(changes)
            named = {segment.peer for segment in segments if segment.peer is not None}
            everybody = b"".join(segment.data for segment in segments if segment.audience is not Audience.ONLY)
            for peer in sorted(group.members, key=lambda key: key.order):
                if peer in named:
                    data = b"".join(segment.data for segment in segments if segment.reaches(peer))
                else:
                    data = everybody
                if data:
                    yield peer, data
