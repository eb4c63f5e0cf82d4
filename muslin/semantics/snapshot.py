"""All resources of a cluster at one instant, as values: the input of every pure computation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from muslin.resources.base import Resource
from muslin.resources.keys import Key

__all__ = ["Snapshot"]

_R = TypeVar("_R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Mapping[Key, Resource]: every object that could be read, at one revision of the datastore."""

    resources: Mapping[Key, Resource] = field(default_factory=dict)
    revision: str = "0"

    @classmethod
    def of(cls, resources: Iterable[Resource], revision: str = "0") -> Snapshot:
        """A snapshot of these resources; later ones with the same key win."""
        return cls(MappingProxyType({resource.key: resource for resource in resources}), revision)

    def all(self, kind: type[_R]) -> tuple[_R, ...]:
        """Resources of one kind, ordered by namespace and name."""
        found = [resource for resource in self.resources.values() if isinstance(resource, kind)]
        return tuple(sorted(found, key=lambda resource: (resource.key.namespace or "", resource.key.name)))

    def get(self, kind: type[_R], name: str, namespace: str | None = None) -> _R | None:
        """One resource, None where there is none."""
        found = self.resources.get(Key(kind.__name__, name, namespace))
        return found if isinstance(found, kind) else None
