"""One cluster being asked about: its facts, answers and refusals so far, and people's overrides.

Rules are functions of this value and give an `Outcome`; what shows them that an answer is possible is `Option.broken`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from blueprints.decision import Alternative, Blueprint, Decision, FileGroup, Outcome
from blueprints.fact_parts import OverrideFacts
from blueprints.facts import Facts
from blueprints.musts import Must, refuse
from blueprints.stages import Procedure
from muslin.errors import BadInput, Problem
from muslin.resources.keys import Key
from muslin.resources.places import FieldPath, Places, place_of
from muslin.resources.problems import nearest

__all__ = ["OVERRIDABLE", "Asked", "Option", "Premise", "overridden"]

OVERRIDABLE: Final = (
    "datastore", "fan-out", "fan-out replicas", "block size", "encapsulation", "encapsulation IPv6", "MTU",
    "route distribution", "backend", "next hop",
)  # fmt: skip
"""Questions to which somebody may give another answer than the rule's; the others are facts."""


@dataclass(frozen=True, slots=True)
class Option:
    """One possible answer.

    Attributes:
        name: as people say it.
        rule: why it is the answer, where it is.
        against: why it is not, where a better one is possible.
        consequence: what it means for whoever runs the cluster.
        source: section that it is from.
        broken: musts that it would break here, in words; it is not possible if there are any.
    """

    name: str
    rule: str
    against: str
    consequence: str
    source: str
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Premise:
    """What a blueprint is about, where that is an answer of its own.

    Attributes:
        blueprint: its name.
        modes: Mapping[IP version, encapsulations that it takes, best first].
        note: what else is to know of these.
        source: section of the architecture.
    """

    blueprint: str
    modes: Mapping[int, tuple[str, ...]]
    note: str
    source: str


class Asked:
    """Facts with their places, and everything that was answered about them.

    Args:
        facts: of the cluster.
        places: where the facts stand in their text, if known.
        file: name of that text.
        premise: what the blueprint is about, where it asks for an encapsulation.
    """

    def __init__(
        self, facts: Facts, places: Places | None = None, file: str | None = None, premise: Premise | None = None
    ) -> None:
        self.facts = facts
        self.premise = premise
        self._places, self._file = places, file
        self._overrides: dict[str, tuple[int, OverrideFacts]] = {
            each.decision.casefold(): (index, each) for index, each in enumerate(facts.overrides)
        }
        self._asked_about: list[str] = []
        self.decisions: list[Decision] = []
        self.problems: list[Problem] = []

    def place(self, *path: str | int) -> str:
        """Where a fact stands, for people."""
        steps: FieldPath = path
        return str(place_of(steps, self._places, self._file))

    def add(self, outcome: Outcome) -> Decision | None:
        """Note an outcome; gives the decision, None for a refusal."""
        if isinstance(outcome, Decision):
            self.decisions.append(outcome)
            return outcome
        self.problems.extend(outcome)
        return None

    def override(self, name: str) -> tuple[int, OverrideFacts] | None:
        """What somebody wants instead of the rule's answer to this question, and its position among the overrides."""
        self._asked_about.append(name)
        return self._overrides.get(name.casefold())

    def choose(
        self,
        name: str,
        options: Sequence[Option],
        inputs: Mapping[str, str],
        fields: tuple[tuple[Key, FieldPath], ...] = (),
        must: Must = Must.A_WAY_BETWEEN_NODES,
    ) -> Outcome:
        """The first option that breaks no must, or the one that an override names.

        Args:
            name: the question.
            options: best first; at least one must be possible, else ask `broken` yourself first.
            inputs: facts that it depends on.
            fields: what it determines.
            must: what an option that is not possible would break.
        """
        best = next(option for option in options if not option.broken)
        wanted = self.override(name)
        if wanted is None:
            return _decided(name, best, options, inputs, fields)
        index, override = wanted
        by_name = {option.name.casefold(): option for option in options}
        chosen = by_name.get(override.chosen.casefold())
        where = self.place("overrides", index, "chosen")
        if chosen is None:
            meant = nearest(override.chosen, [option.name for option in options])
            known = ", ".join(option.name for option in options)
            fix = f"did you mean {meant}?" if meant else f"one of {known}"
            return refuse(Must.OVERRIDE_KNOWN, f"{override.chosen!r} is no answer to {name!r}", where, fix)
        if chosen.broken:
            what = f"{name} can't be {chosen.name}: {'; '.join(chosen.broken)}"
            fix = f"remove the override: the rule chooses {best.name}; or correct the facts"
            return refuse(must, what, where, fix, chosen.source)
        decided = _decided(name, chosen, options, inputs, fields)
        if chosen is best:
            return decided
        return overridden(decided, best.name, override)

    def unknown_overrides(self) -> tuple[Problem, ...]:
        """Overrides of what nobody asks here, or what can't be overridden."""
        known = {name.casefold() for name in OVERRIDABLE}
        asked = {name.casefold() for name in self._asked_about}
        return tuple(
            problem
            for name, (index, each) in self._overrides.items()
            if name not in known or (name not in asked and not self.problems)
            for problem in refuse(
                Must.OVERRIDE_KNOWN,
                f"the decision {each.decision!r} can't be overridden here",
                self.place("overrides", index, "decision"),
                f"one of {', '.join(OVERRIDABLE)}; other wishes are facts of their own",
            )
        )

    def finish(
        self, name: str, groups: tuple[FileGroup, ...] = (), procedures: tuple[Procedure, ...] = ()
    ) -> Blueprint:
        """The blueprint. Raises BadInput with every reason against it."""
        self.refuse_if_any()
        return Blueprint(name, self.facts.name, tuple(self.decisions), groups, procedures)

    def refuse_if_any(self) -> None:
        """Raise BadInput with every reason so far, if there is any."""
        problems = (*self.problems, *self.unknown_overrides())
        if problems:
            raise BadInput(problems)


def overridden(decided: Decision, by_rule: str, override: OverrideFacts) -> Decision:
    """A decision that is not the rule's, with the reason that somebody gave."""
    reason = " ".join("".join(each if each.isprintable() else " " for each in override.reason).split())
    rule = f"overridden, because {reason.rstrip('.')}; the rule chooses {by_rule}"
    return replace(decided, rule=rule, override=reason)


def _decided(
    name: str,
    chosen: Option,
    options: Sequence[Option],
    inputs: Mapping[str, str],
    fields: tuple[tuple[Key, FieldPath], ...],
) -> Decision:
    others = tuple(
        Alternative(option.name, "; ".join(option.broken) or option.against) for option in options if option != chosen
    )
    return Decision(name, chosen.name, chosen.rule, inputs, others, chosen.consequence, chosen.source, fields)
