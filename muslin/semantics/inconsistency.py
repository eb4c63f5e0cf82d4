"""What does not fit together in a datastore, as values: the reason, the object, and what it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from muslin.resources.keys import Key

__all__ = ["Inconsistency", "Reason"]


class Reason(enum.Enum):
    """Why it does not fit; the value is what programs read."""

    UNREADABLE = "Unreadable"
    READ_IN_PART = "ReadInPart"
    REFERENCE_DANGLES = "ReferenceDangles"
    NODE_GONE = "NodeGone"
    POOLS_OVERLAP = "PoolsOverlap"
    ADDRESS_LEAKED = "AddressLeaked"
    ADDRESS_NOT_ALLOCATED = "AddressNotAllocated"
    ADDRESS_OUTSIDE_POOLS = "AddressOutsidePools"
    ADDRESS_USED_TWICE = "AddressUsedTwice"
    HANDLE_EMPTY = "HandleEmpty"
    HANDLE_MISSING = "HandleMissing"
    HANDLE_MISCOUNTS = "HandleMiscounts"
    BLOCK_UNREADABLE = "BlockUnreadable"
    BLOCK_OUTSIDE_POOLS = "BlockOutsidePools"
    BLOCKS_OVERLAP = "BlocksOverlap"
    BLOCK_WITHOUT_AFFINITY = "BlockWithoutAffinity"
    BLOCK_OF_GONE_NODE = "BlockOfGoneNode"
    AFFINITY_WITHOUT_BLOCK = "AffinityWithoutBlock"
    AFFINITY_UNFINISHED = "AffinityUnfinished"


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """One thing that does not fit.

    Attributes:
        reason: why.
        key: the object at fault, or the one that shows it.
        what: a sentence without a full stop.
        fix: what to do.
        repair: what would put it right by itself (of `muslin.ipam.repairs`), None where a person must decide.
    """

    reason: Reason
    key: Key
    what: str
    fix: str
    repair: object | None = None
