"""One line of the answer: what was looked at, what was decided, what is there, and what to do about it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Line", "Verdict", "compared", "of_mtu", "untold"]


class Verdict(enum.Enum):
    """What comes of comparing; the value is what people and programs read."""

    HOLDS = "holds"
    DIFFERS = "differs"
    ABSENT = "absent"
    CANNOT_TELL = "cannot tell"

    @property
    def is_wrong(self) -> bool:
        """Whether somebody has to do something about it."""
        return self in (Verdict.DIFFERS, Verdict.ABSENT)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at.

    Attributes:
        check: its name, the same in every run.
        expected: as decided, in the words of what was read.
        found: what stands there; empty where nothing does.
        verdict: what comes of it.
        fix: what to do; empty where it holds.
        source: section of the reference architecture, or another document.
        place: file, line and field where it stands; empty where nothing does.
    """

    check: str
    expected: str
    found: str
    verdict: Verdict
    fix: str
    source: str
    place: str = ""


def compared(
    check: str,
    expected: str,
    found: str | None,
    source: str,
    *,
    fix: str,
    place: str = "",
    same: Callable[[str, str], bool] = str.__eq__,
) -> Line:
    """A line about one text; None is nothing there."""
    if found is None:
        return Line(check, expected, "", Verdict.ABSENT, fix, source, place)
    if same(expected, found):
        return Line(check, expected, found, Verdict.HOLDS, "", source, place)
    return Line(check, expected, found, Verdict.DIFFERS, fix, source, place)


def untold(check: str, expected: str, why: str, source: str, *, fix: str, place: str = "") -> Line:
    """A line about what cannot be seen from here, and why."""
    return Line(check, expected, why, Verdict.CANNOT_TELL, fix, source, place)


def of_mtu(
    check: str, decided: int, found: str | None, source: str, *, one_mtu: bool, fix: str, place: str = ""
) -> Line:
    """A line about an MTU: 0, or none, means that each node looks at its own links.

    That is as good where all hops have one MTU, and wrong where they do not: no node sees the narrowest of them.

    Args:
        check: its name.
        decided: bytes.
        found: what stands there, None where nothing does.
        source: see `Line`.
        one_mtu: whether every hop of the facts has the same.
        fix: see `Line`.
        place: see `Line`.
    """
    if one_mtu and found in (None, "", "0"):
        return untold(check, str(decided), "each node takes that of its own links", source, fix=fix, place=place)
    return compared(check, str(decided), found, source, fix=fix, place=place)
