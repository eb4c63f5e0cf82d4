"""What is wrong, as Pulumi shows it: one error with every problem, and no traceback."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi

from muslin.errors import Problem

__all__ = ["Refused"]


class Refused(pulumi.RunError):
    """Ends the program at preview, before anything is registered. Pulumi prints its text as the program's error.

    Attributes:
        problems: everything that a stage found, at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        said = "one thing is wrong" if count == 1 else f"{count} things are wrong"
        told = "\n".join(f"- {problem}" for problem in self.problems)
        super().__init__(f"{said}, so nothing is written\n{told}")
