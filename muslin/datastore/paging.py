"""Where a paged list goes on: the instant of its first page and the last object given."""

from __future__ import annotations

import json
from typing import NamedTuple

from muslin.errors import BadInput, Problem

__all__ = ["Token", "check_limit", "read", "write"]


class Token(NamedTuple):
    """The list is of `revision`; the next page begins after this namespace (empty: none) and name."""

    revision: int
    namespace: str
    name: str


def write(token: Token) -> str:
    """The text that a caller gives back for the next page."""
    return json.dumps(token)


def read(text: str) -> Token:
    """What `write` wrote. Raises `BadInput` for anything else."""
    try:
        revision, namespace, name = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        revision = namespace = name = None
    if not (type(revision) is int and 0 <= revision < 1 << 62 and isinstance(namespace, str) and isinstance(name, str)):
        raise BadInput(Problem("this is no continuation of a list", repr(text[:80]), "begin the list again"))
    return Token(revision, namespace, name)


def check_limit(limit: int | None) -> None:
    """Raises `BadInput` for a page that could hold nothing."""
    if limit is not None and limit < 1:
        raise BadInput(Problem(f"a page of {limit} objects", "limit", "1 or more, or none for all"))
