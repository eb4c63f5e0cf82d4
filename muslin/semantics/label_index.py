"""Which of many a selector matches, without asking each: bitmaps over positions.

A bitmap is an int whose bit `n` stands for the position `n`. A comparison with a value is one look-up; what looks
into values (`contains` and its like) is asked of each value that occurs, by the selector's own matcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import and_, or_

from muslin.selectors import All, And, Equals, Global, Has, In, Leaf, Node, Not, NotEquals, NotIn, Or, Selector

__all__ = ["LabelIndex", "bitmap", "positions"]

_ONES: Sequence[tuple[int, ...]] = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))
"""Bits that are set in each byte."""


def bitmap(at: Iterable[int], size: int) -> int:
    """The bitmap of these positions, all below `size`."""
    row = bytearray((size + 7) >> 3)
    for position in at:
        row[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(row, "little")


def positions(bits: int) -> list[int]:
    """Positions that a bitmap holds, in order."""
    row = bits.to_bytes((bits.bit_length() + 7) >> 3, "little")
    return [number << 3 | bit for number, byte in enumerate(row) if byte for bit in _ONES[byte]]


class LabelIndex:
    """Labels of everything that stands at a position, so that a selector gives a bitmap.

    Args:
        labels: of the positions 0, 1, 2 and so on; None where nothing stands there, which no selector matches.
    """

    def __init__(self, labels: Iterable[Mapping[str, str] | None]) -> None:
        rows: dict[str, dict[str, list[int]]] = {}
        there: list[int] = []
        size = 0
        for size, each in enumerate(labels, 1):
            if each is None:
                continue
            at = size - 1
            there.append(at)
            for key, value in each.items():
                values = rows.get(key)
                if values is None:
                    values = rows[key] = {}
                held = values.get(value)
                if held is None:
                    values[value] = [at]
                else:
                    held.append(at)
        self._rows = rows
        self._size = size
        self._of_value: dict[tuple[str, str], int] = {}
        self._of_key: dict[str, int] = {}
        self._matching: dict[Selector, int] = {}
        self.everyone = bitmap(there, size)

    def matching(self, selector: Selector) -> int:
        """Positions whose labels a selector matches."""
        found = self._matching.get(selector)
        if found is None:
            found = self._matching[selector] = self._node(selector.root)
        return found

    def _node(self, node: Node) -> int:
        match node:
            case And(operands=operands):
                return reduce(and_, map(self._node, operands))
            case Or(operands=operands):
                return reduce(or_, map(self._node, operands))
            case Not(operand=operand):
                return self.everyone & ~self._node(operand)
            case Leaf():
                return self._leaf(node)
        raise TypeError(f"{type(node).__name__} is no part of a selector that is known here")

    def _leaf(self, leaf: Leaf) -> int:
        match leaf:
            case All() | Global():
                return self.everyone
            case Equals(key=key, value=value):
                return self._equal(key, value)
            case NotEquals(key=key, value=value):
                return self.everyone & ~self._equal(key, value)
            case In(key=key, values=values):
                return reduce(or_, (self._equal(key, value) for value in values), 0)
            case NotIn(key=key, values=values):
                return self.everyone & ~reduce(or_, (self._equal(key, value) for value in values), 0)
            case Has(key=key):
                return self._has(key)
        return self._asked(leaf)

    def _equal(self, key: str, value: str) -> int:
        known = self._of_value.get((key, value))
        if known is None:
            held = self._rows.get(key, {}).get(value, ())
            known = self._of_value[key, value] = bitmap(held, self._size) if held else 0
        return known

    def _has(self, key: str) -> int:
        known = self._of_key.get(key)
        if known is None:
            held = (at for each in self._rows.get(key, {}).values() for at in each)
            known = self._of_key[key] = bitmap(held, self._size)
        return known

    def _asked(self, leaf: Leaf) -> int:
        """By the leaf's own matcher: once a value that occurs, and once without the label."""
        key: str = getattr(leaf, "key")  # noqa: B009 - every leaf that is left compares a label
        matches = leaf.matcher()
        held = (at for value, each in self._rows.get(key, {}).items() if matches({key: value}) for at in each)
        found = bitmap(held, self._size)
        return found | (self.everyone & ~self._has(key)) if matches({}) else found
