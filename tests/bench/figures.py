"""Numbers as people read them: percentiles, ratios of pairs, and the lines of the table. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

__all__ = ["Line", "Rounds", "in_turns", "milliseconds", "percent", "percentile", "spread", "table"]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share (0..1) of them does not exceed; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def milliseconds(seconds: float) -> str:
    """A duration with three digits that matter."""
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 1 else f"{value:.3f} ms"


def percent(share: float) -> str:
    """A share of one."""
    return f"{share * 100:.3f} %"


def spread(values: Sequence[float]) -> str:
    """Median and tail of durations."""
    return f"p50 {milliseconds(percentile(values, 0.5))}, p99 {milliseconds(percentile(values, 0.99))}"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure.

    Attributes:
        what: is measured.
        ours: as text.
        other: the same of what it is compared to, with its name; empty where there is nothing to compare to.
        ratio: ours / other, None without other.
        goal: as text, empty where there is none.
        held: whether the goal is reached, None without goal.
    """

    what: str
    ours: str
    other: str = ""
    ratio: float | None = None
    goal: str = ""
    held: bool | None = None
    rounds: int = 1


@dataclass(slots=True)
class Rounds:
    """Durations of two sides, measured in turns; `ours[n]` and `other[n]` are a pair."""

    ours: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Median of ours / other over the pairs."""
        return median(ours / other for ours, other in zip(self.ours, self.other, strict=True))

    def line(self, what: str, name: str, *, goal: str = "", held: bool | None = None) -> Line:
        """This as a line; `name` is the other side's."""
        other = f"{name}: {spread(self.other)}"
        return Line(what, spread(self.ours), other, self.ratio, goal, held, rounds=len(self.ours))


def in_turns(ours: Callable[[], float], other: Callable[[], float], rounds: int) -> Rounds:
    """Call both sides in turns, A B B A; each gives its seconds. One round before counts not."""
    ours()
    other()
    found = Rounds()
    for number in range(rounds):
        if number % 2:
            found.other.append(other())
            found.ours.append(ours())
        else:
            found.ours.append(ours())
            found.other.append(other())
    return found


def table(title: str, lines: Sequence[Line]) -> str:
    """Lines as text, figures below what they are of, as three wide columns fit no screen."""
    text = [f"\n{title}"]
    for line in lines:
        mark = {None: "      ", True: "ok    ", False: "MISSED"}[line.held]
        goal = f"   goal {line.goal}" if line.goal else ""
        rounds = f"   ({line.rounds} rounds)" if line.rounds > 1 else ""
        text.append(f"  {mark} {line.what}: {line.ours}{goal}{rounds}")
        if line.other:
            ratio = "" if line.ratio is None else f"   ratio {line.ratio:.3g}"
            text.append(f"           beside {line.other}{ratio}")
    return "\n".join(text)
