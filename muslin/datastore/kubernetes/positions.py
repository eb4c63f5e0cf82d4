"""Where a watch over several resources stands: one number for each of them, behind a revision that reads as one.

Kubernetes promises that the resourceVersions of one resource are in order. All resources of one etcd share its
revision, so a resourceVersion of any of them is an instant of all: what a list or a write gave can begin a watch of
every kind. What a watch gave can't: its events come resource by resource, one may be behind the others. So a revision
that a watch hands out carries where each of its resources stood, and is equal to the plain text of the object's
revision all the same. A revision that was only kept as text is taken as an instant of all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from muslin.datastore.protocol import Compacted, Revision

__all__ = ["Position", "number_of", "positioned", "starts"]

_NUMBER = re.compile(r"[0-9]{1,19}")
_JOINED = re.compile(r"([0-9]{0,19})/([0-9]{0,19})")
"""A profile's revision: that of its namespace, or that of its service account."""


class Position(str):
    """A revision that knows more than it says. `at` is the resourceVersion for each path of the API that is watched."""

    __slots__ = ("at",)
    at: Mapping[str, int]


def positioned(text: str, at: Mapping[str, int]) -> Revision:
    """A revision with this text from which a watch of these paths goes on exactly where each of them stands."""
    position = Position(text)
    position.at = dict(at)
    return Revision(position)


def number_of(revision: str) -> int | None:
    """The instant that a revision means, None if it is no resourceVersion of Kubernetes."""
    joined = _JOINED.fullmatch(revision)
    parts: Iterable[str] = joined.groups() if joined else (revision,)
    numbers = [int(part) for part in parts if _NUMBER.fullmatch(part)]
    return min(numbers, default=None) if joined or numbers else None


def starts(after: Revision, paths: Collection[str]) -> dict[str, int]:
    """From which resourceVersion each path is to be watched, for a watch after this revision.

    Raises:
        Compacted: it is no revision of a Kubernetes API.
    """
    instant = number_of(after)
    if instant is None:
        raise Compacted(after)
    known = after.at if isinstance(after, Position) else {}
    return {path: known.get(path, instant) for path in paths}
