"""Values as they are shown: in a plan, a status, a log, a notice, without what must stay secret. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from muslin.resources.secrecy import HIDDEN, is_secret_name
from reconciler.compare import FieldChange

__all__ = ["HIDDEN", "names_of", "shown", "without_secrets"]

_CREDENTIAL_TEXT: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(bearer|basic)\s+[A-Za-z0-9+/=_.\-]{8,}|://[^/@\s:]+:[^/@\s]+@"
    r"|\bhttps?://[^/@\s]{16,}@|\b(gh[oprsu]_|github_pat_|glpat-|xox[abprs]-)[A-Za-z0-9_-]{16,}"
    r"|\bAKIA[A-Z0-9]{16}\b|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.",
    re.IGNORECASE,
)
"""Keys, proofs in headers and addresses, and tokens that say by their beginning what they are."""
_COPIES: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
"""Annotations that hold whole objects: told as changed, never shown."""


def shown(changes: Iterable[FieldChange]) -> tuple[FieldChange, ...]:
    """Changes of fields for whoever reads what happened."""
    return tuple(_shown(each) for each in changes)


def _shown(change: FieldChange) -> FieldChange:
    names = tuple(names_of(change.path))
    return replace(change, old=without_secrets(change.old, names), new=without_secrets(change.new, names))


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
        if is_secret_name(last) and not _is_reference(value):
            return HIDDEN
        called = value.get("name")  # a header, a variable: what it is called says what its value is
        told = isinstance(called, str) and is_secret_name(called)
        return {
            name: HIDDEN if told and name == "value" else without_secrets(inner, (*names, str(name)))
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner, names) for inner in value]
    if isinstance(value, str) and (_is_within_secret(names) or _CREDENTIAL_TEXT.search(value)):
        return HIDDEN
    return value


def _is_within_secret(names: tuple[str, ...]) -> bool:
    """Whether a text is a secret by its name, or by that of something it is in and that is no reference."""
    at = max((place for place, name in enumerate(names) if is_secret_name(name)), default=None)
    return at is not None and not any(name.endswith("Ref") for name in names[at + 1 :])


def _is_reference(value: Mapping[str, Any]) -> bool:
    """Whether a mapping only says where a secret is: `password: {secretKeyRef: {name, key}}`."""
    return bool(value) and all(
        isinstance(inner, Mapping) and str(name).endswith("Ref") for name, inner in value.items()
    )


_PART: Final = re.compile(r"\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"([^\"]*)\"\]|([^.\[\]]+)")


def names_of(path: str) -> Iterator[str]:
    """The names of a path as people write it: `metadata.labels['a/b']`, `spec.ingress[0].action`."""
    for match in _PART.finditer(path):
        yield next(part for part in match.groups() if part is not None)
