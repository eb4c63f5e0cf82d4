"""Where a value stands: field paths as people write them, and what a document must be able to tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from muslin.errors import Place

__all__ = ["FieldPath", "Places", "place_of", "spell_path"]

FieldPath = tuple[str | int, ...]
"""Steps from the object's top to a value: field names as in manifests, and positions in lists from 0."""


class Places(Protocol):
    """What `load` needs from the text an object came from."""

    def at(self, path: FieldPath, /) -> Place:
        """Where the value at this path stands, or the nearest known place above it."""
        ...

    def key(self, path: FieldPath, /) -> Place:
        """Where the name stands that the path ends in: what to point at when the name itself is wrong."""
        ...


def spell_path(path: Iterable[str | int]) -> str:
    """A path in writing: `spec.ingress[0].action`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def place_of(path: FieldPath, places: Places | None, file: str | None, *, of_name: bool = False) -> Place:
    """The place to show for a problem: line and column where the text is known, always our own spelling of the path.

    With `of_name` it is the field's name that is wrong, not its value.
    """
    spelt = spell_path(path) or None
    if places is None:
        return Place(file=file, path=spelt)
    known = places.key(path) if of_name else places.at(path)
    return Place(file=known.file or file, line=known.line, column=known.column, path=spelt)
