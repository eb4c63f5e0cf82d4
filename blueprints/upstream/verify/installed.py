"""What was read of an installation, and how to ask it for values: nothing that is read is trusted to have a shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from muslin.errors import Place
from muslin.resources.places import FieldPath, Places, spell_path

__all__ = ["Found", "Installed", "Variable", "value_at"]

_API_GROUPS: Final = {
    "DaemonSet": "apps",
    "Deployment": "apps",
    "Installation": "operator.tigera.io",
    "APIServer": "operator.tigera.io",
    "PodDisruptionBudget": "policy",
}
"""Mapping[kind, its API group]: others may have kinds of the same name."""
_CALICOS: Final = ("projectcalico.org", "crd.projectcalico.org")
_CALICOS_KINDS: Final = frozenset(
    {"BGPConfiguration", "BGPPeer", "FelixConfiguration", "GlobalNetworkPolicy", "IPPool", "Node"}
)


def value_at(value: Any, path: FieldPath) -> Any:
    """What stands at a path; None where nothing does, or something else stands on the way."""
    for step in path:
        if isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list | tuple) and isinstance(step, int) and 0 <= step < len(value):
            value = value[step]
        else:
            return None
    return value


@dataclass(frozen=True, slots=True)
class Found:
    """One object that was read. `places` is None where it came from no text; then `source` says where from."""

    value: Mapping[str, Any]
    source: str
    places: Places | None = None

    @property
    def kind(self) -> str:
        """Its kind as it says it."""
        return str(self.value.get("kind"))

    @property
    def name(self) -> str:
        """Its name."""
        return str(value_at(self.value, ("metadata", "name")))

    @property
    def namespace(self) -> str | None:
        """Its namespace, where it says one."""
        told = value_at(self.value, ("metadata", "namespace"))
        return told if isinstance(told, str) else None

    def at(self, *path: str | int) -> Any:
        """What stands at a path; None where nothing does."""
        return value_at(self.value, path)

    def place(self, *path: str | int) -> str:
        """Where that is, for people."""
        if self.places is not None:
            return str(self.places.at(path))
        return str(Place(f"{self.source}  {self.kind} {self.name}", path=spell_path(path) or None))


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a container.

    Attributes:
        text: its value, None where it comes from where we do not see.
        told: what stands there, for people.
        place: where.
        key: of a ConfigMap, where it comes from one.
    """

    text: str | None
    told: str
    place: str
    key: str | None = None


@dataclass(frozen=True)
class Installed:
    """Everything that was read.

    Attributes:
        objects: what could be read.
        running: whether a cluster was asked: then what is not among the objects is not there.
        unread: Mapping[kind, why]: what a cluster did not let us see.
    """

    objects: tuple[Found, ...]
    running: bool = False
    unread: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _by_kind(self) -> Mapping[str, Mapping[str, Sequence[Found]]]:
        """Mapping[kind, Mapping[name, objects]] of the kinds that we know, told apart by their API groups."""
        found: dict[str, dict[str, list[Found]]] = {}
        for each in self.objects:
            group, _, _ = str(each.value.get("apiVersion")).rpartition("/")
            kind = each.kind
            if group in _CALICOS if kind in _CALICOS_KINDS else group == _API_GROUPS.get(kind, ""):
                found.setdefault(kind, {}).setdefault(each.name, []).append(each)
        return found

    def all(self, kind: str) -> Iterator[Found]:
        """Every object of a kind."""
        for named in self._by_kind.get(kind, {}).values():
            yield from named

    def find(self, kind: str, name: str, namespace: str | None = None) -> Found | None:
        """The first object of this name; without a namespace in any."""
        for each in self._by_kind.get(kind, {}).get(name, ()):
            if namespace is None or each.namespace in (namespace, None):
                return each
        return None

    def container(self, workload: Found, name: str) -> FieldPath | None:
        """Path of a container of this name in a DaemonSet or Deployment."""
        for group in ("containers", "initContainers"):
            path = ("spec", "template", "spec", group)
            listed = workload.at(*path)
            for index, each in enumerate(listed if isinstance(listed, list) else ()):
                if value_at(each, ("name",)) == name:
                    return (*path, index)
        return None

    def variables(self, workload: Found, container: FieldPath) -> dict[str, Variable]:
        """Mapping[name, variable] of a container, with what a ConfigMap that was read says; the last one of a name."""
        listed = workload.at(*container, "env")
        found: dict[str, Variable] = {}
        for index, each in enumerate(listed if isinstance(listed, list) else ()):
            name = value_at(each, ("name",))
            if isinstance(name, str):
                found[name] = self._variable(workload, each, (*container, "env", index))
        return found

    def _variable(self, workload: Found, entry: Any, path: FieldPath) -> Variable:
        place = workload.place(*path)
        source = value_at(entry, ("valueFrom", "configMapKeyRef"))
        if source is not None:
            name, key = value_at(source, ("name",)), value_at(source, ("key",))
            held = self.find("ConfigMap", str(name), workload.namespace)
            text = held.at("data", str(key)) if held is not None else None
            told = f"key {key} of ConfigMap {name}"
            seen = text if isinstance(text, str) else None
            return Variable(seen, told if seen is None else f"{seen} ({told})", place, str(key))
        if value_at(entry, ("valueFrom",)) is not None:
            return Variable(None, "from a field or a Secret", place)
        value = value_at(entry, ("value",))
        text = "" if value is None else value if isinstance(value, str) else str(value)
        return Variable(text, text, place)
