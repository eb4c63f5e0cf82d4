"""BGPPeer: sessions beside the mesh, between selected nodes and selected or named peers."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator

from muslin.net import Address, parse_address
from muslin.resources.base import Resource
from muslin.resources.bgp_checks import PEER_RULES
from muslin.resources.fields import (
    EMPTY_IS_UNSET,
    AddressField,
    AsNumberField,
    Bool,
    DurationField,
    Int,
    ObjectName,
    SelectorText,
    Text,
)
from muslin.resources.part import Part
from muslin.resources.secrets import PasswordSource
from muslin.resources.validation import ValidationRule

__all__ = ["BGPPeer", "BGPPeerSpec", "NextHopMode", "PeerAddress", "ReversePeering", "SourceAddress"]

_BRACKETED = re.compile(r"\[([0-9a-fA-F:.]+)\]:(\d{1,5})", re.ASCII)
_V4_WITH_PORT = re.compile(r"([0-9.]+):(\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer listens; `port` None means the usual one, 179. `text` is how it was written, if otherwise."""

    address: Address
    port: int | None = None
    text: str | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        if self.port is None:
            return str(self.address)
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


def parse_peer_address(value: Any) -> PeerAddress:
    """A peer's address from `IP`, `v4:port` or `[v6]:port`. Raises ValueError."""
    if isinstance(value, PeerAddress):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a peer's address such as 192.0.2.1, 192.0.2.1:1790 or [2001:db8::1]:1790")  # noqa: TRY004
    split = _BRACKETED.fullmatch(value) or _V4_WITH_PORT.fullmatch(value)
    if split is None:
        return PeerAddress(parse_address(value), None, value)
    address, port = parse_address(split.group(1)), split.group(2)
    if port is not None and not 1 <= int(port) <= 65535:
        raise ValueError(f"{value!r}: the port must be 1..65535")
    return PeerAddress(address, int(port) if port else None, value)


class NextHopMode(enum.Enum):
    """Which next hop we announce to the peer."""

    AUTO = "Auto"
    SELF = "Self"
    KEEP = "Keep"


class ReversePeering(enum.Enum):
    """Whether nodes that are selected as peers get the other end of the session by themselves."""

    AUTO = "Auto"
    MANUAL = "Manual"


class SourceAddress(enum.Enum):
    """Which address our connections start from."""

    USE_NODE_IP = "UseNodeIP"
    NONE = "None"


class BGPPeerSpec(Part):
    """Which sessions, and how each end behaves."""

    RULES: ClassVar[tuple[ValidationRule, ...]] = PEER_RULES

    node: ObjectName | None = None
    node_selector: SelectorText | None = None
    peer_ip: Annotated[
        PeerAddress | None,
        PlainValidator(lambda v: None if v in (None, "") else parse_peer_address(v)),
        EMPTY_IS_UNSET,
    ] = None
    as_number: AsNumberField | None = None
    peer_selector: SelectorText | None = None
    local_workload_selector: SelectorText | None = None
    local_as_number: AsNumberField | None = None
    num_allowed_local_as_numbers: Int | None = Field(default=None, alias="numAllowedLocalASNumbers")
    ttl_security: Int | None = Field(default=None, ge=0, le=255)
    next_hop_mode: NextHopMode | None = None
    keep_original_next_hop: Bool = False
    reverse_peering: ReversePeering | None = None
    password: PasswordSource | None = None
    source_address: Annotated[SourceAddress | None, EMPTY_IS_UNSET] = None
    max_restart_time: DurationField | None = None
    keepalive_time: DurationField | None = None
    reachable_by: Annotated[AddressField | None, EMPTY_IS_UNSET] = None
    filters: tuple[Text, ...] = ()

    @property
    def effective_next_hop_mode(self) -> NextHopMode:
        """Next hop mode: the deprecated flag counts as `KEEP`, and `AUTO` where unset."""
        return self.next_hop_mode or (NextHopMode.KEEP if self.keep_original_next_hop else NextHopMode.AUTO)

    @property
    def effective_reverse_peering(self) -> ReversePeering:
        """Reverse peering, `AUTO` where unset."""
        return self.reverse_peering or ReversePeering.AUTO

    @property
    def effective_source_address(self) -> SourceAddress:
        """Source address, the node's where unset."""
        return self.source_address or SourceAddress.USE_NODE_IP


class BGPPeer(Resource):
    """One rule that makes sessions; cluster-scoped."""

    kind: Literal["BGPPeer"] = "BGPPeer"
    spec: BGPPeerSpec = BGPPeerSpec()
