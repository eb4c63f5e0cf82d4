"""Whether what was recorded of one object can have happened: one operation after the other, each within its own time.

The search is Wing's and Gong's: take any operation that could have been the next, see whether its answer fits, go on;
what was tried once is not tried again. Every write has a number that no other has, so a state is a number, and a write
whose answer was lost and whose number nobody saw need not be tried. What a watch told is a further condition: the
writes must happen in the order in which it told them, and none beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["ABSENT", "FOREVER", "Deed", "Operation", "Outcome", "Told", "TooHard", "fault_of"]

ABSENT = 0
"""The state of an object that is not there; the numbers of writes begin with 1."""
FOREVER = 1 << 63
_ANY = -1


class Deed(Enum):
    """What was asked."""

    GET = "get"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Outcome(Enum):
    """What was answered."""

    DONE = "done"
    NOT_FOUND = "not found"
    EXISTS = "exists"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    """The answer was lost, or whoever asked was killed: it may have happened, and may happen later."""
    NOT_DONE = "not done"
    """It was refused, or never sent: it has not happened and will not."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call on one object.

    Attributes:
        process: who called.
        key: the object.
        invoked_ns, answered_ns: on the monotonic clock that all processes share.
        number: what a create or an update writes.
        base: what an update or a delete compares with; None for a delete of whatever is there.
        seen: the number that the answer shows: what was read, written or deleted, or is in the way.
    """

    process: str
    deed: Deed
    key: str
    outcome: Outcome
    invoked_ns: int
    answered_ns: int = FOREVER
    number: int | None = None
    base: int | None = None
    seen: int | None = None

    def __str__(self) -> str:
        parts = [f"{self.process}: {self.deed.value} {self.key}"]
        parts += [
            f"{name}={value}" for name in ("number", "base", "seen") if (value := getattr(self, name)) is not None
        ]
        end = "" if self.answered_ns == FOREVER else self.answered_ns
        return f"{' '.join(parts)} -> {self.outcome.value} [{self.invoked_ns}..{end}]"


@dataclass(frozen=True, slots=True)
class Told:
    """What a watch told of one object without a gap, after `listing` had shown it: numbers, `ABSENT` for a deletion."""

    listing: Operation
    numbers: tuple[int, ...]


class TooHard(Exception):
    """The search was given up."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What an operation says about one instant of its time.

    Attributes:
        needs: the state before it, `_ANY` for any.
        unlike: a state that it is not.
        becomes: the state after it; None where it changes nothing.
        required: whether it has surely happened.
        opens: the number of the watch's piece that begins with it.
    """

    begin: int
    end: int
    said: Operation
    needs: int = _ANY
    unlike: int | None = None
    becomes: int | None = None
    required: bool = True
    opens: int | None = None

    def fits(self, state: int) -> bool:
        return self.needs in (_ANY, state) and state != self.unlike


def fault_of(
    operations: Sequence[Operation],
    told: Sequence[Told] | None = None,
    *,
    also_seen: Iterable[int] = (),
    first: int = ABSENT,
    at_most: int = 300_000,
) -> str | None:
    """What is wrong with this history of one object, None if it can have happened.

    Args:
        operations: all that were called on it.
        told: what one watch told; None for no watch. Between two pieces anything may have happened.
        also_seen: numbers that somebody else has seen, such as another watch.
        first: the state before all.
        at_most: so many situations are tried.

    Raises:
        TooHard: more would have to be tried.
    """
    seen = _seen(operations, told or ()) | set(also_seen)
    writers = {each.number: each for each in operations if each.number is not None}
    for number in sorted(seen - {ABSENT, first}):
        if number not in writers:
            return f"{number} was seen, and nobody wrote it"
        if writers[number].outcome not in (Outcome.DONE, Outcome.UNKNOWN):
            return f"{number} was seen, although its write was refused: {writers[number]}"
    for each in operations:
        if each.outcome is Outcome.DONE and each.number is not None and each.seen != each.number:
            return f"the answer shows something else than what was written: {each}"
    listings = [each.listing for each in told or ()]
    steps = [step for each in operations for step in _steps(each, seen)]
    steps += [
        _Step(it.invoked_ns, it.answered_ns, it, needs=it.seen or ABSENT, opens=number)
        for number, it in enumerate(listings)
    ]
    steps.sort(key=lambda step: step.begin)
    pieces = None if told is None else [each.numbers for each in told]
    return _Search(steps, pieces).fault(first, at_most)


def _seen(operations: Iterable[Operation], told: Iterable[Told]) -> set[int]:
    seen = {number for each in operations for number in (each.seen, each.base) if number is not None}
    for piece in told:
        seen |= {*piece.numbers, piece.listing.seen or ABSENT}
    return seen


def _steps(each: Operation, seen: set[int]) -> Iterator[_Step]:
    begin, end = each.invoked_ns, each.answered_ns
    match each.outcome, each.deed:
        case Outcome.NOT_DONE, _:
            pass
        case Outcome.UNKNOWN, Deed.GET:
            pass
        case Outcome.UNKNOWN, Deed.DELETE:
            needs = _ANY if each.base is None else each.base
            yield _Step(begin, FOREVER, each, needs=needs, unlike=ABSENT, becomes=ABSENT, required=False)
        case ((Outcome.UNKNOWN | Outcome.DONE), (Deed.CREATE | Deed.UPDATE)):
            known = each.outcome is Outcome.DONE
            if known or each.number in seen:
                before = ABSENT if each.deed is Deed.CREATE else each.base or ABSENT
                yield _Step(begin, end if known else FOREVER, each, needs=before, becomes=each.number)
        case Outcome.DONE, Deed.GET:
            yield _Step(begin, end, each, needs=each.seen or ABSENT)
        case Outcome.DONE, Deed.DELETE:
            unlike = ABSENT if each.base in (None, each.seen) else each.seen
            yield _Step(begin, end, each, needs=each.seen or ABSENT, unlike=unlike, becomes=ABSENT)
        case Outcome.NOT_FOUND, _:
            yield _Step(begin, end, each, needs=ABSENT)
        case Outcome.EXISTS, _:
            yield _Step(begin, end, each, unlike=ABSENT)
            yield _Step(begin, end, each, needs=each.seen or ABSENT)
        case Outcome.CONFLICT, _:
            # A store may find the conflict and then read what is there: two instants.
            yield _Step(begin, end, each, unlike=each.base)
            yield _Step(begin, end, each, needs=each.seen or ABSENT, unlike=each.base)


class _Search:
    """The steps in the order of their beginnings, and what the watch told, piece by piece."""

    def __init__(self, steps: Sequence[_Step], pieces: Sequence[Sequence[int]] | None) -> None:
        self._steps, self._pieces = steps, pieces
        self._required = sum(1 << at for at, step in enumerate(steps) if step.required)

    def fault(self, first: int, at_most: int) -> str | None:
        # A situation: which steps are done, the state, and how far the watch is (piece, place in it).
        waiting = [(0, first, -1, 0)]
        tried: set[tuple[int, int, int, int]] = set()
        furthest = waiting[0]
        while waiting:
            situation = self._settled(*waiting.pop())
            if situation in tried:
                continue
            tried.add(situation)
            if len(tried) > at_most:
                raise TooHard(f"given up after {at_most} situations; {self._stuck(*furthest)}")
            if self._is_end(*situation):
                return None
            if situation[0].bit_count() > furthest[0].bit_count():
                furthest = situation
            waiting += self._next(*situation)
        return self._stuck(*furthest)

    def _possible(self, done: int) -> Iterator[int]:
        """Steps that can come next: begun before any other that is not done has ended."""
        earliest_end = FOREVER
        lowest = ((~done) & (done + 1)).bit_length() - 1
        for at in range(lowest, len(self._steps)):
            if done >> at & 1:
                continue
            step = self._steps[at]
            if step.begin > earliest_end:
                return
            earliest_end = min(earliest_end, step.end)
            yield at

    def _settled(self, done: int, state: int, piece: int, place: int) -> tuple[int, int, int, int]:
        """Do every step at once that fits and changes nothing: waiting would not help it."""
        again = True
        while again:
            again = False
            for at in self._possible(done):
                step = self._steps[at]
                if step.becomes is None and step.opens is None and step.fits(state):
                    done |= 1 << at
                    again = True
        return done, state, piece, place

    def _next(self, done: int, state: int, piece: int, place: int) -> Iterator[tuple[int, int, int, int]]:
        for at in self._possible(done):
            step = self._steps[at]
            if not step.fits(state):
                continue
            if step.opens is not None:
                if step.opens == piece + 1 and self._is_told(piece, place):
                    yield done | 1 << at, state, step.opens, 0
            elif step.becomes is not None:
                if self._pieces is None or (self._is_told(piece, place) and piece + 1 < len(self._pieces)):
                    yield done | 1 << at, step.becomes, piece, place
                elif not self._is_told(piece, place) and self._pieces[piece][place] == step.becomes:
                    yield done | 1 << at, step.becomes, piece, place + 1

    def _is_told(self, piece: int, place: int) -> bool:
        return piece < 0 or self._pieces is None or place == len(self._pieces[piece])

    def _is_end(self, done: int, state: int, piece: int, place: int) -> bool:
        complete = self._pieces is None or (piece + 1 == len(self._pieces) and self._is_told(piece, place))
        return complete and done & self._required == self._required

    def _stuck(self, done: int, state: int, piece: int, place: int) -> str:
        lines = [
            f"no order fits: {done.bit_count()} of {len(self._steps)} steps are explained, the state is then {state}"
        ]
        if not self._is_told(piece, place) and self._pieces is not None:
            lines.append(f"the watch told next: {list(self._pieces[piece][place : place + 5])}")
        lines += [f"  possible: {self._steps[at].said}" for at in self._possible(done)]
        return "\n".join(lines)
