"""One field of a plan as it is shown: whose it is now, why it changes, and nothing of what must stay secret. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from muslin.datastore.protocol import Json
from reconciler.plan import Action, Cause, Owner, Step

__all__ = ["HIDDEN", "Field", "WhyField", "fields", "names_of", "without_secrets"]

HIDDEN: Final = "(hidden)"
_SECRET: Final = re.compile(
    r"(pass(word|phrase|wd)?|secret|token|credentials?|authorization|api[-_]?key|private[-_]?key|cookie)$",
    re.IGNORECASE,
)
_REFERENCE: Final = re.compile(r"(ref|refs|name|selector|source)$", re.IGNORECASE)
_CREDENTIAL_TEXT: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(bearer|basic)\s+[A-Za-z0-9+/=_.\-]{8,}|://[^/@\s:]+:[^/@\s]+@",
    re.IGNORECASE,
)
_MANAGER: Final = "muslin"
"""As whom we write: as it is, or with the set behind it (`ownership.manager_of`). Tools of ours write so too."""
_COPIES: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
"""Annotations that hold whole objects: told as changed, never shown."""


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


def without_secrets(value: Any, names: tuple[str, ...] = ()) -> Any:
    """The value without what its name or its text says to be a secret; references to secrets stay.

    Args:
        value: JSON.
        names: the way to it, outermost first.
    """
    if value is None:
        return None
    last = names[-1] if names else ""
    if last in _COPIES:
        return HIDDEN
    if isinstance(value, Mapping):
        if _SECRET.search(last) and not _is_reference(value):
            return HIDDEN
        called = value.get("name")  # a header, a variable: what it is called says what its value is
        told = isinstance(called, str) and _SECRET.search(called) is not None
        return {
            name: HIDDEN if told and name == "value" else without_secrets(inner, (*names, str(name)))
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner, names) for inner in value]
    if isinstance(value, str) and (
        (_SECRET.search(last) and not _REFERENCE.search(last)) or _CREDENTIAL_TEXT.search(value)
    ):
        return HIDDEN
    return value


def _is_reference(value: Mapping[str, Any]) -> bool:
    """Whether a mapping only says where a secret is: `password: {secretKeyRef: {name, key}}`."""
    return bool(value) and all(
        isinstance(inner, Mapping) and str(name).endswith("Ref") for name, inner in value.items()
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


_PART: Final = re.compile(r"\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"([^\"]*)\"\]|([^.\[\]]+)")


def names_of(path: str) -> Iterator[str]:
    """The names of a path as people write it: `metadata.labels['a/b']`, `spec.ingress[0].action`."""
    for match in _PART.finditer(path):
        yield next(part for part in match.groups() if part is not None)
