"""Ways from one state of a running cluster to another, as values: ordered stages, each with what ends it.

Whoever carries one out (a person with the files of a stage, the reconciler with these values) writes what a stage
says, removes what it says, and begins the next when every condition of it holds. It never skips one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muslin.net import Prefix
from muslin.resources.keys import Key

if TYPE_CHECKING:
    from muslin.resources.base import Resource

__all__ = ["Condition", "Procedure", "Stage", "Until", "after_stage", "count_of_stages"]


class Condition(enum.Enum):
    """What can end a stage; the value is what programs read. Which fields of `Until` it uses stands beside it."""

    STORED = "Stored"
    """The datastore holds what the stage writes, and nothing that it removes. No parameters."""
    ONLY_DAEMONS = "OnlyDaemons"
    """On `nodes` no pods run but those of DaemonSets."""
    SESSIONS = "Sessions"
    """Each of `nodes` has Established sessions with at least `count` of `peers` (nodes' names or addresses)."""
    ROUTES = "Routes"
    """Each of `nodes` has a route to every block of every other node."""
    POOL_EMPTY = "PoolEmpty"
    """No address in `prefix` is assigned, and no node has a block of it."""
    PODS_REMADE = "PodsRemade"
    """Every pod on `nodes` was made after the stage's objects were written."""
    CONFIRMED = "Confirmed"
    """A person says that `text` is so: nobody else can see it."""


@dataclass(frozen=True, slots=True)
class Until:
    """One condition with its parameters.

    Attributes:
        condition: what must be so.
        nodes: which nodes must fulfil it; every node where empty.
        but: nodes that need not, where `nodes` is empty.
        peers: with `SESSIONS`, the other ends: names of nodes, or addresses.
        count: with `SESSIONS`, how many of the peers.
        prefix: with `POOL_EMPTY`, the pool's range.
        text: with `CONFIRMED`, what is to be confirmed.
    """

    condition: Condition
    nodes: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    count: int = 0
    prefix: Prefix | None = None
    text: str = ""

    def __str__(self) -> str:
        who = ", ".join(self.nodes) if self.nodes else f"every node but {', '.join(self.but)}" if self.but else ""
        match self.condition:
            case Condition.STORED:
                return "the datastore holds what this stage writes, and nothing that it removes"
            case Condition.ONLY_DAEMONS:
                return f"no pods but those of DaemonSets run on {who or 'any node'}"
            case Condition.SESSIONS:
                listed = _all_of(self.peers)
                of = f"each of {listed}" if self.count == len(self.peers) else f"at least {self.count} of {listed}"
                return f"{who or 'every node'} has an Established session with {of}"
            case Condition.ROUTES:
                return f"{who or 'every node'} has a route to every block of the other nodes"
            case Condition.POOL_EMPTY:
                return f"no address of {self.prefix} is assigned, and no block of it is left"
            case Condition.PODS_REMADE:
                return f"every pod on {who or 'any node'} was made after this stage began"
        return self.text


def _all_of(names: Sequence[str]) -> str:
    shown = 6
    return ", ".join(names) if len(names) <= shown else f"{', '.join(names[:shown])} and {len(names) - shown} more"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a change that must not be made at once.

    Attributes:
        name: what it does, in a few words.
        reason: why it stands here and not earlier or later.
        until: what must all be true before the next stage begins; at least one condition.
        back: how to undo it.
        write: objects that are created or replaced. Of a Node they hold only what files declare: what an earlier
            stage declared of it and this one does not is taken back.
        remove: objects that are deleted.
        commands: what a person or another program runs first, in order; empty where objects say it all.
    """

    name: str
    reason: str
    until: tuple[Until, ...]
    back: str
    write: tuple[Resource, ...] = ()
    remove: tuple[Key, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Procedure:
    """Stages from one state of a cluster to another, in order; each may be the last for a while.

    Attributes:
        name: the change, in a few words.
        purpose: what is kept by not making it at once.
        source: section of the reference architecture, or another document.
        stages: at least one.
        before: what its stages change or remove, as it is before the first.
    """

    name: str
    purpose: str
    source: str
    stages: tuple[Stage, ...]
    before: tuple[Resource, ...] = ()


def count_of_stages(procedures: Iterable[Procedure]) -> int:
    """How many stages they have together."""
    return sum(len(each.stages) for each in procedures)


def after_stage(procedures: Sequence[Procedure], wished: Iterable[Resource], number: int) -> Mapping[Key, Resource]:
    """Mapping[key, object] of everything that is declared once so many stages have ended, one procedure after another.

    What no procedure touches is as wished from the beginning; after the last stage everything is.

    Args:
        procedures: in the order in which they are carried out.
        wished: every object in the end.
        number: stages that have ended, 0 for none.

    Raises:
        ValueError: there are not so many stages.
    """
    stages = [stage for each in procedures for stage in each.stages]
    if not 0 <= number <= len(stages):
        raise ValueError(f"there are {len(stages)} stages, not {number}")
    final = {each.key: each for each in wished}
    if number == len(stages):
        return final
    touched = {key for stage in stages for key in (*(each.key for each in stage.write), *stage.remove)}
    state = {key: each for key, each in final.items() if key not in touched}
    for procedure in reversed(procedures):
        state |= {each.key: each for each in procedure.before}
    for stage in stages[:number]:
        state |= {each.key: each for each in stage.write}
        for key in stage.remove:
            state.pop(key, None)
    return {key: state[key] for key in (*final, *state) if key in state}
