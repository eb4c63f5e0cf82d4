"""Reads objects from a datastore as they are: what has another shape than expected reads as not there.

An object that breaks a rule must still be looked at, so no model stands between it and the person who asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["mapping_at", "mappings_at", "text_at", "text_of", "value_at"]


def value_at(value: Any, *path: str) -> Any:
    """What stands at a path of keys, None where nothing does."""
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def mapping_at(value: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at a path; an empty one where there is none."""
    found = value_at(value, *path)
    return found if isinstance(found, Mapping) else {}


def mappings_at(value: Any, *path: str) -> Sequence[Mapping[str, Any]]:
    """The mappings of the list at a path, whatever else it holds left out."""
    found = value_at(value, *path)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list | tuple) else []


def text_at(value: Any, *path: str, default: str = "") -> str:
    """What stands at a path, as text for a table's cell."""
    found = value_at(value, *path)
    return default if found is None else text_of(found)


def text_of(value: Any) -> str:
    """A JSON value as calicoctl's tables show it: lists joined by commas, maps as `key=value`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={text_of(value[key])}" for key in sorted(value))
    if isinstance(value, list | tuple):
        return ",".join(text_of(item) for item in value)
    return "" if value is None else str(value)
