"""Rules over staged policies: a staged deletion says nothing but which policy would go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from muslin.resources.part import Part
from muslin.resources.validation import Breach, ValidationRule, go

__all__ = ["STAGED_KUBERNETES_RULES", "STAGED_RULES"]


def _nothing_but(kept: frozenset[str], message: str) -> Callable[[Any], Iterator[Breach]]:
    def find(spec: Any) -> Iterator[Breach]:
        if spec.staged_action is None or spec.staged_action.value != "Delete":
            return
        for name, field in type(spec).model_fields.items():
            value = getattr(spec, name)
            empty = value == field.default or (isinstance(value, Part) and not value.to_json())
            if name not in kept and not empty:
                yield Breach(message, (field.alias or name,))

    return find


STAGED_RULES: Final[tuple[ValidationRule, ...]] = (
    go(
        "deletion-is-bare",
        "Spec fields, except Tier, should all be zero-value if stagedAction is Delete",
        _nothing_but(
            frozenset({"tier", "staged_action"}),
            "Spec fields, except Tier, should all be zero-value if stagedAction is Delete",
        ),
        fix="remove the field, or set stagedAction to Set",
    ),
)
STAGED_KUBERNETES_RULES: Final[tuple[ValidationRule, ...]] = (
    go(
        "deletion-is-bare",
        "Spec fields should all be zero-value if stagedAction is Delete",
        _nothing_but(frozenset({"staged_action"}), "Spec fields should all be zero-value if stagedAction is Delete"),
        fix="remove the field, or set stagedAction to Set",
    ),
)
