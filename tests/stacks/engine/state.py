"""What the engine remembers of a stack between two runs: its resources, in the order in which they were made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.stacks.engine.values import stored

__all__ = ["Remembered", "State"]


@dataclass(slots=True)
class Remembered:
    """One resource. `inputs` with secrets in their envelopes, as registered; `outputs` as the provider gave them."""

    urn: str
    type: str
    custom: bool
    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    protect: bool = False
    retain: bool = False
    hidden: frozenset[str] = frozenset()
    unfinished: bool = False
    """Written, and not as it was waited for: the next `up` writes it again."""

    @property
    def name(self) -> str:
        """The last part of the URN."""
        return self.urn.rpartition("::")[2]


@dataclass(slots=True)
class State:
    """Mapping[urn, resource] of a stack."""

    project: str
    stack: str
    resources: dict[str, Remembered] = field(default_factory=dict)

    def named(self, name: str) -> Remembered:
        """The one resource of this name."""
        (found,) = (each for each in self.resources.values() if each.name == name)
        return found

    def last_first(self) -> Iterator[Remembered]:
        """Everything after all that depends on it: the order of deletion."""
        return reversed(list(self.resources.values()))

    def unprotect(self) -> None:
        """As `pulumi state unprotect --all`."""
        for each in self.resources.values():
            each.protect = False

    def exported(self) -> dict[str, Any]:
        """As `pulumi stack export` writes it."""
        return {
            "version": 3,
            "deployment": {"manifest": {}, "resources": [_exported(each) for each in self.resources.values()]},
        }

    def take(self, exported: dict[str, Any]) -> None:
        """As `pulumi stack import`: options and which resources there are; secrets stay as they are here."""
        kept: dict[str, Remembered] = {}
        for each in exported["deployment"]["resources"]:
            known = self.resources[each["urn"]]
            known.protect, known.retain = bool(each.get("protect")), bool(each.get("retainOnDelete"))
            kept[known.urn] = known
        self.resources = kept


def _exported(each: Remembered) -> dict[str, Any]:
    value = {
        "urn": each.urn,
        "custom": each.custom,
        "id": each.id,
        "type": each.type,
        "inputs": stored(each.inputs, each.hidden),
        "outputs": stored(each.outputs, each.hidden),
        "parent": each.parent,
        "provider": each.provider,
        "dependencies": list(each.dependencies),
        "protect": each.protect,
        "retainOnDelete": each.retain,
    }
    return {name: part for name, part in value.items() if part not in ("", [], False)}
