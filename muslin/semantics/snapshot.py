"""All resources of a cluster at one instant, as values: the input of every pure computation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar, cast

from muslin.resources.base import Resource
from muslin.resources.keys import Key

__all__ = ["Snapshot"]

_R = TypeVar("_R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Mapping[Key, Resource]: every object that could be read, at one revision of the datastore."""

    resources: Mapping[Key, Resource] = field(default_factory=dict)
    revision: str = "0"
    _sorted: dict[type[Resource], tuple[Resource, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What `all` has found already: a function of `resources`, made once."""

    @classmethod
    def of(cls, resources: Iterable[Resource], revision: str = "0") -> Snapshot:
        """A snapshot of these resources; later ones with the same key win."""
        return cls(MappingProxyType({resource.key: resource for resource in resources}), revision)

    def all(self, kind: type[_R]) -> tuple[_R, ...]:
        """Resources of one kind, ordered by namespace and name."""
        found = self._sorted.get(kind)
        if found is None:
            named = ((key, it) for key, it in self.resources.items() if isinstance(it, kind))
            ordered = sorted(named, key=lambda item: (item[0].namespace or "", item[0].name))
            found = self._sorted[kind] = tuple(it for _, it in ordered)
        return cast("tuple[_R, ...]", found)

    def get(self, kind: type[_R], name: str, namespace: str | None = None) -> _R | None:
        """One resource, None where there is none."""
        found = self.resources.get(Key(kind.__name__, name, namespace))
        return found if isinstance(found, kind) else None
