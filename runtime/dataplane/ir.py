"""The packet filter as values: sets, verdict maps, chains of rules. Small enough that a fake kernel can execute it.

Made by `ruleset`, turned into nftables messages by `encode`, executed by the tests' fake. All compared values are
bytes as they stand in the packet (addresses, ports big-endian) or as the kernel keeps them (interface names filled
up with zeros; mark and connection state native).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

__all__ = [
    "Between",
    "Chain",
    "Field",
    "Hook",
    "Is",
    "KeyType",
    "Log",
    "Lookup",
    "Masked",
    "Masquerade",
    "NamedSet",
    "Rule",
    "Ruleset",
    "SetMark",
    "Term",
    "Verdict",
    "VerdictKind",
    "VerdictMap",
    "VmapLookup",
    "interface_key",
]


class KeyType(enum.Enum):
    """Type of one part of a set's key: (nft's number of the datatype, octets)."""

    INTERFACE = (41, 16)
    ADDRESS_4 = (7, 4)
    ADDRESS_6 = (8, 16)
    PROTOCOL = (12, 1)
    PORT = (13, 2)

    @property
    def width(self) -> int:
        """Octets of a value; in a concatenation each is filled up to a multiple of 4."""
        return self.value[1]


class Field(enum.Enum):
    """What a rule can look at: octets, and the address family where it only exists in one."""

    INPUT_INTERFACE = "iifname"
    OUTPUT_INTERFACE = "oifname"
    MARK = "mark"
    FAMILY = "nfproto"
    PROTOCOL = "l4proto"
    SOURCE_4 = "ip saddr"
    DESTINATION_4 = "ip daddr"
    SOURCE_6 = "ip6 saddr"
    DESTINATION_6 = "ip6 daddr"
    SOURCE_PORT = "th sport"
    DESTINATION_PORT = "th dport"
    ICMP_TYPE = "icmp type"
    ICMP_TYPE_AND_CODE = "icmp type . code"
    TCP_FLAGS = "tcp flags"
    CONNECTION = "ct state"


class VerdictKind(enum.Enum):
    """Where a packet goes; the numbers are the kernel's."""

    ACCEPT = 1
    DROP = 0
    JUMP = -3
    GOTO = -4
    RETURN = -5


class Verdict(NamedTuple):
    """End of a rule. ACCEPT ends this base chain only; DROP ends everything."""

    kind: VerdictKind
    chain: str | None = None


class Is(NamedTuple):
    """The field begins with these octets (a shorter value compares only so far), or not."""

    field: Field
    value: bytes
    negated: bool = False


class Masked(NamedTuple):
    """`field & mask == value`, or not."""

    field: Field
    mask: bytes
    value: bytes
    negated: bool = False


class Between(NamedTuple):
    """The field is in the range, both ends included, or not."""

    field: Field
    first: bytes
    last: bytes
    negated: bool = False


class Lookup(NamedTuple):
    """The fields, side by side, are a member of the set, or not."""

    fields: tuple[Field, ...]
    set_name: str
    negated: bool = False


class VmapLookup(NamedTuple):
    """Go where the map says; if it says nothing, on to the next rule."""

    fields: tuple[Field, ...]
    map_name: str


class SetMark(NamedTuple):
    """`mark = mark & keep ^ flip`."""

    keep: int
    flip: int


class Log(NamedTuple):
    """Tell the kernel log, then go on."""

    prefix: str


class Masquerade(NamedTuple):
    """Translate the source to the address of the interface the packet leaves by."""

    random_ports: bool = True


Term: TypeAlias = Is | Masked | Between | Lookup | VmapLookup | SetMark | Log | Masquerade | Verdict


class Rule(NamedTuple):
    """Terms from left to right; the first that doesn't hold ends the rule."""

    terms: tuple[Term, ...]


class Hook(NamedTuple):
    """Where a base chain stands in the packet's way; `number` as in linux/netfilter.h, policy is always accept."""

    kind: Literal["filter", "nat"]
    number: int
    priority: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A list of rules; a base chain if it has a hook."""

    name: str
    rules: tuple[Rule, ...] = ()
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set. Exact members are keys; with `intervals` members are (first, last), disjoint, single-part keys only."""

    name: str
    types: tuple[KeyType, ...]
    members: frozenset[bytes] = frozenset()
    intervals: frozenset[tuple[bytes, bytes]] | None = None


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """Mapping[key, verdict], looked up by one rule of one base chain per direction."""

    name: str
    types: tuple[KeyType, ...]
    members: Mapping[bytes, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All of our table. Mappings from name to the thing of that name."""

    sets: Mapping[str, NamedSet] = field(default_factory=dict)
    maps: Mapping[str, VerdictMap] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)


def interface_key(name: str) -> bytes:
    """An interface name as a key: filled up to 16 octets."""
    return name.encode().ljust(16, b"\0")
