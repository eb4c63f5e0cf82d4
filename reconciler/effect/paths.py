"""Rectangles put together until they can be read: who to whom, saying what; and how many pairs that are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import or_
from typing import Any, NamedTuple, TypeVar

from muslin.resources.policy import PolicyType
from muslin.semantics.label_index import positions
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.actors import ActorKind, Actors, Group, summary
from reconciler.effect.reach import Reach, reach
from reconciler.effect.said import Said, in_words, said
from reconciler.effect.view import people
from reconciler.effect.walk import Traffics

__all__ = ["Path", "TrafficChange", "traffic_change"]


@dataclass(frozen=True, slots=True)
class Path:
    """Every source to every destination, except somebody to himself and a workload with its own node.

    Attributes:
        sources, destinations: who.
        traffic: saying what.
        versions: of IP.
        pairs: how many pairs of a source and a destination these are.
        decided: the direction whose policy changed its answer.
        with_own_node: only pairs of a workload and its own node, instead of none of them.
    """

    sources: tuple[Group, ...]
    destinations: tuple[Group, ...]
    traffic: tuple[Said, ...]
    versions: tuple[int, ...]
    pairs: int
    decided: PolicyType
    with_own_node: bool = False

    def __str__(self) -> str:
        return f"{summary(self.sources)} -> {summary(self.destinations)}: {in_words(self.traffic)}"

    def to_json(self, *, full: bool) -> dict[str, Any]:
        """For programs; see `Group.to_json`."""
        return {
            "sources": [each.to_json(full=full) for each in self.sources],
            "destinations": [each.to_json(full=full) for each in self.destinations],
            "traffic": [each.to_json() for each in self.traffic],
            "ipVersions": list(self.versions),
            "pairs": self.pairs,
            "decidedBy": self.decided.value.lower(),
            "withOwnNode": self.with_own_node,
        }


@dataclass(frozen=True, slots=True)
class TrafficChange:
    """Who gains and loses what.

    Attributes:
        opened, closed: paths, the largest first.
        opened_pairs, closed_pairs: pairs that gain or lose something, each counted once.
        touched: workloads that are judged by other rules than before.
        nodes: names of the nodes where these run, and whose agents must therefore act.
        cut: workloads at an end of a closed path: agents end connections of theirs that are under way.
    """

    opened: tuple[Path, ...] = ()
    closed: tuple[Path, ...] = ()
    opened_pairs: int = 0
    closed_pairs: int = 0
    touched: int = 0
    nodes: frozenset[str] = frozenset()
    cut: int = 0

    def __bool__(self) -> bool:
        return bool(self.opened or self.closed)


def traffic_change(before: Snapshot, after: Snapshot) -> TrafficChange:
    """What a change does to who may talk to whom, in both families."""
    first = people(before)
    who = first, people(after, (before, first))
    found = [each for version in (4, 6) if (each := reach((before, after), who, version)) is not None]
    actors = Actors((before, after), found)
    homes = _Homes(found, actors)
    pieces = [piece for each in found for piece in _pieces(each, actors)]
    opening, closing = ([piece for piece in pieces if piece.opened is opened] for opened in (True, False))
    workloads = sum(1 << at for at, actor in enumerate(actors.every) if actor.kind is ActorKind.WORKLOAD)
    touched = reduce(or_, (actors.bits(each.space.version, each.touched) for each in found), 0)
    ends = reduce(or_, (piece.sources | piece.destinations for piece in closing), 0)
    return TrafficChange(
        tuple(_paths(opening, actors, homes)),
        tuple(_paths(closing, actors, homes)),
        _pairs(opening, homes),
        _pairs(closing, homes),
        touched.bit_count(),
        frozenset(_names(found)),
        (ends & workloads).bit_count(),
    )


class _Piece(NamedTuple):
    """A rectangle of actors."""

    opened: bool
    decided: PolicyType
    with_own_node: bool
    sources: int
    destinations: int
    version: int
    traffic: Traffics


def _pieces(found: Reach, actors: Actors) -> Iterator[_Piece]:
    version = found.space.version
    for each in found.rectangles:
        ends = actors.bits(version, each.sources), actors.bits(version, each.destinations)
        yield _Piece(each.opened, each.decided, each.with_own_node, *ends, version, each.traffic)


def _names(found: Iterable[Reach]) -> Iterator[str]:
    """Nodes where workloads run that are judged by other rules than before."""
    for each in found:
        for point in positions(each.touched):
            for owner in (view.workload(point) for view in each.views):
                if owner is not None and owner.spec.node:
                    yield owner.spec.node


def _paths(pieces: Sequence[_Piece], actors: Actors, homes: _Homes) -> list[Path]:
    """Pieces with the same ends are one path, then those with the same traffic and one same end."""
    at: dict[tuple[PolicyType, bool, int, int], list[tuple[int, Traffics]]] = {}
    for piece in pieces:
        key_of_end = piece.decided, piece.with_own_node, piece.destinations, piece.version
        at.setdefault(key_of_end, []).append((piece.sources, piece.traffic))
    spoken = {
        (decided, own, sources, destinations, version): traffics
        for (decided, own, destinations, version), each in at.items()
        for sources, traffics in _apart(each)
    }
    families: dict[tuple[_Saying, int, int], tuple[int, ...]] = {}
    for (decided, own, sources, destinations, version), traffics in spoken.items():
        key = _Saying(decided, own, said(traffics, version)), sources, destinations
        families[key] = *families.get(key, ()), version
    towards: dict[tuple[_Saying, tuple[int, ...], int], int] = {}
    at_home: dict[tuple[_Saying, tuple[int, ...]], tuple[int, int]] = {}
    for (saying, sources, destinations), of in families.items():
        if saying.with_own_node:
            known = at_home.get((saying, of), (0, 0))
            at_home[saying, of] = known[0] | sources, known[1] | destinations
        else:
            towards[saying, of, destinations] = towards.get((saying, of, destinations), 0) | sources
    joined: dict[tuple[_Saying, tuple[int, ...], int], int] = {}
    for (saying, of, destinations), sources in towards.items():
        joined[saying, of, sources] = joined.get((saying, of, sources), 0) | destinations
    every = [
        *((saying, of, sources, destinations) for (saying, of, sources), destinations in joined.items()),
        *((saying, of, *ends) for (saying, of), ends in at_home.items()),
    ]
    found = [
        Path(
            actors.groups(sources if saying.with_own_node else homes.besides(sources, destinations)),
            actors.groups(destinations if saying.with_own_node else homes.besides(destinations, sources)),
            saying.words,
            of,
            _count(sources, destinations, homes, own=saying.with_own_node),
            saying.decided,
            saying.with_own_node,
        )
        for saying, of, sources, destinations in every
    ]
    return sorted(found, key=lambda path: (-path.pairs, str(path)))


_T = TypeVar("_T")


def _apart(told: Iterable[tuple[int, _T]]) -> list[tuple[int, tuple[_T, ...]]]:
    """Bitmaps cut until no two of them overlap, with all that was told of each."""
    rows: dict[int, tuple[_T, ...]] = {}
    whole: dict[int, list[_T]] = {}
    for bits, what in told:
        whole.setdefault(bits, []).append(what)
    for bits, new in whole.items():
        left = bits
        for row, known in list(rows.items()):
            both = row & left
            if not both:
                continue
            left ^= both
            del rows[row]
            if row ^ both:
                rows[row ^ both] = known
            rows[both] = *known, *new
            if not left:
                break
        if left:
            rows[left] = tuple(new)
    return list(rows.items())


class _Saying(NamedTuple):
    """What pieces must have in common to become one path."""

    decided: PolicyType
    with_own_node: bool
    words: tuple[Said, ...]


def _pairs(pieces: Iterable[_Piece], homes: _Homes) -> int:
    """Distinct pairs: sources with the same destinations are counted at once."""
    own = {
        pair
        for piece in pieces
        if piece.with_own_node
        for pair in product(positions(piece.sources), positions(piece.destinations))
    }
    rows = _apart((piece.sources, piece.destinations) for piece in pieces if not piece.with_own_node)
    return len(own) + sum(_count(row, reduce(or_, reached), homes, own=False) for row, reached in rows)


def _count(sources: int, destinations: int, homes: _Homes, *, own: bool) -> int:
    """Pairs of different actors, those of a workload with its own node apart."""
    at_home = homes.between(sources, destinations) + homes.between(destinations, sources)
    if own:
        return at_home
    return sources.bit_count() * destinations.bit_count() - (sources & destinations).bit_count() - at_home


class _Homes:
    """Which workloads run on which node, as bits of actors."""

    def __init__(self, found: Iterable[Reach], actors: Actors) -> None:
        self._of: dict[int, int] = {}
        for each in found:
            for node, workloads in each.nodes.items():
                bit = actors.bits(each.space.version, 1 << node)
                self._of[bit] = self._of.get(bit, 0) | actors.bits(each.space.version, workloads)
        self._nodes = sum(self._of)
        self._everybody = reduce(or_, self._of.values(), 0)
        self._settled = self._everybody.bit_count() == sum(each.bit_count() for each in self._of.values())

    def besides(self, one: int, other: int) -> int:
        """One end without who would only talk to himself, or is a node and would only talk to its own workloads."""
        if other.bit_count() == 1 and one != other:
            one &= ~other
        if not one & self._nodes or other & ~self._everybody:
            return one
        return one & ~reduce(or_, (node for node, there in self._of.items() if not other & ~there), 0)

    def between(self, nodes: int, workloads: int) -> int:
        """Pairs of a node among these and a workload among those that runs there."""
        if not nodes & self._nodes:
            return 0
        if self._settled and nodes & self._nodes == self._nodes:
            return (workloads & self._everybody).bit_count()
        return sum((workloads & there).bit_count() for node, there in self._of.items() if node & nodes)
