"""Values as Go's templates see them: fields by Go's names or JSON's, truth, order, and how they are printed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["ABSENT", "NO_VALUE", "Absent", "compare", "field_of", "is_true", "printed", "same"]

_METADATA = frozenset(
    {
        "name", "namespace", "labels", "annotations", "uid", "resourceversion", "generation", "creationtimestamp",
        "deletiontimestamp", "generatename", "finalizers", "ownerreferences", "continue", "selflink",
    }
)  # fmt: skip


class Absent:
    """Nothing there: a field of a Go struct that was not set (`text` is empty), or a key that a map has not."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


ABSENT: Final = Absent("")
NO_VALUE: Final = Absent("<no value>")


def field_of(value: Any, name: str) -> Any:
    """A field of an object, by the name that it has in Go (`Spec.CIDR`, `ObjectMeta.Name`) or in JSON (`spec.cidr`).

    What is not there is ABSENT for Go's names, NO_VALUE for others. Raises TypeError where there can't be fields.
    """
    if isinstance(value, Absent):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"can't evaluate field {name} in type {_type(value)}")
    if name in value:
        return value[name]
    if name in ("ObjectMeta", "ListMeta"):
        return value.get("metadata", ABSENT)
    if name == "TypeMeta":
        return value
    folded = name.lower()
    if name[:1].isupper():
        for key, held in value.items():
            if key.lower() == folded:
                return held
        metadata = value.get("metadata")
        if folded in _METADATA and isinstance(metadata, Mapping):
            return field_of(metadata, name)
        return ABSENT
    return NO_VALUE


def is_true(value: Any) -> bool:
    """Go's truth: not zero, not empty, not nil."""
    if isinstance(value, Absent) or value is None:
        return False
    return bool(value)


def same(one: Any, other: Any) -> bool:
    """Go's `eq` for values of JSON. Raises TypeError for kinds that can't be compared."""
    one, other = (None if isinstance(each, Absent) else each for each in (one, other))
    if isinstance(one, str) and other is None:
        return not one
    if isinstance(other, str) and one is None:
        return not other
    if one is None or other is None:
        return one is other
    if isinstance(one, Mapping | list) or isinstance(other, Mapping | list):
        raise TypeError(f"non-comparable type {_type(one if isinstance(one, Mapping | list) else other)}")
    if _family(one) != _family(other):
        raise TypeError("incompatible types for comparison")
    return bool(one == other)


def compare(one: Any, other: Any) -> int:
    """-1, 0 or 1 for numbers and texts. Raises TypeError for others."""
    if _family(one) != _family(other):
        raise TypeError("incompatible types for comparison")
    if _family(one) not in ("number", "string"):
        raise TypeError(f"invalid type for comparison: {_type(one)}")
    return int(one > other) - int(one < other)


def printed(value: Any) -> str:
    """A value as Go prints it with %v."""
    match value:
        case Absent():
            return value.text
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return _float(value)
        case Mapping():
            return f"map[{' '.join(f'{key}:{printed(value[key])}' for key in sorted(value))}]"
        case str():
            return value
        case Sequence():
            return f"[{' '.join(printed(item) for item in value)}]"
    return str(value)


def _float(value: float) -> str:
    if math.isinf(value) or math.isnan(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value and not 1e-4 <= abs(value) < 1e21:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{exponent[:1] or '+'}{exponent[1:].zfill(2)}" if exponent else mantissa
    return str(int(value)) if value.is_integer() else repr(value)


def _family(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else _type(value)


def _type(value: Any) -> str:
    names = {bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}"}
    if isinstance(value, Mapping):
        return "map[string]interface {}"
    return "nil" if value is None else names.get(type(value), type(value).__name__)
