"""A selector that cannot be read: what is wrong, at which column, and what to write instead."""

from __future__ import annotations

from muslin.errors import Problem

__all__ = ["SelectorError"]

_SHOWN = 60
"""Characters of the selector shown around the fault; a set of 10,000 values does not help anybody."""


class SelectorError(ValueError):
    """The text is not a selector.

    Args:
        text: the whole selector as written.
        column: where the fault begins, in characters from 1; one past the end where something is missing there.
        problem: what is wrong, a sentence without a full stop.
        fix: what to write instead.
    """

    def __init__(self, text: str, column: int, problem: str, fix: str) -> None:
        self.text, self.column, self.problem, self.fix = text, column, problem, fix
        super().__init__(f"{problem} (column {column}); {fix}")

    def pointed(self) -> str:
        """Two lines: the selector around the fault, and a caret below it."""
        first = max(0, self.column - 1 - _SHOWN // 2)
        last = min(len(self.text), first + _SHOWN)
        before, after = "..." if first else "", "..." if last < len(self.text) else ""
        shown = "".join(character if character.isprintable() else " " for character in self.text[first:last])
        return f"{before}{shown}{after}\n{' ' * (len(before) + self.column - 1 - first)}^"

    def as_problem(self, where: str) -> Problem:
        """The same for people who sent a whole object; `where` is the field's place."""
        return Problem(what=f"{self.problem}\n{self.pointed()}", where=f"{where}, column {self.column}", fix=self.fix)
