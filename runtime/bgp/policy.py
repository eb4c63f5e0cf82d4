"""What we believe and what we say.

Import: prefixes within pools and declared ranges only, no route that has been through us, no next hop that is us.
Export: what we originate, and for reflectors what RFC 4456 lets them reflect. Nothing learnt from another AS is passed
to a third one (RFC 8212 asks for a policy; this is it).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from muslin.net import Address, Prefix
from runtime.bgp.families import Destination
from runtime.bgp.messages.attributes import Attributes
from runtime.bgp.settings import PeerKey, SpeakerSettings

__all__ = ["ImportPolicy", "Ineligible", "Local", "Source", "import_policy"]


class Ineligible(enum.Enum):
    """Why a route takes no part in the decision."""

    NOT_IMPORTABLE = "outside the importable prefixes"
    MARTIAN = "a prefix that no host can have"
    OWN_NEXT_HOP = "its next hop is this node"
    AS_LOOP = "our AS is in its path"
    FIRST_AS = "its path does not begin with the peer's AS"
    ORIGINATOR_LOOP = "this node originated it"
    CLUSTER_LOOP = "it has been through our cluster"


@dataclass(frozen=True, slots=True)
class Local:
    """Who we are, as far as loops are concerned. `cluster_ids` and `addresses` are packed."""

    router_id: IPv4Address
    cluster_ids: frozenset[bytes] = frozenset()
    addresses: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """An established session that routes come from. Where two routes tie, the smaller router id and address win."""

    key: PeerKey
    peer_as: int
    local_as: int
    router_id: IPv4Address
    client: bool = False

    @property
    def internal(self) -> bool:
        """Whether it is iBGP."""
        return self.peer_as == self.local_as


class ImportPolicy:
    """Judges what peers announce."""

    def __init__(self, importable: Iterable[Prefix] = (), local: Local | None = None) -> None:
        self._local = local
        self._ranges = [(*_bits(prefix), prefix.version, prefix.prefixlen) for prefix in importable]

    @property
    def local_addresses(self) -> frozenset[bytes]:
        """Next hops that are us, packed."""
        return self._local.addresses if self._local is not None else frozenset()

    def prefix(self, destination: Destination) -> Ineligible | None:
        """Judgement by prefix alone."""
        family, wire = destination
        length, size = wire[0], family.bits
        bits = int.from_bytes(wire[1:], "big") << (size - 8 * (len(wire) - 1))
        if length and _martian(family.afi, bits >> (size - 8)):
            return Ineligible.MARTIAN
        version = 4 if family.afi == 1 else 6
        for network, mask, range_version, range_length in self._ranges:
            if range_version == version and range_length <= length and bits & mask == network:
                return None
        return Ineligible.NOT_IMPORTABLE

    def route(self, attributes: Attributes, next_hop: bytes, source: Source) -> Ineligible | None:
        """Judgement by attributes and next hop."""
        local = self._local
        assert local is not None
        if next_hop[:16] in local.addresses:
            return Ineligible.OWN_NEXT_HOP
        if any(source.local_as in segment.ases for segment in attributes.as_path):
            return Ineligible.AS_LOOP
        if not source.internal and attributes.neighbour_as != source.peer_as:
            return Ineligible.FIRST_AS
        if attributes.originator_id == local.router_id.packed:
            return Ineligible.ORIGINATOR_LOOP
        if not local.cluster_ids.isdisjoint(attributes.cluster_list):
            return Ineligible.CLUSTER_LOOP
        return None


def import_policy(settings: SpeakerSettings, ends: Iterable[Address]) -> ImportPolicy:
    """The policy of a desired state; `ends` are the addresses that our connections have now."""
    own = {address.packed for address in settings.listen if not address.is_unspecified}
    own |= {peer.local_address.packed for peer in settings.peers if peer.local_address is not None}
    own |= {address.packed for address in ends}
    clusters = {peer.cluster_id.packed for peer in settings.peers if peer.cluster_id is not None}
    return ImportPolicy(settings.importable, Local(settings.router_id, frozenset(clusters), frozenset(own)))


def _bits(prefix: Prefix) -> tuple[int, int]:
    return int(prefix.network_address), int(prefix.netmask)


def _martian(afi: int, first_octet: int) -> bool:
    return first_octet in (0, 127) or first_octet >= 224 if afi == 1 else first_octet == 0xFF
