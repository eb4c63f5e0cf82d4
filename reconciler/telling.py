"""What one reconciler says while it works: events, each that stays true told once for each commit in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from muslin.datastore.field_ownership import FieldOwner, TakenField
from muslin.errors import Problem
from muslin.resources.keys import Key
from reconciler.apply import Outcome
from reconciler.control import HeldCommit
from reconciler.digest import deeds
from reconciler.drift import Mode
from reconciler.gates import Standing, Verdict
from reconciler.hidden import shown
from reconciler.plan import Action, Cause, Plan, Step
from reconciler.remotes import short
from reconciler.source import Head
from reconciler.status import Event, EventKind, Repair, Status

__all__ = ["Teller", "fetch_words", "moved_problem", "refused_problem", "stale_problem", "with_outcome"]

_MOST_ABOUT: Final = 8


class Teller:
    """Numbers the looks of a process and tells their events.

    Args:
        tell: is given every event.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._said: set[tuple[EventKind, str]] = set()
        self._about: Counter[tuple[EventKind, str]] = Counter()
        self.look = 0

    def forget(self) -> None:
        """A commit came into force: what was said is news again."""
        self._said.clear()
        self._about.clear()

    def event(self, kind: EventKind, message: str, commit: str | None = None) -> None:
        """Tell an event."""
        self._tell(Event(kind, self.look, message, commit))

    def say(self, kind: EventKind, message: str, commit: str | None = None, *, about: str | None = None) -> None:
        """Tell an event that stays true over many looks only once for each commit in force.

        Of messages `about` one thing the first few are told: what is waited for during days changes all the time.
        """
        known, thing = (kind, f"{commit} {message}"), (kind, f"{commit} {about}")
        if known in self._said or (about is not None and self._about[thing] >= _MOST_ABOUT):
            return
        self._said.add(known)
        self._about[thing] += about is not None
        more = "; how it goes on, the status says" if self._about[thing] == _MOST_ABOUT else ""
        self.event(kind, f"{message}{more}", commit)

    def fetched(self, known: Mapping[str, Any] | None, now: Mapping[str, Any], commit: str | None) -> None:
        """Tell how the fetch stands, and what became of reverts, where it is news. `known` is None at first."""
        words, before = dict(now), dict(known or {})
        reverts, told = words.pop("reverts", []), before.pop("reverts", [])
        if known is None or words != before:
            said = " ".join(str(word) for word in words.values() if word)
            said = said or "no fetcher has run: start `muslin fetch` with the same --mirror"
            self.event(EventKind.FETCH, said, commit)
        for each in reverts:
            if each not in told:
                self.say(EventKind.REVERT, each["said"], each["commit"])

    def outcome(
        self, proposed: Plan, outcome: Outcome, at: str, who: Mapping[Key, FieldOwner] = MappingProxyType({})
    ) -> tuple[Repair, ...]:
        """Events of one apply; gives what was drift. `at` is the time now, RFC 3339, `who` caused drift."""
        repairs: list[Repair] = []
        for step in outcome.done:
            if step.cause is Cause.DRIFT:
                by = who.get(step.key)
                repairs.append(Repair(step.key, shown(step.fields), at, *((by.manager, by.at) if by else ())))
            self._tell(_done(step, self.look, proposed.commit, who.get(step.key)))
        for step, problems in outcome.failed:
            self.say(EventKind.OBJECT_FAILED, f"{step.action} {step.key}: {problems[0].what}", proposed.commit)
        for step, other in outcome.waiting:
            self.say(EventKind.OBJECT_WAITS, f"{step.action} {step.key} waits for {other}", proposed.commit)
        for key, fields in outcome.left.items():
            named = ", ".join(f"{each.path} ({each.manager})" for each in fields)
            self.say(EventKind.FIELDS_LEFT, f"{key}: left to their owners: {named}", proposed.commit)
        for drifted in proposed.drifted:
            if drifted.mode is Mode.REPORT:
                what = ", ".join(each.path for each in drifted.fields[:5]) or "all of it"
                self.say(EventKind.DRIFT_FOUND, f"{drifted.key}: somebody changed {what}", proposed.commit)
        for each in proposed.blocked:
            self.say(EventKind.OBJECT_BLOCKED, f"{each.problem.what}; {each.problem.fix}", proposed.commit)
        if outcome.done or outcome.failed or outcome.stale:
            counts = ", ".join(f"{count} {name}" for name, count in proposed.counts.items() if count)
            self.event(EventKind.APPLIED if outcome.complete else EventKind.INCOMPLETE, counts, proposed.commit)
        return tuple(repairs)


def _done(step: Step, look: int, commit: str, who: FieldOwner | None = None) -> Event:
    if step.cause is Cause.DRIFT:
        deed = "deleted" if step.action is Action.CREATE else "changed"
        kind, message = EventKind.DRIFT_REPAIRED, f"{step.key} was {deed} by {_name(who)} and is put back"
    else:
        kind, message = EventKind.OBJECT_WRITTEN, f"{step.action} {step.key}"
    later = {each.path for each in step.then.fields} if step.then is not None else frozenset()
    told = shown(each for each in step.fields if each.path not in later)
    return Event(kind, look, message, commit, step.key, told if step.action in (Action.UPDATE, Action.ADOPT) else ())


def _name(who: FieldOwner | None) -> str:
    return "somebody else" if who is None else f"{who.manager} at {who.at}"


def fetch_words(head: Head, held: HeldCommit | None = None) -> dict[str, Any]:
    """How the fetch stands, for the status; with what became of a revert of the commit that is held."""
    if head.fetch is None:
        return {}
    state = head.fetch
    wanted = () if held is None else tuple(each for each in state.reverts if each.commit in held.commit)
    words: dict[str, Any] = {
        "standing": state.standing.value,
        "repository": state.repository,
        "branch": state.branch,
        "rewrittenFrom": state.rewritten_from or "",
        "message": state.message,
    }
    if wanted:
        words["reverts"] = [
            {
                "commit": each.commit, "standing": each.standing.value, "branch": each.branch, "made": each.made or "",
                "said": f"the revert of {short(each.commit)}: {each}",
            }
            for each in wanted
        ]  # fmt: skip
    return words


def refused_problem(key: Key, fields: Iterable[TakenField]) -> Problem:
    """Fields of others that must not be taken, and that want something else."""
    named = ", ".join(f"{each.path} ({each.manager})" for each in fields)
    return Problem(
        f"others own fields that must not be taken: {named}", str(key), "agree whose they are, and change one"
    )


def moved_problem(proposed: Plan, count: int) -> tuple[Problem, str]:
    """What is to be done is not what was approved; and the digest that would be."""
    what = f"{count} changes are not those that were approved: somebody wrote meanwhile"
    digest = f"sha256:{deeds(proposed)}"
    return Problem(what, proposed.commit, f"read the plan again, then: muslin approve {digest}"), digest


def stale_problem(steps: Sequence[Step]) -> Problem:
    """Others wrote what the plan was made of."""
    named = ", ".join(str(step.key) for step in steps[:5])
    return Problem(f"{len(steps)} objects were written by others meanwhile", named, "nothing: they are planned again")


def with_outcome(status: Status, proposed: Plan, outcome: Outcome, verdicts: Iterable[Verdict]) -> Status:
    """What became of a plan, and which gates are not simply open."""
    return replace(
        status,
        accepted=proposed.commit,
        blocked=tuple((each.key, each.why.value, each.problem) for each in proposed.blocked),
        failed=(
            *((step.key, problem) for step, problems in outcome.failed for problem in problems[:1]),
            *((key, refused_problem(key, fields)) for key, fields in outcome.refused.items()),
        ),
        waiting=tuple((step.key, other) for step, other in outcome.waiting),
        gates=tuple(each for each in verdicts if each.standing is not Standing.OPEN),
        gated=tuple(step.key for step in outcome.gated),
        drifted=proposed.drifted,
    )
