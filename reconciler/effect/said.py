"""Traffic as people say it: protocols with ports, types of ICMP, everything. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from muslin.resources.protocols import Protocol
from reconciler.effect.cuts import Interval, merged
from reconciler.effect.walk import ICMP, WITH_PORTS, Traffics

__all__ = ["Said", "in_words", "said"]

_MANY: Final = 128
_ALL_PORTS: Final = ((1, 65535),)
_ALL_TYPES: Final = ((0, 65535),)


@dataclass(frozen=True, slots=True)
class Said:
    """Traffic of one protocol, or of all.

    Attributes:
        protocol: as in rules; a number as text where there is no name; `other` for all that have no other entry
            anywhere, `any` for everything.
        ports: destination ports as intervals; empty for all, and for protocols without ports.
        source_ports: likewise.
        apart: of `other`, protocols that are not among them.
        types: of ICMP, (first type, first code) to (last type, last code); empty for all.
    """

    protocol: str
    ports: tuple[Interval, ...] = ()
    source_ports: tuple[Interval, ...] = ()
    types: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()
    apart: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.protocol == "any":
            return "everything"
        if self.protocol == "other":
            return f"other protocols{' but ' if self.apart else ''}{', '.join(self.apart)}"
        name = f"protocol {self.protocol}" if self.protocol.isdigit() else self.protocol
        ports = f" {', '.join(map(_range, self.ports))}" if self.ports else ""
        kinds = f" {', '.join(map(_types, self.types))}" if self.types else ""
        origin = f" from ports {', '.join(map(_range, self.source_ports))}" if self.source_ports else ""
        return f"{name}{ports}{kinds}{origin}"

    def to_json(self) -> dict[str, Any]:
        """Only what is limited is told besides the protocol."""
        told: dict[str, Any] = {"protocol": self.protocol}
        if self.apart:
            told["except"] = list(self.apart)
        if self.ports:
            told["ports"] = [_range(each) for each in self.ports]
        if self.source_ports:
            told["sourcePorts"] = [_range(each) for each in self.source_ports]
        if self.types:
            told["types"] = [_types(each) for each in self.types]
        return told


def in_words(traffic: Iterable[Said]) -> str:
    """All of it in one line."""
    return "; ".join(map(str, traffic))


def said(traffics: Iterable[Traffics], version: int) -> tuple[Said, ...]:
    """What all these cells together are, in the fewest words that are exact.

    Args:
        traffics: cells without overlap.
        version: 4 or 6: which ICMP has types.
    """
    known = (*WITH_PORTS, ICMP[version])
    of: dict[int, list[tuple[tuple[Interval, ...], tuple[Interval, ...]]]] = {}
    rest: list[Interval] = []
    for each in traffics:
        first = each.protocols[0][0]
        if first in known:
            of.setdefault(first, []).append((each.source_ports, each.details))
        else:
            rest += each.protocols
    found = [entry for number in known if number in of for entry in _of_one(number, of[number])]
    others = merged(rest)
    count = sum(last - first + 1 for first, last in others)
    if count == 256 - len(known):
        whole = len(found) == len(known) and not any(each.ports or each.source_ports or each.types for each in found)
        return (Said("any"),) if whole else (*found, Said("other"))
    numbers = [number for first, last in others for number in range(first, last + 1)]
    if len(numbers) > _MANY:
        apart = sorted({*range(256)} - {*known} - {*numbers})
        return (*found, Said("other", apart=tuple(map(_name, apart))))
    return (*found, *(Said(_name(number)) for number in numbers))


def _name(number: int) -> str:
    return (Protocol(number).name or str(number)) if number else "0"


def _of_one(number: int, pieces: Iterable[tuple[tuple[Interval, ...], tuple[Interval, ...]]]) -> Iterator[Said]:
    """One protocol's: pieces with equal source ports are put together, then those with equal destinations."""
    by_source: dict[tuple[Interval, ...], list[Interval]] = {}
    for sources, details in pieces:
        by_source.setdefault(merged(sources), []).extend(details)
    by_detail: dict[tuple[Interval, ...], list[Interval]] = {}
    for sources, collected in by_source.items():
        by_detail.setdefault(merged(collected), []).extend(sources)
    name = Protocol(number).name or str(number)
    for details, origins in sorted(by_detail.items()):
        if number not in WITH_PORTS:
            kinds = () if details == _ALL_TYPES else tuple((_kind(first), _kind(last)) for first, last in details)
            yield Said(name, types=kinds)
            continue
        sources = merged(origins)
        yield Said(name, () if details == _ALL_PORTS else details, () if sources == _ALL_PORTS else sources)


def _kind(number: int) -> tuple[int, int]:
    return number >> 8, number & 255


def _range(interval: Interval) -> str:
    return str(interval[0]) if interval[0] == interval[1] else f"{interval[0]}-{interval[1]}"


def _types(interval: tuple[tuple[int, int], tuple[int, int]]) -> str:
    first, last = interval
    if first == last:
        return f"type {first[0]} code {first[1]}"
    if first[1] == 0 and last[1] == 255:
        return f"type {first[0]}" if first[0] == last[0] else f"types {first[0]}-{last[0]}"
    return f"type {first[0]} code {first[1]} to type {last[0]} code {last[1]}"
