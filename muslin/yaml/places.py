"""Where each key and value of a document stands in its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from muslin.errors import Place

__all__ = ["KeyMark", "Mark", "Path", "Places", "field_path"]

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the document's root, such as `("spec", "ingress", 0, "action")`."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def field_path(path: Iterable[str | int]) -> str:
    """The path as people write it: `spec.ingress[0].action`, `metadata.labels["example.org/app"]`."""
    parts = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f'["{step}"]')
    return "".join(parts)


class Mark(NamedTuple):
    """Where one value begins, from 0, and the marks inside it."""

    line: int
    column: int
    inside: dict[str, KeyMark] | list[Mark] | None = None


class KeyMark(NamedTuple):
    """Where one key of a mapping begins, from 0, and its value's mark."""

    line: int
    column: int
    value: Mark


class Places:
    """Places of one document; a value that came through an alias or `<<` stands where it was written.

    Args:
        root: the mark of the document's root.
        file: what to call the text in messages.
    """

    __slots__ = ("_file", "root")

    def __init__(self, root: Mark, file: str | None = None) -> None:
        self.root, self._file = root, file

    def at(self, path: Iterable[str | int] = ()) -> Place:
        """The place of the value at `path`; where it is not there, of the nearest key above it.

        `Place.path` is always the path asked for, so that a missing field is named.
        """
        steps = tuple(path)
        mark, key, complete = self._nearest(steps)
        found: Mark | KeyMark = mark if complete or key is None else key
        return Place(self._file, found.line + 1, found.column + 1, field_path(steps) or None)

    def key(self, path: Iterable[str | int]) -> Place:
        """The place of the key that `path` ends in: where to point when the name of a field is wrong."""
        steps = tuple(path)
        mark, key, _ = self._nearest(steps)
        found: Mark | KeyMark = mark if key is None or (steps and isinstance(steps[-1], int)) else key
        return Place(self._file, found.line + 1, found.column + 1, field_path(steps) or None)

    def _nearest(self, steps: Path) -> tuple[Mark, KeyMark | None, bool]:
        """The last mark on the way, the last key passed, and whether the way was gone to its end."""
        mark, key = self.root, None
        for step in steps:
            inside = mark.inside
            if isinstance(inside, dict) and isinstance(step, str) and step in inside:
                key = inside[step]
                mark = key.value
            elif isinstance(inside, list) and isinstance(step, int) and 0 <= step < len(inside):
                mark = inside[step]
            else:
                return mark, key, False
        return mark, key, True
