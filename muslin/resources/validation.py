"""Rules over a whole value, each stated once: its check, its message, and its CEL text where the reference has one.

Types of single fields are the models' business. A rule here compares fields with each other. The same values serve
`load` (the check), a generated CRD (the CEL text) and the documentation (the message).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from muslin.resources.places import FieldPath

__all__ = ["Breach", "ChangeRule", "ValidationRule", "cel", "go"]


@dataclass(frozen=True, slots=True)
class Breach:
    """One place where a rule does not hold; `path` is relative to the value the rule is about.

    `fix` overrides the rule's own; `source`, model and name of the rule, is filled in by the model.
    """

    what: str
    path: FieldPath = ()
    fix: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A rule about one value.

    Attributes:
        name: short and unique within its model; tests and documentation refer to it.
        message: the reference's wording.
        fix: what to do about it.
        find: gives every breach in a value whose fields are well typed.
        cel: the rule in CEL, None for those that the reference states in Go.
        holds: says at once whether the rule is kept, where that is cheaper than looking for breaches.
    """

    name: str
    message: str
    fix: str
    find: Callable[[Any], Iterable[Breach]]
    cel: str | None = None
    holds: Callable[[Any], object] | None = None


@dataclass(frozen=True, slots=True)
class ChangeRule:
    """A rule about replacing one value by another: `holds(old, new)`; `cel` is None for those that stand in Go."""

    name: str
    message: str
    fix: str
    holds: Callable[[Any, Any], bool]
    cel: str | None = None


def cel(  # noqa: D417
    name: str, text: str, message: str, holds: Callable[[Any], object], *, fix: str, path: FieldPath = ()
) -> ValidationRule:
    """A rule that the reference states in CEL.

    Args:
        text: the rule over `self`; true where it is kept.
        holds: the same in Python.
        path: field to point at, relative to the value.
    """

    def find(value: Any) -> Iterable[Breach]:
        if not holds(value):
            yield Breach(message, path)

    return ValidationRule(name, message, fix, find, text, holds)


def go(name: str, message: str, find: Callable[[Any], Iterable[Breach]], *, fix: str) -> ValidationRule:
    """A rule that the reference states in Go: `find` says what is wrong and where."""
    return ValidationRule(name, message, fix, find)
