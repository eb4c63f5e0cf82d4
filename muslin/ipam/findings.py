"""What does not fit between the books about addresses and who uses them: pure, from values to values."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_interface
from typing import Any, Protocol

from muslin.errors import Problem
from muslin.ipam.blocks import Attribute, Block
from muslin.ipam.requests import Json
from muslin.net import Address, Prefix
from muslin.resources.keys import Key

__all__ = ["Allocation", "Findings", "Handle", "Read", "Using", "findings_of", "used_by_nodes", "used_by_workloads"]

_WINDOWS = "windows-reserved-ipam-handle"
_TUNNELS = (("ipv4VXLANTunnelAddr",), ("ipv6VXLANTunnelAddr",), ("wireguard", "interfaceIPv4Address"),
            ("wireguard", "interfaceIPv6Address"), ("bgp", "ipv4IPIPTunnelAddr"))  # fmt: skip
_CLOCKS_DIFFER = timedelta(minutes=5)


class Read(Protocol):
    """An object as a datastore gave it."""

    @property
    def key(self) -> Key:
        """Which it is."""
        ...

    @property
    def value(self) -> Json:
        """What it says; may have any shape."""
        ...


@dataclass(frozen=True, slots=True)
class Using:
    """An address that something uses; `owner` names it, such as `Workload(shop/web-1)`."""

    address: Address
    owner: str

    @classmethod
    def of(cls, text: str, owner: str) -> Using | None:
        """From an address or interface address as text; None for what is none."""
        try:
            return cls(ip_interface(text).ip, owner)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Handle:
    """A handle's object: its ID, and by what it is recognised when it is to be deleted."""

    name: str
    uid: str | None
    revision: str

    def to_json(self) -> dict[str, Any]:
        """As reports have it."""
        return {"ID": self.name, "UID": self.uid, "Revision": self.revision}


@dataclass(frozen=True, slots=True)
class Allocation:
    """An address that a block has given out, or lets cool down."""

    address: Address
    block: Block
    ordinal: int
    holder: Attribute
    owners: tuple[str, ...] = ()

    @property
    def node(self) -> str:
        """Whose it is: the attribute's node, else the block's owner."""
        return self.holder.secondary.get("node") or _host(self.block)

    @property
    def cooling(self) -> bool:
        """Whether it was released, and waits to be given out again."""
        return self.holder.released_at is not None

    @property
    def handle(self) -> str:
        """By which it is released; empty if there is none."""
        return "" if (self.holder.handle or "").lower() == _WINDOWS else (self.holder.handle or "").split("\r")[0]

    @property
    def in_use(self) -> bool:
        """Whether somebody uses it, or Windows keeps it for itself."""
        return bool(self.owners) or (self.holder.handle or "").lower() == _WINDOWS

    @property
    def attributes(self) -> str:
        """For people."""
        extra = ",".join(f"{name}={self.holder.secondary[name]}" for name in sorted(self.holder.secondary))
        return f"Main:{self.holder.handle or '<none>'} Extra:{extra}"

    def to_json(self) -> dict[str, Any]:
        """As reports have it."""
        secondary = self.holder.secondary
        optional = {
            "handle": self.handle,
            "sequenceNumber": self.block.sequences.get(self.ordinal, 0),
            "pod": secondary.get("pod"),
            "namespace": secondary.get("namespace"),
            "node": self.node,
            "type": secondary.get("type"),
            "creationTimestamp": secondary.get("timestamp"),
        }
        flags = {"borrowed": self.node != _host(self.block), "coolingDown": self.cooling}
        return {
            "ip": str(self.address),
            **{name: held for name, held in optional.items() if held not in (None, "")},
            "inUse": self.in_use,
            **{name: True for name, held in flags.items() if held},
            "owners": list(self.owners) or None,
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was read and found; sequences are in the order of addresses."""

    blocks: Sequence[Block]
    pools: Sequence[Prefix]
    nodes: Sequence[Using]
    services: Sequence[Using] | None
    workloads: Sequence[Using]
    allocations: Sequence[Allocation]
    in_use: Mapping[Address, Sequence[str]]
    by_node: Mapping[str, int]
    handle_count: int
    leaked: Sequence[Allocation] = ()
    outside: Sequence[Address] = ()
    unallocated: Sequence[Address] = ()
    leaked_handles: Sequence[Handle] = ()
    missing_handles: Sequence[str] = ()
    invalid: Sequence[Problem] = field(default_factory=tuple)

    @property
    def problem_count(self) -> int:
        """How many things are wrong; handles that are missing are told and not counted, as in calicoctl."""
        found = (self.leaked, self.outside, self.unallocated, self.leaked_handles, self.invalid)
        return sum(map(len, found))


def used_by_nodes(nodes: Collection[Read]) -> list[Using]:
    """The addresses of nodes' tunnels."""
    texts = [(_at(entry.value, "spec", *path), entry.key.name) for entry in nodes for path in _TUNNELS]
    return [using for text, name in texts if isinstance(text, str) and (using := Using.of(text, f"Node({name})"))]


def used_by_workloads(endpoints: Collection[Read]) -> list[Using]:
    """The addresses of workload endpoints."""
    found: list[Using] = []
    for entry in endpoints:
        networks = _at(entry.value, "spec", "ipNetworks")
        owner = f"Workload({entry.key.namespace}/{entry.key.name})"
        texts = networks if isinstance(networks, list | tuple) else ()
        found += [using for text in texts if (using := Using.of(str(text), owner))]
    return found


def findings_of(
    blocks: Sequence[Block],
    *,
    unreadable: Sequence[Problem],
    pools: Sequence[Prefix],
    nodes: Sequence[Using],
    services: Sequence[Using] | None,
    workloads: Sequence[Using],
    handles: Sequence[Handle],
    now: datetime,
) -> Findings:
    """Compare blocks with pools, users and handles.

    Args:
        blocks: those that can be read.
        unreadable: what is wrong with the others.
        pools: those that give out addresses.
        nodes: who uses addresses for tunnels.
        services: who was given addresses of load balancers; None where nobody can be asked.
        workloads: who uses addresses of pods.
        handles: that are there.
        now: tells releases that are said to be of the future.
    """
    in_use: dict[Address, list[str]] = {}
    for using in (*nodes, *(services or ()), *workloads):
        in_use.setdefault(using.address, []).append(using.owner)
    allocations = [
        Allocation(block.address(o), block, o, block.attributes[index], tuple(in_use.get(block.address(o), ())))
        for block in blocks
        for o, index in enumerate(block.allocations)
        if index is not None
    ]
    allocated = {each.address for each in allocations}
    unknown = [address for address in in_use if address not in allocated]
    inside = [address for address in unknown if any(_holds(prefix, address) for prefix in pools)]
    named = {each.handle for each in allocations if each.handle}
    known = {handle.name for handle in handles}
    return Findings(
        blocks, pools, nodes, services, workloads, allocations, in_use,
        Counter(each.node for each in allocations), len(handles),
        leaked=[each for each in allocations if not each.in_use and not each.cooling],
        outside=sorted((address for address in unknown if address not in inside), key=_order),
        unallocated=sorted(inside, key=_order),
        leaked_handles=[handle for handle in handles if handle.name not in named],
        missing_handles=sorted(name for name in named if name not in known and name.lower() not in known),
        invalid=[*unreadable, *(problem for block in blocks for problem in _invalid(block, now))],
    )  # fmt: skip


def _invalid(block: Block, now: datetime) -> list[Problem]:
    """What reading a block does not notice."""
    where = f"IPAMBlock {block.prefix}"
    fix = "release the addresses concerned, and check again"
    found: list[Problem] = []
    referenced = {index for index in block.allocations if index is not None}
    found += [
        Problem(f"attribute {index} is of no address", where, fix)
        for index in range(len(block.attributes))
        if index not in referenced
    ]
    for attribute in block.attributes:
        with contextlib.suppress(ValueError, TypeError):
            if attribute.released_at and datetime.fromisoformat(attribute.released_at) > now + _CLOCKS_DIFFER:
                found.append(Problem(f"released in the future, at {attribute.released_at}", where, fix))
    return found


def _at(value: Any, *path: str) -> Any:
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _host(block: Block) -> str:
    kind, _, host = (block.affinity or "").partition(":")
    return host if kind == "host" else ""


def _holds(prefix: Prefix, address: Address) -> bool:
    return prefix.version == address.version and address in prefix


def _order(address: Address) -> tuple[int, int]:
    return address.version, int(address)
