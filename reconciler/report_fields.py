"""One field of a plan as it is shown: whose it is now, why it changes, and nothing of what must stay secret. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from muslin.datastore.protocol import Json
from reconciler.hidden import names_of, without_secrets
from reconciler.plan import Action, Cause, Owner, Step

__all__ = ["Field", "WhyField", "fields"]

_MANAGER: Final = "muslin"
"""As whom we write: as it is, or with the set behind it (`ownership.manager_of`). Tools of ours write so too."""


class WhyField(StrEnum):
    """Why a field changes."""

    DECLARED = "Declared"
    NO_LONGER_DECLARED = "NoLongerDeclared"
    CHANGED_BY_OTHERS = "ChangedByOthers"
    TAKEN_OVER = "TakenOver"


@dataclass(frozen=True, slots=True)
class Field:
    """A field that changes; None stands for a field that is not there.

    `owner` is who has it now: `us`, `nobody`, or the name of another manager where the store tells it, else
    `somebody else`.
    """

    path: str
    old: Any
    new: Any
    owner: str
    why: WhyField

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"path": self.path, "old": self.old, "new": self.new, "owner": self.owner, "why": self.why.value}


def fields(step: Step) -> Iterator[Field]:
    """A step's fields, in order."""
    managers = tuple(_managers(step.former or {}))
    for each in step.fields:
        names = tuple(names_of(each.path))
        yield Field(
            each.path,
            without_secrets(each.old, names),
            without_secrets(each.new, names),
            _owner(step, names, each.old, managers),
            _why(step, each.new),
        )


def _why(step: Step, new: Any) -> WhyField:
    if step.cause is Cause.DRIFT:
        return WhyField.CHANGED_BY_OTHERS
    if step.action is Action.DELETE or new is None:
        return WhyField.NO_LONGER_DECLARED
    return WhyField.TAKEN_OVER if step.action is Action.ADOPT else WhyField.DECLARED


def _owner(step: Step, names: tuple[str, ...], old: Any, managers: tuple[tuple[str, Json], ...]) -> str:
    """By the store's own books where it has them, else by the ledger: what stands there is ours if we applied it."""
    if old is None:
        return Owner.NOBODY.value
    ours = step.owner is Owner.US and step.base is not None and _at(step.base, names) == old
    told = [manager for manager, held in managers if _holds(held, names)]
    if told:
        named = [Owner.US.value if ours and manager.partition("/")[0] == _MANAGER else manager for manager in told]
        return ", ".join(dict.fromkeys(named))
    if ours:
        return Owner.US.value
    return Owner.SOMEBODY_ELSE.value if step.owner is not Owner.NOBODY else Owner.NOBODY.value


def _managers(value: Json) -> Iterator[tuple[str, Json]]:
    """Each manager of a server's books, with its fields in the server's form."""
    metadata = value.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    for entry in entries if isinstance(entries, list | tuple) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("fieldsV1"), Mapping):
            yield str(entry.get("manager", "unknown")), entry["fieldsV1"]


def _holds(held: Json, names: tuple[str, ...]) -> bool:
    """Whether a field, or all of a list or mapping that it is in, is among a manager's."""
    current: Any = held
    for name in names:
        if name.isdigit():
            return True  # a list without keys is one field
        current = current.get(f"f:{name}") if isinstance(current, Mapping) else None
        if current is None:
            return False
        if current == {}:
            return True
    return True


def _at(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list | tuple) and name.isdigit():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value
