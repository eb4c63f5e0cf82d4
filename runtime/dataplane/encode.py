"""The packet filter's values as nftables bytes, so that what we want and what the kernel has compare directly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from runtime.dataplane import ir
from runtime.dataplane.ir import Chain, Field, NamedSet, Ruleset, VerdictMap
from runtime.dataplane.netlink import expressions
from runtime.dataplane.netlink.nftables import SetShape, WireChain, WireSet

__all__ = ["Encoder", "WireTable", "encode"]

_NETWORK, _TRANSPORT = 1, 2
_META: Final = {
    Field.MARK: 3, Field.INPUT_INTERFACE: 6, Field.OUTPUT_INTERFACE: 7, Field.FAMILY: 15, Field.PROTOCOL: 16,
}  # fmt: skip
_PAYLOAD: Final = {
    Field.SOURCE_4: (_NETWORK, 12, 4),
    Field.DESTINATION_4: (_NETWORK, 16, 4),
    Field.SOURCE_6: (_NETWORK, 8, 16),
    Field.DESTINATION_6: (_NETWORK, 24, 16),
    Field.SOURCE_PORT: (_TRANSPORT, 0, 2),
    Field.DESTINATION_PORT: (_TRANSPORT, 2, 2),
    Field.TCP_FLAGS: (_TRANSPORT, 13, 1),
    Field.ICMP_TYPE: (_TRANSPORT, 0, 1),
    Field.ICMP_TYPE_AND_CODE: (_TRANSPORT, 0, 2),
}
"""Mapping[field, (header, offset, octets)]."""
_META_WIDTH: Final = {Field.INPUT_INTERFACE: 16, Field.OUTPUT_INTERFACE: 16}


@dataclass(frozen=True, slots=True)
class WireTable:
    """All of a table as bytes. Mappings from name."""

    sets: Mapping[str, WireSet] = field(default_factory=dict)
    chains: Mapping[str, WireChain] = field(default_factory=dict)


class _Rules:
    """Remembers encoded terms: policies repeat the same few thousands of times."""

    def __init__(self) -> None:
        self._terms: dict[ir.Term, bytes] = {}

    def encode(self, rule: ir.Rule) -> bytes:
        parts = []
        for term in rule.terms:
            known = self._terms.get(term)
            if known is None:
                known = self._terms[term] = _term(term)
            parts.append(known)
        return b"".join(parts)


class Encoder:
    """Encodes one ruleset after another. What is equal in the next one is not encoded again, and is the same object."""

    def __init__(self) -> None:
        self._known: tuple[Ruleset, WireTable] = (Ruleset(), WireTable())

    def encode(self, ruleset: Ruleset) -> WireTable:
        """The ruleset as bytes."""
        before, table = self._known
        if ruleset is before:
            return table
        rules = _Rules()
        sets: dict[str, WireSet] = {}
        for name, item in ruleset.sets.items():
            sets[name] = table.sets[name] if before.sets.get(name) == item else _set(item)
        for name, each in ruleset.maps.items():
            sets[name] = table.sets[name] if before.maps.get(name) == each else _map(each)
        chains = {
            name: table.chains[name] if before.chains.get(name) == chain else _chain(chain, rules)
            for name, chain in ruleset.chains.items()
        }
        table = WireTable(sets, chains)
        self._known = (ruleset, table)
        return table


def encode(ruleset: Ruleset) -> WireTable:
    """The ruleset as bytes."""
    return Encoder().encode(ruleset)


def _set(item: NamedSet) -> WireSet:
    shape = SetShape(tuple(kind.value for kind in item.types), intervals=item.intervals is not None)
    keys = item.members if item.intervals is None else (first + last for first, last in item.intervals)
    return WireSet(shape, dict.fromkeys(keys, b""))


def _map(item: VerdictMap) -> WireSet:
    shape = SetShape(tuple(kind.value for kind in item.types), verdicts=True)
    return WireSet(shape, {key: expressions.verdict(end.kind.value, end.chain) for key, end in item.members.items()})


def _chain(chain: Chain, rules: _Rules) -> WireChain:
    return WireChain(tuple(rules.encode(rule) for rule in chain.rules), chain.hook)


def _term(term: ir.Term) -> bytes:
    match term:
        case ir.Is(what, value, negated):
            return _load(what, 0, len(value)) + expressions.compare(value, negated=negated)
        case ir.Masked(what, mask, value, negated):
            masked = expressions.bitwise(mask, bytes(len(mask)))
            return _load(what, 0) + masked + expressions.compare(value, negated=negated)
        case ir.Between(what, first, last, negated):
            return _load(what, 0) + expressions.range_(first, last, negated=negated)
        case ir.Lookup(fields, name, negated):
            return _load_all(fields) + expressions.lookup(name, negated=negated)
        case ir.VmapLookup(fields, name):
            return _load_all(fields) + expressions.lookup(name, into_verdict=True)
        case ir.SetMark(keep, flip):
            change = expressions.bitwise(keep.to_bytes(4, "little"), flip.to_bytes(4, "little"))
            return _load(Field.MARK, 0) + change + expressions.set_mark()
        case ir.Log(prefix):
            return expressions.log(prefix)
        case ir.Masquerade(random_ports):
            return expressions.masquerade(random_ports=random_ports)
        case ir.Verdict(kind, chain):
            return expressions.immediate_verdict(kind.value, chain)


def _load_all(fields: tuple[Field, ...]) -> bytes:
    at, parts = 0, []
    for what in fields:
        parts.append(_load(what, at))
        width = _PAYLOAD[what][2] if what in _PAYLOAD else _META_WIDTH.get(what, 4)
        at += (width + 3) & ~3
    return b"".join(parts)


def _load(what: Field, at: int, length: int | None = None) -> bytes:
    if what is Field.CONNECTION:
        return expressions.connection_state(at)
    if what in _META:
        return expressions.meta(_META[what], at)
    header, offset, width = _PAYLOAD[what]
    return expressions.payload(header, offset, length or width, at)
