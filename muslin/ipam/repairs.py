"""What puts the books about addresses right again: values, and each as an operation. Every write compares first.

A repair does nothing where the books are not any more as they were read; whoever looks again sees what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from muslin.ipam.affinities import Owner, claim, read_block, release_affinity
from muslin.ipam.blocks import API_VERSION
from muslin.ipam.names import affinity_key, handle_key, handle_name
from muslin.ipam.release import Claim, release_ips
from muslin.ipam.requests import Operation, Stored, create, delete, get, update
from muslin.net import Address, Prefix
from muslin.resources.ipam import IPAMConfigurationSpec
from muslin.resources.keys import Key

__all__ = ["ConfirmAffinity", "GiveUpBlock", "ReleaseAddress", "RemoveObject", "Repair", "WriteHandle", "repaired"]


@dataclass(frozen=True, slots=True)
class ReleaseAddress:
    """Release an address, if its allocation is still the one that was seen."""

    address: Address
    handle: str | None
    sequence: int | None


@dataclass(frozen=True, slots=True)
class RemoveObject:
    """Remove an affinity or a handle that stands for nothing, at this revision."""

    key: Key
    revision: str


@dataclass(frozen=True, slots=True)
class WriteHandle:
    """Have a handle count what its blocks hold; `revision` None: it is not there."""

    handle: str
    counts: Mapping[str, int]
    revision: str | None


@dataclass(frozen=True, slots=True)
class ConfirmAffinity:
    """Write the affinity of a block that says whose it is."""

    owner: Owner
    prefix: Prefix


@dataclass(frozen=True, slots=True)
class GiveUpBlock:
    """Give up an empty block of a node that is gone."""

    owner: Owner
    prefix: Prefix


Repair: TypeAlias = ReleaseAddress | RemoveObject | WriteHandle | ConfirmAffinity | GiveUpBlock


def repaired(repair: Repair, now: datetime, configuration: IPAMConfigurationSpec | None = None) -> Operation[bool]:
    """Do one repair; False where somebody changed what was seen, and nothing was done."""
    match repair:
        case ReleaseAddress(address, handle, sequence):
            done = yield from release_ips([Claim(address, handle, sequence)], now, configuration)
            return address in done.released
        case RemoveObject(key, revision):
            stored = yield from get(key)
            return stored is not None and stored.revision == revision and (yield from delete(stored))
        case WriteHandle():
            return (yield from _write_handle(repair))
        case ConfirmAffinity(owner, prefix):
            held = yield from read_block(prefix)
            if held is None or held.block.affinity != str(owner):
                return False
            if (yield from get(affinity_key(owner.host, prefix))) is not None:
                return False
            return (yield from claim(owner, prefix, now)) is not None
        case GiveUpBlock(owner, prefix):
            return (yield from release_affinity(owner, prefix, require_empty=True))


def _write_handle(repair: WriteHandle) -> Operation[bool]:
    value = {
        "apiVersion": API_VERSION,
        "kind": "IPAMHandle",
        "metadata": {"name": handle_name(repair.handle)},
        "spec": {"handleID": repair.handle, "block": dict(sorted(repair.counts.items())), "deleted": False},
    }
    stored = yield from get(handle_key(repair.handle))
    if stored is None:
        if repair.revision is not None:
            return False
        return isinstance((yield from create(handle_key(repair.handle), value)), Stored)
    if stored.revision != repair.revision:
        return False
    return isinstance((yield from update(stored, value)), Stored)
