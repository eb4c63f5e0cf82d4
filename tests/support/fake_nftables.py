"""A packet filter that executes the Ruleset values: asked `verdict(packet)`, it answers as the kernel would.

Itself tested against the real kernel (tests/runtime/dataplane/test_filter_agrees_with_the_kernel.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from muslin.errors import KernelRefused
from muslin.net import Address
from runtime.dataplane import ir
from runtime.dataplane.ir import Field, Rule, Ruleset, VerdictKind, interface_key

__all__ = ["INPUT", "FakeNftables", "FilterPacket", "filter_verdict", "masqueraded"]

PREROUTING, INPUT, FORWARD, POSTROUTING = 0, 1, 2, 4
NEW, ESTABLISHED, INVALID = 8, 2, 1
_WITH_PORTS = (6, 17, 132)


@dataclass(frozen=True, slots=True)
class FilterPacket:
    """A packet on its way through a node; no `out_interface`: it is for the node itself."""

    source: Address
    destination: Address
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    icmp: tuple[int, int] | None = None
    in_interface: str = "eth0"
    out_interface: str | None = "eth0"
    state: int = NEW
    mark: int = 0
    tcp_flags: int = 0x02


def filter_verdict(ruleset: Ruleset, packet: FilterPacket) -> bool:
    """Whether the packet passes the base chains of its way."""
    way = (PREROUTING, INPUT) if packet.out_interface is None else (PREROUTING, FORWARD)
    return all(_base_passes(ruleset, chain, packet) for hook in way for chain in _bases(ruleset, "filter", hook))


def masqueraded(ruleset: Ruleset, packet: FilterPacket) -> bool:
    """Whether a packet that leaves gets the node's address as its source."""
    for chain in _bases(ruleset, "nat", POSTROUTING):
        for rule in chain.rules:
            if isinstance(rule.terms[-1], ir.Masquerade) and _holds(ruleset, rule, packet, [0]):
                return True
    return False


def _bases(ruleset: Ruleset, kind: str, number: int) -> list[ir.Chain]:
    found = [
        (chain.hook.priority, chain)
        for chain in ruleset.chains.values()
        if chain.hook is not None and (chain.hook.kind, chain.hook.number) == (kind, number)
    ]
    return [chain for _, chain in sorted(found, key=lambda item: item[0])]


def _base_passes(ruleset: Ruleset, chain: ir.Chain, packet: FilterPacket) -> bool:
    return _walk(ruleset, chain.name, packet, [packet.mark]) is not VerdictKind.DROP


def _walk(ruleset: Ruleset, name: str, packet: FilterPacket, mark: list[int]) -> VerdictKind | None:
    """ACCEPT or DROP, or None where the chain ends or returns."""
    for rule in ruleset.chains[name].rules:
        verdict = _holds(ruleset, rule, packet, mark)
        if verdict is None:
            continue
        if verdict.kind in (VerdictKind.ACCEPT, VerdictKind.DROP):
            return verdict.kind
        if verdict.kind is VerdictKind.RETURN:
            return None
        assert verdict.chain is not None
        result = _walk(ruleset, verdict.chain, packet, mark)
        if result is not None or verdict.kind is VerdictKind.GOTO:
            return result
    return None


def _holds(ruleset: Ruleset, rule: Rule, packet: FilterPacket, mark: list[int]) -> ir.Verdict | None:
    for term in rule.terms:
        match term:
            case ir.Verdict():
                return term
            case ir.Masquerade():
                return ir.Verdict(VerdictKind.ACCEPT)
            case ir.Log():
                continue
            case ir.SetMark(keep, flip):
                mark[0] = (mark[0] & keep) ^ flip
            case ir.VmapLookup(fields, name):
                key = _key(fields, packet, mark)
                found = None if key is None else ruleset.maps[name].members.get(key)
                if found is None:
                    return None
                return found
            case _:
                if not _test(ruleset, term, packet, mark):
                    return None
    return None


def _test(
    ruleset: Ruleset, term: ir.Is | ir.Masked | ir.Between | ir.Lookup, packet: FilterPacket, mark: list[int]
) -> bool:
    if isinstance(term, ir.Lookup):
        key = _key(term.fields, packet, mark)
        return key is not None and _member(ruleset.sets[term.set_name], key) != term.negated
    value = _value(term.field, packet, mark)
    if value is None:
        return False  # the header isn't there: the kernel leaves the rule
    match term:
        case ir.Is(_, wanted, negated):
            return (value[: len(wanted)] == wanted) != negated
        case ir.Masked(_, mask, wanted, negated):
            return (bytes(a & b for a, b in zip(value, mask, strict=True)) == wanted) != negated
        case ir.Between(_, first, last, negated):
            return (first <= value <= last) != negated


def _member(found: ir.NamedSet, key: bytes) -> bool:
    if found.intervals is None:
        return key in found.members
    return any(first <= key <= last for first, last in found.intervals)


def _key(fields: tuple[Field, ...], packet: FilterPacket, mark: list[int]) -> bytes | None:
    values = [_value(what, packet, mark) for what in fields]
    if len(values) == 1:
        return values[0]
    parts = [value + b"\0" * (-len(value) & 3) for value in values if value is not None]
    return b"".join(parts) if len(parts) == len(values) else None


def _value(what: Field, packet: FilterPacket, mark: list[int]) -> bytes | None:
    return _VALUES[what](packet, mark)


def _source_port(packet: FilterPacket, _: list[int]) -> bytes:
    if packet.protocol in _WITH_PORTS:
        return packet.source_port.to_bytes(2, "big")
    return bytes(packet.icmp) if packet.icmp else b"\0\0"


def _destination_port(packet: FilterPacket, _: list[int]) -> bytes:
    return packet.destination_port.to_bytes(2, "big") if packet.protocol in _WITH_PORTS else b"\0\0"


_VALUES: Mapping[Field, Callable[[FilterPacket, list[int]], bytes | None]] = {
    Field.INPUT_INTERFACE: lambda packet, _: interface_key(packet.in_interface),
    Field.OUTPUT_INTERFACE: lambda packet, _: interface_key(packet.out_interface or ""),
    Field.MARK: lambda _, mark: mark[0].to_bytes(4, "little"),
    Field.FAMILY: lambda packet, _: b"\x02" if packet.source.version == 4 else b"\x0a",
    Field.PROTOCOL: lambda packet, _: bytes((packet.protocol,)),
    Field.SOURCE_4: lambda packet, _: packet.source.packed if packet.source.version == 4 else None,
    Field.DESTINATION_4: lambda packet, _: packet.destination.packed if packet.source.version == 4 else None,
    Field.SOURCE_6: lambda packet, _: packet.source.packed if packet.source.version == 6 else None,
    Field.DESTINATION_6: lambda packet, _: packet.destination.packed if packet.source.version == 6 else None,
    Field.SOURCE_PORT: _source_port,
    Field.DESTINATION_PORT: _destination_port,
    Field.TCP_FLAGS: lambda packet, _: bytes((packet.tcp_flags,)) if packet.protocol == 6 else None,
    Field.ICMP_TYPE: lambda packet, _: bytes(packet.icmp[:1]) if packet.icmp else b"\0",
    Field.ICMP_TYPE_AND_CODE: lambda packet, _: bytes(packet.icmp) if packet.icmp else b"\0\0",
    Field.CONNECTION: lambda packet, _: packet.state.to_bytes(4, "little"),
}


@dataclass(slots=True)
class FakeNftables:
    """Stands in for `Nftables`: atomic, level-triggered, refuses when told to, tells when a foreigner wrote."""

    ruleset: Ruleset = field(default_factory=Ruleset)
    writes: int = 0
    _failures: dict[str, int] = field(default_factory=dict)
    _disturbed: bool = False

    def fail_next(self, operation: str, errno: int) -> None:
        """The next `nftables transaction` is refused with this error number."""
        self._failures[operation] = errno

    def converge(self, desired: Ruleset) -> bool:
        """Whether it differed; see RulesetKernel."""
        if desired == self.ruleset:
            return False
        refused = self._failures.pop("nftables transaction", None)
        if refused is not None:
            raise KernelRefused("nftables transaction", "table inet calico", refused)
        self._check(desired)
        self.ruleset = desired
        self.writes += 1
        return True

    def disturb(self, ruleset: Ruleset) -> None:
        """A foreigner makes the filter this one."""
        self.ruleset, self._disturbed = ruleset, True

    def fileno(self) -> int:
        """Nothing to listen to: a simulation calls `drain` itself."""
        return -1

    def drain(self) -> bool:
        """Whether a foreigner wrote since the last call."""
        disturbed, self._disturbed = self._disturbed, False
        return disturbed

    def close(self) -> None:
        """Nothing to let go."""

    def verdict(self, packet: FilterPacket) -> bool:
        """Whether the packet passes."""
        return filter_verdict(self.ruleset, packet)

    @staticmethod
    def _check(desired: Ruleset) -> None:
        """What the kernel would refuse: names that nothing has."""
        for chain in desired.chains.values():
            for rule in chain.rules:
                for term in rule.terms:
                    if isinstance(term, ir.Lookup):
                        assert term.set_name in desired.sets, term
                    elif isinstance(term, ir.VmapLookup):
                        assert term.map_name in desired.maps, term
                    elif isinstance(term, ir.Verdict) and term.chain is not None:
                        assert term.chain in desired.chains, term
        for each in desired.maps.values():
            assert all(end.chain is None or end.chain in desired.chains for end in each.members.values())
