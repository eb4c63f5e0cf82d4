"""Values as sorted JSON, for expected files that people review as diffs."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["as_json"]


def as_json(value: Any) -> str:
    """Text of a value: dataclasses as objects without their default fields, sets sorted, one item a line."""
    return json.dumps(_plain(value), indent=2, sort_keys=True) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not _is_default(field, getattr(value, field.name))
        }
    if isinstance(value, Mapping):
        return {_name(key): _plain(item) for key, item in value.items()}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, frozenset | set):
        return sorted((_plain(item) for item in value), key=str)
    if hasattr(value, "_fields"):
        return _name(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or type(value) in (bool, int, str):
        return value
    return int(value) if isinstance(value, int) else str(value)


def _name(value: Any) -> str:
    return " ".join(str(part) for part in value if part is not None) if isinstance(value, tuple) else str(value)


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(value == field.default)
    return field.default_factory is not dataclasses.MISSING and not value
