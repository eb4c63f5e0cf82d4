"""Numbers cut where rules cut them: ports, protocols, types of ICMP; within one cell no rule tells two apart. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NewType

__all__ = ["Cell", "Cut", "Interval", "clipped", "cut", "cut_at", "merged", "uncut"]

Interval = tuple[int, int]
"""First and last number, both included."""

Cell = NewType("Cell", int)
"""Names a cell of one cut; means nothing in another."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Numbers from `starts[0]` to `last`, in cells.

    Attributes:
        starts: where each piece begins, rising.
        cells: Sequence[Cell]: which cell each piece belongs to; a cell may have several pieces.
        last: the greatest number.
    """

    starts: Sequence[int]
    cells: Sequence[Cell]
    last: int

    def cell(self, number: int) -> Cell:
        """The cell that a number is in."""
        return self.cells[bisect_right(self.starts, number) - 1]

    def whole(self) -> dict[Cell, tuple[Interval, ...]]:
        """Mapping[cell, its numbers]."""
        return clipped(self, ((self.starts[0], self.last),))

    def representatives(self) -> Iterator[tuple[Cell, int]]:
        """One number for each cell."""
        seen: set[Cell] = set()
        for start, cell in zip(self.starts, self.cells, strict=True):
            if cell not in seen:
                seen.add(cell)
                yield cell, start


def uncut(first: int, last: int) -> Cut:
    """All these numbers in one cell."""
    return Cut((first,), (Cell(0),), last)


def cut(sets: Iterable[Iterable[Interval]], first: int, last: int) -> Cut:
    """Numbers `first` to `last` in cells, so that each set holds a cell wholly or not at all.

    Args:
        sets: sets of numbers as intervals, which may overlap; what lies outside `first` to `last` does not count.
        first: the smallest number.
        last: the greatest.
    """
    return cut_at(dict.fromkeys(map(merged, sets)), first, last)


def cut_at(sets: Iterable[Iterable[Interval]], first: int, last: int) -> Cut:
    """As `cut`, of sets that `merged` gave, each once."""
    toggles: dict[int, int] = {}
    for number, intervals in enumerate(sets):
        for begin, end in intervals:
            if begin > last or end < first:
                continue
            begins, ends = max(begin, first), min(end, last) + 1
            toggles[begins] = toggles.get(begins, 0) ^ 1 << number
            if ends <= last:
                toggles[ends] = toggles.get(ends, 0) ^ 1 << number
    names: dict[int, Cell] = {}
    starts, cells = [first], [names.setdefault(toggles.pop(first, 0), Cell(0))]
    held = next(iter(names))
    for start in sorted(toggles):
        held ^= toggles[start]
        cell = names.setdefault(held, Cell(len(names)))
        if cell != cells[-1]:
            starts.append(start)
            cells.append(cell)
    return Cut(starts, cells, last)


def clipped(of: Cut, intervals: Iterable[Interval]) -> dict[Cell, tuple[Interval, ...]]:
    """Mapping[cell, its numbers among these]; cells that have none of them are left out."""
    found: dict[Cell, list[Interval]] = {}
    for first, last in intervals:
        at = bisect_right(of.starts, first) - 1
        while at < len(of.starts) and of.starts[at] <= last:
            end = of.starts[at + 1] - 1 if at + 1 < len(of.starts) else of.last
            found.setdefault(of.cells[at], []).append((max(first, of.starts[at]), min(last, end)))
            at += 1
    return {cell: tuple(pieces) for cell, pieces in found.items()}


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same numbers as intervals that neither overlap nor touch, in order."""
    found: list[Interval] = []
    for begin, end in sorted(intervals):
        if found and begin <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return tuple(found)
