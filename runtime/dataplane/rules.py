"""One rule of a policy as rules of the packet filter, exactly equivalent, for both address families.

A RuleMatch is a conjunction of alternatives; a filter rule is a conjunction of single tests. So every field gives a
list of alternatives, and a policy rule becomes their product. Almost always that is one or two rules: several nets
or port ranges are one set, only several *sets* in a field (services, named ports) multiply.
Cheap tests come first: protocol, ports, ICMP, then addresses, then sets.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final

from muslin.net import Prefix
from runtime.calc.state import Action, IpPort, PortRange, Rule, RuleMatch, SetId
from runtime.dataplane import ir
from runtime.dataplane.ir import Between, Field, Is, KeyType, Lookup, Masked, NamedSet, Term
from runtime.dataplane.ownership import PASS_MARK, SetPrefix

__all__ = ["Members", "SetBook", "render"]

Members = Mapping[SetId, frozenset[Prefix] | frozenset[IpPort]]
_Alternatives = list[tuple[Term, ...]]

_FAMILY: Final = {4: Is(Field.FAMILY, b"\x02"), 6: Is(Field.FAMILY, b"\x0a")}
_WITH_PORTS: Final = (6, 17, 132)  # TCP, UDP, SCTP: what Calico lets a rule with ports name
_ICMP: Final = {4: 1, 6: 58}
_SOURCE: Final = {4: Field.SOURCE_4, 6: Field.SOURCE_6}
_DESTINATION: Final = {4: Field.DESTINATION_4, 6: Field.DESTINATION_6}
_ADDRESS_TYPE: Final = {4: KeyType.ADDRESS_4, 6: KeyType.ADDRESS_6}
LOG_PREFIX: Final = "calico-packet: "


class SetBook:
    """The sets that rendered rules refer to; each is made when first asked for.

    Args:
        members: Mapping[SetId, members]: all that a rule may name.
    """

    def __init__(self, members: Members) -> None:
        self._members = members
        self._by_family: dict[tuple[SetId, int], str | None] = {}
        self.sets: dict[str, NamedSet] = {}

    def named(self, set_id: SetId, version: int) -> str | None:
        """Name of the filter's set of this family's members; None if there are none.

        An IPv4 set exists even if empty, so that the first member changes one element and no chain.
        """
        known = self._by_family.get((set_id, version), "")
        if known != "":
            return known
        members = self._members.get(set_id, frozenset())
        kind = _ADDRESS_TYPE[version]
        stem = set_id.replace(":", "-")
        made: NamedSet | None
        if set_id.startswith("n:"):
            keys = frozenset(
                item.address.packed + bytes((item.protocol, 0, 0, 0)) + item.port.to_bytes(2, "big") + b"\0\0"
                for item in members
                if isinstance(item, IpPort) and item.address.version == version
            )
            made = NamedSet(f"{stem}-{version}", (kind, KeyType.PROTOCOL, KeyType.PORT), keys)
        else:
            nets = [item for item in members if not isinstance(item, IpPort) and item.version == version]
            made = net_set(f"{stem}-{version}", nets, version)
        if version == 6 and not made.members and not made.intervals:
            made = None
        else:
            self.sets[made.name] = made
        name = None if made is None else made.name
        self._by_family[set_id, version] = name
        return name

    def nets(self, nets: Iterable[Prefix], version: int) -> str:
        """Name of a set of exactly these nets."""
        merged = merge(nets)
        digest = hashlib.sha256(",".join(map(str, merged)).encode()).hexdigest()[:16]
        made = net_set(f"{SetPrefix.NETS}{digest}", merged, version)
        self.sets[made.name] = made
        return made.name

    def ports(self, ports: Iterable[PortRange]) -> str:
        """Name of a set of exactly these ports."""
        merged: list[PortRange] = []
        for item in sorted(ports):
            if merged and item.first <= merged[-1].last + 1:
                merged[-1] = PortRange(merged[-1].first, max(merged[-1].last, item.last))
            else:
                merged.append(item)
        digest = hashlib.sha256(repr([tuple(item) for item in merged]).encode()).hexdigest()[:16]
        intervals = frozenset((_port(item.first), _port(item.last)) for item in merged)
        made = NamedSet(f"{SetPrefix.PORTS}{digest}", (KeyType.PORT,), intervals=intervals)
        self.sets[made.name] = made
        return made.name

    def protocols_with_ports(self) -> str:
        """Name of the set of protocols that have ports."""
        made = NamedSet(
            f"{SetPrefix.PROTOCOLS}with-ports", (KeyType.PROTOCOL,), frozenset(bytes((n,)) for n in _WITH_PORTS)
        )
        self.sets[made.name] = made
        return made.name


def merge(nets: Iterable[Prefix]) -> list[Prefix]:
    """The same addresses in the fewest prefixes, sorted; all of one family."""
    listed = list(nets)
    four = [item for item in listed if isinstance(item, IPv4Network)]
    six = [item for item in listed if isinstance(item, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def net_set(name: str, nets: list[Prefix], version: int) -> NamedSet:
    """A set of prefixes: a hash of addresses if all are single ones, else intervals (another name, another kind)."""
    kind = _ADDRESS_TYPE[version]
    if all(item.prefixlen == item.max_prefixlen for item in nets):
        return NamedSet(name, (kind,), frozenset(item.network_address.packed for item in nets))
    intervals = frozenset((item.network_address.packed, item.broadcast_address.packed) for item in merge(nets))
    return NamedSet(f"{name}-net", (kind,), intervals=intervals)


def _port(number: int) -> bytes:
    return number.to_bytes(2, "big")


def render(rule: Rule, book: SetBook, *, profile: bool) -> Iterator[ir.Rule]:
    """The filter's rules for one rule of a policy (or of a profile, where Pass ends only that profile)."""
    end: tuple[Term, ...]
    match rule.action:
        case Action.ALLOW:
            end = (ir.Verdict(ir.VerdictKind.ACCEPT),)
        case Action.DENY:
            end = (ir.Verdict(ir.VerdictKind.DROP),)
        case Action.LOG:
            end = (ir.Log(LOG_PREFIX),)
        case Action.PASS:
            mark = () if profile else (ir.SetMark(0xFFFFFFFF & ~PASS_MARK, PASS_MARK),)
            end = (*mark, ir.Verdict(ir.VerdictKind.RETURN))
    for terms in _products(rule.match, book):
        yield ir.Rule((*terms, *end))


def _products(match: RuleMatch, book: SetBook) -> Iterator[tuple[Term, ...]]:
    if not _one_family_only(match):
        yield from _joined(match, None, book)
        return
    for version in (4, 6):
        if match.ip_version in (None, version):
            yield from _joined(match, version, book)


def _one_family_only(match: RuleMatch) -> bool:
    """Whether any test of the rule looks different in the two families."""
    about_addresses = (
        match.source_nets, match.not_source_nets, match.destination_nets, match.not_destination_nets,
        match.source_sets, match.not_source_sets, match.destination_sets, match.not_destination_sets,
        match.source_port_sets, match.not_source_port_sets,
        match.destination_port_sets, match.not_destination_port_sets,
    )  # fmt: skip
    icmp_unnamed = match.protocol is None and (match.icmp is not None or match.not_icmp is not None)
    return match.ip_version is not None or icmp_unnamed or any(about_addresses)


def _joined(match: RuleMatch, version: int | None, book: SetBook) -> Iterator[tuple[Term, ...]]:
    family: _Alternatives = [()] if version is None else [(_FAMILY[version],)]
    parts = [family, _protocol(match), *_icmp(match, version)]
    ports = _Ports(match.protocol, version, book)
    parts.append(ports.any_of(match.source_ports, match.source_port_sets, source=True))
    parts.append(ports.any_of(match.destination_ports, match.destination_port_sets, source=False))
    parts.append(ports.none_of(match.not_source_ports, match.not_source_port_sets, source=True))
    parts.append(ports.none_of(match.not_destination_ports, match.not_destination_port_sets, source=False))
    if version is not None:
        for field, nets, not_nets, sets, not_sets in (
            (_SOURCE[version], match.source_nets, match.not_source_nets, match.source_sets, match.not_source_sets),
            (
                _DESTINATION[version], match.destination_nets, match.not_destination_nets,
                match.destination_sets, match.not_destination_sets,
            ),
        ):  # fmt: skip
            parts.append(_nets(field, nets, version, book, negated=False))
            parts.append(_nets(field, not_nets, version, book, negated=True))
            parts.append(_sets(field, sets, version, book))
            parts.append(_no_set(field, not_sets, version, book))
    for chosen in itertools.product(*parts):
        yield tuple(dict.fromkeys(itertools.chain.from_iterable(chosen)))


def _protocol(match: RuleMatch) -> _Alternatives:
    terms: list[Term] = []
    if match.protocol is not None:
        terms.append(Is(Field.PROTOCOL, bytes((match.protocol,))))
    if match.not_protocol is not None:
        terms.append(Is(Field.PROTOCOL, bytes((match.not_protocol,)), negated=True))
    return [tuple(terms)]


def _icmp(match: RuleMatch, version: int | None) -> Iterator[_Alternatives]:
    number = match.protocol if match.protocol is not None else _ICMP[version or 4]
    protocol = Is(Field.PROTOCOL, bytes((number,)))
    if match.icmp is not None:
        yield [(protocol, _icmp_term(match.icmp, negated=False))] if number in _ICMP.values() else []
    if match.not_icmp is not None and number in _ICMP.values():
        other: _Alternatives = [(protocol, _icmp_term(match.not_icmp, negated=True))]
        if match.protocol is None:
            other.append((protocol._replace(negated=True),))
        yield other


def _icmp_term(icmp: tuple[int, int | None], *, negated: bool) -> Is:
    kind, code = icmp
    if code is None:
        return Is(Field.ICMP_TYPE, bytes((kind,)), negated)
    return Is(Field.ICMP_TYPE_AND_CODE, bytes((kind, code)), negated)


class _Ports:
    """Port tests for one protocol and family: packets without ports match no port and no negated port fails them."""

    def __init__(self, protocol: int | None, version: int | None, book: SetBook) -> None:
        self._protocol, self._version, self._book = protocol, version, book

    def any_of(self, ports: tuple[PortRange, ...], sets: tuple[SetId, ...], *, source: bool) -> _Alternatives:
        if not ports and not sets:
            return [()]
        if self._protocol is not None and self._protocol not in _WITH_PORTS:
            return []
        guard = self._guard(negated=False)
        found: _Alternatives = []
        if ports:
            found.append((*guard, self._test(ports, source=source, negated=False)))
        found += [(*guard, Lookup(key, name)) for key, name in self._lookups(sets, source=source)]
        return found

    def none_of(self, ports: tuple[PortRange, ...], sets: tuple[SetId, ...], *, source: bool) -> _Alternatives:
        tests: list[Term] = []
        if ports:
            tests.append(self._test(ports, source=source, negated=True))
        tests += [Lookup(key, name, negated=True) for key, name in self._lookups(sets, source=source)]
        if not tests or (self._protocol is not None and self._protocol not in _WITH_PORTS):
            return [()]
        found: _Alternatives = [(*self._guard(negated=False), *tests)]
        if self._protocol is None:
            found.append(self._guard(negated=True))
        return found

    def _lookups(self, sets: tuple[SetId, ...], *, source: bool) -> Iterator[tuple[tuple[Field, ...], str]]:
        if self._version is None:
            return
        for set_id in sets:
            name = self._book.named(set_id, self._version)
            if name is not None:
                yield self._key(self._version, source=source), name

    def _guard(self, *, negated: bool) -> tuple[Term, ...]:
        if self._protocol is not None:
            return ()
        return (Lookup((Field.PROTOCOL,), self._book.protocols_with_ports(), negated),)

    def _test(self, ports: tuple[PortRange, ...], *, source: bool, negated: bool) -> Term:
        field = Field.SOURCE_PORT if source else Field.DESTINATION_PORT
        if len(ports) > 1:
            return Lookup((field,), self._book.ports(ports), negated)
        first, last = ports[0]
        return Is(field, _port(first), negated) if first == last else Between(field, _port(first), _port(last), negated)

    @staticmethod
    def _key(version: int, *, source: bool) -> tuple[Field, ...]:
        if source:
            return (_SOURCE[version], Field.PROTOCOL, Field.SOURCE_PORT)
        return (_DESTINATION[version], Field.PROTOCOL, Field.DESTINATION_PORT)


def _nets(field: Field, nets: tuple[Prefix, ...], version: int, book: SetBook, *, negated: bool) -> _Alternatives:
    if not nets:
        return [()]
    mine = merge(item for item in nets if item.version == version)
    if not mine:
        return [()] if negated else []
    if len(mine) > 1:
        return [(Lookup((field,), book.nets(mine, version), negated),)]
    prefix = mine[0]
    if prefix.prefixlen == 0:
        return [] if negated else [()]
    octets, rest = divmod(prefix.prefixlen, 8)
    packed = prefix.network_address.packed
    if rest == 0:
        return [(Is(field, packed[:octets], negated),)]
    return [(Masked(field, prefix.netmask.packed, packed, negated),)]


def _sets(field: Field, sets: tuple[SetId, ...], version: int, book: SetBook) -> _Alternatives:
    if not sets:
        return [()]
    names = (book.named(set_id, version) for set_id in sets)
    return [(Lookup((field,), name),) for name in names if name is not None]


def _no_set(field: Field, sets: tuple[SetId, ...], version: int, book: SetBook) -> _Alternatives:
    names = (book.named(set_id, version) for set_id in sets)
    return [tuple(Lookup((field,), name, negated=True) for name in names if name is not None)]
