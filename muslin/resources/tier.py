"""Tier: a group of policies with its place in the order, and what befalls packets that its policies let fall."""

from __future__ import annotations

import enum
from typing import Final, Literal

from muslin.resources.base import Resource
from muslin.resources.fields import AnyJson, Number
from muslin.resources.part import Part

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


class Tier(Resource):
    """A group of policies; cluster-scoped."""

    kind: Literal["Tier"] = "Tier"
    spec: TierSpec = TierSpec()
    status: AnyJson = None
