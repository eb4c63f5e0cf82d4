"""What to send so that a table as it is becomes the table as it should be; pure.

Order: sets before what looks them up, chains before what jumps to them, dispatch last, deletions in reverse. Within
one transaction the kernel shows nothing in between; the order only has to please its checks. Where a transaction
does not fit the socket's buffer it is cut into steps, and the order makes every prefix of the steps closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runtime.dataplane.encode import WireTable
from runtime.dataplane.netlink import nftables as nft
from runtime.dataplane.netlink.nftables import WireChain, WireSet
from runtime.dataplane.netlink.wire import Message
from runtime.dataplane.ownership import TABLE, FixedSet

__all__ = ["Step", "plan_table", "split"]

_OPENING = frozenset({FixedSet.FROM_DISPATCH.value, FixedSet.TO_DISPATCH.value, FixedSet.SOURCES_4.value,
                      FixedSet.SOURCES_6.value})  # fmt: skip
"""Sets whose elements open the way for a workload; empty, they keep it closed."""
_CLOSING = frozenset({FixedSet.FROM_DISPATCH.value, FixedSet.TO_DISPATCH.value})
"""Sets without whose elements no new flow begins; without its source address a workload would lose the others too."""

_RULES_AT_ONCE = 20
"""Longer chains may be cut; a base chain never is."""


@dataclass(frozen=True, slots=True)
class Step:
    """Messages that must be in one transaction, and what they do, for people."""

    what: str
    messages: tuple[Message, ...]


def plan_table(desired: WireTable, actual: WireTable | None, flags: int = 0) -> tuple[Step, ...]:
    """Steps from `actual` (None: no table) to `desired`, in order; empty when there is nothing to do.

    `flags` are NFT_TABLE_F_* for a table that must be made.
    """
    create = nft.add_table(TABLE, flags)
    if actual is desired:
        return ()
    if actual is not None and not _must_rebuild(desired, actual):
        return tuple(_steps(desired, actual))
    # One step: without its base chains a table lets everything through, and who finds it takes it for a closed one.
    closed = _closed(desired)
    baseline = tuple(message for step in _steps(closed, WireTable()) for message in step.messages)
    delete = () if actual is None else (nft.delete_table(TABLE),)
    what = "add table, closed" if actual is None else "delete table and add it closed"
    return (Step(what, (*delete, create, *baseline)), *_steps(desired, closed))


def _closed(desired: WireTable) -> WireTable:
    """The table with nothing but its base chains and empty sets for them."""
    sets = {name: WireSet(found.shape) for name, found in desired.sets.items() if name in _fixed()}
    return WireTable(sets, {name: chain for name, chain in desired.chains.items() if chain.hook is not None})


def closing_steps(actual: WireTable | None) -> tuple[Step, ...]:
    """Steps that stop new flows of all workloads: taken first where one transaction can't hold everything."""
    if actual is None:
        return ()
    return tuple(
        Step(f"empty {name}", (message,))
        for name, found in sorted(actual.sets.items())
        if name in _CLOSING
        for message in nft.delete_elements(TABLE, name, found.shape, found.elements)
    )


def split(steps: Sequence[Step], limit: int) -> list[list[Message]]:
    """Steps put together into transactions of at most `limit` octets; a step is never cut.

    Raises:
        ValueError: one step alone is larger.
    """
    room = limit - 128  # for the batch's begin and end
    parts: list[list[Message]] = []
    used = room + 1
    for step in steps:
        size = sum((len(message.body) + 19) & ~3 for message in step.messages)
        if size > room:
            raise ValueError(f"{step.what} needs {size} octets and only {room} can be sent at once")
        if used + size > room:
            parts.append([])
            used = 0
        parts[-1] += step.messages
        used += size
    return parts


def _must_rebuild(desired: WireTable, actual: WireTable) -> bool:
    """Whether something that can't be changed in place differs; only tampering or another version of us does that."""
    shapes = any(name in actual.sets and actual.sets[name].shape != found.shape for name, found in desired.sets.items())
    hooks = any(
        name in actual.chains and actual.chains[name].hook != found.hook for name, found in desired.chains.items()
    )
    return shapes or hooks


def _steps(desired: WireTable, actual: WireTable) -> Iterator[Step]:
    new_sets = {name: found for name, found in desired.sets.items() if name not in actual.sets}
    numbers = {name: number for number, name in enumerate(new_sets, 1 + len(actual.sets))}
    bases = {name: chain for name, chain in desired.chains.items() if chain.hook is not None}
    for name in sorted(new_sets, key=lambda name: (name not in _fixed(), name)):
        yield Step(f"add set {name}", (nft.add_set(TABLE, name, new_sets[name].shape, numbers[name]),))
    # A base chain goes in with its rules: a hook without rules would let everything through.
    for name, chain in sorted(bases.items()):
        yield from _chain_steps(name, chain, actual.chains.get(name))
    for name, found in sorted(desired.sets.items()):
        if name not in _OPENING:
            yield from _element_steps(name, found, actual.sets.get(name))
    others = {name: chain for name, chain in desired.chains.items() if chain.hook is None}
    for name in sorted(others):
        if name not in actual.chains:
            yield Step(f"add chain {name}", (nft.new_chain(TABLE, name, None),))
    for name, chain in sorted(others.items()):
        yield from _chain_steps(name, chain, actual.chains.get(name, WireChain()))
    for name in sorted(_OPENING):
        if name in desired.sets:
            yield from _element_steps(name, desired.sets[name], actual.sets.get(name))
    yield from _removals(desired, actual)


def _fixed() -> frozenset[str]:
    return frozenset(item.value for item in FixedSet)


def _removals(desired: WireTable, actual: WireTable) -> Iterator[Step]:
    gone = sorted(name for name in actual.chains if name not in desired.chains)
    for name in gone:  # all rules first: one of these chains may jump to another
        if actual.chains[name].rules:
            yield Step(f"empty chain {name}", (nft.flush_chain(TABLE, name),))
    for name in gone:
        yield Step(f"delete chain {name}", (nft.delete_chain(TABLE, name),))
    for name in sorted(actual.sets):
        if name not in desired.sets:
            yield Step(f"delete set {name}", (nft.delete_set(TABLE, name),))


def _chain_steps(name: str, chain: WireChain, actual: WireChain | None) -> Iterator[Step]:
    if chain is actual or (actual is not None and chain.rules == actual.rules):
        return
    create = (nft.new_chain(TABLE, name, chain.hook),) if actual is None else ()
    flush = (nft.flush_chain(TABLE, name),) if actual is not None and actual.rules else ()
    rules = tuple(nft.add_rule(TABLE, name, rule) for rule in chain.rules)
    once = len(rules) if chain.hook is not None else _RULES_AT_ONCE
    yield Step(f"write chain {name}", create + flush + rules[:once])
    for start in range(once, len(rules), _RULES_AT_ONCE):
        yield Step(f"write more of chain {name}", rules[start : start + _RULES_AT_ONCE])


def _element_steps(name: str, found: WireSet, actual: WireSet | None) -> Iterator[Step]:
    if found is actual:
        return
    had: Mapping[bytes, bytes] = {} if actual is None else actual.elements
    gone = sorted(key for key, _ in had.items() - found.elements.items())
    new = dict(sorted(found.elements.items() - had.items()))
    for message in nft.delete_elements(TABLE, name, found.shape, gone):
        yield Step(f"take from {name}", (message,))
    for message in nft.add_elements(TABLE, name, found.shape, new):
        yield Step(f"add to {name}", (message,))
