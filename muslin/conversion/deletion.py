"""Deletion in two steps, for objects of which somebody else may take an address at the same moment.

Kubernetes cannot delete an object only at a revision. So it is first written with a mark, which can be refused, and
then deleted by its UID. Whoever meets a marked object finishes the deletion. Source: calico.md section 1a.
"""

from __future__ import annotations

from typing import Any, Final

from muslin.conversion.reading import Json, as_mapping

__all__ = ["MARKED_KINDS", "is_marked", "marked"]

MARKED_KINDS: Final = frozenset({"BlockAffinity", "IPAMBlock", "IPAMHandle"})
"""Kinds that are deleted in two steps."""


def marked(value: Json) -> dict[str, Any]:
    """The object with the mark, to be written at the revision that was read."""
    return {**value, "spec": {**as_mapping(value.get("spec")), "deleted": True}}


def is_marked(value: Json) -> bool:
    """Whether an object counts as gone; in its `projectcalico.org/v3` form."""
    return value.get("kind") in MARKED_KINDS and as_mapping(value.get("spec")).get("deleted") is True
