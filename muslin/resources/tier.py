"""Tier: a group of policies with its place in the order, and what befalls packets that its policies let fall."""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar, Final, Literal

from muslin.resources.base import LABEL_NAME, NameForm, Resource
from muslin.resources.fields import AnyJson, Number
from muslin.resources.part import Part
from muslin.resources.shape import Shape
from muslin.resources.validation import ValidationRule, cel

__all__ = ["DEFAULT_TIER_ORDER", "Tier", "TierAction", "TierSpec"]

DEFAULT_TIER_ORDER: Final = 1_000_000.0


class TierAction(enum.Enum):
    """What happens at the end of a tier to packets of endpoints that one of its policies selects."""

    DENY = "Deny"
    PASS = "Pass"  # noqa: S105


class TierSpec(Part):
    """Place and end of a tier."""

    order: Number | None = None
    default_action: TierAction | None = None

    @property
    def effective_order(self) -> float:
        """Order, 1000000 where unset; lower comes first."""
        return DEFAULT_TIER_ORDER if self.order is None else self.order

    @property
    def effective_default_action(self) -> TierAction:
        """What happens at the end, `DENY` where unset."""
        return self.default_action or TierAction.DENY


_BUILT_IN: Final = {
    "default": (TierAction.DENY, 1_000_000),
    "kube-admin": (TierAction.PASS, 1_000),
    "kube-baseline": (TierAction.PASS, 10_000_000),
}
"""Tiers that every cluster has; their end and place are fixed."""


def _order_is(order: int) -> str:
    if order == DEFAULT_TIER_ORDER:
        return f"!has(self.spec.order) || self.spec.order == {order}.0"
    return f"(has(self.spec.order) && self.spec.order == {order}.0)"


def _built_in(name: str, action: TierAction, order: int) -> tuple[ValidationRule, ValidationRule]:
    def has_action(tier: Tier) -> bool:
        return tier.metadata.name != name or tier.spec.effective_default_action is action

    def has_order(tier: Tier) -> bool:
        return tier.metadata.name != name or tier.spec.effective_order == order

    return (
        cel(
            f"{name}-action",
            f"self.metadata.name != '{name}' || self.spec.defaultAction == '{action.value}'",
            f"The '{name}' tier must have default action '{action.value}'",
            has_action,
            path=("spec", "defaultAction"),
            fix=f"set defaultAction to {action.value}",
        ),
        cel(
            f"{name}-order",
            f"self.metadata.name != '{name}' || {_order_is(order)}",
            f"{name} tier order must be {order}",
            has_order,
            path=("spec", "order"),
            fix=f"set order to {order}",
        ),
    )


class Tier(Resource):
    """A group of policies; cluster-scoped."""

    NAME_FORM: ClassVar[NameForm] = LABEL_NAME
    RULES: ClassVar[tuple[ValidationRule, ...]] = tuple(
        rule for name, (action, order) in _BUILT_IN.items() for rule in _built_in(name, action, order)
    )

    kind: Literal["Tier"] = "Tier"
    spec: TierSpec = TierSpec()
    status: Annotated[AnyJson, Shape({"type": "object"})] = None
