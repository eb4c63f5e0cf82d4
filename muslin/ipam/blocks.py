"""A block of addresses as a value: which are free, which are held, by whom, and Calico's JSON of it.

An ordinal is an address's position in its block. `unallocated` is the order in which free ordinals are given out. A
released ordinal keeps an attribute with only `releasedAt` until it has cooled down, and is then free again, last in
the order. `sequence` grows with every write, so that whoever acts on old knowledge of an allocation is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from muslin.errors import BadInput, Problem
from muslin.ipam.names import block_name
from muslin.ipam.requests import Json
from muslin.net import Address, Prefix

__all__ = ["API_VERSION", "Attribute", "Block", "nobody", "timestamp"]

API_VERSION = "projectcalico.org/v3"
_WINDOWS_HANDLE = "windows-reserved-ipam-handle"
_SPEC_FIELDS = frozenset(
    [
        "cidr",
        "affinity",
        "affinityClaimTime",
        "allocations",
        "unallocated",
        "attributes",
        "sequenceNumber",
        "sequenceNumberForAllocation",
        "deleted",
        "strictAffinity",
    ]
)


def timestamp(now: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes times."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def nobody(_: Address) -> bool:
    """The reservations of a cluster without any."""
    return False


@dataclass(frozen=True, slots=True)
class Attribute:
    """Who holds some addresses of a block, and what for; `released_at` alone: nobody, cooling down."""

    handle: str | None = None
    secondary: Mapping[str, str] = field(default_factory=dict)
    alternate_owner: Mapping[str, str] = field(default_factory=dict)
    released_at: str | None = None

    def json(self) -> dict[str, Any]:
        """Calico's form."""
        parts = {
            "handle_id": self.handle,
            "secondary": dict(self.secondary) or None,
            "alternateOwnerAttrs": dict(self.alternate_owner) or None,
            "releasedAt": self.released_at,
        }
        return {name: value for name, value in parts.items() if value is not None}

    def is_of(self, handle: str) -> bool:
        """Whether this handle holds it; what an old writer put after a carriage return does not count."""
        return self.handle is not None and self.handle.split("\r")[0] == handle


@dataclass(frozen=True, slots=True)
class Block:
    """One block; every change gives a new one.

    `allocations` has an entry an ordinal: None, or an index into `attributes`.
    """

    prefix: Prefix
    affinity: str | None
    claimed_at: str | None
    allocations: tuple[int | None, ...]
    unallocated: tuple[int, ...]
    attributes: tuple[Attribute, ...] = ()
    sequence: int = 0
    sequences: Mapping[int, int] = field(default_factory=dict)
    foreign: Mapping[str, Any] = field(default_factory=dict)
    """Fields that we do not know; written back as they were."""

    @classmethod
    def new(cls, prefix: Prefix, affinity: str, now: datetime) -> Block:
        """An empty block, claimed. Its sequence begins at the clock, so that it never repeats a deleted block's."""
        size = prefix.num_addresses
        since_epoch = now - datetime(1970, 1, 1, tzinfo=UTC)
        nanoseconds = (since_epoch // timedelta(microseconds=1)) * 1000
        return cls(prefix, affinity, timestamp(now), (None,) * size, tuple(range(size)), sequence=nanoseconds)

    @classmethod
    def read(cls, value: Json) -> Block:
        """A block from its object. Raises `BadInput` where the object makes no sense as a block."""
        metadata, spec = value.get("metadata"), value.get("spec")
        name = str(metadata.get("name", "(no name)")) if isinstance(metadata, Mapping) else "(no name)"
        what = _misshapen(spec)
        error: Exception | None = None
        if what is None and isinstance(spec, Mapping):
            try:
                return cls._read(spec)
            except ValueError as wrong:
                what, error = str(wrong), wrong
            except (KeyError, TypeError, AttributeError, OverflowError) as wrong:
                what, error = "a value in it is not what it has to be", wrong
        raise BadInput(
            Problem(
                f"the block cannot be read: {what}",
                f"IPAMBlock {name}",
                "restore it from a copy; delete it only if no workload has an address of it",
            )
        ) from error

    @classmethod
    def _read(cls, spec: Mapping[str, Any]) -> Block:
        prefix = ip_network(spec["cidr"])
        attributes = tuple(
            Attribute(
                item.get("handle_id"),
                dict(item.get("secondary") or {}),
                dict(item.get("alternateOwnerAttrs") or {}),
                item.get("releasedAt"),
            )
            for item in spec.get("attributes") or ()
        )
        allocations, unallocated = tuple(spec["allocations"]), tuple(spec["unallocated"])
        if len(allocations) != prefix.num_addresses:
            raise ValueError(f"{len(allocations)} allocations for {prefix.num_addresses} addresses")
        if any(index is not None and not 0 <= index < len(attributes) for index in allocations):
            raise ValueError("an allocation names an attribute that is not there")
        if sorted(unallocated) != [ordinal for ordinal, index in enumerate(allocations) if index is None]:
            raise ValueError("allocations and unallocated disagree")
        try:
            sequence = int(spec.get("sequenceNumber") or 0)
            sequences = {
                int(ordinal): int(number) for ordinal, number in (spec.get("sequenceNumberForAllocation") or {}).items()
            }
        except ValueError:
            raise ValueError("a sequence number is no number") from None
        return cls(
            prefix,
            spec.get("affinity") or None,
            spec.get("affinityClaimTime"),
            allocations,
            unallocated,
            attributes,
            sequence,
            sequences,
            {name: item for name, item in spec.items() if name not in _SPEC_FIELDS},
        )

    def json(self) -> dict[str, Any]:
        """The object in Calico's form, to be written: one step of the sequence further."""
        spec: dict[str, Any] = {
            **self.foreign,
            "cidr": str(self.prefix),
            "allocations": list(self.allocations),
            "unallocated": list(self.unallocated),
            "attributes": [attribute.json() for attribute in self.attributes],
            "sequenceNumber": self.sequence,
            "sequenceNumberForAllocation": {str(ordinal): n for ordinal, n in sorted(self.sequences.items())},
            "deleted": False,
            "strictAffinity": False,
        }
        if self.affinity is not None:
            spec["affinity"] = self.affinity
        if self.claimed_at is not None:
            spec["affinityClaimTime"] = self.claimed_at
        return {
            "apiVersion": API_VERSION,
            "kind": "IPAMBlock",
            "metadata": {"name": block_name(self.prefix)},
            "spec": spec,
        }

    def touched(self) -> Block:
        """To be written over what was read: the sequence goes on."""
        return replace(self, sequence=self.sequence + 1)

    @property
    def empty(self) -> bool:
        """Nobody holds an address; those that Windows takes for itself, and cooling ones, do not count."""
        return all(
            index is None
            or self.attributes[index].released_at is not None
            or (self.attributes[index].handle or "").lower() == _WINDOWS_HANDLE
            for index in self.allocations
        )

    def free(self, reserved: Callable[[Address], bool] = nobody) -> int:
        """How many addresses can be given out."""
        return sum(not reserved(self.address(ordinal)) for ordinal in self.unallocated)

    def address(self, ordinal: int) -> Address:
        """The address at a position."""
        return self.prefix[ordinal]

    def ordinal(self, address: Address) -> int:
        """The position of an address of this block."""
        return int(address) - int(self.prefix.network_address)

    def holder(self, address: Address) -> Attribute | None:
        """Who holds an address; None where nobody does. A cooling one has a holder with `released_at`."""
        index = self.allocations[self.ordinal(address)]
        return None if index is None else self.attributes[index]

    def held_by(self, handle: str) -> tuple[int, ...]:
        """Ordinals that a handle holds."""
        return tuple(
            ordinal
            for ordinal, index in enumerate(self.allocations)
            if index is not None and self.attributes[index].is_of(handle)
        )

    def assigned(
        self, count: int, attribute: Attribute, reserved: Callable[[Address], bool] = nobody
    ) -> tuple[Block, tuple[Address, ...]]:
        """Give out up to so many addresses: the longest free first, reserved ones never."""
        chosen: list[int] = []
        for ordinal in self.unallocated:
            if len(chosen) == count:
                break
            if not reserved(self.address(ordinal)):
                chosen.append(ordinal)
        return self._held(chosen, attribute), tuple(self.address(ordinal) for ordinal in chosen)

    def assigned_each(
        self, attributes: Sequence[Attribute], reserved: Callable[[Address], bool] = nobody
    ) -> tuple[Block, tuple[Address, ...]]:
        """Give out one address for each of these, as `assigned` one after the other; to the first ones if too few."""
        free = (ordinal for ordinal in self.unallocated if not reserved(self.address(ordinal)))
        chosen = {ordinal: attribute for attribute, ordinal in zip(attributes, free, strict=False)}
        kept = list(self.attributes)
        of_handle: dict[str | None, list[int]] = {}
        for index, attribute in enumerate(kept):
            of_handle.setdefault(attribute.handle, []).append(index)
        allocations = list(self.allocations)
        for ordinal, attribute in chosen.items():
            same = of_handle.setdefault(attribute.handle, [])
            index = next((each for each in same if kept[each] == attribute), len(kept))
            if index == len(kept):
                kept.append(attribute)
                same.append(index)
            allocations[ordinal] = index
        block = replace(
            self,
            allocations=tuple(allocations),
            unallocated=tuple(ordinal for ordinal in self.unallocated if ordinal not in chosen),
            attributes=tuple(kept),
            sequences={**self.sequences, **dict.fromkeys(chosen, self.sequence)},
        )
        return block, tuple(map(self.address, chosen))

    def assigned_address(self, address: Address, attribute: Attribute) -> Block | None:
        """Give out this address; None if it is not free."""
        ordinal = self.ordinal(address)
        return self._held([ordinal], attribute) if self.allocations[ordinal] is None else None

    def released(self, ordinals: Collection[int], now: datetime) -> Block:
        """Let ordinals cool down; `collected` frees them."""
        return _without_unused_attributes(self._held(ordinals, Attribute(released_at=timestamp(now))))

    def collected(self, now: datetime, cooldown_s: int) -> Block:
        """Free what was released at least so long ago."""
        limit = now - timedelta(seconds=cooldown_s)
        cold = {
            index
            for index, attribute in enumerate(self.attributes)
            if attribute.released_at is not None and (cooldown_s <= 0 or _before(attribute.released_at, limit))
        }
        freed = [ordinal for ordinal, index in enumerate(self.allocations) if index in cold]
        if not freed:
            return self
        allocations = tuple(None if index in cold else index for index in self.allocations)
        sequences = {ordinal: n for ordinal, n in self.sequences.items() if ordinal not in freed}
        block = replace(self, allocations=allocations, unallocated=(*self.unallocated, *freed), sequences=sequences)
        return _without_unused_attributes(block)

    def _held(self, ordinals: Collection[int], attribute: Attribute) -> Block:
        if not ordinals:
            return self
        taken = frozenset(ordinals)
        attributes = self.attributes if attribute in self.attributes else (*self.attributes, attribute)
        index = attributes.index(attribute)
        return replace(
            self,
            allocations=tuple(index if i in taken else former for i, former in enumerate(self.allocations)),
            unallocated=tuple(ordinal for ordinal in self.unallocated if ordinal not in taken),
            attributes=attributes,
            sequences={**self.sequences, **dict.fromkeys(ordinals, self.sequence)},
        )


def _misshapen(spec: object) -> str | None:
    """What a block lacks or has in another form than every block, None if nothing is wrong."""
    if not isinstance(spec, Mapping):
        return "it has no spec"
    for name, form, said in (("cidr", str, "text"), ("allocations", list | tuple, "a list"),
                             ("unallocated", list | tuple, "a list")):  # fmt: skip
        if name not in spec:
            return f"{name} is missing"
        if not isinstance(spec[name], form):
            return f"{name} is not {said}"
    attributes = spec.get("attributes") or ()
    if not isinstance(attributes, list | tuple) or not all(isinstance(each, Mapping) for each in attributes):
        return "attributes is not a list of mappings"
    return None


def _without_unused_attributes(block: Block) -> Block:
    used = sorted({index for index in block.allocations if index is not None})
    moved = {old: new for new, old in enumerate(used)}
    return replace(
        block,
        attributes=tuple(block.attributes[old] for old in used),
        allocations=tuple(None if index is None else moved[index] for index in block.allocations),
    )


def _before(released_at: str, limit: datetime) -> bool:
    try:
        then = datetime.fromisoformat(released_at)
    except ValueError:
        return True  # nobody's time: nothing to wait for
    return (then if then.tzinfo else then.replace(tzinfo=UTC)) <= limit
