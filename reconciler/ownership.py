"""Writing objects of which others own fields: first without force, then field by field as it was agreed.

Where a store keeps who writes which field (Kubernetes), an object is applied without force. Fields that others own are
named in its answer; for each a rule says whether it is left to its owner (DEFER), taken over (OVERRIDE), or left and
told as a fault unless both want the same (ERROR). Only then, and only if something is to be taken over, is it applied
with force, of what is not left. Without a rule the fields of Calico's operator are left: it puts them back anyway, and
what it guards it guards for a reason. Everybody else's are taken over: what we write stands in git.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from muslin.datastore.field_ownership import FieldOwnership, FieldsTaken, TakenField
from muslin.datastore.protocol import Conflict, Entry, Json, NotFound
from muslin.resources.keys import Key

__all__ = ["OPERATOR", "Ownership", "Rule", "Take", "Written", "manager_of", "without", "write"]

OPERATOR: Final = "tigera-operator"
"""Calico's operator writes as `tigera-operator/<what for>`."""


class Take(StrEnum):
    """What becomes of a field that somebody else owns."""

    DEFER = "defer"
    OVERRIDE = "override"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Rule:
    """A field, or all below it, of a manager or of all (`*`; a name covers what follows a slash)."""

    take: Take
    manager: str = "*"
    kind: str = "*"
    path: str = ""

    def about(self, key: Key, taken: TakenField) -> bool:
        """Whether the rule speaks of this field."""
        manager = self.manager in ("*", taken.manager) or taken.manager.startswith(f"{self.manager}/")
        path = not self.path or taken.path == self.path or taken.path.startswith((f"{self.path}.", f"{self.path}["))
        return manager and path and self.kind in ("*", key.kind)


_BY_DEFAULT: Final = (Rule(Take.OVERRIDE), Rule(Take.DEFER, OPERATOR))


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who we are, and rules in order: the last one that speaks of a field decides."""

    manager: str
    rules: tuple[Rule, ...] = ()

    def take(self, key: Key, taken: TakenField) -> Take:
        """What becomes of one field."""
        return [rule.take for rule in (*_BY_DEFAULT, *self.rules) if rule.about(key, taken)][-1]


@dataclass(frozen=True, slots=True)
class Written:
    """What came of an apply: the object, fields that were left to their owners, and those of them that are a fault."""

    entry: Entry
    left: tuple[TakenField, ...] = ()
    refused: tuple[TakenField, ...] = field(default=())


def manager_of(set_name: str) -> str:
    """Our name in the API's record, the same for ever: another one would not own what this one wrote."""
    return f"muslin/{set_name}"


async def write(
    store: FieldOwnership, key: Key, declared: Json, current: Entry | None, ownership: Ownership
) -> Written:
    """Make an object as it is declared, as far as its fields are ours or may be taken.

    Raises:
        Conflict, NotFound: it is not as the plan was made for, or somebody makes it at this moment.
        Unavailable: the store does not answer.
    """
    revision = None if current is None else current.revision
    try:
        return Written(await store.apply(key, declared, revision, manager=ownership.manager))
    except FieldsTaken as error:
        taken = error.fields
        if current is None:
            raise NotFound(
                key
            ) from error  # somebody makes it at this moment: it is planned again, as one that is there
    left = tuple(each for each in taken if ownership.take(key, each) is not Take.OVERRIDE)
    refused = tuple(each for each in left if ownership.take(key, each) is Take.ERROR)
    payload = without(declared, (each.path for each in left))
    try:
        return Written(
            await store.apply(key, payload, revision, manager=ownership.manager, force=len(left) < len(taken)),
            left,
            refused,
        )
    except FieldsTaken as error:  # without force: somebody took another one in between
        raise Conflict(current) from error


def without(value: Json, paths: Iterable[str]) -> dict[str, Any]:
    """The object without these fields; what is empty then stays, so that nobody takes a part for the whole."""
    result = dict(value)
    for path in paths:
        _drop(result, path)
    return result


def _drop(target: dict[str, Any], path: str) -> None:
    """Names of labels have dots of their own: the longest name that is there is meant."""
    for name in sorted(target, key=len, reverse=True):
        if path == name or path.startswith(f"{name}["):
            del target[name]
            return
        if path.startswith(f"{name}.") and isinstance(target[name], Mapping):
            target[name] = dict(target[name])
            _drop(target[name], path[len(name) + 1 :])
            return
