"""From what is in force to what a commit of facts wishes, in the stages that blueprints give for it: pure, from values.

A course begins at a start: of the objects that decide about addresses and routes, the part that files declare, as it
was before the first stage. The start and the wish give the same course again, so that only the start and the number
of the stage are remembered. What a datastore holds and no file of ours speaks of is the same on both sides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any, Final

from blueprints.stages import Condition, Procedure, Stage, after_stage
from muslin import resources
from muslin.datastore.protocol import Entry, Json
from muslin.errors import BadInput, MuslinError, Problem
from muslin.resources.base import Resource
from muslin.resources.keys import Key
from reconciler.compare import SHARED_KINDS, canonical, differences, ours, stripped
from reconciler.ledger import Owned
from reconciler.manifests import Declared, Reading
from reconciler.plan import CONFIRMED_KINDS, Plan

__all__ = [
    "KINDS", "PEOPLE", "Course", "Start", "commands_of", "course", "desired", "node_addresses", "start_of", "touched",
    "wish_of", "with_course",
]  # fmt: skip

KINDS: Final = ("BGPConfiguration", "BGPPeer", "FelixConfiguration", "IPPool", "Node")
"""What stages write."""

PEOPLE: Final = frozenset({Condition.ONLY_DAEMONS, Condition.POOL_EMPTY, Condition.PODS_REMADE, Condition.CONFIRMED})
"""Conditions that come true when people act, in their own time."""

_NODES_OWN: Final = ("asNumber", "routeReflectorClusterID")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a course begins, beside the wish.

    Attributes:
        former: Mapping[key, what files declared of it] of everything that differs from the wish; None: not there.
        others: Mapping[key, object] of what is there and nobody's in these files.
        nodes: names of the nodes that run.
        mtus: of the pods that run and of those to come, bytes, where they are known.
    """

    former: Mapping[Key, Json | None]
    others: Mapping[Key, Json] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    mtus: tuple[int | None, int | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Course:
    """Procedures in their order, and the stage that is under way, from 1 on."""

    start: Start
    procedures: tuple[Procedure, ...]
    number: int = 1

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Of all procedures."""
        return tuple(stage for each in self.procedures for stage in each.stages)

    @property
    def stage(self) -> Stage:
        """The one that is under way."""
        return self.stages[self.number - 1]

    @property
    def procedure(self) -> Procedure:
        """The one whose stage is under way."""
        left = self.number
        for each in self.procedures:
            if left <= len(each.stages):
                return each
            left -= len(each.stages)
        raise IndexError(self.number)

    @property
    def title(self) -> str:
        """The stage under way in a few words."""
        return f"stage {self.number} of {len(self.stages)}: {self.stage.name}"

    @property
    def touched(self) -> frozenset[Key]:
        """What any stage writes or removes."""
        return frozenset(key for stage in self.stages for key in touched(stage))

    @property
    def removes(self) -> frozenset[Key]:
        """Objects that are gone in the end; a node only loses what is ours of it."""
        return frozenset(key for stage in self.stages for key in stage.remove if key.kind not in SHARED_KINDS)

    @property
    def following(self) -> Course | None:
        """The same in its next stage; None after the last."""
        return replace(self, number=self.number + 1) if self.number < len(self.stages) else None

    def to_json(self) -> dict[str, Any]:
        """For programs: every stage, and which one is under way."""
        found: list[dict[str, Any]] = []
        number = 0
        for procedure in self.procedures:
            told = []
            for stage in procedure.stages:
                number += 1
                told.append({"number": number, **_stage(stage)})
            found.append(
                {"name": procedure.name, "purpose": procedure.purpose, "source": procedure.source, "stages": told}
            )
        return {"stage": self.number, "of": number, "procedures": found}


def touched(stage: Stage) -> tuple[Key, ...]:
    """What a stage writes or removes."""
    return (*(each.key for each in stage.write), *stage.remove)


def commands_of(stage: Stage) -> tuple[str, ...]:
    """What people do in a stage: its commands, and the word for each object that goes only when confirmed."""
    asked = (key for key in stage.remove if key.kind in CONFIRMED_KINDS)
    return (*stage.commands, *(f"muslin confirm {key.kind.lower()} {key.name}" for key in asked))


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "reason": stage.reason,
        "write": [str(each.key) for each in stage.write],
        "remove": [str(key) for key in stage.remove],
        "until": [{"condition": each.condition.value, "meaning": str(each)} for each in stage.until],
        "people": any(each.condition in PEOPLE for each in stage.until),
        "commands": list(commands_of(stage)),
        "back": stage.back,
    }


def start_of(
    reading: Reading,
    live: Mapping[Key, Entry],
    owned: Mapping[Key, Owned],
    mtu: int | None = None,
    *,
    nodes: tuple[str, ...] = (),
) -> Start | None:
    """Where a course to what a commit declares would begin; None where none is needed.

    None is needed for plain resources, where nothing changes, and where no node runs.

    Args:
        reading: of the commit.
        live: what is there.
        owned: the ledger.
        mtu: of the pods that run, bytes, where it is known.
        nodes: that run, where no datastore says it.
    """
    if reading.facts is None:
        return None
    former: dict[Key, Json | None] = {key: None for key in reading.resources if key.kind in KINDS and key not in live}
    others: dict[Key, Json] = {}
    for key, entry in live.items():
        if key.kind not in KINDS:
            continue
        mine, declared = owned.get(key), reading.resources.get(key)
        base = mine.applied if mine is not None else None
        if declared is not None:
            seen = ours(canonical(entry.value), declared.value, base)
            if differences(seen, declared.value):
                former[key] = seen
        elif base is not None:
            former[key] = ours(canonical(entry.value), base, base)
        else:
            theirs = _of_node(entry.value) if key.kind == "Node" else stripped(entry.value)
            if theirs is not None:
                others[key] = theirs
    before = reading.facts.running_mtu if mtu is None else mtu
    smaller = before is not None and reading.facts.mtu is not None and reading.facts.mtu < before
    if not former and not smaller:
        return None
    nodes = nodes or tuple(
        sorted(key.name for key, entry in live.items() if key.kind == "Node" and node_addresses(entry.value))
    )
    if not nodes:
        return None
    return Start(former, others, nodes, (before, reading.facts.mtu))


def wish_of(reading: Reading) -> dict[Key, Json]:
    """Mapping[key, JSON]: of what a commit declares, that which stages write."""
    return {key: each.value for key, each in reading.resources.items() if key.kind in KINDS}


def course(start: Start, reading: Reading, number: int = 1) -> Course | tuple[Problem, ...] | None:
    """The course from a start to what a commit declares; problems where there is none; None where none is needed.

    Args:
        start: as `start_of` gave it.
        reading: of the commit.
        number: of the stage that is under way.
    """
    from blueprints.transitions import transition  # noqa: PLC0415 - for who has facts that change

    wish = wish_of(reading)
    before = {key: value for key, value in {**wish, **start.former, **start.others}.items() if value is not None}
    found = transition(_loaded(before), _loaded({**wish, **start.others}), nodes=start.nodes, mtus=start.mtus)
    if found.refused:
        return tuple(
            Problem(f"{each.key}: {each.what}", _where(reading, each.key), each.fix, each.source)
            for each in found.refused
        )
    if not found.procedures:
        return None
    made = Course(start, found.procedures)
    return replace(made, number=min(max(1, number), len(made.stages)))


def desired(chosen: Course, reading: Reading) -> Mapping[Key, Declared]:
    """What is declared in the stage that is under way: what no stage touches is as the commit says."""
    wished = {each.key: each for each in _loaded(wish_of(reading))}
    state = after_stage(chosen.procedures, wished.values(), chosen.number)
    found = {key: each for key, each in reading.resources.items() if key.kind not in KINDS}
    assert reading.facts is not None
    place = replace(reading.facts.place, path=f"({chosen.title})")
    for key, resource in state.items():
        if resource == wished.get(key):
            found[key] = reading.resources[key]
        else:
            found[key] = Declared(key, _stored(resource), place)
    return MappingProxyType(found)


def with_course(made: Plan, chosen: Course | tuple[Problem, ...] | None) -> Plan:
    """A plan with the course that it is a stage of, or with why there is none."""
    if isinstance(chosen, Course):
        return replace(made, course=chosen)
    return made if chosen is None else replace(made, refused=chosen)


def _where(reading: Reading, key: Key) -> str:
    declared = reading.resources.get(key)
    if declared is not None:
        return str(declared.place)
    return str(reading.facts.place) if reading.facts is not None else str(key)


def _loaded(values: Mapping[Key, Json]) -> tuple[Resource, ...]:
    """What can be read of it; what cannot counts as missing, on both sides."""
    return tuple(_each_loaded(values.values()))


def _each_loaded(values: Collection[Json]) -> Iterator[Resource]:
    for value in values:
        with suppress(BadInput, MuslinError):
            yield resources.load(value)


def node_addresses(value: Json) -> tuple[str, ...]:
    """What an agent has told of where a node is, as text; nothing where none runs: it has no routes to lose."""
    spec = value.get("spec")
    bgp = spec.get("bgp") if isinstance(spec, Mapping) else None
    given = [bgp.get(name) for name in ("ipv4Address", "ipv6Address")] if isinstance(bgp, Mapping) else []
    found = []
    for each in given:
        with suppress(ValueError):
            found.append(str(ip_interface(str(each)).ip))
    return tuple(found)


def _stored(resource: Resource) -> Json:
    """What was there before and would be refused today is declared as it is, and so not written."""
    try:
        return stripped(resources.as_stored(resource))
    except BadInput:
        return stripped(resources.dump(resource))


def _of_node(value: Json) -> Json | None:
    """Of a node that no file speaks of, what decides about sessions beside its address; None where there is nothing."""
    metadata, spec = value.get("metadata"), value.get("spec")
    given = spec.get("bgp") if isinstance(spec, Mapping) else None
    bgp = {name: given[name] for name in _NODES_OWN if name in given} if isinstance(given, Mapping) else {}
    if not bgp or not isinstance(metadata, Mapping):
        return None
    labels = metadata.get("labels")
    kept = {"name": metadata.get("name"), "labels": dict(labels) if isinstance(labels, Mapping) else {}}
    return {"apiVersion": value.get("apiVersion"), "kind": "Node", "metadata": kept, "spec": {"bgp": bgp}}
