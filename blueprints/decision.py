"""What a blueprint answers: decisions with their reasons, and the resources that follow, in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from blueprints.stages import Procedure
from muslin.errors import Problem
from muslin.resources.keys import Key
from muslin.resources.places import FieldPath

if TYPE_CHECKING:
    from muslin.resources.base import Resource

__all__ = ["Alternative", "Blueprint", "Decision", "FileGroup", "Later", "Outcome", "section"]


def section(title: str) -> str:
    """How we cite a section of the reference architecture."""
    return f"Calico Reference Architecture, {title!r}".replace("'", '"')


@dataclass(frozen=True, slots=True)
class Alternative:
    """What could have been chosen, and what spoke against it here."""

    name: str
    against: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One question, answered.

    Attributes:
        name: the question, in a word or two; unique within a blueprint.
        chosen: the answer.
        rule: why, as the architecture has it.
        inputs: Mapping[fact, its value]: what the answer depends on, in people's spelling.
        alternatives: what was not chosen.
        consequence: what it means for whoever runs the cluster.
        source: section of the reference architecture, or another document.
        fields: (resource, path within it) of every field that it determines.
        override: the reason that somebody gave for another answer than the rule's, None where it is the rule's.
    """

    name: str
    chosen: str
    rule: str
    inputs: Mapping[str, str]
    alternatives: tuple[Alternative, ...]
    consequence: str
    source: str
    fields: tuple[tuple[Key, FieldPath], ...] = ()
    override: str | None = None


Outcome: TypeAlias = Decision | tuple[Problem, ...]
"""An answer, or why there is none: the architecture says no."""


class Later(Mapping[str, "tuple[Resource, ...]"]):
    """Mapping[path, resources of the file] that is made when somebody looks: who only asks why needs no resource.

    Args:
        make: gives it; called once at most.
    """

    def __init__(self, make: Callable[[], Mapping[str, tuple[Resource, ...]]]) -> None:
        self._make = make
        self._made: Mapping[str, tuple[Resource, ...]] | None = None

    def _all(self) -> Mapping[str, tuple[Resource, ...]]:
        if self._made is None:
            self._made = dict(self._make())
        return self._made

    def __getitem__(self, path: str) -> tuple[Resource, ...]:
        return self._all()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Files that belong into one commit: Mapping[path, resources of the file]."""

    name: str
    purpose: str
    files: Mapping[str, tuple[Resource, ...]]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """All decisions about a cluster, and the resources in the order in which groups are meant to be pushed."""

    name: str
    cluster: str
    decisions: tuple[Decision, ...]
    groups: tuple[FileGroup, ...] = field(default=())
    procedures: tuple[Procedure, ...] = ()

    @property
    def files(self) -> Mapping[str, tuple[Resource, ...]]:
        """Mapping[path, resources] over all groups; paths are unique."""
        return MappingProxyType({path: held for group in self.groups for path, held in group.files.items()})

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Every resource, in the order of groups and files."""
        return tuple(resource for held in self.files.values() for resource in held)

    def decision(self, name: str) -> Decision:
        """The decision of this name. Raises KeyError."""
        for decision in self.decisions:
            if decision.name == name:
                return decision
        raise KeyError(name)
