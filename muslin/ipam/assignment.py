"""What is asked of an assignment and what comes of it, as values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from muslin.errors import Failed, Problem
from muslin.ipam.affinities import Owner
from muslin.ipam.blocks import Attribute, nobody
from muslin.net import Address, InterfaceAddress, Prefix
from muslin.resources.ip_pool import AllowedUse, IPPool
from muslin.resources.ipam import IPAMConfigurationSpec

__all__ = ["AddressRefused", "Assignment", "AssignmentRequest", "NoPool", "RefusalReason", "Shortfall"]

_MAX_BLOCKS = 20
"""Blocks a node may have where nobody says otherwise (reference, section 4)."""


class Shortfall(Enum):
    """Why there are fewer addresses than asked for."""

    BLOCK_LIMIT = "the node has as many blocks as it may have"
    NO_FREE_BLOCK = "no pool has a block that is free"
    NO_CLAIMS = "blocks are not claimed by themselves here (autoAllocateBlocks is false)"
    ALL_IN_USE = "every address of the pools is in use or reserved"


class NoPool(Failed):
    """No pool may give the address."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(
            Problem(what, where, "check nodeSelector, allowedUses, assignmentMode and disabled of the IPPools")
        )


class RefusalReason(Enum):
    """Why a certain address was not given out."""

    NO_POOL = "the address is in no enabled pool that allows this use"
    IN_USE = "the address is in use"
    ANOTHER_NODES_BLOCK = "the address is in a block of another node, and affinity is strict"


class AddressRefused(Failed):
    """A certain address was asked for and cannot be had."""

    def __init__(self, reason: RefusalReason, address: Address, holder: Attribute | None = None) -> None:
        self.reason, self.address, self.holder = reason, address, holder
        by = f" (held by {holder.handle})" if holder is not None and holder.handle else ""
        super().__init__(Problem(f"{reason.value}{by}", str(address), "ask for another address, or release this one"))


@dataclass(frozen=True, slots=True)
class AssignmentRequest:
    """Who wants how many addresses of one family, and everything the choice depends on.

    Attributes:
        host: node that the addresses are for.
        count: how many.
        handle: under which to release them later; None for none.
        now: the time; goes into claims and cooldown.
        pools: all pools of the cluster.
        version: 4 or 6.
        attributes: what Calico's tools show for the addresses (`pod`, `namespace`, `node`, `timestamp`).
        use: what they are for.
        node_labels: of the node.
        namespace_labels: of the workload's namespace.
        requested_pools: names or prefixes that were asked for; their selectors do not bind then.
        configuration: of the cluster.
        max_blocks: limit of this request; None for none of its own.
        reserved: addresses never to be given out by themselves.
        known_blocks: blocks of this node, confirmed, that the caller has seen: tried first, so that a warm request
            costs three calls. Wrong ones do no harm.
        owner_kind: `host`, or `virtual` for blocks that belong to no node.
    """

    host: str
    count: int
    handle: str | None
    now: datetime
    pools: Collection[IPPool]
    version: int = 4
    attributes: Mapping[str, str] = field(default_factory=dict)
    use: AllowedUse = AllowedUse.WORKLOAD
    node_labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    requested_pools: Sequence[str] = ()
    configuration: IPAMConfigurationSpec = field(default_factory=IPAMConfigurationSpec)
    max_blocks: int | None = None
    reserved: Callable[[Address], bool] = nobody
    known_blocks: Sequence[Prefix] = ()
    owner_kind: str = "host"

    @property
    def owner(self) -> Owner:
        """Who claims the blocks."""
        return Owner(self.host, self.owner_kind)

    @property
    def attribute(self) -> Attribute:
        """What is written beside the addresses."""
        return Attribute(self.handle, dict(self.attributes))

    @property
    def block_limit(self) -> int:
        """How many blocks the node may have: the smaller of the request's and the cluster's limit, else 20."""
        limits = [limit for limit in (self.max_blocks, self.configuration.max_blocks_per_host) if limit]
        return min(limits, default=_MAX_BLOCKS)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What was given out; `shortfalls` says why it is less than was asked for.

    The addresses carry their block's length, as Calico's do; a CNI plugin makes them /32 or /128.
    """

    requested: int
    addresses: tuple[InterfaceAddress, ...]
    version: int = 4
    shortfalls: tuple[Shortfall, ...] = ()

    @property
    def message(self) -> str:
        """The reference's sentence for a shortfall, empty if there is none."""
        if len(self.addresses) >= self.requested:
            return ""
        why = "; ".join(shortfall.value for shortfall in self.shortfalls)
        return f"Assigned {len(self.addresses)} out of {self.requested} requested IPv{self.version} addresses; {why}"
