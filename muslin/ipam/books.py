"""Whether blocks, affinities, handles, pools and those who use addresses agree: what each says of the others. Pure.

`muslin.ipam.findings` compares addresses with their users, as calicoctl does; here is what it does not look at, and
everything as inconsistencies with a repair where one is safe.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from muslin.ipam.affinities import Owner
from muslin.ipam.blocks import Block
from muslin.ipam.findings import Allocation, Findings
from muslin.ipam.handles import blocks_of
from muslin.ipam.names import affinity_key, block_key, handle_key, handle_name
from muslin.ipam.repairs import ConfirmAffinity, GiveUpBlock, ReleaseAddress, RemoveObject, WriteHandle
from muslin.ipam.requests import Stored
from muslin.net import Prefix
from muslin.resources.keys import Key
from muslin.semantics.inconsistency import Inconsistency, Reason

__all__ = ["Books", "disagreements"]

_CONFIRMED: Final = ("confirmed", "")
_LOAD_BALANCER: Final = "lb-"
_OF_MACHINES: Final = ("vmi-name", "vmi-uid", "vm-uid", "vmim-uid")
"""Attributes of addresses that a virtual machine keeps while it is off."""
_LOOK: Final = "look at who writes it: muslin ipam check --show-problem-ips"


@dataclass(frozen=True, slots=True)
class Books:
    """What was read.

    Attributes:
        findings: of the comparison of blocks with users.
        affinities, handles: objects as they are, those being deleted left out.
        pools: all pools' prefixes, also of disabled ones.
        nodes: names of the nodes that are there.
    """

    findings: Findings
    affinities: Sequence[Stored]
    handles: Sequence[Stored]
    pools: Collection[Prefix]
    nodes: Collection[str]


def disagreements(books: Books) -> Iterator[Inconsistency]:
    """Everything in which they disagree."""
    yield from _of_addresses(books.findings)
    yield from _of_handles(books)
    yield from _of_blocks(books)
    yield from _of_affinities(books)


def _of_addresses(found: Findings) -> Iterator[Inconsistency]:
    for each in found.leaked:
        if found.services is None and each.handle.startswith(_LOAD_BALANCER):
            continue  # nobody here knows the services
        if any(name in each.holder.secondary for name in _OF_MACHINES):
            continue
        what = f"{each.address} is allocated to {_holder(each)} and nobody uses it"
        repair = ReleaseAddress(each.address, each.handle or None, each.block.sequences.get(each.ordinal))
        fix = f"release it: muslin ipam release --ip {each.address}"
        yield Inconsistency(Reason.ADDRESS_LEAKED, block_key(each.block.prefix), what, fix, repair)
    for address, owners in found.in_use.items():
        if len(owners) > 1:
            what = f"{address} is used by {' and '.join(sorted(owners))}"
            yield Inconsistency(Reason.ADDRESS_USED_TWICE, _users_key(owners[0]), what, "restart all but one of them")
    for address in found.unallocated:
        what = (
            f"{address} is used by {' and '.join(found.in_use[address])} and not allocated: it may be given out again"
        )
        yield Inconsistency(Reason.ADDRESS_NOT_ALLOCATED, _users_key(found.in_use[address][0]), what,
                            "restart what uses it, so that it gets an address of its own")  # fmt: skip
    for address in found.outside:
        what = f"{address} is used by {' and '.join(found.in_use[address])} and in no enabled pool"
        fix = "make a pool for it, or restart what uses it"
        yield Inconsistency(Reason.ADDRESS_OUTSIDE_POOLS, _users_key(found.in_use[address][0]), what, fix)
    for problem in found.invalid:
        key = Key("IPAMBlock", problem.where.removeprefix("IPAMBlock "))
        yield Inconsistency(Reason.BLOCK_UNREADABLE, key, problem.what, problem.fix)


def _of_handles(books: Books) -> Iterator[Inconsistency]:
    counted: dict[str, Counter[str]] = {}
    written: dict[str, str] = {}
    for each in books.findings.allocations:
        if each.handle and not each.cooling:
            name = handle_name(each.handle)
            counted.setdefault(name, Counter())[str(each.block.prefix)] += 1
            written.setdefault(name, each.handle)
    unreadable = bool(books.findings.invalid)
    for stored in books.handles:
        counts, held = blocks_of(stored), counted.pop(stored.key.name, Counter())
        handle = str(_spec(stored).get("handleID") or stored.key.name)
        if counts == held and counts:
            continue
        if unreadable and not held:
            continue  # what it counts may be in the block that can't be read
        if not held:
            repair: Any = RemoveObject(stored.key, stored.revision)
            yield Inconsistency(Reason.HANDLE_EMPTY, stored.key, "no address is allocated by this handle",
                                "delete it", repair)  # fmt: skip
        elif not unreadable:
            what = f"it counts {_counts(counts)}, blocks hold {_counts(held)}"
            repair = WriteHandle(handle, dict(held), stored.revision)
            yield Inconsistency(Reason.HANDLE_MISCOUNTS, stored.key, what, "correct the count", repair)
    for name, held in counted.items():
        what = f"{sum(held.values())} addresses are allocated by handle {written[name]}, which is not there"
        repair = WriteHandle(written[name], dict(held), None)
        yield Inconsistency(Reason.HANDLE_MISSING, handle_key(written[name]), what, "write it again", repair)


def _of_blocks(books: Books) -> Iterator[Inconsistency]:
    known = {stored.key for stored in books.affinities}
    outer: Prefix | None = None
    for block in sorted(books.findings.blocks, key=lambda it: (it.prefix.version, it.prefix)):
        prefix, key = block.prefix, block_key(block.prefix)
        if outer is not None and outer.version == prefix.version and outer.overlaps(prefix):
            what = f"{prefix} overlaps block {outer}: the same address can be given out twice"
            yield Inconsistency(Reason.BLOCKS_OVERLAP, key, what, _LOOK)
        else:
            outer = prefix
        if not any(pool.version == prefix.version and _inside(prefix, pool) for pool in books.pools):
            what = f"{prefix} is in no pool" + ("" if block.empty else ", and addresses of it are allocated")
            yield Inconsistency(Reason.BLOCK_OUTSIDE_POOLS, key, what, "make its pool again, or restart who uses it")
        owner = _owner(block)
        if owner is None:
            continue
        if affinity_key(owner.host, prefix) not in known:
            repair: Any = ConfirmAffinity(owner, prefix)
            what = f"{prefix} is of {owner}, and there is no affinity that says so"
            yield Inconsistency(Reason.BLOCK_WITHOUT_AFFINITY, key, what, "write the affinity", repair)
        if owner.kind == "host" and owner.host not in books.nodes:
            what = f"{prefix} is of node {owner.host}, which is gone"
            if block.empty:
                fix, repair = "give it up", GiveUpBlock(owner, prefix)
            else:
                fix, repair = "release its addresses first", None
            yield Inconsistency(Reason.BLOCK_OF_GONE_NODE, key, what, fix, repair)


def _of_affinities(books: Books) -> Iterator[Inconsistency]:
    owners = {str(block.prefix): block.affinity for block in books.findings.blocks}
    unreadable = bool(books.findings.invalid)
    for stored in books.affinities:
        spec = _spec(stored)
        host, kind, state = str(spec.get("node") or ""), str(spec.get("type") or "host"), str(spec.get("state") or "")
        try:
            prefix = str(ip_network(str(spec.get("cidr"))))
        except ValueError:
            yield Inconsistency(Reason.UNREADABLE, stored.key, f"{spec.get('cidr')!r} is no prefix", "delete it")
            continue
        remove = RemoveObject(stored.key, stored.revision)
        if prefix not in owners:
            if not unreadable:
                what = f"{host} claims {prefix}, and there is no such block"
                yield Inconsistency(Reason.AFFINITY_WITHOUT_BLOCK, stored.key, what, "delete it", remove)
        elif owners[prefix] != f"{kind}:{host}":
            what = f"{host} claims {prefix}, which is of {owners[prefix] or 'nobody'}"
            yield Inconsistency(Reason.AFFINITY_WITHOUT_BLOCK, stored.key, what, "delete it", remove)
        elif state not in _CONFIRMED:
            what = f"the claim of {prefix} is {state}: whoever made it has not come to its end"
            yield Inconsistency(Reason.AFFINITY_UNFINISHED, stored.key, what, "it is ended by the node's next address")


def _spec(stored: Stored) -> Mapping[str, Any]:
    spec = stored.value.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def _owner(block: Block) -> Owner | None:
    kind, colon, host = (block.affinity or "").partition(":")
    return Owner(host, kind) if colon and host else None


def _inside(prefix: Prefix, pool: Prefix) -> bool:
    return prefix.prefixlen >= pool.prefixlen and prefix.overlaps(pool)


def _holder(each: Allocation) -> str:
    pod = "/".join(filter(None, (each.holder.secondary.get("namespace"), each.holder.secondary.get("pod"))))
    named = pod or each.holder.secondary.get("type") or "nobody known"
    return f"{named} of {each.node}" if each.node else named


def _users_key(owner: str) -> Key:
    """The object that a user's name stands for: `Workload(shop/web-1)`, `Node(n1)`, else a service's name."""
    kind, opened, rest = owner.partition("(")
    if not opened:
        return Key("Service", owner)
    namespace, slash, name = rest.rstrip(")").partition("/")
    return Key("WorkloadEndpoint", name, namespace) if slash and kind == "Workload" else Key(kind, rest.rstrip(")"))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} in {prefix}" for prefix, n in sorted(counts.items())) or "nothing"
