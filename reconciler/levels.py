"""A plan's steps as levels: what may be taken at once, and what must have happened before. Pure; printed by `plan`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from muslin.resources.keys import Key
from reconciler.order import Group, Place, Stage, depths, placed, waits
from reconciler.plan import Step

__all__ = ["Level", "Missed", "Placed", "levels", "spoken"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A step and its place in the graph."""

    step: Step
    place: Place

    @property
    def group(self) -> Group:
        """What it shares its level and its gate with."""
        return self.place.stage, self.place.delete


@dataclass(frozen=True, slots=True)
class Level:
    """Steps without a way to each other in the graph. `groups`: stage, and whether it deletes, in the walk's order."""

    number: int
    groups: tuple[Group, ...]
    steps: tuple[Placed, ...]


def levels(steps: Iterable[Step], *, staged_first: bool = False) -> tuple[Level, ...]:
    """The levels of a plan's steps, in the order in which they are taken; within one, in the order of the plan.

    Args:
        steps: of one plan.
        staged_first: staged policies are written before any policy that is enforced.
    """
    found = [Placed(step, placed(step.key, step.value, delete=step.deletes, former=step.former)) for step in steps]
    depth = depths(dict.fromkeys(each.group for each in found), staged_first=staged_first)
    result = []
    for number in sorted(set(depth.values())):
        members = tuple(each for each in found if depth[each.group] == number)
        result.append(Level(number, tuple(dict.fromkeys(each.group for each in members)), members))
    return tuple(result)


def spoken(found: Iterable[Level]) -> Iterator[str]:
    """The levels in words, one line each."""
    for level in found:
        words = []
        for stage, delete in level.groups:
            count = sum(each.group == (stage, delete) for each in level.steps)
            words.append(f"{'remove' if delete else 'write'} {_NAMES[stage]} ({count})")
        yield f"{level.number}. {', '.join(words)}"


_NAMES = {
    Stage.CONFIGURATION: "configuration",
    Stage.POOLS: "pools",
    Stage.MESH: "BGP configuration",
    Stage.FILTERS: "BGP filters",
    Stage.NODES: "nodes",
    Stage.PEERS: "BGP peers",
    Stage.REFLECTORS: "nodes that become reflectors",
    Stage.RETIRING: "nodes that give up peers",
    Stage.MESH_OFF: "the mesh going off",
    Stage.TIERS: "tiers",
    Stage.SELECTED: "what policies select",
    Stage.STAGED: "staged policies",
    Stage.ALLOWING: "policies that allow",
    Stage.DENYING: "policies that deny",
    Stage.CLOSING: "policies that select everything",
    Stage.SHUTTING: "policies that allow nothing",
    Stage.ENDPOINTS: "host endpoints",
}


@dataclass(slots=True)
class Missed:
    """Steps that did not happen, asked for the one that another must come after."""

    _by_group: dict[Group, dict[str, Key]] = field(default_factory=dict)

    def add(self, each: Placed) -> None:
        """This step did not happen. One of each group and name of a tier is enough to hold back what follows."""
        name = each.place.key.name if each.place.stage is Stage.TIERS else each.place.tier
        self._by_group.setdefault(each.group, {}).setdefault(name, each.step.key)

    def blocker(self, each: Placed) -> Key | None:
        """The object that this step must come after, None where it may be taken."""
        for (stage, delete), missed in self._by_group.items():
            for name, key in missed.items():
                if waits(each.place, Place(key, stage, delete, name)):
                    return key
        return None
