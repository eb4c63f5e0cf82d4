"""What went wrong, as values: every message says what, where and fix.

A stage collects all its problems and raises once. The class of the exception says who is at fault and whether
trying again can help; the command line turns it into an exit status (2 for input, 1 for failure).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["BadInput", "Failed", "KernelRefused", "MuslinError", "Place", "Problem", "Unavailable"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in somebody's text or object something stands; every part may be unknown.

    `line` and `column` count from 1, as editors do. `path` is the field's path, such as `spec.ingress[0].action`.
    """

    file: str | None = None
    line: int | None = None
    column: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        position = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        if self.file is None and self.line is not None:
            position = f"line {position}"
        return "  ".join(part for part in (position, self.path) if part) or "(unknown place)"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in the user's words.

    `what` is a sentence without a full stop, `where` a place (often `str(Place(...))`), `fix` what to do,
    `source` the rule it breaks (a section of the reference architecture, an RFC), where there is one.
    """

    what: str
    where: str
    fix: str
    source: str | None = None

    def __str__(self) -> str:
        lines = [self.what, f"  where: {self.where}", f"  fix:   {self.fix}"]
        if self.source is not None:
            lines.append(f"  rule:  {self.source}")
        return "\n".join(lines)


class MuslinError(Exception):
    """Base of all our errors; carries every problem that a stage found, at least one."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class BadInput(MuslinError):
    """Somebody's input is wrong: a file, a flag, a request, an object. Trying again does not help."""


class Failed(MuslinError):
    """The input was fine and the work could not be done. Trying again does not help by itself."""


class Unavailable(MuslinError):
    """Something outside does not answer now. Trying again later is right."""


class KernelRefused(Failed):
    """The kernel refused one operation.

    Args:
        operation: what was asked, such as `route add`.
        object_: on what, such as `10.48.0.0/26 via 192.0.2.2`.
        errno: positive error number.
        extack: the kernel's own explanation, empty where it gave none.
    """

    def __init__(self, operation: str, object_: str, errno: int, extack: str = "") -> None:
        self.operation, self.object, self.errno, self.extack = operation, object_, errno, extack
        reason = os.strerror(errno) + (f" ({extack})" if extack else "")
        super().__init__(
            Problem(
                what=f"the kernel refused {operation}: {reason}",
                where=object_,
                fix="see dmesg; check the capability NET_ADMIN and that no other program manages this object",
            )
        )
